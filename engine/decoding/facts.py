"""What can be said of one picture once it is decoded."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image as Pillow

from medgen.engine.errors import ImageError
from medgen.engine.images import DEEP_GREY, FORMATS, open_image, orientation

_TIFF_BITS = 258
_BAND = 256  # rows that are compared at once, so that no second copy of a picture is held


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One picture that can be decoded, as plain values."""

    format: str
    mode: str
    size: tuple[int, int]
    bits: int  # a channel, as the file states it
    used_bits: int  # what the highest level of a deep grey picture needs; else as `bits`
    orientation: int  # EXIF, 1 to 8
    transparent: bool  # its alpha channel hides something
    blank: bool  # one colour everywhere, whatever the alpha channel holds
    copy: bool  # equal pixels as one of the pictures it is compared with
    first_size: tuple[int, int] | None = None  # of the first picture it is compared with
    seconds: float = 0.0  # of processor time that this took


def facts(data: bytes, max_pixels: int, others: Sequence[bytes] = ()) -> ImageFacts:
    """Decode a picture whole and look at it.

    Args:
        data: the encoded picture.
        max_pixels: the most that are decoded.
        others: pictures that it may be a copy of.

    Raises:
        ImageError: as `open_image` does.
    """
    image = open_image(data, max_pixels)
    sizes = [_size(other) for other in others]
    bits = _bits(image, data)
    near = [o for o, size in zip(others, sizes, strict=True) if size == image.size]
    return ImageFacts(
        image.format or "",
        image.mode,
        image.size,
        bits,
        _used_bits(image, bits),
        orientation(image),
        _transparent(image),
        _blank(image),
        any(other == data or _same(image, other) for other in near),
        sizes[0] if sizes else None,
    )


def _size(data: bytes) -> tuple[int, int] | None:
    try:
        with Pillow.open(io.BytesIO(data), formats=FORMATS) as opened:
            return opened.size
    except Exception:  # noqa: BLE001 - it cannot be decoded, so nothing is a copy of it
        return None


def _bits(image: Pillow.Image, data: bytes) -> int:
    """Bits a channel in the file; Pillow itself reads 16-bit RGB as 8."""
    if image.format == "PNG":
        return data[24]  # IHDR: signature 8, length 4, name 4, width 4, height 4, then depth
    if image.format == "TIFF":
        stored = image.tag_v2.get(_TIFF_BITS, (1,))  # type: ignore[attr-defined]
        return int(max(stored) if isinstance(stored, tuple) else stored)
    return 1 if image.mode == "1" else 8


def _used_bits(image: Pillow.Image, bits: int) -> int:
    if image.mode not in DEEP_GREY:
        return bits
    highest = image.getextrema()[1]
    return int(highest).bit_length() if isinstance(highest, int | float) else bits


def _transparent(image: Pillow.Image) -> bool:
    if not image.has_transparency_data:
        return False
    low = image.convert("RGBA").getchannel("A").getextrema()[0]
    return isinstance(low, int | float) and low < 255


def _blank(image: Pillow.Image) -> bool:
    if image.mode in ("1", "P", "PA", "LA", "RGBA", "La", "RGBa"):
        image = image.convert("RGB")
    extrema = image.getextrema()
    pairs = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high for low, high in pairs)


def _same(image: Pillow.Image, data: bytes) -> bool:
    """Equal pixels once both are RGB, whatever the files look like."""
    try:
        other = open_image(data)
    except ImageError:
        return False
    width, height = image.size
    if other.size != image.size:
        return False
    boxes = ((0, top, width, min(top + _BAND, height)) for top in range(0, height, _BAND))
    return all(_rgb(image, box) == _rgb(other, box) for box in boxes)


def _rgb(image: Pillow.Image, box: tuple[int, int, int, int]) -> bytes:
    return image.crop(box).convert("RGB").tobytes()
