"""Pictures from outside, decoded safely, and pictures of ours, encoded the same way every time.

This is the one opinion on what a picture is: importers, the output firewall, judges and metrics
all ask `open_image`, so what one of them takes, all take. Nothing here looks at a file name: the
bytes decide. EXIF orientation is not applied, because the benchmark's own evaluator does not
apply it; who wants it asks `orientation`.
"""

import io

from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from medgen.engine.bounds import RECORD
from medgen.engine.errors import ImageError

MAX_PIXELS = RECORD.pixels
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_PLAIN_MODES = ("1", "L", "LA", "RGB", "RGBA", "I;16")
# Modes whose range follows from their depth. Others have none that anybody could know: 0 to 1,
# 0 to 255 and Hounsfield units are all stored as floating-point numbers.
DEEP_GREY = ("I;16", "I;16L", "I;16B")
_RANGED_MODES = frozenset(
    ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", *DEEP_GREY)
)
_EXIF_ORIENTATION = 0x0112
_TIFF_BITS, _TIFF_MEANING, _WHITE_IS_ZERO = 258, 262, 0


def open_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Pillow.Image:
    """Decode one picture, whole, in the mode it was stored in.

    The size in the header is compared with the limit before a pixel is decoded. A file with
    several frames is refused, for there is no telling which one is meant; only the phone format
    MPO, which is a JPEG with extra views behind it, gives its first picture. Pixels that are
    floating-point, signed or 32-bit numbers are refused, for nothing states their range.

    Raises:
        ImageError: no picture, another format, too large, truncated, damaged, animated, or of
            numbers without a stated range; its `case` says which.
    """
    image = open_header(data, max_pixels)
    try:
        image.load()
        if image.format == "PNG":  # whose decoder is content with the pixels, without the end
            Pillow.open(io.BytesIO(data), formats=("PNG",)).verify()
    except Exception as err:  # this is where truncated and damaged files end
        raise _damage_of(image, err) from err
    _refuse_size(image, max_pixels)
    return image


def open_header(data: bytes, max_pixels: int = MAX_PIXELS) -> Pillow.Image:
    """Format, mode and size of a picture, whose pixels are not decoded.

    Raises:
        ImageError: as `open_image`, as far as the header shows it.
    """
    _refuse_parts(data)
    try:
        image = Pillow.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as err:
        why = f"not a picture in {', '.join(FORMATS)} ({_sight(data)})"
        raise ImageError(why, "not_an_image") from err
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as err:
        why = f"the header claims more than {max_pixels:,} pixels: a bomb?"
        raise ImageError(why, "oversized") from err
    except Exception as err:  # decoders raise whatever hostile bytes make them raise
        raise ImageError(f"not a readable picture ({_describe(err)})") from err
    _refuse_size(image, max_pixels)
    try:
        # Only the plugins that know animation define this attribute, says Pillow's manual.
        animated = getattr(image, "is_animated", False) and image.format != "MPO"
    except Exception as err:  # as above
        raise _damage_of(image, err) from err
    if animated:
        raise ImageError(f"animated or paged {image.format}; give one picture", "animated")
    _refuse_range(image)
    return image


def has_its_end(data: bytes, image: Pillow.Image) -> bool:
    """Whether the file of a header that was opened is as long as its format says.

    False where it cannot be told cheaply.
    """
    if image.format == "JPEG":  # an end behind the last scan: a thumbnail has one of its own
        return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    if image.format == "PNG":
        return data.rstrip(b"\0").endswith(b"IEND\xaeB`\x82")
    return image.format == "WEBP" and int.from_bytes(data[4:8], "little") + 8 <= len(data)


def _damage_of(image: Pillow.Image, err: Exception) -> ImageError:
    return ImageError(f"truncated or damaged {image.format} ({_describe(err)})")


def orientation(image: Pillow.Image) -> int:
    """EXIF orientation 1 to 8; 1, upright, where it is missing or cannot be read."""
    try:
        found = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - a block of junk says nothing about the picture
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def leaves_unused(used: int, bits: int) -> bool:
    """Whether levels that need so many bits are probably of a smaller depth than their file.

    A quarter of the range or less: one bit is what a picture lacks that is merely not bright. Of a
    black picture nothing can be told.
    """
    return 0 < used <= bits - 2


def depth(image: Pillow.Image) -> int:
    """Bits of a level, as the file states them: 8, or up to 16 for deep grey."""
    if image.mode not in DEEP_GREY:
        return 8
    tags = getattr(image, "tag_v2", {})  # only TIFF states its depth
    return int(tags.get(_TIFF_BITS, (16,))[0])


def as_rgb(image: Pillow.Image) -> Pillow.Image:
    """The picture in RGB of 8 bits, for models, judges and people; deep grey by its depth.

    Pillow's own conversion would clip every level above 255 to white.
    """
    if image.mode not in DEEP_GREY:
        return image.convert("RGB")
    share = 255 / (2 ** depth(image) - 1)
    grey = image.convert("I").point(lambda level: level * share + 0.5).convert("L")
    tags = getattr(image, "tag_v2", {})
    inverted = tags.get(_TIFF_MEANING) == _WHITE_IS_ZERO
    return (ImageOps.invert(grey) if inverted else grey).convert("RGB")


def png(image: Pillow.Image) -> bytes:
    """Encode as PNG without metadata: equal pixels give equal bytes."""
    sink = io.BytesIO()
    plain = image if image.mode in _PLAIN_MODES else image.convert("RGB")
    clean = Pillow.frombytes(plain.mode, plain.size, plain.tobytes())
    clean.save(sink, "PNG", compress_level=6)
    return sink.getvalue()


def _refuse_parts(data: bytes) -> None:
    """Refuse what takes minutes to read for its parts, however small the picture is."""
    if data[:2] == b"\xff\xd8":
        # In the coded data a zero follows 0xFF, so this is where a scan begins, or a thumbnail's.
        if (scans := data.count(b"\xff\xda")) > RECORD.scans:
            raise ImageError(f"a JPEG of {scans:,} scans; at most {RECORD.scans} are read")
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        at = 8
        for _ in range(RECORD.chunks):
            if at + 8 > len(data):
                return
            at += 12 + int.from_bytes(data[at : at + 4])
        raise ImageError(f"a PNG of more than {RECORD.chunks:,} chunks")


def _refuse_size(image: Pillow.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        why = f"{width} x {height} pixels are more than the {max_pixels:,} allowed"
        raise ImageError(why, "oversized")
    if not width * height:
        raise ImageError("a picture without pixels")


def _refuse_range(image: Pillow.Image) -> None:
    if image.mode not in _RANGED_MODES:
        kind = "floating-point" if image.mode == "F" else "signed or 32-bit"
        raise ImageError(
            f"{kind} pixels (mode {image.mode}) have no stated range; "
            "store them as whole numbers of 8 or 16 bits",
            "without_range",
        )


def _sight(data: bytes) -> str:
    return f"{len(data):,} bytes, beginning {data[:12]!r}" if data else "it is empty"


def _describe(err: Exception) -> str:
    return f"{type(err).__name__}: {err}"[:200]
