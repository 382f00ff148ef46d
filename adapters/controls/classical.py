"""Classical image processing by task: what can be done without any learnt weight.

Pictures are height x width x 3 floats in [0, 1]. Every rule looks at the input picture and the
instruction only, never at a reference or at the name of a sample.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from scipy import ndimage
from skimage import color, exposure, filters, measure, restoration, segmentation

from medgen.engine.images import as_rgb, open_image, png

Pixels = NDArray[np.float64]
Rule = Callable[[Sequence[Pixels], str], Pixels]
_OUTLINE = np.array([0.0, 0.9, 0.25])
_IMMERKAER = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])
# Mean and spread of L*, a*, b* of a usual haematoxylin and eosin slide (Reinhard's target).
_STAIN_MEAN, _STAIN_SPREAD = np.array([72.0, 20.0, -9.0]), np.array([14.0, 9.0, 6.0])
# Where a picture is taken to show what an instruction names; fractions of width and height.
_COLUMNS = {"left": 0.27, "right": 0.73}
_ROWS = {"upper": 0.27, "top": 0.27, "lower": 0.73, "bottom": 0.73}


def decode(data: bytes) -> Pixels:
    """A picture as floats.

    Raises:
        ImageError: it is no picture that may be decoded.
    """
    return np.asarray(as_rgb(open_image(data))) / 255.0


def encode(pixels: Pixels) -> bytes:
    """As PNG."""
    return png(Pillow.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)))


def edit(task: str, pictures: Sequence[Pixels], instruction: str) -> Pixels:
    """What the task's rule makes of the input pictures."""
    return RULES.get(task, leave_as_it_is)(pictures, instruction.lower())


def leave_as_it_is(pictures: Sequence[Pixels], _: str = "") -> Pixels:
    """The picture as it is: no rule is known for the task."""
    return pictures[0]


def denoise(pictures: Sequence[Pixels], _: str = "") -> Pixels:
    """Total variation (Chambolle), as strong as the noise that the picture's Laplacian shows."""
    pixels = pictures[0]
    # Immerkaer's mask is blind to planes; the median makes it blind to most edges as well.
    detail = ndimage.convolve(pixels, _IMMERKAER[..., None])
    sigma = float(np.median(np.abs(detail))) / 0.6745 / 6
    return restoration.denoise_tv_chambolle(pixels, weight=1.2 * sigma, channel_axis=2)


def sharpen(pictures: Sequence[Pixels], _: str = "") -> Pixels:
    """Blocks of equal pixels are sampled once and interpolated (Lanczos); else unsharp masking."""
    pixels = pictures[0]
    factor = _block(pixels)
    if factor == 1:
        return filters.unsharp_mask(pixels, radius=2, amount=1.0, channel_axis=2)
    height, width = pixels.shape[:2]
    small = pixels[factor // 2 :: factor, factor // 2 :: factor]
    picture = Pillow.fromarray(np.round(small * 255).astype(np.uint8))
    return np.asarray(picture.resize((width, height), Pillow.Resampling.LANCZOS)) / 255.0


def contrast(pictures: Sequence[Pixels], _: str = "") -> Pixels:
    """Stretched to the whole range, then a little CLAHE."""
    low, high = np.percentile(pictures[0], (0.2, 99.8))
    stretched = exposure.rescale_intensity(pictures[0], in_range=(low, high), out_range=(0.0, 1.0))
    return exposure.equalize_adapthist(stretched, clip_limit=0.002)


def clean(pictures: Sequence[Pixels], _: str = "") -> Pixels:
    """A median over 5 x 5 pixels where it differs much from the picture."""
    middle = ndimage.median_filter(pictures[0], size=(5, 5, 1))
    odd = np.abs(middle - pictures[0]).max(axis=2, keepdims=True) > 0.15
    return np.where(odd, middle, pictures[0])


def restyle(pictures: Sequence[Pixels], instruction: str) -> Pixels:
    """A negative, a grey or a windowed picture when asked for; else the colours of H&E."""
    pixels = pictures[0]
    if "negative" in instruction or "invert" in instruction:
        return 1 - pixels
    if "red-free" in instruction or "grey" in instruction or "gray" in instruction:
        return pixels[..., 1:2].repeat(3, axis=2)
    if "window" in instruction:
        return np.clip((pixels - 0.5) * 2, 0, 1)
    lab = color.rgb2lab(pixels)
    spread = np.maximum(lab.std(axis=(0, 1)), 1e-3)
    stained = (lab - lab.mean(axis=(0, 1))) / spread * _STAIN_SPREAD + _STAIN_MEAN
    return np.clip(color.lab2rgb(stained), 0, 1)


def annotate(pictures: Sequence[Pixels], instruction: str) -> Pixels:
    """The largest bright region (Otsu) near the named place, outlined or boxed in green."""
    pixels = pictures[0].copy()
    region = _bright_region(pixels, instruction)
    if "box" in instruction and region.any():
        rows, columns = np.nonzero(region)
        region = np.zeros_like(region)
        region[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    edge = ndimage.binary_dilation(segmentation.find_boundaries(region, mode="inner"))
    pixels[edge] = _OUTLINE
    return pixels


def grow(pictures: Sequence[Pixels], _: str = "") -> Pixels:
    """Dark marks made larger by a grey-scale erosion."""
    return ndimage.minimum_filter(pictures[0], size=(5, 5, 1))


def follow_instruction(pictures: Sequence[Pixels], instruction: str) -> Pixels:
    """The one simple change that the instruction names; the picture itself when none is."""
    pixels = pictures[0]
    for words, change in _CHANGES.items():
        if any(word in instruction for word in words):
            return change(pixels)
    return pixels


def remove(pictures: Sequence[Pixels], instruction: str) -> Pixels:
    """The named place, an ellipse of an eighth of the picture, filled from around it."""
    x, y = _place(instruction)
    height, width = pictures[0].shape[:2]
    rows, columns = np.ogrid[:height, :width]
    mask = ((columns / width - x) / 0.12) ** 2 + ((rows / height - y) / 0.12) ** 2 < 1
    return _fill(pictures[0], mask)


def rebuild(pictures: Sequence[Pixels], _: str = "") -> Pixels:
    """The largest black region that does not touch the border, filled from around it."""
    black = measure.label(pictures[0].max(axis=2) == 0)
    border = np.concatenate([black[0], black[-1], black[:, 0], black[:, -1]])
    sizes = np.bincount(black.ravel())
    sizes[np.unique(np.append(border, 0))] = 0
    return _fill(pictures[0], black == sizes.argmax()) if sizes.any() else pictures[0]


def flatten(pictures: Sequence[Pixels], instruction: str) -> Pixels:
    """The brightest values of all pictures when asked for, else their mean."""
    shape = pictures[0].shape
    same = [p for p in pictures if p.shape == shape]
    wants_maximum = "brightest" in instruction or "maximum" in instruction
    flat: Pixels = np.max(same, axis=0) if wants_maximum else np.mean(same, axis=0)
    return flat / max(float(flat.max()), 1e-6)


def stack(pictures: Sequence[Pixels], _: str = "") -> Pixels:
    """The picture four times, two by two: a volume of equal slices."""
    return np.tile(pictures[0], (2, 2, 1))


RULES: Mapping[str, Rule] = {
    "style-transfer": restyle,
    "artifact-removal": clean,
    "noise-reconstruction": denoise,
    "resolution-editing": sharpen,
    "contrast-enhancement": contrast,
    "anatomical-annotation": annotate,
    "disease-prediction": grow,
    "instruction-editing": follow_instruction,
    "organic-removal": remove,
    "organic-reconstruction": rebuild,
    "3d-to-2d-projection": flatten,
    "2d-to-3d-reconstruction": stack,
}
_CHANGES: Mapping[tuple[str, ...], Callable[[Pixels], Pixels]] = {
    ("mirror", "flip", "left to right"): lambda pixels: pixels[:, ::-1],
    ("upside down", "180 degrees", "rotate"): lambda pixels: pixels[::-1, ::-1],
    ("invert", "negative"): lambda pixels: 1 - pixels,
    ("brighten", "brighter"): np.sqrt,
    ("darken", "darker"): np.square,
    ("noise", "smooth"): lambda pixels: denoise([pixels]),
    ("sharp", "resolution"): lambda pixels: sharpen([pixels]),
    ("contrast",): lambda pixels: contrast([pixels]),
}


def _block(pixels: Pixels) -> int:
    """The side of the squares of equal pixels that a picture is made of; 1 when there are none."""
    for factor in range(8, 1, -1):
        height, width = (size // factor * factor for size in pixels.shape[:2])
        whole = pixels[:height, :width].reshape(
            height // factor, factor, width // factor, factor, 3
        )
        if whole.size and np.ptp(whole, axis=(1, 3)).max() < 1e-9 and np.ptp(pixels) > 0:
            return factor
    return 1


def _place(instruction: str) -> tuple[float, float]:
    x = next((at for word, at in _COLUMNS.items() if word in instruction), 0.5)
    y = next((at for word, at in _ROWS.items() if word in instruction), 0.5)
    return x, y


def _bright_region(pixels: Pixels, instruction: str) -> NDArray[np.bool_]:
    grey = color.rgb2gray(pixels)
    if np.ptp(grey) == 0:
        return np.zeros(grey.shape, bool)
    regions = measure.label(ndimage.binary_opening(grey > filters.threshold_otsu(grey)))
    x, y = _place(instruction)
    rows, columns = np.ogrid[: grey.shape[0], : grey.shape[1]]
    away = np.hypot(columns / grey.shape[1] - x, rows / grey.shape[0] - y)
    weight = np.bincount(regions.ravel(), weights=np.exp(-4 * away).ravel())
    weight[0] = 0
    return np.asarray((regions == weight.argmax()) & (regions > 0))


def _fill(pixels: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    # Biharmonic equations on a coarse grid: the fill is smooth, and their cost is not.
    if not mask.any() or mask.all():
        return pixels
    step = max(1, int(np.sqrt(np.count_nonzero(mask) / 600)))
    coarse = restoration.inpaint_biharmonic(
        pixels[::step, ::step], mask[::step, ::step], channel_axis=2
    )
    fill = coarse.repeat(step, axis=0).repeat(step, axis=1)[: pixels.shape[0], : pixels.shape[1]]
    smooth = filters.gaussian(fill, step, channel_axis=2)
    return np.clip(np.where(mask[..., None], smooth, pixels), 0, 1)
