"""The real pictures of the miniature benchmark, from the test files of two libraries.

Nothing is fetched: only files that lie inside the installed scikit-image and pydicom are opened.
The X-ray-like pictures are computed from CT slices and say so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medgen.engine.beside import read_beside

if TYPE_CHECKING:
    from pydicom import Dataset

Pixels = NDArray[np.float64]  # height x width x 3, in [0, 1]
Region = tuple[float, float, float, float]  # centre x, centre y, radius x, radius y, as fractions
LONGEST = 256  # pixels of the longer side


@dataclass(frozen=True, slots=True)
class Source:
    """An entry of `pictures.yaml`, which says what its fields mean."""

    name: str
    file: str
    modality: str
    about: str
    part: str
    region: Region
    window: tuple[float, float] | None = None
    crop: tuple[int, int, int, int] | None = None
    projects: str = ""
    lateral: bool = False


_SOURCES = {each.name: each for each in read_beside(__package__, "pictures.yaml", list[Source])}


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
    for source in _SOURCES.values():
        said = (source.name, source.file, source.modality, source.about, source.part, source.region)
        found.setdefault(source.modality, []).append(Picture(*said, _fit(_load(source))))
    return {modality: tuple(group) for modality, group in found.items()}


def frames(count: int) -> tuple[Pixels, ...]:
    """Evenly spaced frames of the heart loop, for items with several pictures."""
    heart = _SOURCES["us-heart"]
    loop = _dicom(heart.file).pixel_array
    return tuple(
        _fit(_crop(loop[at] / 255.0, heart))
        for at in np.linspace(0, len(loop) - 1, count).astype(int)
    )


def project(name: str, lateral: bool = False) -> Pixels:
    """An X-ray-like picture of a CT slice extended to a tapering volume: computed, synthetic."""
    slices = taper(_load(_SOURCES[name]).mean(axis=2), 128)
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


def _load_shipped(source: Source) -> NDArray[np.float64]:
    from PIL import Image

    with (files("skimage") / "data" / source.file).open("rb") as stream:
        return np.asarray(Image.open(stream).convert("RGB")) / 255.0


@cache
def _dicom(file: str) -> "Dataset":
    # Read by its place in the package: pydicom's own look-up would try to fetch a missing file.
    from pydicom import dcmread

    with (files("pydicom") / "data" / "test_files" / file).open("rb") as stream:
        return dcmread(stream)


def _load(source: Source) -> NDArray[np.float64]:
    """The picture of an entry as it is before it is fitted (height x width x 3)."""
    if source.projects:
        return project(source.projects, source.lateral)
    load = _load_dicom if source.file.endswith(".dcm") else _load_shipped
    return _crop(load(source), source)


def _load_dicom(source: Source) -> NDArray[np.float64]:
    from pydicom.pixels.processing import apply_color_lut

    found = _dicom(source.file)
    stored = found.pixel_array
    if source.window:
        low, high = source.window
        return _colour(np.clip((stored - low) / (high - low), 0, 1))
    if found.PhotometricInterpretation == "PALETTE COLOR":
        return apply_color_lut(stored, found)[..., :3] / 65535.0
    return (stored[0] if stored.ndim == 4 else stored) / 255.0


def _crop(pixels: NDArray[np.float64], source: Source) -> NDArray[np.float64]:
    if source.crop is None:
        return pixels
    left, top, right, bottom = source.crop
    return pixels[top:bottom, left:right]


def _colour(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    return grey[..., None].repeat(3, axis=2)


def _fit(pixels: NDArray[np.float64]) -> Pixels:
    """Scaled to a longer side of 128 to 256 pixels, in 8-bit steps."""
    from skimage.transform import resize

    height, width = pixels.shape[:2]
    scale = min(LONGEST / max(height, width), max(1.0, 128 / max(height, width)))
    if scale != 1:
        size = (round(height * scale), round(width * scale), 3)
        pixels = resize(pixels, size, order=3, anti_aliasing=scale < 1)
    return np.round(np.clip(pixels, 0, 1) * 255) / 255
