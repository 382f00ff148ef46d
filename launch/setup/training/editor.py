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
from medgen.adapters.trained.networks import Colours, EditorNetwork, bound
from medgen.adapters.trained.operations import OPERATIONS
from medgen.engine.benchmark.vocabulary import MODALITIES
from medgen.launch.setup.training.pictures import Real, draw, photograph

log = logging.getLogger(__name__)
_SIDE = 64  # pixels of a crop
_BATCH = 8
_PIXELS = 1024  # of a step, for each operation that needs no neighbours
_OF_A_PICTURE = 500  # pixels, of which these are drawn
_OFTEN = (
    *("gaussian-noise", "speckle", "photon-noise", "blocks", "blur"),
    *("ghost", "dropout", "pen-marks", "dust"),
)
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
_POINTWISE = ("faint", *_STYLES)  # what `Colours` alone can do


@dataclass(frozen=True, slots=True)
class EditorRecipe:
    """What decides the weights, beside the code and the versions of the libraries."""

    seed: int
    steps: int = 4000
    pictures: int = 60  # of each modality, and as many photographs
    kept: int = 6  # more of each, which no training sees
    rate: float = 1.5e-3
    colour_steps: int = 4000
    colour_rate: float = 0.03


def train_editor(real: Real, recipe: EditorRecipe, to: Path) -> None:
    """Train and write half-precision weights, 0.4 MB; log what they do to pictures kept back."""
    torch.manual_seed(recipe.seed)
    bases = _bases(real, recipe, range(recipe.pictures))
    network = EditorNetwork()
    fit_colours(network.colours, bases, recipe)
    weights = {k: v.half().contiguous() for k, v in _train(network, bases, recipe).items()}
    save_file(weights, to)
    network.load_state_dict({k: v.float() for k, v in weights.items()})
    kept = _bases(real, recipe, range(recipe.pictures, recipe.pictures + recipe.kept))
    for name, (given, edited) in measure_kept(network.eval(), kept, recipe.seed).items():
        log.info("editor: %s, %.2f dB before and %.2f after, on kept pictures", name, given, edited)


def fit_colours(colours: Colours, bases: Mapping[str, list[Pixels]], recipe: EditorRecipe) -> None:
    """First what needs no neighbours, on single pixels; then the colours learn no more.

    `bases` are the recipe's pictures by modality: height x width x 3 in [0, 1].
    """
    rng = np.random.default_rng([recipe.seed, 5])
    pairs = _pixels(bases, rng)
    wanted = torch.tensor([OPERATIONS.index(name) for name in pairs])
    given, after = (torch.stack([pair[side] for pair in pairs.values()]) for side in (0, 1))
    optimizer = torch.optim.Adam(colours.parameters(), recipe.colour_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.colour_rate, total_steps=recipe.colour_steps, pct_start=0.05
    )
    for step in range(recipe.colour_steps):
        some = torch.from_numpy(rng.integers(given.shape[2], size=_PIXELS))
        found = bound(colours(given[:, :, some], wanted))
        loss = torch.sqrt((found - after[:, :, some]) ** 2 + 1e-6).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(colours.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            log.info("colours: step %d of %d, loss %.5f", step, recipe.colour_steps, loss.item())
    colours.requires_grad_(False)


def _pixels(
    bases: Mapping[str, list[Pixels]], rng: Generator
) -> Mapping[str, tuple[Tensor, Tensor]]:
    """By pointwise operation, given and wanted pixels of every picture: 3 x pixels x 1 floats."""
    rows = [p.reshape(-1, 1, 3) for group in bases.values() for p in group]
    sound = np.concatenate([row[rng.integers(len(row), size=_OF_A_PICTURE)] for row in rows])
    pairs = {name: _pair(name, sound, rng) for name in _POINTWISE}
    return {name: (_tensor(given), _tensor(after)) for name, (given, after) in pairs.items()}


def _train(
    network: EditorNetwork, bases: Mapping[str, list[Pixels]], recipe: EditorRecipe
) -> Mapping[str, Tensor]:
    """The U-Net, with the colours as they are; gives the mean weights of the last steps."""
    mean = torch.optim.swa_utils.AveragedModel(network, avg_fn=_follow)
    learning = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, recipe.rate, weight_decay=1e-3)
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
    found: Mapping[str, Tensor] = mean.module.state_dict()
    return found


def measure_kept(
    network: EditorNetwork, kept: Mapping[str, list[Pixels]], seed: int
) -> Mapping[str, tuple[float, float]]:
    """By operation the mean PSNR in dB, at most 60, of what is given and of what comes out."""
    found = {}
    for number, name in enumerate(OPERATIONS):
        rows = []
        for place, sound in enumerate(kept.get(_ONLY.get(name, ""), _spread(kept))):
            whole = sound[: sound.shape[0] // 4 * 4, : sound.shape[1] // 4 * 4]
            given, after = _pair(name, whole, np.random.default_rng([seed, number, place]))
            before = _tensor(given)[None]
            with torch.inference_mode():
                edited = network(before, torch.tensor([number]))
            rows.append([_psnr(shown[0], _tensor(after)) for shown in (before, edited)])
        found[name] = (float(np.mean(rows, axis=0)[0]), float(np.mean(rows, axis=0)[1]))
    return found


def _spread(kept: Mapping[str, list[Pixels]]) -> list[Pixels]:
    """A picture of every group, for an operation that is asked for in many."""
    return [group[0] for group in kept.values()]


def _psnr(shown: Tensor, after: Tensor) -> float:
    return float(-10 * torch.log10(((shown - after) ** 2).mean().clamp(min=1e-6)))


def _pair(name: str, sound: Pixels, rng: Generator) -> tuple[Pixels, Pixels]:
    """What is given, in 8-bit steps, and what is wanted."""
    if name in _STYLES:
        given, after = sound, _STYLES[name](sound)
    else:
        given, after = _DAMAGES[name](sound, rng), sound
    return np.round(np.clip(given, 0, 1) * 255) / 255, after


def _follow(mean: Tensor, new: Tensor, _: Tensor | int) -> Tensor:
    """The weights that are kept: a mean over some two hundred steps."""
    return 0.995 * mean + 0.005 * new


def _bases(real: Real, recipe: EditorRecipe, numbers: range) -> Mapping[str, list[Pixels]]:
    found: dict[str, list[Pixels]] = {}
    for place, modality in enumerate(MODALITIES):
        rngs = [np.random.default_rng([recipe.seed, place, n]) for n in numbers]
        found[modality] = [draw(modality, real, rng) for rng in rngs]
    rngs = [np.random.default_rng([recipe.seed, 99, n]) for n in numbers]
    found["photograph"] = [photograph(real, rng) for rng in rngs]
    return found


def _batch(bases: Mapping[str, list[Pixels]], rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Damaged crops, operations, sound crops: floats in [0, 1] and numbers."""
    before, wanted, after = [], [], []
    for _ in range(_BATCH):
        name = str(rng.choice(_OFTEN if rng.random() < 0.5 else OPERATIONS))
        at_home = name in _ONLY and rng.random() < 0.7
        kinds = [_ONLY[name]] if at_home else sorted(bases)
        group = bases[str(rng.choice(kinds))]
        sound = group[int(rng.integers(len(group)))]
        sound = sound[:, ::-1] if rng.random() < 0.5 else sound
        given, target = _pair(name, sound, rng)
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
    return _tensor(np.pad(part, missing, mode="edge"))


def _tensor(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float()
