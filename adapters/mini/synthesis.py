"""Rule-based changes of pictures: what makes the pairs of the miniature benchmark.

Every function takes and gives height x width x 3 floats in [0, 1]; randomness comes from the
generator handed in.
"""

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from medgen.adapters.mini.pictures import Picture, Pixels, Region, taper
from medgen.engine.images import png

GREEN = (0, 230, 60)


def gaussian_noise(pixels: Pixels, rng: Generator) -> Pixels:
    """Additive noise, sigma 0.1, equal in all channels as on a grey-scale scanner."""
    noise = rng.normal(0, 0.1, pixels.shape[:2])
    return _clip(pixels + noise[..., None])


def speckle(pixels: Pixels, rng: Generator) -> Pixels:
    """Multiplicative noise, sigma 0.35, with a faint floor: the grain of ultrasound."""
    noise = rng.normal(0, 0.35, pixels.shape[:2])[..., None]
    floor = rng.normal(0, 0.03, pixels.shape[:2])[..., None]
    return _clip(pixels * (1 + noise) + floor)


def photon_noise(pixels: Pixels, rng: Generator) -> Pixels:
    """Poisson counts, 40 at white, each channel on its own."""
    counts: Pixels = rng.poisson(pixels * 40) / 40.0
    return _clip(counts)


def blur(pixels: Pixels, sigma: float) -> Pixels:
    """Gaussian blur, sigma in pixels."""
    from skimage.filters import gaussian

    return _clip(gaussian(pixels, sigma, channel_axis=2))


def blocks(pixels: Pixels, factor: int) -> Pixels:
    """Resolution divided by `factor`, each remaining pixel shown as a block."""
    from skimage.transform import resize

    height, width = pixels.shape[:2]
    small = resize(pixels, (-(-height // factor), -(-width // factor), 3), anti_aliasing=True)
    shown: Pixels = small.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width]
    return shown


def faint(pixels: Pixels) -> Pixels:
    """A quarter of the contrast, around a dull grey."""
    return 0.35 + 0.25 * pixels


def stripes(pixels: Pixels, rng: Generator) -> Pixels:
    """A gain error for every row, as a defect detector line leaves."""
    gain = rng.normal(0, 0.12, (pixels.shape[0], 1, 1))
    return _clip(pixels + gain)


def ghost(pixels: Pixels, rng: Generator) -> Pixels:
    """A fainter copy shifted along the rows' direction, as motion leaves in MR."""
    shift = int(rng.integers(12, 24))
    return _clip(0.75 * pixels + 0.35 * np.roll(pixels, shift, axis=0))


def dropout(pixels: Pixels, rng: Generator) -> Pixels:
    """Dark shadows along the beam, as a lost element leaves in ultrasound."""
    damaged = pixels.copy()
    width = pixels.shape[1]
    for left in rng.choice(width - 8, size=4, replace=False):
        damaged[:, left : left + 5] *= 0.15
    return damaged


def pen_marks(pixels: Pixels, rng: Generator) -> Pixels:
    """Blue strokes of a marker across the slide."""
    height, width = pixels.shape[:2]
    canvas = _picture(pixels)
    pen = ImageDraw.Draw(canvas)
    for _ in range(3):
        ends = [(int(x * width), int(y * height)) for x, y in rng.random((2, 2)).tolist()]
        pen.line(ends, fill=(30, 40, 200), width=5)
    return _array(canvas)


def dust(pixels: Pixels, rng: Generator) -> Pixels:
    """Bright specks on the lens."""
    height, width = pixels.shape[:2]
    canvas = _picture(pixels)
    pen = ImageDraw.Draw(canvas)
    for x, y in rng.random((25, 2)).tolist():
        left, top = x * width, y * height
        pen.ellipse((left, top, left + 5, top + 5), fill=(250, 250, 235))
    return _array(canvas)


def grid(pixels: Pixels, rng: Generator) -> Pixels:
    """Lines of an anti-scatter grid that moved."""
    phase = rng.random() * 2 * np.pi
    lines = 0.12 * np.sin(np.arange(pixels.shape[1]) * 2 * np.pi / 6 + phase)
    return _clip(pixels + lines[None, :, None])


def negative(pixels: Pixels) -> Pixels:
    """Light and dark exchanged."""
    return 1 - pixels


def red_free(pixels: Pixels) -> Pixels:
    """The green channel as grey: the red-free look of fundus photographs."""
    return pixels[..., 1:2].repeat(3, axis=2)


def amber(pixels: Pixels) -> Pixels:
    """Grey levels on an amber scale, as on older ultrasound screens."""
    return _clip(pixels.mean(axis=2, keepdims=True) * np.array([1.1, 0.75, 0.3]))


def bone_window(pixels: Pixels) -> Pixels:
    """Only the brighter half of the grey levels, spread over the whole scale."""
    return _clip((pixels - 0.5) * 2)


def eosin(pixels: Pixels) -> Pixels:
    """The brown (DAB) stain shown as eosin pink, in Ruifrok and Johnston's stain space."""
    from skimage.color import hed2rgb, rgb2hed

    stains = rgb2hed(pixels)
    stains[..., 1] += stains[..., 2]
    stains[..., 2] = 0
    return _clip(hed2rgb(stains))


def outline(pixels: Pixels, region: Region, boxed: bool = False) -> Pixels:
    """A green outline around the region: an ellipse, or its box."""
    canvas = _picture(pixels)
    pen = ImageDraw.Draw(canvas)
    draw = pen.rectangle if boxed else pen.ellipse
    draw(_box(region, canvas.size), outline=GREEN, width=3)
    return _array(canvas)


def inside(pixels: Pixels, region: Region) -> NDArray[np.bool_]:
    """Which pixels (height x width) lie in the region's ellipse."""
    height, width = pixels.shape[:2]
    x, y, rx, ry = region
    rows, columns = np.ogrid[:height, :width]
    across, down = (columns / width - x) / rx, (rows / height - y) / ry
    found: NDArray[np.bool_] = across**2 + down**2 < 1
    return found


def remove(pixels: Pixels, region: Region) -> Pixels:
    """The region filled smoothly from its border (biharmonic inpainting)."""
    from skimage.restoration import inpaint_biharmonic

    # Solved on a small grid: the fill is smooth, and the equation grows with the square.
    mask = inside(pixels, region)
    step = max(1, int(np.sqrt(np.count_nonzero(mask) / 600)))
    coarse = inpaint_biharmonic(pixels[::step, ::step], mask[::step, ::step], channel_axis=2)
    fill = coarse.repeat(step, axis=0).repeat(step, axis=1)[: pixels.shape[0], : pixels.shape[1]]
    return _clip(np.where(mask[..., None], blur(fill, step), pixels))


def blank(pixels: Pixels, region: Region) -> Pixels:
    """The region painted black."""
    return np.where(inside(pixels, region)[..., None], 0.0, pixels)


def spot(pixels: Pixels, region: Region, size: float) -> Pixels:
    """A round mark at the region's centre, `size` times the region's smaller radius."""
    height, width = pixels.shape[:2]
    x, y, rx, ry = region
    radius = size * min(rx * width, ry * height)
    rows, columns = np.ogrid[:height, :width]
    away = np.hypot(columns - x * width, rows - y * height)
    weight = np.clip((radius - away) / 2 + 0.5, 0, 1)[..., None]
    return _clip(pixels * (1 - 0.8 * weight) + 0.8 * weight * np.array([0.45, 0.1, 0.1]))


def slices(picture: Picture, count: int) -> tuple[Pixels, ...]:
    """Slices of the picture's tapering volume, from one end to the other."""
    volume = taper(picture.pixels.mean(axis=2), count + 2)[1:-1]
    return tuple(_rgb(one) for one in volume)


def flatten(picture: Picture, brightest: bool) -> Pixels:
    """The volume seen from the front: its brightest values, or its mean."""
    volume = taper(picture.pixels.mean(axis=2), 128)
    seen: Pixels = volume.max(axis=1) if brightest else volume.mean(axis=1)
    return _rgb(seen / max(seen.max(), 1e-6))


def montage(parts: tuple[Pixels, ...]) -> Pixels:
    """Four pictures of one size, two by two."""
    top, bottom = np.hstack(parts[:2]), np.hstack(parts[2:4])
    return np.vstack([top, bottom])


def encode(pixels: Pixels) -> bytes:
    """As PNG."""
    return png(_picture(pixels))


def _rgb(grey: NDArray[np.float64]) -> Pixels:
    return _clip(grey)[..., None].repeat(3, axis=2)


def _clip(pixels: NDArray[Any]) -> NDArray[np.float64]:
    return np.clip(pixels, 0, 1)


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.round(pixels * 255).astype(np.uint8))


def _array(picture: Image.Image) -> Pixels:
    return np.asarray(picture) / 255.0


def _box(region: Region, size: tuple[int, int]) -> tuple[int, int, int, int]:
    x, y, rx, ry = region
    width, height = size
    return (
        max(0, round((x - rx) * width)),
        max(0, round((y - ry) * height)),
        min(width - 1, round((x + rx) * width)),
        min(height - 1, round((y + ry) * height)),
    )
