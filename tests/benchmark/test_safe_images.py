import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sources.outside import bomb, picture

from medgen.engine.errors import ImageError
from medgen.engine.images import MAX_PIXELS, open_image, png


def _saved(kind: str, **options: object) -> bytes:
    sink = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    Image.fromarray(noise).save(sink, kind, **options)
    return sink.getvalue()


def _several(kind: str) -> bytes:
    sink = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (level, 0, 0)) for level in (0, 90, 200)]
    frames[0].save(sink, kind, save_all=True, append_images=frames[1:])
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_picture_is_decoded_whole(kind: str) -> None:
    assert open_image(_saved(kind)).size == (50, 40)


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n", b"\0" * 5000],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="not a"):
        open_image(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(kind: str, share: float) -> None:
    whole = _saved(kind)
    with pytest.raises(ImageError):
        open_image(whole[: int(len(whole) * share)])


@pytest.mark.parametrize(
    ("kind", "missing"), [("PNG", 5), ("PNG", 12), ("PNG", 20), ("JPEG", 1), ("JPEG", 2)]
)
def test_a_picture_without_its_end_is_refused(kind: str, missing: int) -> None:
    with pytest.raises(ImageError, match="truncated"):
        open_image(_saved(kind)[:-missing])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_frames_and_pages_are_refused(kind: str) -> None:
    with pytest.raises(ImageError, match="animated"):
        open_image(_several(kind))


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (10_000, 10_000), (9000, 8000)])
def test_a_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    with pytest.raises(ImageError, match="pixels"):
        open_image(bomb(width, height))


def test_a_bomb_is_refused_when_warnings_are_no_errors() -> None:
    # Between its limit and twice its limit Pillow only warns.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ImageError, match="pixels"):
            open_image(bomb(10_000, 10_000))


def test_the_limit_is_exact() -> None:
    assert open_image(picture(), max_pixels=16 * 12).size == (16, 12)
    with pytest.raises(ImageError, match="16 x 12"):
        open_image(picture(), max_pixels=16 * 12 - 1)
    assert MAX_PIXELS > 4096 * 4096


@given(st.binary(max_size=400), st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"]))
def test_hostile_bytes_raise_one_error_only(tail: bytes, kind: str) -> None:
    head = _saved(kind)[:60]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for data in (tail, head + tail):
            with pytest.raises(ImageError):
                open_image(data)


@given(st.integers(0, 2**32 - 1), st.integers(8, 400))
def test_damaged_pictures_open_or_raise_one_error(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    data = np.frombuffer(_saved("JPEG" if seed % 2 else "PNG"), np.uint8).copy()
    data[rng.integers(0, len(data), count)] = rng.integers(0, 255, count)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            open_image(data.tobytes())
    except ImageError:
        pass


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_png_keeps_pixels_and_drops_the_rest(mode: str) -> None:
    plain = Image.new("L", (9, 7), 200).convert(mode) if mode != "I;16" else Image.new(mode, (9, 7))
    tagged = plain.copy()
    tagged.info["comment"] = "a secret"
    assert png(tagged) == png(plain)
    again = open_image(png(plain))
    assert list(again.convert("RGB").get_flattened_data()) == list(
        plain.convert("RGB").get_flattened_data()
    )
