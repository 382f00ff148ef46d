"""The real pictures of the miniature benchmark, from the test files of two libraries.

Nothing is fetched: only files that lie inside the installed scikit-image and pydicom are opened.
The X-ray-like pictures are computed from CT slices and say so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom import Dataset

Pixels = NDArray[np.float64]  # height x width x 3, in [0, 1]
Region = tuple[float, float, float, float]  # centre x, centre y, radius x, radius y, as fractions
LONGEST = 256  # pixels of the longer side


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture, and what can truly be said about it."""

    name: str
    file: str  # the source picture it comes from
    modality: str
    about: str  # a noun phrase with its article
    part: str  # the structure that its region shows, without an article
    region: Region
    pixels: Pixels

    @property
    def place(self) -> str:
        """Where the region lies, as one says it."""
        x, y = self.region[:2]
        row = "upper" if y < 0.4 else "lower" if y > 0.6 else "middle"
        column = "left" if x < 0.4 else "right" if x > 0.6 else "centre"
        return "centre" if (row, column) == ("middle", "centre") else f"{row} {column}"


def pictures() -> Mapping[str, tuple[Picture, ...]]:
    """All of them by modality, always the same and in the same order."""
    found: dict[str, list[Picture]] = {}
    for name, (file, modality, about, part, region, load) in _CATALOG.items():
        pixels = _fit(load(file))
        picture = Picture(name, file, modality, about, part, region, pixels)
        found.setdefault(modality, []).append(picture)
    return {modality: tuple(group) for modality, group in found.items()}


def frames(count: int) -> tuple[Pixels, ...]:
    """Evenly spaced frames of the heart loop, for items with several pictures."""
    loop = _dicom("examples_ybr_color.dcm").pixel_array
    return tuple(
        _fit(_crop(loop[at] / 255.0, _HEART))
        for at in np.linspace(0, len(loop) - 1, count).astype(int)
    )


def project(name: str, lateral: bool = False) -> Pixels:
    """An X-ray-like picture of a CT slice extended to a tapering volume: computed, synthetic."""
    slices = taper(_grey(_CATALOG[name][-1](_CATALOG[name][0])), 128)
    # The cube makes bone, bright in a CT slice, outweigh soft tissue, as it does for X-rays.
    depth = (slices**3).mean(axis=2 if lateral else 1)
    dark = 1 - np.exp(-2 * depth / depth.max())
    return _fit(_colour(dark / dark.max()))


def taper(grey: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """A volume (count x 128 x 128): the slice, shrunk towards both ends as an ellipsoid is."""
    from skimage.transform import AffineTransform, resize, warp

    side = 128
    grey = resize(grey, (side, side), order=1, anti_aliasing=True)
    slices = []
    for height in np.linspace(-0.95, 0.95, count):
        scale = float(np.sqrt(1 - height**2))
        shift = side / 2 * (1 - 1 / scale)
        inverse = AffineTransform(scale=1 / scale, translation=(shift, shift))
        slices.append(warp(grey, inverse, order=1, mode="constant", cval=0.0))
    return np.stack(slices)


def _load_shipped(file: str) -> NDArray[np.float64]:
    from PIL import Image

    with (files("skimage") / "data" / file).open("rb") as stream:
        return np.asarray(Image.open(stream).convert("RGB")) / 255.0


@cache
def _dicom(file: str) -> "Dataset":
    # Read by its place in the package: pydicom's own look-up would try to fetch a missing file.
    from pydicom import dcmread

    with (files("pydicom") / "data" / "test_files" / file).open("rb") as stream:
        return dcmread(stream)


def _window(low: float, high: float) -> Callable[[str], NDArray[np.float64]]:
    """A DICOM slice with stored values from `low` to `high` shown as black to white."""

    def load(file: str) -> NDArray[np.float64]:
        return _colour(np.clip((_dicom(file).pixel_array - low) / (high - low), 0, 1))

    return load


def _load_cropped(
    load: Callable[[str], NDArray[np.float64]], box: tuple[int, int, int, int]
) -> Callable[[str], NDArray[np.float64]]:
    return lambda file: _crop(load(file), box)


def _crop(pixels: NDArray[np.float64], box: tuple[int, int, int, int]) -> NDArray[np.float64]:
    left, top, right, bottom = box
    return pixels[top:bottom, left:right]


def _load_colour(file: str) -> NDArray[np.float64]:
    found = _dicom(file).pixel_array
    first: NDArray[np.float64] = (found[0] if found.ndim == 4 else found) / 255.0
    return first


def _palette(file: str) -> NDArray[np.float64]:
    from pydicom.pixels.processing import apply_color_lut

    slot = _dicom(file)
    coloured: NDArray[np.float64] = apply_color_lut(slot.pixel_array, slot)[..., :3] / 65535.0
    return coloured


def _colour(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    return grey[..., None].repeat(3, axis=2)


def _grey(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = pixels.mean(axis=2)
    return mean


def _fit(pixels: NDArray[np.float64]) -> Pixels:
    """Scaled to a longer side of 128 to 256 pixels, in 8-bit steps."""
    from skimage.transform import resize

    height, width = pixels.shape[:2]
    scale = min(LONGEST / max(height, width), max(1.0, 128 / max(height, width)))
    if scale != 1:
        size = (round(height * scale), round(width * scale), 3)
        pixels = resize(pixels, size, order=3, anti_aliasing=scale < 1)
    return np.round(np.clip(pixels, 0, 1) * 255) / 255


# The scanners' texts at the borders are cut away.
_HEART = (45, 15, 255, 215)
_NODE = (8, 56, 312, 170)
_NEAR_FIELD = (336, 66, 600, 162)
_COMPUTED = "computed X-ray-like projection (synthetic)"
_CATALOG: dict[str, tuple[str, str, str, str, Region, Callable[[str], NDArray[np.float64]]]] = {
    "ct-spine": (
        *("CT_small.dcm", "CT", "an axial CT slice through a vertebra", "vertebral body"),
        *((0.445, 0.21, 0.12, 0.17), _window(500, 2000)),
    ),
    "ct-head": (
        *("693_J2KI.dcm", "CT", "an axial CT slice of a head in its holder", "cranial cavity"),
        *((0.52, 0.55, 0.21, 0.27), _window(-1000, 2200)),
    ),
    "ct-phantom": (
        *("phantom.png", "CT", "a computed CT head phantom", "dark ventricle"),
        *((0.386, 0.483, 0.09, 0.2), _load_shipped),
    ),
    "mr-abdomen": (
        *("examples_overlay.dcm", "MRI", "an axial MR slice of an abdomen"),
        *("bright kidney", (0.306, 0.727, 0.075, 0.115), _window(0, 790)),
    ),
    "mr-small": (
        *("MR_small.dcm", "MRI", "a small field of view of an MR slice"),
        *("bright ring with a dark middle", (0.656, 0.586, 0.11, 0.13), _window(127, 1800)),
    ),
    "us-heart": (
        *("examples_ybr_color.dcm", "Ultrasound", "an ultrasound sector of a beating heart"),
        *("dark heart chamber", (0.667, 0.425, 0.1, 0.2), _load_cropped(_load_colour, _HEART)),
    ),
    "us-node": (
        *("examples_rgb_color.dcm", "Ultrasound", "a power Doppler ultrasound of a lymph node"),
        *(
            "coloured flow in the node",
            (0.27, 0.42, 0.19, 0.24),
            _load_cropped(_load_colour, _NODE),
        ),
    ),
    "us-near-field": (
        *("examples_palette.dcm", "Ultrasound", "the near field of a curved ultrasound probe"),
        *("bright band below the probe", (0.48, 0.42, 0.3, 0.25)),
        _load_cropped(_palette, _NEAR_FIELD),
    ),
    "xr-head-frontal": (
        *("693_J2KI.dcm", "X-ray", f"a {_COMPUTED} of a head, frontal", "bright middle"),
        *((0.5, 0.5, 0.2, 0.25), lambda _: project("ct-head")),
    ),
    "xr-head-lateral": (
        *("693_J2KI.dcm", "X-ray", f"a {_COMPUTED} of a head, lateral", "bright middle"),
        *((0.5, 0.5, 0.2, 0.25), lambda _: project("ct-head", lateral=True)),
    ),
    "xr-phantom": (
        *("phantom.png", "X-ray", f"a {_COMPUTED} of a head phantom, frontal", "bright middle"),
        *((0.5, 0.5, 0.12, 0.25), lambda _: project("ct-phantom")),
    ),
    "path-colon": (
        *("ihc.png", "Pathology", "an immunohistochemistry section of colon glands"),
        *("small round gland", (0.61, 0.786, 0.13, 0.17), _load_shipped),
    ),
    "path-gland": (
        *("ihc.png", "Pathology", "a close view of brown-stained colon glands"),
        *("brown whorl of cells", (0.44, 0.64, 0.17, 0.2)),
        _load_cropped(_load_shipped, (100, 0, 356, 256)),
    ),
    "path-stroma": (
        *("ihc.png", "Pathology", "a close view of blue nuclei beside a brown gland"),
        *(
            "brown gland",
            (0.43, 0.57, 0.24, 0.33),
            _load_cropped(_load_shipped, (200, 256, 456, 512)),
        ),
    ),
    "cp-fundus": (
        *("retina.jpg", "Clinical Photography", "a colour fundus photograph", "optic disc"),
        *((0.155, 0.485, 0.075, 0.085), _load_shipped),
    ),
    "cp-fovea": (
        *("retina.jpg", "Clinical Photography", "a close view of a fundus photograph", "fovea"),
        *((0.5, 0.5, 0.14, 0.14), _load_cropped(_load_shipped, (450, 450, 962, 962))),
    ),
    "cp-vessels": (
        *("microaneurysms.png", "Clinical Photography", "a grey detail of a retina with vessels"),
        *("dark dot of a microaneurysm", (0.16, 0.21, 0.06, 0.06), _load_shipped),
    ),
}
