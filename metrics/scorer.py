"""Scores one shard for every system of a sweep, sharing all that can be shared.

Pairs are taken sample by sample, all systems of a sample together, in blocks bounded by pixels:
a reference is decoded, resized and put through a network once for the whole sweep, and no more
than a block of pictures is held at a time. Texts are small, so text metrics see the whole shard
at once and can drop duplicates and group by length across systems.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from medgen.engine.codec import plain
from medgen.engine.data import Prediction, Sample, Score
from medgen.engine.errors import ConfigError
from medgen.engine.images import MAX_PIXELS
from medgen.engine.plan.identity import Spec
from medgen.metrics.batch import Album, Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs, without_weights
from medgen.metrics.pictures import dimensions
from medgen.metrics.port import Metric
from medgen.metrics.selftest import check
from medgen.metrics.weights import MissingWeightsError

# Pixels decoded at a time. A pixel costs about 20 bytes in all its forms, so a block of 16
# megapixels needs some 320 MB beside the models; it holds 60 pictures of 512 x 512.
BLOCK_PIXELS = 16_000_000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the score of a pair belongs."""

    system: str
    index: int


class FusedScorer:
    """All metrics of a scoring worker, built from plain arguments.

    See `medgen.engine.ports.Scorer`.
    """

    def __init__(
        self,
        metrics: Mapping[str, Mapping[str, Any]],
        threads: int = 1,
        device: str = "auto",
        strict_weights: bool = False,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        """Build the metrics, load their weights, and check them on pairs with known answers.

        Args:
            metrics: name -> {"target": "module:Class", "kwargs": {…}}.
            threads: CPU threads of this process, so that workers do not fight over cores.
            device: cpu, cuda, or auto (cuda when there is one).
            strict_weights: raise when weights are missing instead of giving such rows.
            limits: `picture_pixels` (the largest picture decoded) and `block_pixels` (decoded
                at a time).

        Raises:
            ConfigError: a target cannot be built, a limit is unknown, or threads are not positive.
            MissingWeightsError: with `strict_weights`, weights are not on this machine.
            AdapterError: a golden pair has another value than it must have.
        """
        if threads < 1:
            raise ConfigError(f"threads is {threads}, a worker needs at least 1")
        self._limits = _limits(limits or {})
        self.metrics: dict[str, Metric] = {
            name: build_metric(name, recipe) for name, recipe in metrics.items()
        }
        self.device = self._prepare_device(device, threads)
        self._missing: dict[str, str] = {}
        for name, metric in self.metrics.items():
            self._load(name, metric, strict_weights)

    def _prepare_device(self, wanted: str, threads: int) -> str:
        """The device's name, with PyTorch set up for it where a metric has use for it."""
        of_images = any(metric.tier == "image" for metric in self.metrics.values())
        asked = of_images or wanted.startswith("cuda")
        if "torch" not in sys.modules and not (asked and find_spec("torch")):
            return "cpu"  # loading PyTorch takes seconds
        import torch

        torch.set_num_threads(threads)
        # Convolutions on a GPU would otherwise round to 10 bits, and differ from those on a CPU.
        torch.backends.cudnn.allow_tf32 = False
        if wanted == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        if wanted.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError(f"device {wanted!r} was asked for, but PyTorch sees no CUDA device")
        return wanted

    def _load(self, name: str, metric: Metric, strict_weights: bool) -> None:
        try:
            metric.load(self.device)
        except MissingWeightsError as err:
            if strict_weights:
                raise
            self._missing[name] = str(err)
            return
        check(name, metric)

    def outputs(self, metric: str) -> tuple[str, ...]:
        """The names of the values that a metric gives, in the order of its columns."""
        return tuple(output.name for output in self._metric(metric).outputs)

    def passport(self, metric: str) -> Mapping[str, Any]:
        """What ran: the metric's own passport, its class, device, and missing weights if any."""
        found = self._metric(metric)
        kind = type(found)
        missing = {"missing_weights": self._missing[metric]} if metric in self._missing else {}
        return {
            "metric": found.name,
            "implementation": f"{kind.__module__}:{kind.__qualname__}",
            "outputs": plain(found.outputs),
            "device": self.device,
            **found.passport(),
            **missing,
        }

    def score(
        self,
        samples: Sequence[Sample],
        predictions: Mapping[str, Sequence[Prediction]],
        wanted: Mapping[str, Sequence[str]],
    ) -> Mapping[tuple[str, str], Sequence[Score]]:
        """See `medgen.engine.ports.Scorer.score`.

        Raises:
            ConfigError: a metric is not known, or predictions do not match the samples.
        """
        _check_aligned(samples, predictions, wanted)
        found: dict[tuple[str, str], dict[int, Score]] = {
            (system, name): {} for system, names in wanted.items() for name in names
        }
        asking = {name: [s for s in wanted if name in wanted[s]] for _, name in found}
        texts = [name for name in asking if self._metric(name).tier == "text"]
        images = [name for name in asking if self._metric(name).tier == "image"]
        for name in texts:
            everything = _pairs(samples, predictions, asking[name])
            self._fill(found, name, everything, Album())
        systems = [s for s in wanted if set(wanted[s]) & set(images)]
        for block, album in self._blocks(_pairs(samples, predictions, systems)):
            for name in images:
                mine = [(place, pair) for place, pair in block if place.system in asking[name]]
                self._fill(found, name, mine, album)
        return {key: [rows[i] for i in range(len(samples))] for key, rows in found.items()}

    def _fill(
        self,
        found: dict[tuple[str, str], dict[int, Score]],
        name: str,
        pairs: Sequence[tuple[_Place, Pair]],
        album: Album,
    ) -> None:
        batch = ScoringBatch([pair for _, pair in pairs], album)
        metric = self._metric(name)
        if name in self._missing:
            scores = without_weights(metric, batch, self._missing[name])
        else:
            scores = score_pairs(metric, batch)
        for (place, _), score in zip(pairs, scores, strict=True):
            found[place.system, name][place.index] = score

    def _blocks(
        self, pairs: Sequence[tuple[_Place, Pair]]
    ) -> Iterator[tuple[list[tuple[_Place, Pair]], Album]]:
        """Pairs in order, cut where their pictures exceed the pixel budget.

        A reference that the next block needs again is handed on, not decoded twice.
        """
        album, block, pixels = Album(self._limits["picture_pixels"]), list[Any](), 0
        last: Sample | None = None
        for place, pair in pairs:
            cost = _pixels(pair, new_sample=pair.sample is not last)
            if block and pixels + cost > self._limits["block_pixels"]:
                yield block, album
                album = album.following(pair.sample.reference_images[:1])
                block, pixels = [], 0
            block.append((place, pair))
            pixels, last = pixels + cost, pair.sample
        if block:
            yield block, album

    def _metric(self, name: str) -> Metric:
        try:
            return self.metrics[name]
        except KeyError:
            raise ConfigError(
                f"this scorer has no metric {name!r}; it has {', '.join(self.metrics)}"
            ) from None


def build_metric(name: str, recipe: Mapping[str, Any]) -> Metric:
    """A metric from its recipe, in its own package or any other that is installed.

    Raises:
        ConfigError: the recipe has other keys than target and kwargs, or cannot be built.
    """
    if unknown := set(recipe) - {"target", "kwargs"}:
        raise ConfigError(f"metric {name}: unknown keys {', '.join(sorted(unknown))}")
    if "target" not in recipe:
        raise ConfigError(f"metric {name}: no target; give 'module:Class'")
    try:
        metric: Metric = Spec(recipe["target"], recipe.get("kwargs", {})).build()
    except TypeError as err:
        raise ConfigError(f"metric {name}: {err}") from err
    return metric


def _limits(given: Mapping[str, int]) -> dict[str, int]:
    limits = {"picture_pixels": MAX_PIXELS, "block_pixels": BLOCK_PIXELS}
    if unknown := set(given) - set(limits):
        raise ConfigError(f"unknown limits {', '.join(sorted(unknown))}")
    return limits | dict(given)


def _check_aligned(
    samples: Sequence[Sample],
    predictions: Mapping[str, Sequence[Prediction]],
    wanted: Mapping[str, Sequence[str]],
) -> None:
    ids = [sample.id for sample in samples]
    for system in wanted:
        if [p.sample_id for p in predictions.get(system, ())] != ids:
            raise ConfigError(f"the predictions of {system!r} are not those of the samples")


def _pairs(
    samples: Sequence[Sample],
    predictions: Mapping[str, Sequence[Prediction]],
    systems: Sequence[str],
) -> list[tuple[_Place, Pair]]:
    """Every pair of these systems, sample by sample."""
    return [
        (_Place(system, index), Pair(sample, predictions[system][index]))
        for index, sample in enumerate(samples)
        for system in systems
    ]


def _pixels(pair: Pair, new_sample: bool) -> int:
    """Pixels that a pair adds to a block: its candidate, that resized, and a new reference."""
    sample, prediction = pair.sample, pair.prediction
    if prediction.status != "ok" or not prediction.images or not sample.reference_images:
        return 0
    width, height = dimensions(sample.reference_images[0])
    reference = width * height
    width, height = dimensions(prediction.images[0])
    return width * height + reference * (2 if new_sample else 1)
