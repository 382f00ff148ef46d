"""How fast the fused scorer is, beside three yardsticks measured in the same run.

    python -m benchmarks.metrics [--reports] [--items 32] [--threads 1] [--cpu] [--memory]

(a) the naive way: one item at a time, each library called as its README shows, on all cores.
`bert_score.score` loads the text model at every call, so it does so for every item; "by eight" is
a less naive way that calls it for eight items. (b) decoding the pictures only; (c) the bare
forward passes of the networks as their libraries give them, each picture and text once, at the
best batch size and memory layout. (b) + (c) is the limit: what remains is resizing, SSIM, PSNR,
tokens, distances and matching.

Image-only is editing with PSNR, SSIM and LPIPS, text-only is VQA with BLEU, token F1, clinical
entities and BERTScore, and all is generation with the seven: the metrics of the table-iv
protocol but two. Exact match applies to closed questions, where it compares a few letters; and
embedding similarity has so large a network that all else would disappear beside it.

Texts are as long as the miniature benchmark's references; with `--reports` all are as long as
reports, and the text model outweighs everything.

Models are of full size (AlexNet, BERT-base) with seeded random weights made on the fly: their
speed is that of the trained ones, their values mean nothing. `--cpu` counts processor seconds in
place of wall seconds: on a machine that others use too, only those can be compared. Results go to
`benchmarks/results/metrics.{json,md}`, those of `--reports` to `metrics-reports`.
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from medgen.engine.codec import plain
from medgen.engine.data import Asks, Image, Prediction, Sample
from medgen.metrics import tiny
from medgen.metrics.catalogue import metric_spec
from medgen.metrics.samples import png

ASKS: dict[str, Asks] = {
    "ImageEditing": "image",
    "VQA": "text",
    "MultimodalGeneration": "image+text",
}
_GIVEN = Image(b"given")  # which no metric looks at
PIXEL = ("psnr", "ssim", "lpips")
TEXT = ("bleu", "token_f1", "clinical_entities", "bertscore")
METRICS = {"ImageEditing": PIXEL, "VQA": TEXT, "MultimodalGeneration": (*PIXEL, *TEXT)}
# Words of the miniature benchmark's references, a task each, and word pieces that a medical
# vocabulary makes of a word; the words made up here are one piece each.
WORDS = {"VQA": (4, 6, 19, 32), "MultimodalGeneration": (14, 21, 21, 24, 25, 25)}
PIECES = 1.3
NAIVE_BATCHES = {"naive": 1, "naive_by_eight": 8}  # items for which the text model is loaded once
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Work:
    """What one worker process measures."""

    format: str
    items: int
    systems: int
    seed: int
    threads: int
    weights: str
    cpu: bool = False
    side: int = 512
    reports: bool = False  # every text is as long as a report
    naive_batch: int = 1  # items for which the naive way loads the text model once

    def clock(self) -> float:
        """Seconds, of the wall or of this process's processors."""
        return time.process_time() if self.cpu else time.perf_counter()


def main() -> None:
    """Measure, print and write the results."""
    asked = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        make_weights(Path(folder))
        if asked.memory:
            _write("metrics-memory", memory_rows(folder, asked))
            return
        with ProcessPoolExecutor(asked.workers, get_context("spawn")) as pool:
            name = "metrics-reports" if asked.reports else "metrics"
            _write(name, speed_rows(pool, folder, asked))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics")
    parser.add_argument("--items", type=int, default=32, help="items of each format")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--threads", type=int, default=1, help="threads of each worker")
    parser.add_argument("--systems", type=int, default=8, help="systems of the sweep")
    parser.add_argument("--rounds", type=int, default=3, help="turns, of which the best counts")
    parser.add_argument("--cpu", action="store_true", help="processor seconds, not wall seconds")
    parser.add_argument("--reports", action="store_true", help="texts as long as reports")
    parser.add_argument("--memory", action="store_true", help="peak memory at 2048 x 2048")
    return parser.parse_args()


def speed_rows(pool: Executor, folder: str, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds and ratios for every format, for one system and for a sweep."""
    rows = []
    for format_ in ASKS:
        work = Work(
            format_, asked.items, 1, 0, asked.threads, folder, asked.cpu, reports=asked.reports
        )
        one, limit = _beside_its_limit(pool, work, asked)
        many, limit_many = _beside_its_limit(pool, replace(work, systems=asked.systems), asked)
        by_hand = _by_hand(pool, work, asked)
        row = {
            "format": format_,
            **{f"{name}_items_per_s": 1 / seconds for name, seconds in by_hand.items()},
            "limit_items_per_s": asked.items / limit,
            "fused_items_per_s": asked.items / one,
            "sweep_predictions_per_s": asked.items * asked.systems / many,
            "of_limit": limit / one,
            "of_limit_sweep": limit_many / many,
            **{f"over_{name}": s * asked.items / one for name, s in by_hand.items()},
            **{
                f"sweep_over_{name}": s * asked.items * asked.systems / many
                for name, s in by_hand.items()
            },
            "sweep_cost": many / one,
            "seconds_one": one,
            "seconds_sweep": many,
        }
        print(json.dumps({k: _short(v) for k, v in row.items()}), flush=True)
        rows.append(row)
    ones, manys = (sum(row[k] for row in rows) for k in ("seconds_one", "seconds_sweep"))
    rows.append({"format": "all three", "sweep_cost": manys / ones})
    print(json.dumps(rows[-1]), flush=True)
    return rows


def _beside_its_limit(pool: Executor, work: Work, asked: argparse.Namespace) -> tuple[float, float]:
    """Seconds of the fused scorer, and of decoding and forward passes, in turns; the best of each.

    The forward passes are cut in several ways, so they are a best of several at once.
    """
    measure = partial(_sharded, pool, work=work, workers=asked.workers)
    turns = [(measure(fused), measure(decoding)) for _ in range(asked.rounds)]
    ours, decoded = (min(seconds) for seconds in zip(*turns, strict=True))
    return ours, decoded + measure(forward_passes)


def _by_hand(pool: Executor, work: Work, asked: argparse.Namespace) -> dict[str, float]:
    """Seconds an item of the naive ways, in turns; the best of each."""
    # Whole batches, so that the text model is not loaded for a few items more.
    alone = replace(work, items=2 * max(NAIVE_BATCHES.values()), threads=os.cpu_count() or 1)
    turns = [
        [
            _sharded(pool, naive, replace(alone, naive_batch=size), workers=1)
            for size in NAIVE_BATCHES.values()
        ]
        for _ in range(asked.rounds)
    ]
    best = [min(seconds) / alone.items for seconds in zip(*turns, strict=True)]
    return dict(zip(NAIVE_BATCHES, best, strict=True))


def memory_rows(folder: str, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak memory of one worker with 2048 x 2048 pictures, for few items and for more."""
    rows = []
    for items in (2, 6):
        work = Work("MultimodalGeneration", items, 2, 0, asked.threads, folder, side=2048)
        # A process of its own: a peak never goes down again.
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            peak = alone.submit(peak_memory, work).result()
        rows.append({"items": items, "side": 2048, "systems": 2, "peak_gib": peak})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def _sharded(pool: Executor, measure: Callable[[Work], float], work: Work, workers: int) -> float:
    """Seconds of the slowest of the worker processes, which share the items."""
    shares = [work.items // workers + (i < work.items % workers) for i in range(workers)]
    return max(pool.map(measure, [replace(work, items=n, seed=i) for i, n in enumerate(shares)]))


def fused(work: Work) -> float:
    """Seconds of the fused scorer on a shard, with models loaded and warm."""
    from medgen.metrics.scorer import FusedScorer

    names = METRICS[work.format]
    scorer = FusedScorer(recipes(names, work.weights), work.threads, "cpu")
    samples, predictions = shard(work)
    warm = {name: rows[:1] for name, rows in predictions.items()}
    wanted = dict.fromkeys(predictions, names)
    scorer.score(samples[:1], warm, wanted)
    start = work.clock()
    found = scorer.score(samples, predictions, wanted)
    seconds = work.clock() - start
    failed = {s.reason for rows in found.values() for s in rows if s.status != "ok"}
    if failed:
        raise RuntimeError(f"the benchmark's own pairs were not scored: {failed}")
    return seconds


def decoding(work: Work) -> float:
    """Seconds to decode every picture of a shard once: yardstick (b)."""
    from medgen.metrics.pictures import decode

    images = pictures(work)
    start = work.clock()
    for image in images:
        decode(image, "compat")
    return work.clock() - start


def forward_passes(work: Work) -> float:
    """Seconds of the networks alone, every picture and text once: yardstick (c)."""
    import torch

    torch.set_num_threads(work.threads)
    names = METRICS[work.format]
    seconds = 0.0
    if "lpips" in names:
        seconds += _trunk_seconds(work)
    if "bertscore" in names:
        seconds += _encoder_seconds(work)
    return seconds


def _trunk_seconds(work: Work) -> float:
    import torch

    from medgen.metrics.image.perceptual import LPIPS

    metric = LPIPS(weights=f"{work.weights}/lpips-alex-trunk")
    metric.load("cpu")
    seconds = []
    for layout in (torch.contiguous_format, torch.channels_last):
        network = metric._model.net.to(memory_format=layout)
        squares = torch.rand(len(pictures(work)), 3, 256, 256).to(memory_format=layout)
        seconds.append(_best(work, network, [torch.split(squares, n) for n in (1, 4, 8, 16)]))
    return min(seconds)


def _encoder_seconds(work: Work) -> float:
    from transformers import AutoModel, AutoTokenizer

    folder = f"{work.weights}/pubmedbert"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    ordered = sorted(texts(work), key=len)

    def batches(size: int) -> list[dict[str, Any]]:
        parts = [ordered[i : i + size] for i in range(0, len(ordered), size)]
        return [
            dict(tokenizer(p, padding=True, truncation=True, max_length=512, return_tensors="pt"))
            for p in parts
        ]

    return _best(work, lambda batch: model(**batch), [batches(n) for n in (1, 4, 8, 16)])


def _best(work: Work, model: Callable[[Any], Any], cuts: Sequence[Sequence[Any]]) -> float:
    """The fewest seconds over several ways to cut the same work into batches."""
    import torch

    seconds = []
    with torch.inference_mode():
        model(cuts[0][0])
        for batches in cuts:
            start = work.clock()
            for batch in batches:
                model(batch)
            seconds.append(work.clock() - start)
    return min(seconds)


def naive(work: Work) -> float:
    """Seconds of one item at a time, each library as its README shows: yardstick (a)."""
    import torch

    torch.set_num_threads(work.threads)
    samples, predictions = shard(work)
    names, rows = METRICS[work.format], predictions["system-0"]
    by_hand = _NaivePictures(work) if "lpips" in names else None
    if "bertscore" in names:
        import bert_score  # noqa: F401 - imported before the clock starts, as in a long run
    start = work.clock()
    for first in range(0, len(samples), work.naive_batch):
        part = slice(first, first + work.naive_batch)
        for sample, prediction in zip(samples[part], rows[part], strict=True):
            if by_hand:
                by_hand.score(sample, prediction)
            if "bertscore" in names:
                _naive_words(sample, prediction)
        if "bertscore" in names:
            _naive_bertscore(samples[part], rows[part], work)
    return work.clock() - start


class _NaivePictures:
    """PSNR, SSIM and LPIPS of one pair at a time."""

    def __init__(self, work: Work) -> None:
        from torchvision import transforms

        from medgen.metrics.image.perceptual import LPIPS

        metric = LPIPS(weights=f"{work.weights}/lpips-alex-trunk")
        metric.load("cpu")
        self._lpips = metric._model
        self._square = transforms.Compose([transforms.Resize((256, 256)), transforms.ToTensor()])

    def score(self, sample: Sample, prediction: Prediction) -> None:
        """Each metric opens the two pictures for itself."""
        import torch
        from skimage.metrics import peak_signal_noise_ratio, structural_similarity

        ours, theirs = _opened(sample, prediction)
        peak_signal_noise_ratio(np.asarray(theirs), np.asarray(ours), data_range=255)
        ours, theirs = _opened(sample, prediction)
        structural_similarity(
            np.asarray(theirs.convert("L")), np.asarray(ours.convert("L")), data_range=255
        )
        ours, theirs = _opened(sample, prediction)
        with torch.no_grad():
            self._lpips(self._square(ours)[None], self._square(theirs)[None]).item()


def _opened(sample: Sample, prediction: Prediction) -> tuple[Any, Any]:
    import io

    from PIL import Image as Pillow

    ours, theirs = (
        Pillow.open(io.BytesIO(image.data)).convert("RGB")
        for image in (prediction.images[0], sample.reference_images[0])
    )
    return ours.resize(theirs.size, Pillow.Resampling.LANCZOS), theirs


def _naive_words(sample: Sample, prediction: Prediction) -> None:
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    from medgen.metrics.text.clinical import entities
    from medgen.metrics.text.ngrams import token_f1, words

    text, reference = prediction.text or "", sample.reference_text or ""
    smooth = SmoothingFunction().method1
    sentence_bleu([reference.split()], text.split(), smoothing_function=smooth)
    token_f1(words(text), words(reference))
    entities(text)
    entities(reference)


def _naive_bertscore(
    samples: Sequence[Sample], predictions: Sequence[Prediction], work: Work
) -> None:
    import bert_score

    bert_score.score(
        [p.text or "" for p in predictions],
        [s.reference_text or "" for s in samples],
        model_type=f"{work.weights}/pubmedbert",
        num_layers=12,
        device="cpu",
    )


def peak_memory(work: Work) -> float:
    """Peak resident memory of a scoring process, GiB."""
    fused(work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 30 if sys.platform == "darwin" else 1 << 20)


def recipes(names: Sequence[str], weights: str) -> dict[str, Any]:
    """Recipes of the metrics, with the benchmark's own weights."""
    paths = {
        "lpips": {"weights": f"{weights}/lpips-alex-trunk"},
        "bertscore": {"model": f"{weights}/pubmedbert"},
    }
    return {name: plain(metric_spec(name, paths.get(name, {}))) for name in names}


def make_weights(folder: Path) -> None:
    """AlexNet's convolutions and a BERT-base, seeded, under their known names."""
    tiny.make_alexnet(folder / "lpips-alex-trunk")
    tiny.make_text_encoder(folder / "pubmedbert", widths=tiny.BERT_BASE)


def pictures(work: Work) -> list[Image]:
    """Every picture of a shard once."""
    samples, predictions = shard(work)
    candidates = [image for rows in predictions.values() for p in rows for image in p.images]
    return [*(image for s in samples for image in s.reference_images), *candidates]


def texts(work: Work) -> list[str]:
    """Every text of a shard once."""
    samples, predictions = shard(work)
    found = {s.reference_text for s in samples}
    found |= {p.text for rows in predictions.values() for p in rows}
    return sorted(text for text in found if text)


@lru_cache(maxsize=2)
def shard(work: Work) -> tuple[list[Sample], dict[str, list[Prediction]]]:
    """Made-up samples of one format, and what several systems gave for them."""
    chance = np.random.default_rng(work.seed)
    samples = [_sample(work, i, chance) for i in range(work.items)]
    predictions = {
        f"system-{k}": [_prediction(work, sample, chance) for sample in samples]
        for k in range(work.systems)
    }
    return samples, predictions


def _sample(work: Work, index: int, chance: np.random.Generator) -> Sample:
    images = () if work.format == "VQA" else (_picture(work.side, chance),)
    text = None if work.format == "ImageEditing" else _text(work, chance)
    return Sample(
        id=f"{work.format}-{index}",
        asks=ASKS[work.format],
        task="benchmark",
        modality="CT",
        instruction="-",
        reference_texts=() if text is None else (text,),
        input_images=(_GIVEN,),
        reference_images=images,
    )


def _prediction(work: Work, sample: Sample, chance: np.random.Generator) -> Prediction:
    # A third of the candidates come in another size than their reference.
    side = work.side if chance.random() < 2 / 3 else work.side * 3 // 4
    images = (_picture(side, chance),) if sample.reference_images else ()
    text = _text(work, chance) if sample.reference_text else None
    return Prediction(sample.id, text=text, images=images)


def _picture(side: int, chance: np.random.Generator) -> Image:
    """Smooth shapes with a little noise, as PNG."""
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [np.sin(x * chance.uniform(5, 30) + c) + np.cos(y * 20) for c in range(3)]
    noise = chance.normal(0, 4, (side, side, 1))
    return png((127 + 50 * np.stack(waves, -1) + noise).clip(0, 255).astype(np.uint8))


def _text(work: Work, chance: np.random.Generator) -> str:
    """As long as the format's texts are, or as reports: 5 to 160 words, most short, some long."""
    if work.reports:
        length = np.clip(chance.lognormal(3.4, 0.7), 5, 160)
    else:
        length = chance.choice(WORDS[work.format]) * chance.uniform(0.7, 1.3) * PIECES
    return " ".join(chance.choice(tiny.words(), max(1, round(length))))


def _write(name: str, rows: Sequence[dict[str, Any]]) -> None:
    RESULTS.mkdir(exist_ok=True)
    about = {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": f"{os.cpu_count()} x {platform.processor() or platform.machine()}",
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
        "command": " ".join(["python -m benchmarks.metrics", *sys.argv[1:]]),
        "weights": "seeded random weights of full size: speed only, values mean nothing",
    }
    (RESULTS / f"{name}.json").write_text(json.dumps({**about, "rows": rows}, indent=1))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [
        f"# {name}",
        "",
        *(f"- {key}: {value}" for key, value in about.items()),
        "",
        "| " + " | ".join(columns) + " |",
        "|" + " --- |" * len(columns),
        *("| " + " | ".join(str(_short(row.get(c, ""))) for c in columns) + " |" for row in rows),
    ]
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")


def _short(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
