"""Encoded pictures, decoded once under guard, with everything derived from them kept beside them.

What a picture is, `medgen.engine.images` says, for metrics as for importers and the firewall;
whatever it refuses ends as a `DecodeError` with a reason. The range of the levels follows from
the depth of the file, never from the levels that happen to occur.
"""

import io
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from PIL import Image as Pillow

from medgen.engine.data import Image
from medgen.engine.errors import ImageError
from medgen.engine.images import (
    DEEP_GREY,
    FORMATS,
    MAX_PIXELS,
    depth,
    leaves_unused,
    open_image,
    orientation,
)

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

# compat: what `Image.open(f).convert("RGB")` gives; strict: orientation, alpha and depth honoured.
Policy = Literal["compat", "strict"]

Levels = np.ndarray[tuple[int, int], np.dtype[np.float32]]

_WHITE = 255.0  # levels of every depth are put on the scale 0 to 255
_TIFF_MEANING, _WHITE_IS_ZERO = 262, 0
_UPRIGHT = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
# The arrays derived from pictures up to this size are kept; larger ones are made again.
_KEEP_PIXELS = 4_500_000

COLOUR = {
    "compat": "RGB of 8 bits; alpha dropped, EXIF orientation ignored, deeper grey clipped",
    "strict": "RGB; alpha over black, EXIF orientation applied, deeper grey scaled by its depth",
}


class DecodeError(Exception):
    """A picture cannot be used; the message is the reason kept with the score."""


class Picture:
    """A decoded RGB picture. Derived arrays are made once and shared by all metrics."""

    def __init__(self, image: Pillow.Image, levels: Levels | None = None, remark: str = "") -> None:
        """`image` has mode RGB.

        Args:
            image: the picture at 8 bits a channel.
            levels: of a grey picture of more than 8 bits, its levels on the scale 0 to 255 [height,
                width], with the fractions that 8 bits would lose.
            remark: what a reader of its scores should know, such as levels that were clipped.
        """
        self.image, self.levels, self.remark = image, levels, remark
        self._derived: dict[Hashable, Any] = {}

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

    @cached_property
    def fine_rgb(self) -> "torch.Tensor":
        """Levels in full depth on the scale 0 to 255 [height, width, 3]; uint8 for 8-bit files."""
        return self.rgb if self.levels is None else self._fine[..., None].expand(-1, -1, 3)

    @cached_property
    def fine_luma(self) -> "torch.Tensor":
        """Luma in full depth on the scale 0 to 255 [height, width]; uint8 for 8-bit files."""
        return self.luma if self.levels is None else self._fine

    @property
    def _fine(self) -> "torch.Tensor":
        import torch

        return torch.from_numpy(self.levels)

    def resize(self, size: tuple[int, int], resample: Pillow.Resampling) -> "Picture":
        """The picture at another size (width, height); itself when it has that size."""
        if size == self.size:
            return self
        return self.derive(("resized", size, resample), lambda: self._resize(size, resample))

    def _resize(self, size: tuple[int, int], resample: Pillow.Resampling) -> "Picture":
        if self.levels is None:
            return Picture(self.image.resize(size, resample), remark=self.remark)
        fine = np.asarray(Pillow.fromarray(self.levels).resize(size, resample))
        return _deep(fine.clip(0, _WHITE), self.remark)  # Lanczos overshoots edges

    def derive(self, key: Any, make: Callable[[], T]) -> T:
        """The value under `key`, made on first use and kept as long as the picture."""
        if key not in self._derived:
            value = make()
            if self.size[0] * self.size[1] > _KEEP_PIXELS:
                return value
            self._derived[key] = value
        return self._derived[key]  # type: ignore[no-any-return]

    def keep(self, key: Hashable, value: object) -> None:
        """Keep a small derived value (an embedding) that was made in a batch."""
        self._derived[key] = value

    def recall(self, key: Hashable) -> Any | None:
        """What was kept under `key`, or None."""
        return self._derived.get(key)


def dimensions(image: Image) -> tuple[int, int]:
    """Width and height from the header alone; (0, 0) when there is no readable header."""
    try:
        with Pillow.open(io.BytesIO(image.data), formats=FORMATS) as opened:
            return opened.size
    except Exception:  # noqa: BLE001 - whatever the header holds, `decode` says what is wrong
        return (0, 0)


def decode(image: Image, policy: Policy, limit: int = MAX_PIXELS) -> Picture:
    """Decode a picture to RGB.

    Args:
        image: the encoded picture.
        policy: how orientation, alpha and high depth are treated, see `COLOUR`.
        limit: most pixels that are decoded.

    Raises:
        DecodeError: it is not a picture that `open_image` takes.
    """
    try:
        opened = open_image(image.data, limit)
        return _strict(opened) if policy == "strict" else _compat(opened)
    except ImageError as err:
        raise DecodeError(str(err)) from err
    except Exception as err:  # codecs raise whatever they like; it is one sample's failure
        raise DecodeError(f"cannot be turned into RGB ({err})") from err


def _compat(image: Pillow.Image) -> Picture:
    clipped = image.mode in DEEP_GREY and _highest(image) > _WHITE
    remark = "levels above 255 of a deeper file count as white" if clipped else ""
    return Picture(image.convert("RGB"), remark=remark)


def _strict(image: Pillow.Image) -> Picture:
    turn = _UPRIGHT.get(orientation(image))
    if image.mode in DEEP_GREY:
        levels, remark = _scale(image)
        fine = Pillow.fromarray(levels)
        return _deep(np.array(fine if turn is None else fine.transpose(turn)), remark)
    upright = image if turn is None else image.transpose(turn)
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        upright = Pillow.alpha_composite(Pillow.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    return Picture(upright.convert("RGB"))


def _deep(levels: Levels, remark: str) -> Picture:
    grey = Pillow.fromarray(levels.round().astype(np.uint8))
    return Picture(grey.convert("RGB"), levels, remark)


def _scale(image: Pillow.Image) -> tuple[Levels, str]:
    """Levels of a deep grey picture on the scale 0 to 255, and a remark on bits left unused."""
    bits = depth(image)
    stored = np.asarray(image).astype(np.float32)
    needed = _highest(image).bit_length()
    levels = stored * np.float32(_WHITE / (2**bits - 1))
    if getattr(image, "tag_v2", {}).get(_TIFF_MEANING) == _WHITE_IS_ZERO:
        levels = np.float32(_WHITE) - levels
    clear = image.info.get("transparency")
    if isinstance(clear, int):  # one level means "nothing here": over black, as alpha is
        levels[stored == clear] = 0
    remark = f"{needed}-bit data in a {bits}-bit file, scaled by {2**bits - 1}"
    return levels.clip(0, _WHITE), remark if leaves_unused(needed, bits) else ""


def _highest(image: Pillow.Image) -> int:
    return int(np.asarray(image).max(initial=0))
