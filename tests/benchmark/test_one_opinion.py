"""Importers, the output firewall and metrics agree on what a picture is."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from medgen.adapters.images.firewall import Firewall
from medgen.adapters.sources.records import Checker
from medgen.engine.bounds import Budget
from medgen.engine.data import Image, Prediction, Sample
from medgen.engine.images import MAX_PIXELS
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs
from medgen.metrics.image.pixel import PSNR
from medgen.metrics.pictures import Policy, decode

SIDE = 12


def noise(mode: str = "RGB", seed: int = 0, side: int = SIDE) -> Pillow.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Pillow.fromarray(pixels).convert(mode)


def saved(image: Pillow.Image, kind: str = "PNG", **how: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **how)
    return sink.getvalue()


def several(kind: str, count: int = 2) -> bytes:
    rest = [noise(seed=k) for k in range(1, count)]
    return saved(noise(), kind, save_all=True, append_images=rest)


def turned(kind: str, value: int = 6) -> bytes:
    exif = Pillow.Exif()
    exif[0x0112] = value
    return saved(noise(), kind, exif=exif)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def drawn(width: int, height: int, depth: int = 1, colour: int = 0) -> bytes:
    """A PNG of nothing but zeros, however large."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    row = b"\0" * (1 + (width * depth * channels + 7) // 8)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(row * height))]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IEND", b"")])


def with_junk_exif(kind: str) -> bytes:
    return saved(noise(), kind, exif=b"Exif\0\0II*\0\xff\xff\xff\xff junk")


def deep(kind: str) -> bytes:
    levels = np.random.default_rng(1).integers(0, 65536, (SIDE, SIDE)).astype(np.uint16)
    return saved(Pillow.fromarray(levels), kind)


def whole_numbers() -> bytes:
    return saved(Pillow.fromarray(np.arange(144, dtype=np.int32).reshape(12, 12)), "TIFF")


def fractions() -> bytes:
    return saved(Pillow.fromarray(np.ones((12, 12), np.float32)), "TIFF")


TAKEN = {
    "png": saved(noise()),
    "jpeg": saved(noise(), "JPEG"),
    "webp": saved(noise(), "WEBP"),
    "bmp": saved(noise(), "BMP"),
    "gif of one frame": saved(noise(), "GIF"),
    "tiff of one page": saved(noise(), "TIFF"),
    "mpo": several("MPO"),
    "mpo of three views": several("MPO", 3),
    "1 bit": saved(noise("1")),
    "1-bit tiff": saved(noise("1"), "TIFF"),
    "grey": saved(noise("L")),
    "grey and alpha": saved(noise("LA")),
    "colour and alpha": saved(noise("RGBA")),
    "palette": saved(noise().quantize(9)),
    "palette and clear colour": saved(noise().quantize(9), transparency=0),
    "cmyk jpeg": saved(noise("CMYK"), "JPEG"),
    "cmyk tiff": saved(noise("CMYK"), "TIFF"),
    "ycbcr tiff": saved(noise("YCbCr"), "TIFF"),
    "lab tiff": saved(noise("LAB"), "TIFF"),
    "16-bit png": deep("PNG"),
    "16-bit tiff": deep("TIFF"),
    "16-bit colour": drawn(5, 4, 16, 2),
    "16-bit colour and alpha": drawn(5, 4, 16, 6),
    "turned jpeg": turned("JPEG"),
    "turned png": turned("PNG"),
    "turned webp": turned("WEBP"),
    "turned to nowhere": turned("JPEG", 99),
    "junk exif in png": with_junk_exif("PNG"),
    "junk exif in webp": with_junk_exif("WEBP"),
    "junk exif in jpeg": with_junk_exif("JPEG"),
    "one pixel": drawn(1, 1),
    "one row": drawn(4000, 1),
    "64 million and more": drawn(8192, 8191),
    "exactly the limit": drawn(8192, 8192),
}
REFUSED = {
    "nothing": (b"", "not_an_image"),
    "words": (b"I cannot draw this.", "not_an_image"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
    "gif": (several("GIF"), "animated"),
    "apng": (several("PNG"), "animated"),
    "webp frames": (several("WEBP"), "animated"),
    "tiff pages": (several("TIFF"), "animated"),
    "cut png": (saved(noise())[:-30], "damaged"),
    "cut jpeg": (saved(noise(side=64), "JPEG")[:700], "damaged"),
    "png without its end": (saved(noise())[:-12], "damaged"),
    "one row too many": (drawn(8192, 8193), "oversized"),
    "bomb": (drawn(60_000, 1)[:16] + struct.pack(">II", 60_000, 60_000), "damaged"),
    "floating point": (fractions(), "without_range"),
    "32 bits": (whole_numbers(), "without_range"),
}


def imported(data: bytes) -> bool:
    faults: list[str] = []
    Checker()._check_images([Image(data, "x")], "reference image", faults, Budget())
    return not faults


def let_through(data: bytes) -> list[str]:
    """The cases for which the firewall rejects a picture."""
    firewall = Firewall()
    return [c for c in firewall.inspect(data)["cases"] if firewall.policy[c] == "reject"]


def measured(data: bytes, profile: str) -> str:
    sample = Sample("s", "image", "style-transfer", "CT", "-", reference_images=(Image(data),))
    metric = PSNR(profile)
    metric.load("cpu")
    pair = Pair(sample, Prediction("s", images=(Image(data),)))
    return score_pairs(metric, ScoringBatch([pair]))[0].status


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("name", TAKEN)
def test_what_one_takes_all_take(name: str) -> None:
    data = TAKEN[name]
    assert imported(data)
    assert let_through(data) == []
    assert {measured(data, profile) for profile in ("compat", "strict")} == {"ok"}


@pytest.mark.parametrize("name", REFUSED)
def test_what_one_refuses_all_refuse(name: str) -> None:
    data, case = REFUSED[name]
    assert not imported(data)
    assert let_through(data) == [case]
    assert {measured(data, profile) for profile in ("compat", "strict")} == {"error"}


def test_of_a_phone_picture_the_first_view_counts() -> None:
    policies: tuple[Policy, ...] = ("compat", "strict")
    for policy in policies:
        both = decode(Image(several("MPO")), policy), decode(Image(saved(noise(), "JPEG")), policy)
        difference = both[0].rgb.int() - both[1].rgb.int()
        assert float(difference.abs().float().mean()) < 3


def test_the_limit_is_written_once() -> None:
    source = Path(__file__).parents[2]
    assert MAX_PIXELS == 8192 * 8192
    for folder in ("metrics", "adapters", "engine"):
        for path in (source / folder).rglob("*.py"):
            assert "64_000_000" not in path.read_text(), path
