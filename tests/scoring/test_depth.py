"""The range of a picture's levels follows from the depth of its file, never from the levels."""

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import TiffImagePlugin

from medgen.engine.data import Image, Prediction, Sample, Score
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs
from medgen.metrics.image.pixel import MSSSIM, PSNR, SSIM
from medgen.metrics.pictures import decode
from medgen.metrics.port import Metric

FLOOR = 10 * math.log10(255**2 * 12)  # what strict gives for equal pictures


def saved(image: Pillow.Image, kind: str = "PNG", **how: object) -> Image:
    sink = io.BytesIO()
    image.save(sink, kind, **how)
    return Image(sink.getvalue())


def grey16(levels: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]", kind: str = "PNG") -> Image:
    return saved(Pillow.fromarray(levels.astype(np.uint16)), kind)


def flat(level: int, side: int = 16, kind: str = "PNG") -> Image:
    return grey16(np.full((side, side), level), kind)


def flat8(level: int, side: int = 16) -> Image:
    return saved(Pillow.new("L", (side, side), level))


def score(metric: Metric, reference: Image, candidate: Image) -> Score:
    sample = Sample("s", "image", "style-transfer", "CT", "-", reference_images=(reference,))
    metric.load("cpu")
    pair = Pair(sample, Prediction("s", images=(candidate,)))
    return score_pairs(metric, ScoringBatch([pair]))[0]


def psnr(reference: Image, candidate: Image) -> float:
    return score(PSNR("strict"), reference, candidate).values["psnr"]


def expected(first: float, second: float) -> float:
    """Of two flat pictures whose levels are shares of white."""
    return min(FLOOR, -20 * math.log10(abs(first - second))) if first != second else FLOOR


LEVELS = [0, 1, 100, 127, 254, 255, 256, 257, 511, 4094, 4095, 4096, 32767, 40000, 65534]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_deep_pictures_one_level_apart_are_close(level: int, kind: str) -> None:
    assert psnr(flat(level, kind=kind), flat(level + 1, kind=kind)) > 40


@pytest.mark.parametrize(
    ("first", "second"),
    [(0, 65535), (0, 32768), (0, 255), (0, 4095), (255, 65535), (4095, 65535), (2000, 3000)],
)
def test_deep_pictures_far_apart_are_as_far_as_their_depth_says(first: int, second: int) -> None:
    wanted = expected(first / 65535, second / 65535)
    assert psnr(flat(first), flat(second)) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("level", [0, 1, 17, 128, 254, 255])
def test_the_same_picture_in_8_and_16_bits_is_the_same(level: int) -> None:
    assert psnr(flat(level * 257), flat8(level)) == pytest.approx(FLOOR)
    assert psnr(flat8(level), flat(level * 257)) == pytest.approx(FLOOR)


@given(level=st.integers(0, 65535), other=st.integers(0, 65535), spot=st.integers(0, 65535))
def test_a_bright_spot_changes_no_other_pixel(level: int, other: int, spot: int) -> None:
    plain, spotted = (np.full((4, 4), level), np.full((4, 4), level))
    spotted[0, 0] = spot
    first, second = (decode(grey16(x), "strict").fine_luma for x in (plain, spotted))
    assert first[1:].tolist() == second[1:].tolist()
    step = 255 / 65535
    assert float(first[1, 1]) == pytest.approx(level * step, abs=1e-4)
    assert float(decode(flat(other), "strict").fine_luma[0, 0]) == pytest.approx(other * step)


def test_structure_is_seen_below_one_level_of_8_bits() -> None:
    chance = np.random.default_rng(3)
    fine = chance.integers(0, 250, (180, 180))
    other = chance.integers(0, 250, (180, 180))
    for metric, name in ((SSIM("strict"), "ssim"), (MSSSIM(), "ms_ssim")):
        same = score(metric, grey16(fine), grey16(fine)).values[name]
        unlike = score(metric, grey16(fine * 257), grey16(other * 257)).values[name]
        assert same == pytest.approx(1.0)
        assert unlike < 0.5


def test_a_resized_deep_candidate_keeps_its_depth_and_range() -> None:
    chance = np.random.default_rng(1)
    small = decode(grey16(chance.integers(0, 65536, (9, 9))), "strict")
    large = small.resize((20, 30), Pillow.Resampling.LANCZOS)
    assert large.fine_luma.shape == (30, 20)
    assert 0 <= float(large.fine_luma.min()) <= float(large.fine_luma.max()) <= 255
    assert large.luma.tolist() == large.fine_luma.round().tolist()
    assert len(large.fine_luma.unique()) > 300


def test_twelve_bit_data_in_a_deeper_file_is_named() -> None:
    row = score(PSNR("strict"), flat(4000), flat8(30))
    assert row.status == "ok"
    assert row.reason == "reference: 12-bit data in a 16-bit file, scaled by 65535"
    row = score(PSNR("strict"), flat8(30), flat(1000))
    assert row.reason == "prediction: 10-bit data in a 16-bit file, scaled by 65535"
    for highest in (65000, 32768, 32767, 16384, 0):  # bright, merely not bright, and black
        assert score(PSNR("strict"), flat(highest), flat8(30)).reason == ""


def test_compat_clips_as_the_authors_do_and_says_so() -> None:
    row = score(PSNR(), flat(300), flat8(255))
    assert row.values["psnr"] == 100.0
    assert row.reason == "reference: levels above 255 of a deeper file count as white"
    assert score(PSNR(), flat(255), flat8(255)).reason == ""


def twelve_bit_tiff(level: int) -> Image:
    """A TIFF of two grey pixels of 12 bits, which Pillow reads and cannot write."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    strip = bytes([level >> 4, (level & 15) << 4 | level >> 8, level & 255])
    for tag, value in {256: 2, 257: 1, 258: 12, 259: 1, 262: 1, 277: 1, 278: 1, 279: 3}.items():
        tags[tag] = value
    tags[273] = 0  # counted from where the directory ends
    return Image(b"II*\0" + (8).to_bytes(4, "little") + tags.tobytes(8) + strip)


def test_a_file_of_twelve_bits_has_the_range_of_twelve_bits() -> None:
    picture = decode(twelve_bit_tiff(4095), "strict")
    assert picture.fine_luma.tolist() == [[255.0, 255.0]]
    half = decode(twelve_bit_tiff(2048), "strict")
    assert half.fine_luma.tolist() == [[pytest.approx(2048 / 4095 * 255)] * 2]


def test_a_deep_tiff_whose_white_is_zero_is_turned_round() -> None:
    image = saved(Pillow.fromarray(np.array([[0, 65535]], np.uint16)), "TIFF", tiffinfo={262: 0})
    with Pillow.open(io.BytesIO(image.data)) as opened:
        assert opened.tag_v2[262] == 0  # type: ignore[attr-defined]
    assert decode(image, "strict").fine_luma.tolist() == [[255.0, 0.0]]


@pytest.mark.parametrize("turn", range(1, 9))
def test_deep_pictures_are_turned_as_8_bit_ones_are(turn: int) -> None:
    levels = np.arange(6).reshape(2, 3) * 40
    exif = Pillow.Exif()
    exif[0x0112] = turn
    deep = saved(Pillow.fromarray((levels * 257).astype(np.uint16)), exif=exif)
    plain = saved(Pillow.fromarray(levels.astype(np.uint8)), exif=exif)
    assert decode(deep, "strict").luma.tolist() == decode(plain, "strict").luma.tolist()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0, 255.0, math.nan, math.inf])
@pytest.mark.parametrize("profile", ["compat", "strict"])
def test_pixels_without_a_range_are_refused_in_words(level: float, profile: str) -> None:
    image = saved(Pillow.fromarray(np.full((16, 16), level, np.float32)), "TIFF")
    row = score(PSNR(profile), flat8(3), image)
    assert (row.status, row.values) == ("error", {})
    assert "floating-point pixels (mode F) have no stated range" in row.reason
