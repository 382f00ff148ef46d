"""The eye of the small reader and of the feature judge: a frozen trunk, and what a head reads."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import Tensor

from medgen.adapters.trained.networks import Trunk
from medgen.adapters.trained.weights import load
from medgen.engine.benchmark.vocabulary import MODALITIES
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


SIDE = 160  # pixels that the trunk sees
# What was done to a picture, in the words of a question's options.
DAMAGES = (
    "it is unchanged",
    "noise was added",
    "its rows were striped",
    "its contrast was lowered",
    "it was blurred",
    "its resolution was lowered",
)
_HEADS = {"modality": MODALITIES, "damage": DAMAGES}


class Eye:
    """Five stages of EfficientNet-Lite0 as ImageNet left them: features of pictures."""

    def __init__(self) -> None:
        """Load the trunk, on the CPU."""
        self._trunk = Trunk().eval()
        self._trunk.load_state_dict(load("eye"))

    def features(self, pictures: Sequence[Pillow.Image]) -> NDArray[np.float32]:
        """Pictures x 544: mean and spread of each channel of every stage."""
        found = []
        for picture in pictures:
            small = picture.resize((SIDE, SIDE), Pillow.Resampling.BICUBIC)
            pixels = torch.from_numpy(np.asarray(small, dtype=np.float32) / 127.5 - 1)
            with torch.inference_mode():
                stages = self._trunk(pixels.permute(2, 0, 1)[None])
            parts = [part for s in stages for part in (s.mean((2, 3)), s.std((2, 3)))]
            found.append(torch.cat(parts, dim=1)[0].numpy())
        return np.stack(found)


def read_heads(weights: dict[str, Tensor], features: NDArray[np.float32]) -> dict[str, Tensor]:
    """Probabilities by head, pictures x its words."""
    x = (torch.from_numpy(features) - weights["mean"]) / weights["spread"]
    x = torch.nn.functional.gelu(x @ weights["inner.weight"].T + weights["inner.bias"])
    return {
        name: torch.softmax(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"], dim=1)
        for name in _HEADS
    }


def pair_numbers(
    eye: Eye, weights: dict[str, Tensor], candidate: Pillow.Image, yardstick: Pillow.Image
) -> NDArray[np.float64]:
    """28 numbers for a judge: likeness (16), then what seems done to each of the two (6 each).

    `weights` are those of the reader: what features are standardised by, and its heads.
    """
    features = eye.features([candidate, yardstick])
    states = read_heads(weights, features)["damage"].numpy().astype(np.float64)
    scaled = (features - weights["mean"].numpy()) / weights["spread"].numpy()
    first, second = scaled.astype(np.float64)
    alike = likeness(first, second, greys(candidate), greys(yardstick))
    return np.concatenate([alike, *states])
