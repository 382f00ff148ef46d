"""What can the small trained models do on pictures that they were not trained on?

The pictures are the seventeen of the miniature benchmark, which no training saw; the items are its
own, and for the reader also damaged pictures of other seeds.

    python -m benchmarks.trained                  a minute or two
    python -m benchmarks.trained --weights DIR    and other weights, of another seed
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator as Random
from PIL import Image as Pillow

from benchmarks._records import keep
from medgen.adapters.controls.systems import Blank, Classical, CopyInput, Oracle
from medgen.adapters.mini import synthesis as change
from medgen.adapters.mini.build import build_mini
from medgen.adapters.mini.pictures import Pixels, pictures
from medgen.adapters.trained.editor import Editor
from medgen.adapters.trained.eye import DAMAGES
from medgen.adapters.trained.judge import FeatureJudge
from medgen.adapters.trained.reader import Reader
from medgen.engine.benchmark.vocabulary import MODALITIES
from medgen.engine.data import Prediction, Request, Sample
from medgen.engine.images import open_image
from medgen.engine.ports import Generator

_SEEDS = (101, 102)
_DONE: Mapping[str, Callable[[Pixels, Random], Pixels]] = {
    "noise was added": change.gaussian_noise,
    "its rows were striped": change.stripes,
    "its contrast was lowered": lambda pixels, _: change.faint(pixels),
    "it was blurred": lambda pixels, _: change.blur(pixels, 3),
    "its resolution was lowered": lambda pixels, _: change.blocks(pixels, 6),
}


def reading(reader: Reader) -> dict[str, float]:
    """Share of pictures whose modality and damage are named rightly; chance is one in six."""
    modality, damage, clean = [], [], []
    for group in pictures().values():
        for picture in group:
            for seed in _SEEDS:
                rng = np.random.default_rng(seed)
                shown: dict[str, Pixels] = {"it is unchanged": picture.pixels} | {
                    name: apply(picture.pixels, rng) for name, apply in _DONE.items()
                }
                said = reader.states([_picture(p) for p in shown.values()])
                kinds = [MODALITIES[i] for i in said["modality"].argmax(1).tolist()]
                states = [DAMAGES[i] for i in said["damage"].argmax(1).tolist()]
                modality += [kind == picture.modality for kind in kinds]
                damage += [a == b for a, b in zip(states, shown, strict=True)]
                clean.append(kinds[0] == picture.modality)
    found = {"modality": modality, "damage": damage, "modality_of_undamaged": clean}
    return {name: round(float(np.mean(right)), 3) for name, right in found.items()}


def editing(editor: Editor, samples: list[Sample]) -> dict[str, dict[str, float]]:
    """Mean PSNR in dB by task, and how often the editor is nearer to the reference than a copy."""
    systems: dict[str, Generator] = {
        "copy-input": CopyInput(), "classical": Classical(), "small-editor": editor,
    }  # fmt: skip
    found: dict[str, dict[str, list[float]]] = {}
    for sample in samples:
        for name, system in systems.items():
            given = system.predict([Request(sample)])[0]
            found.setdefault(sample.task, {}).setdefault(name, []).append(_psnr(sample, given))
    table = {}
    for task, by in found.items():
        better = np.array(by["small-editor"]) > np.array(by["copy-input"])
        row = {name: round(float(np.mean(values)), 2) for name, values in by.items()}
        table[task] = row | {"better_than_copy": round(float(np.mean(better)), 3)}
    return table


def judging(samples: list[Sample]) -> dict[str, Any]:
    """Mean score with the reference by control, and how often the oracle is above the copy."""
    judge = FeatureJudge(name="feature", protocol="table-iv/1")
    systems: dict[str, Generator] = {
        "oracle": Oracle(), "classical": Classical(), "copy-input": CopyInput(), "blank": Blank(),
    }  # fmt: skip
    scores: dict[str, list[float]] = {name: [] for name in systems}
    for sample in samples:
        for name, system in systems.items():
            given = system.predict([Request(sample)])[0]
            based = [v for v in judge.judge([sample], [given]) if v.view == "reference_based"]
            scores[name].append(based[0].scores["overall_score"])
    above = np.array(scores["oracle"]) > np.array(scores["copy-input"])
    return {name: round(float(np.mean(own)), 2) for name, own in scores.items()} | {
        "oracle_above_copy": round(float(np.mean(above)), 3)
    }


def _psnr(sample: Sample, given: Prediction) -> float:
    """dB, at most 60, of pictures of one size."""
    pair = (given.images[0], sample.reference_images[0])
    first, second = (np.asarray(open_image(i.data).convert("RGB"), float) for i in pair)
    error = float(((first - second) ** 2).mean()) if first.shape == second.shape else 255.0**2
    return float(10 * np.log10(255**2 / max(error, 0.065)))


def _picture(pixels: Pixels) -> Pillow.Image:
    return Pillow.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def measure(folder: Path | None, samples: list[Sample]) -> dict[str, Any]:
    """What reader and editor of a folder reach; of ours where none is given."""
    own = [s for s in samples if s.reference_images and "3d" not in s.task]
    reader, editor = Reader(), Editor()
    if folder:
        reader.take(folder)
        editor.take(folder)
    return {"reading": reading(reader), "editing": editing(editor, own)}


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, help="A folder with those of another seed, too.")
    parser.add_argument("--dry", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    samples = [s for s in build_mini() if isinstance(s, Sample)]
    found: dict[str, Any] = {"shipped": measure(None, samples)}
    if asked.weights:
        found[asked.weights.name] = measure(asked.weights, samples)
    found["judging"] = judging([s for s in samples if s.form == "image"])
    for name, part in found.items():
        print(name, part)
    if not asked.dry:
        keep("trained", found)


if __name__ == "__main__":
    main()
