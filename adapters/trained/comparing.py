"""Two pictures in numbers: what the feature judge's heads weigh."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from medgen.engine.images import as_rgb

Array = NDArray[np.float64]
_SIDE = 96  # pixels: greys are compared at this size


def greys(picture: Pillow.Image) -> Array:
    """The picture in grey, 96 x 96 in [0, 1]."""
    small = as_rgb(picture).convert("L").resize((_SIDE, _SIDE))
    return np.asarray(small, dtype=np.float64) / 255.0


def likeness(first: Array, second: Array, grey: Array, other: Array) -> Array:
    """16 numbers: likeness of two pictures, and its squares.

    Args:
        first: the candidate's features, standardised.
        second: the yardstick's.
        grey: the candidate in grey, as `greys` gives it.
        other: the yardstick in grey.
    """
    sizes = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    edges = [float(np.abs(np.diff(g, axis=0)).mean() + 1e-4) for g in (grey, other)]
    found = np.array(
        [
            float(first @ second) / (sizes[0] * sizes[1] + 1e-9),
            float(np.linalg.norm(first - second)) / (sum(sizes) + 1e-9),
            float(np.abs(grey - other).mean()),
            float(np.sqrt(((grey - other) ** 2).mean())),
            _alike(grey, other),
            abs(float(grey.mean() - other.mean())),
            abs(float(grey.std() - other.std())),
            abs(float(np.log(edges[0] / edges[1]))),
        ]
    )
    return np.concatenate([found, found**2])


def _alike(grey: Array, other: Array) -> float:
    """Correlation of the greys; 0 where one of them has none."""
    spread = float(grey.std() * other.std())
    return float(((grey - grey.mean()) * (other - other.mean())).mean()) / (spread + 1e-4)
