"""Encoded pictures, decoded once under guard, with everything derived from them kept beside them.

Pictures come from models and from outside: size, format, frames and truncation are checked
before and during decoding, and whatever is wrong ends as a `DecodeError` with a reason.
"""

import io
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

from medgen.engine.data import Image

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

# compat: what `Image.open(f).convert("RGB")` gives; strict: orientation, alpha and depth honoured.
Policy = Literal["compat", "strict"]

# 64 megapixels: a whole-slide tile or a large radiograph passes, a bomb does not.
PIXEL_LIMIT = 64_000_000
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_HIGH_DEPTH = ("I;16", "I;16L", "I;16B", "I")
# The arrays derived from pictures up to this size are kept; larger ones are made again.
_KEEP_PIXELS = 4_500_000

COLOUR = {
    "compat": "RGB of 8 bits; alpha dropped, EXIF orientation ignored, deeper grey clipped",
    "strict": "RGB of 8 bits; alpha over black, EXIF orientation applied, 16-bit grey scaled",
}


class DecodeError(Exception):
    """A picture cannot be used; the message is the reason kept with the score."""


class Picture:
    """A decoded RGB picture. Derived arrays are made once and shared by all metrics."""

    def __init__(self, image: Pillow.Image) -> None:
        """`image` has mode RGB."""
        self.image = image
        self._derived: dict[Any, Any] = {}

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.size

    @cached_property
    def rgb(self) -> "torch.Tensor":
        """Pixels, uint8 [height, width, 3]."""
        import torch

        return torch.from_numpy(np.array(self.image))

    @cached_property
    def luma(self) -> "torch.Tensor":
        """ITU-R 601-2 luma as Pillow rounds it, uint8 [height, width]."""
        import torch

        return torch.from_numpy(np.array(self.image.convert("L")))

    def resize(self, size: tuple[int, int], resample: Pillow.Resampling) -> "Picture":
        """The picture at another size (width, height); itself when it has that size."""
        if size == self.size:
            return self
        return self.derive(
            ("resized", size, resample), lambda: Picture(self.image.resize(size, resample))
        )

    def derive(self, key: Any, make: Callable[[], T]) -> T:
        """The value under `key`, made on first use and kept as long as the picture."""
        if key not in self._derived:
            value = make()
            if self.size[0] * self.size[1] > _KEEP_PIXELS:
                return value
            self._derived[key] = value
        return self._derived[key]  # type: ignore[no-any-return]

    def keep(self, key: Any, value: Any) -> None:
        """Keep a small derived value (an embedding) that was made in a batch."""
        self._derived[key] = value

    def recall(self, key: Any) -> Any | None:
        """What was kept under `key`, or None."""
        return self._derived.get(key)


def dimensions(image: Image) -> tuple[int, int]:
    """Width and height from the header alone; (0, 0) when there is no readable header."""
    try:
        with _quiet_open(image) as opened:
            return opened.size
    except DecodeError:
        return (0, 0)


def decode(image: Image, policy: Policy, limit: int = PIXEL_LIMIT) -> Picture:
    """Decode a picture to 8-bit RGB.

    Args:
        image: the encoded picture.
        policy: how orientation, alpha and high depth are treated, see `COLOUR`.
        limit: most pixels that are decoded.

    Raises:
        DecodeError: empty, of an unknown format, too large, animated, truncated or damaged.
    """
    with _quiet_open(image) as opened:
        width, height = opened.size
        if width * height > limit:
            raise DecodeError(f"{width} x {height} pixels exceed the limit of {limit}")
        frames = int(getattr(opened, "n_frames", 1))  # only multi-frame formats have it
        if frames > 1:
            raise DecodeError(f"an animation of {frames} frames, not one picture")
        try:
            opened.load()
            upright = _strict(opened) if policy == "strict" else opened
            return Picture(upright.convert("RGB"))
        except Exception as err:  # codecs raise whatever they like; it is one sample's failure
            raise DecodeError(f"cannot be decoded ({err})") from err


def _quiet_open(image: Image) -> Pillow.Image:
    if not image.data:
        raise DecodeError("empty")
    try:
        with warnings.catch_warnings():
            # Our own limit comes right after; Pillow's warning would only repeat it.
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
            return Pillow.open(io.BytesIO(image.data), formats=_FORMATS)
    except Pillow.DecompressionBombError as err:
        raise DecodeError(f"far too many pixels ({err})") from err
    except Exception as err:  # damaged headers raise struct, syntax and value errors alike
        raise DecodeError("not a picture of a known format, or its header is damaged") from err


def _strict(image: Pillow.Image) -> Pillow.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _HIGH_DEPTH:
        levels = np.asarray(upright).astype(np.int64)
        scale = 257 if int(levels.max(initial=0)) > 255 else 1
        return Pillow.fromarray((levels.clip(0, 65535) // scale).astype(np.uint8))
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        return Pillow.alpha_composite(Pillow.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    return upright
