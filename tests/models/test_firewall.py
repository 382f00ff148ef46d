import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from medgen.adapters.images.firewall import POLICY, Firewall
from medgen.engine.data import Image, Prediction, Sample
from medgen.engine.errors import ConfigError

SIZE = (24, 16)


def saved(image: Pillow.Image, kind: str = "PNG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def noisy(mode: str = "RGB", seed: int = 1, size: tuple[int, int] = SIZE) -> Pillow.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Pillow.fromarray(pixels).convert(mode)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def huge_png(side: int = 40_000) -> bytes:
    """A valid header for side x side grey pixels, and next to nothing behind it."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", body), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def deep_rgb_png() -> bytes:
    """16 bits a channel RGB, which Pillow itself cannot write."""
    width, height = SIZE
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    row = b"\0" + bytes(range(6)) * width
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(row * height))]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IEND", b"")])


def rotated_jpeg() -> bytes:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    return saved(noisy(), "JPEG", exif=exif)


def see_through(alpha: int) -> bytes:
    image = noisy("RGBA")
    image.putalpha(alpha)
    return saved(image)


def two_frames(kind: str) -> bytes:
    return saved(noisy(), kind, save_all=True, append_images=[noisy(seed=2)], duration=100)


def deep_grey() -> bytes:
    pixels = np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE[1], SIZE[0])
    return saved(Pillow.fromarray(pixels))


CASES = {
    "plain": (saved(noisy()), set()),
    "text": (b"I am sorry, here is a description instead.", {"not_an_image"}),
    "empty": (b"", {"not_an_image"}),
    "html": (b"<html><body>502 Bad Gateway</body></html>", {"not_an_image"}),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {"not_an_image"}),
    "truncated png": (saved(noisy())[:-400], {"damaged"}),
    "truncated jpeg": (saved(noisy(size=(64, 64)), "JPEG")[:700], {"damaged"}),
    "bomb": (huge_png(), {"oversized"}),
    "gif frames": (two_frames("GIF"), {"animated"}),
    "png frames": (two_frames("PNG"), {"animated"}),
    "webp frames": (two_frames("WEBP"), {"animated"}),
    "tiff pages": (two_frames("TIFF"), {"animated"}),
    "grey": (saved(noisy("L")), {"grayscale"}),
    "bilevel": (saved(noisy("1")), {"grayscale"}),
    "palette": (saved(noisy().quantize(16)), {"palette"}),
    "cmyk": (saved(noisy("CMYK"), "JPEG"), {"cmyk"}),
    "16 bit grey": (deep_grey(), {"grayscale", "deep"}),
    "16 bit rgb": (deep_rgb_png(), {"deep", "blank"}),
    "alpha in use": (see_through(100), {"transparent"}),
    "alpha unused": (see_through(255), set()),
    "exif": (rotated_jpeg(), {"rotated"}),
    "other size": (saved(noisy(size=(16, 24))), {"wrong_size"}),
    "blank": (saved(Pillow.new("RGB", SIZE, (9, 8, 7))), {"blank"}),
    "blank palette": (saved(Pillow.new("P", SIZE, 3)), {"blank", "palette"}),
    "copy": (saved(noisy(seed=99)), {"copy_of_input"}),
    "copy, other file": (saved(noisy(seed=99), "BMP"), {"copy_of_input"}),
}


def sample() -> Sample:
    given = Image(saved(noisy(seed=99)), "in.png")
    return Sample("s1", "image", "style-transfer", "CT", "do", input_images=(given,))


@pytest.mark.parametrize("name", CASES)
def test_every_case_is_recorded_and_ends_by_its_policy(name: str) -> None:
    data, cases = CASES[name]
    row = Firewall().admit(Prediction("s1", images=(Image(data),)), sample())
    assert set(row.details["images"][0]["cases"]) == cases
    rejected = any(POLICY[case] == "reject" for case in cases)
    assert row.status == ("invalid_image" if rejected else "ok")
    assert bool(row.reason) == rejected
    assert row.images[0].data == data


def test_a_case_can_be_rejected_by_choice() -> None:
    blank = Prediction("s1", images=(Image(CASES["blank"][0]),))
    row = Firewall({"blank": "reject"}).admit(blank, sample())
    assert (row.status, row.reason) == ("invalid_image", "blank: policy of the output firewall")


@pytest.mark.parametrize(
    "policy", [{"damaged": "accept"}, {"blank": "maybe"}, {"unheard_of": "reject"}]
)
def test_a_policy_that_makes_no_sense_is_refused(policy: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Firewall(policy)


def test_the_first_picture_decides_and_all_are_kept() -> None:
    good, bad = Image(CASES["plain"][0]), Image(CASES["text"][0])
    first_good = Firewall().admit(Prediction("s1", images=(good, bad)), sample())
    first_bad = Firewall().admit(Prediction("s1", images=(bad, good)), sample())
    assert (first_good.status, first_bad.status) == ("ok", "invalid_image")
    assert first_good.details["image_count"] == first_bad.details["image_count"] == 2
    assert first_bad.images == (bad, good)


def test_a_failed_prediction_stays_what_it_was() -> None:
    row = Prediction("s1", "truncated", "token limit", images=(Image(CASES["text"][0]),))
    assert Firewall().admit(row, sample()).status == "truncated"


def test_the_size_asked_for_is_the_size_expected() -> None:
    data = CASES["other size"][0]
    told = {"format": "PNG", "mode": "RGB", "bits": 8, "size": [16, 24], "cases": []}
    assert Firewall().inspect(data, expected=(16, 24)) == {"bytes": len(data), **told}
