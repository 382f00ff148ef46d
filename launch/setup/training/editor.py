"""Trains the small editor: pairs of a damaged and a sound picture, made by rule."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from safetensors.torch import save_file
from torch import Tensor

from medgen.adapters.mini import synthesis as change
from medgen.adapters.mini.pictures import Pixels
from medgen.adapters.trained.networks import EditorNetwork
from medgen.adapters.trained.operations import OPERATIONS
from medgen.engine.benchmark.vocabulary import MODALITIES
from medgen.launch.setup.training.pictures import Real, draw, photograph

log = logging.getLogger(__name__)
_SIDE = 64  # pixels of a crop
_BATCH = 8
_OFTEN = ("gaussian-noise", "speckle", "photon-noise", "blocks", "blur", "ghost", "dropout")
_DAMAGES: Mapping[str, Callable[[Pixels, Generator], Pixels]] = {
    "gaussian-noise": change.gaussian_noise,
    "speckle": change.speckle,
    "photon-noise": change.photon_noise,
    "blocks": lambda pixels, rng: change.blocks(pixels, int(rng.integers(2, 5))),
    "blur": lambda pixels, rng: change.blur(pixels, int(rng.integers(2, 5))),
    "faint": lambda pixels, _: change.faint(pixels),
    "stripes": change.stripes,
    "ghost": change.ghost,
    "dropout": change.dropout,
    "grid": change.grid,
    "pen-marks": change.pen_marks,
    "dust": change.dust,
}
_STYLES: Mapping[str, Callable[[Pixels], Pixels]] = {
    "bone-window": change.bone_window,
    "negative": change.negative,
    "amber": change.amber,
    "eosin": change.eosin,
    "red-free": change.red_free,
    "brighten": lambda pixels: np.sqrt(pixels),
}
# What an operation is asked for only in some modalities, as in the miniature benchmark.
_ONLY = {"speckle": "Ultrasound", "dropout": "Ultrasound", "ghost": "MRI", "pen-marks": "Pathology"}
_ONLY |= {"eosin": "Pathology", "grid": "X-ray", "stripes": "CT", "dust": "Clinical Photography"}
_ONLY |= {"bone-window": "CT", "red-free": "Clinical Photography", "amber": "Ultrasound"}


@dataclass(frozen=True, slots=True)
class EditorRecipe:
    """What decides the weights, beside the code and the versions of the libraries."""

    seed: int
    steps: int = 1300
    pictures: int = 60  # of each modality, and as many photographs
    rate: float = 1.5e-3


def train_editor(real: Real, recipe: EditorRecipe, to: Path) -> None:
    """Train and write half-precision weights: about 0.6 MB."""
    torch.manual_seed(recipe.seed)
    bases = _bases(real, recipe)
    network = EditorNetwork()
    mean = torch.optim.swa_utils.AveragedModel(network, avg_fn=_follow)
    optimizer = torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=recipe.steps, pct_start=0.05
    )
    running = 0.1
    for step in range(recipe.steps):
        before, wanted, after = _batch(bases, np.random.default_rng([recipe.seed, step]))
        loss = torch.sqrt((network(before, wanted) - after) ** 2 + 1e-6).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        mean.update_parameters(network)
        running += 0.02 * (loss.item() - running)
        if step % 100 == 0:
            log.info("editor: step %d of %d, loss %.4f", step, recipe.steps, running)
    weights = {k: v.half().contiguous() for k, v in mean.module.state_dict().items()}
    save_file(weights, to)


def _follow(mean: Tensor, new: Tensor, _: Tensor | int) -> Tensor:
    """The weights that are kept: a mean over some two hundred steps."""
    return 0.995 * mean + 0.005 * new


def _bases(real: Real, recipe: EditorRecipe) -> Mapping[str, list[Pixels]]:
    found: dict[str, list[Pixels]] = {}
    for place, modality in enumerate(MODALITIES):
        rngs = [np.random.default_rng([recipe.seed, place, n]) for n in range(recipe.pictures)]
        found[modality] = [draw(modality, real, rng) for rng in rngs]
    rngs = [np.random.default_rng([recipe.seed, 99, n]) for n in range(recipe.pictures)]
    found["photograph"] = [photograph(real, rng) for rng in rngs]
    return found


def _batch(bases: Mapping[str, list[Pixels]], rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Damaged crops, operations, sound crops: floats in [0, 1] and numbers."""
    before, wanted, after = [], [], []
    for _ in range(_BATCH):
        name = str(rng.choice(_OFTEN if rng.random() < 0.4 else OPERATIONS))
        at_home = name in _ONLY and rng.random() < 0.7
        kinds = [_ONLY[name]] if at_home else sorted(bases)
        group = bases[str(rng.choice(kinds))]
        sound = group[int(rng.integers(len(group)))]
        sound = sound[:, ::-1] if rng.random() < 0.5 else sound
        if name in _STYLES:
            given, target = sound, _STYLES[name](sound)
        else:
            given, target = _DAMAGES[name](sound, rng), sound
        given = np.round(np.clip(given, 0, 1) * 255) / 255
        top, left = _corner(sound, rng)
        before.append(_crop(given, top, left))
        after.append(_crop(target, top, left))
        wanted.append(OPERATIONS.index(name))
    return torch.stack(before), torch.tensor(wanted), torch.stack(after)


def _corner(pixels: Pixels, rng: Generator) -> tuple[int, int]:
    """Where a crop begins, so that one that shows something is likelier than black border."""
    height, width = pixels.shape[:2]
    best, found = -1.0, (0, 0)
    for _ in range(2):
        top = int(rng.integers(max(1, height - _SIDE + 1)))
        left = int(rng.integers(max(1, width - _SIDE + 1)))
        if (spread := float(pixels[top : top + _SIDE, left : left + _SIDE].std())) > best:
            best, found = spread, (top, left)
    return found


def _crop(pixels: Pixels, top: int, left: int) -> Tensor:
    part = pixels[top : top + _SIDE, left : left + _SIDE]
    missing = [(0, _SIDE - part.shape[0]), (0, _SIDE - part.shape[1]), (0, 0)]
    return torch.from_numpy(np.pad(part, missing, mode="edge")).permute(2, 0, 1).float()
