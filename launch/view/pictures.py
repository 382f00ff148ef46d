"""Pictures for pages: decoded and written anew, without metadata; what cannot be is words."""

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from medgen.engine.decoding.pool import open_safely
from medgen.engine.errors import ImageError
from medgen.engine.images import as_rgb

THUMB_SIDE = 128
LARGEST_SIDE = 1024  # of a picture on a sample's page
Grey = NDArray[np.float32]
Map = Literal["absolute", "ssim", "lpips"]
MAPS: tuple[Map, ...] = ("absolute", "ssim", "lpips")
# Nine steps of magma, dark for no difference.
_MAGMA = (
    (0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122),
    (229, 80, 100), (251, 135, 97), (254, 194, 135), (252, 253, 191),
)  # fmt: skip
# The difference that has the brightest step; of LPIPS the threshold of the benchmark's protocol.
MAP_TOPS: dict[Map, float] = {"absolute": 0.30, "ssim": 0.30, "lpips": 0.60}
_WINDOW = 7


def thumbnail(data: bytes) -> bytes:
    """A small WebP of some 4 KB.

    Raises:
        ImageError: the bytes are no picture that may be shown.
    """
    image = as_rgb(open_safely(data))
    image.thumbnail((THUMB_SIDE, THUMB_SIDE), Pillow.Resampling.LANCZOS)
    return _webp(image, quality=80)


def whole(data: bytes) -> bytes:
    """The picture as it is scored: RGB, lossless, at most 1,024 pixels a side.

    Raises:
        ImageError: the bytes are no picture that may be shown.
    """
    image = as_rgb(open_safely(data))
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Pillow.Resampling.LANCZOS)  # never larger
    return _webp(image, lossless=True)


def difference(
    output: bytes, reference: bytes, kind: Literal["absolute", "ssim"]
) -> tuple[bytes, float]:
    """A map of how an output differs from the reference, and its mean, 0 to 1.

    The output is resized to the reference. `absolute` is |output - reference|, mean of RGB; `ssim`
    is (1 - SSIM) / 2 in windows of 7 pixels on the grey picture.

    Raises:
        ImageError: one of them is no picture that may be shown.
    """
    base = as_rgb(open_safely(reference))
    base.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Pillow.Resampling.LANCZOS)
    other = as_rgb(open_safely(output))
    if other.size != base.size:
        other = other.resize(base.size, Pillow.Resampling.BILINEAR)
    ours = np.asarray(other, dtype=np.float32) / 255
    theirs = np.asarray(base, dtype=np.float32) / 255
    if kind == "absolute":
        found = np.abs(ours - theirs).mean(axis=2)
    else:
        found = (1 - _ssim(ours.mean(axis=2), theirs.mean(axis=2))) / 2
    return drawn_map(found, kind), float(found.mean())


def drawn_map(found: Grey, kind: Map) -> bytes:
    """A map in nine steps of magma, from no difference to the kind's brightest."""
    shares = found / MAP_TOPS[kind] * len(_MAGMA)
    steps = np.clip(shares, 0, len(_MAGMA) - 1).astype(np.uint8)
    return _webp(Pillow.fromarray(np.asarray(_MAGMA, dtype=np.uint8)[steps]), lossless=True)


def _ssim(
    left: Grey,
    right: Grey,
) -> Grey:
    """SSIM (Wang et al. 2004) of two grey pictures in a uniform window, one value a pixel."""
    from scipy.ndimage import uniform_filter

    def mean(
        image: Grey,
    ) -> Grey:
        return np.asarray(uniform_filter(image, _WINDOW), dtype=np.float32)

    mu_l, mu_r = mean(left), mean(right)
    var_l, var_r = mean(left * left) - mu_l**2, mean(right * right) - mu_r**2
    both = mean(left * right) - mu_l * mu_r
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mu_l * mu_r + c1) * (2 * both + c2)
    bottom = (mu_l**2 + mu_r**2 + c1) * (var_l + var_r + c2)
    return np.asarray(top / bottom, dtype=np.float32)


def _webp(image: Pillow.Image, quality: int = 80, lossless: bool = False) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "WEBP", quality=quality, lossless=lossless, method=4 if not lossless else 1)
    return sink.getvalue()


def is_shown(data: bytes) -> bool:
    """Whether the bytes are a picture that may be shown."""
    try:
        open_safely(data)
    except ImageError:
        return False
    return True
