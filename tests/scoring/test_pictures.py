"""Decoding under guard: whatever a model sends ends as a picture or as a reason."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from medgen.engine.data import Image, Prediction, Sample
from medgen.metrics.batch import Album, Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs
from medgen.metrics.image.pixel import PSNR
from medgen.metrics.pictures import DecodeError, Policy, decode, dimensions
from medgen.metrics.samples import pattern


def encoded(image: Pillow.Image, kind: str = "PNG", **how: object) -> Image:
    sink = io.BytesIO()
    image.save(sink, format=kind, **how)
    return Image(sink.getvalue())


def bomb(width: int, height: int) -> Image:
    """A PNG of some hundred bytes that claims many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99))
    return Image(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))


def animation() -> Image:
    frames = [Pillow.new("RGB", (8, 8), (k, 0, 0)) for k in (0, 200)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image(b""), "it is empty"),
        (Image(b"GIF89a but no more"), "not a"),
        (Image(b"%PDF-1.7"), "not a picture in PNG, JPEG"),
        (Image(pattern(64, 64).data[:300]), "truncated or damaged PNG"),
        (bomb(9_000, 9_000), "9000 x 9000 pixels are more than the 67,108,864 allowed"),
        (bomb(60_000, 60_000), "claims more than 67,108,864 pixels"),
        (bomb(40, 40), "truncated or damaged PNG"),
        (animation(), "animated or paged GIF"),
    ],
    ids=["empty", "gif stub", "pdf", "truncated", "large", "bomb", "lying header", "animated"],
)
@pytest.mark.parametrize("policy", ["compat", "strict"])
def test_what_cannot_be_used_says_why(image: Image, reason: str, policy: Policy) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode(image, policy)
    assert dimensions(image) >= (0, 0)


def test_the_limit_is_exact_and_failures_are_remembered() -> None:
    album = Album(limit=64 * 64 - 1)
    for _ in range(2):
        with pytest.raises(DecodeError, match="more than the 4,095 allowed"):
            album.picture(pattern(64, 64), "compat")
    assert decode(pattern(64, 64), "compat", limit=64 * 64).size == (64, 64)


def test_depth_alpha_palette_and_orientation() -> None:
    deep = Pillow.fromarray(np.array([[0, 257, 65535]], dtype=np.uint16))
    strict = decode(encoded(deep), "strict").luma.tolist()
    assert strict == [[0, 1, 255]]
    clear = Pillow.new("RGBA", (1, 1), (255, 255, 255, 0))
    assert decode(encoded(clear), "strict").rgb.tolist() == [[[0, 0, 0]]]
    assert decode(encoded(clear), "compat").rgb.tolist() == [[[255, 255, 255]]]
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        for policy in ("compat", "strict"):
            picture = decode(encoded(Pillow.new("L", (3, 2), 255).convert(mode)), policy)
            assert picture.rgb.tolist() == [[[255] * 3] * 3] * 2
    cmyk = encoded(Pillow.new("CMYK", (4, 2), (0, 0, 0, 0)), "JPEG")
    assert decode(cmyk, "compat").rgb.unique().tolist() == [255]
    turned = Pillow.new("RGB", (4, 2))
    exif = turned.getexif()
    exif[0x0112] = 6
    image = encoded(turned, "JPEG", exif=exif)
    assert decode(image, "compat").size == (4, 2)
    assert decode(image, "strict").size == (2, 4)


def test_a_corrupt_reference_is_named_as_such() -> None:
    sample = Sample("s", "image", "style-transfer", "CT", "-", reference_images=(Image(b"broken"),))
    metric = PSNR()
    metric.load("cpu")
    pair = Pair(sample, Prediction("s", images=(pattern(8, 8),)))
    [score] = score_pairs(metric, ScoringBatch([pair]))
    assert score.reason.startswith("reference: image")


def test_each_picture_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def counting(image: Image, policy: Policy, limit: int) -> object:
        seen.append(image.data)
        return decode(image, policy, limit)

    monkeypatch.setattr("medgen.metrics.batch.decode", counting)
    sample = Sample("s", "image", "style-transfer", "CT", "-", reference_images=(pattern(40, 40),))
    images = [pattern(40, 40, 1), pattern(40, 40), pattern(40, 40, 1)]
    pairs = [Pair(sample, Prediction("s", images=(image,))) for image in images]
    batch = ScoringBatch(pairs)
    metric = PSNR()
    metric.load("cpu")
    for _ in range(2):
        score_pairs(metric, batch)
    assert len(seen) == len(set(seen)) == 2
