"""Pictures from outside, decoded safely, and pictures of ours, encoded the same way every time.

Nothing here looks at a file name: the bytes decide. EXIF orientation is not applied, because the
benchmark's own evaluator does not apply it.
"""

import io

from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from medgen.engine.errors import ImageError

# 8192 x 8192: larger than any picture of the benchmark, 256 MiB when decoded to RGBA.
MAX_PIXELS = 64 * 2**20
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_PLAIN_MODES = ("1", "L", "LA", "RGB", "RGBA", "I;16")


def open_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Pillow.Image:
    """Decode one picture, whole, in the mode it was stored in.

    The size in the header is compared with the limit before a pixel is decoded. A file with
    several frames is refused, for there is no telling which one is meant; only the phone format
    MPO, which is a JPEG with extra views behind it, gives its first picture.

    Raises:
        ImageError: no picture, another format, too large, truncated, damaged or animated.
    """
    try:
        image = Pillow.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as err:
        raise ImageError(f"not a picture in {', '.join(FORMATS)} ({_sight(data)})") from err
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as err:
        raise ImageError(f"the header claims more than {max_pixels:,} pixels: a bomb?") from err
    except Exception as err:  # decoders raise whatever hostile bytes make them raise
        raise ImageError(f"not a readable picture ({_describe(err)})") from err
    _refuse_size(image, max_pixels)
    try:
        # Only the plugins that know animation define this attribute, says Pillow's manual.
        if getattr(image, "is_animated", False) and image.format != "MPO":
            raise ImageError(f"animated or paged {image.format}; give one picture")
        image.load()
        if image.format == "PNG":  # whose decoder is content with the pixels, without the end
            Pillow.open(io.BytesIO(data), formats=("PNG",)).verify()
    except ImageError:
        raise
    except Exception as err:  # as above: this is where truncated and damaged files end
        raise ImageError(f"truncated or damaged {image.format} ({_describe(err)})") from err
    _refuse_size(image, max_pixels)
    return image


def png(image: Pillow.Image) -> bytes:
    """Encode as PNG without metadata: equal pixels give equal bytes."""
    sink = io.BytesIO()
    plain = image if image.mode in _PLAIN_MODES else image.convert("RGB")
    clean = Pillow.frombytes(plain.mode, plain.size, plain.tobytes())
    clean.save(sink, "PNG", compress_level=6)
    return sink.getvalue()


def _refuse_size(image: Pillow.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(f"{width} x {height} pixels are more than the {max_pixels:,} allowed")
    if not width * height:
        raise ImageError("a picture without pixels")


def _sight(data: bytes) -> str:
    return f"{len(data):,} bytes, beginning {data[:12]!r}" if data else "it is empty"


def _describe(err: Exception) -> str:
    return f"{type(err).__name__}: {err}"[:200]
