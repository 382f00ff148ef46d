"""How far a system's probabilities of the options are what they say, over a whole run.

Brier score: the squared distance between the probabilities and what is right, over all options of
an item, 0 to 2 (Brier, Monthly Weather Review 1950, 78:1). Expected calibration error: 15 equal
bins of the chosen option's probability, an edge belongs to the bin above it, and the gaps between
mean probability and share of right answers, weighted by their counts (Guo et al., ICML 2017,
arXiv 1706.04599). It is above 0 also where probabilities are right, by chance of few items:
`ece_if_calibrated` is what it would be then, so many items and these probabilities given.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from medgen.engine.answers.closed import right_options
from medgen.engine.chat.odds import stored_odds
from medgen.engine.data import Prediction, Sample
from medgen.engine.plan.plan import Node
from medgen.engine.results.aside import Aside
from medgen.engine.results.labels import has_labels
from medgen.engine.results.reduced import by_source, reduced_interval
from medgen.engine.results.statistics import SEED, Floats, Ints
from medgen.engine.run.reader import RunReader

BINS = 15
_DRAWS = 200  # of answers that are right as often as the probabilities say
_LEAST = 1e-15  # of a probability in a logarithm


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """One system in one task; `without` counts answers whose probabilities nobody can tell.

    A system that was asked for probabilities and gave none has a row with `n` 0 and no values.
    """

    system: str
    task: str
    n: int
    without: int
    accuracy: float | None = None  # of the most probable option
    confidence: float | None = None  # its mean probability
    overconfidence: float | None = None  # confidence - accuracy
    brier: float | None = None
    brier_low: float | None = None
    brier_high: float | None = None
    log_loss: float | None = None
    ece: float | None = None
    ece_low: float | None = None
    ece_high: float | None = None
    ece_if_calibrated: float | None = None


@dataclass
class _Items:
    confidence: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    brier: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    without: int = 0

    def add(self, sample: Sample, odds: Sequence[float] | None) -> None:
        if odds is None or len(odds) != len(sample.choices):
            self.without += 1
            return
        (right,) = right_options(sample)
        top = max(range(len(odds)), key=odds.__getitem__)
        self.confidence.append(odds[top])
        self.right.append(float(top == right))
        self.brier.append(math.fsum((p - (at == right)) ** 2 for at, p in enumerate(odds)))
        self.loss.append(-math.log(max(odds[right], _LEAST)))
        self.sources.append(sample.source or sample.id)


def calibration_rows(reader: RunReader) -> list[CalibrationRow]:
    """The rows of systems whose rows keep probabilities; see `AnswerStyle.sampling.logprobs`.

    Raises:
        CorruptError: stored rows are damaged.
    """
    if not has_labels(reader):
        return []
    asked = {s.name for s in reader.plan.systems if _wants_odds(reader.plan.predictions(s.name))}
    systems = [s.name for s in reader.plan.systems if not s.of and not s.control]
    telling = [name for name in systems if name in asked or _gives_odds(reader, name)]
    found: dict[tuple[str, str], _Items] = {}
    for system, sample, prediction in _answers(reader, telling):
        items = found.setdefault((system, sample.task), _Items())
        items.add(sample, stored_odds(prediction))
    return [
        _row(*key, items) if items.confidence else CalibrationRow(*key, 0, items.without)
        for key, items in sorted(found.items())
        if items.confidence or (key[0] in asked and items.without)
    ]


def _gives_odds(reader: RunReader, system: str) -> bool:
    """Whether a row of a system keeps probabilities, though nobody asked for them."""
    shards = (reader.predictions(system, shard) for shard in range(reader.plan.shards))
    return any(stored_odds(prediction) is not None for rows in shards for prediction in rows)


def _wants_odds(nodes: Sequence[Node]) -> bool:
    """Whether a system is asked for probabilities (`style.sampling.logprobs`)."""
    return any(_has_logprobs(node.recipe) for node in nodes)


def _has_logprobs(part: object) -> bool:
    if not isinstance(part, Mapping):
        return False
    return bool(part.get("logprobs")) or any(map(_has_logprobs, part.values()))


def calibration_error(sums: Floats) -> Floats:
    """The expected calibration error from rows of sums, as `bin_sums` gives them for each item."""
    counts, confidence, right = (sums[:, at * BINS : (at + 1) * BINS] for at in range(3))
    error: Floats = np.abs(confidence - right).sum(axis=1) / counts.sum(axis=1)
    return error


def bin_sums(confidence: Floats, right: Floats) -> Floats:
    """Count, probability and rightness of every item in its bin; one row an item."""
    place: Ints = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    found = np.zeros((len(confidence), 3 * BINS))
    for part, value in enumerate((np.ones_like(confidence), confidence, right)):
        found[np.arange(len(confidence)), part * BINS + place] = value
    return found


def error_if_calibrated(confidence: Floats) -> float:
    """What the error is on average where answers are right as often as probabilities say."""
    rng = np.random.default_rng(SEED)
    draws = []
    for _ in range(_DRAWS):
        right = (rng.random(len(confidence)) < confidence).astype(np.float64)
        draws.append(calibration_error(bin_sums(confidence, right).sum(axis=0, keepdims=True))[0])
    return float(np.mean(draws))


def _answers(reader: RunReader, systems: Sequence[str]) -> Iterator[tuple[str, Sample, Prediction]]:
    for shard in range(reader.plan.shards) if systems else ():
        samples: Mapping[str, Sample] = {
            s.id: s
            for s in reader.benchmark.samples_in_words(shard)
            if s.asks in ("choice", "preference") and len(right_options(s)) == 1
        }
        for system in systems if samples else ():
            for prediction in reader.predictions(system, shard):
                if sample := samples.get(prediction.sample_id):
                    yield system, sample, prediction


def _row(system: str, task: str, items: _Items) -> CalibrationRow:
    confidence, right, brier = (
        np.array(values) for values in (items.confidence, items.right, items.brier)
    )
    _, sources = np.unique(items.sources, return_inverse=True)
    bins = by_source(bin_sums(confidence, right), sources)
    squares = by_source(np.stack([brier, np.ones_like(brier)], axis=1), sources)
    error = calibration_error(bins.sum(axis=0, keepdims=True))[0]
    ends = reduced_interval(squares, lambda rows: rows[:, 0] / rows[:, 1]) or (None, None)
    error_ends = reduced_interval(bins, calibration_error) or (None, None)
    return CalibrationRow(
        system=system,
        task=task,
        n=len(confidence),
        without=items.without,
        accuracy=float(right.mean()),
        confidence=float(confidence.mean()),
        overconfidence=float(confidence.mean() - right.mean()),
        brier=float(brier.mean()),
        brier_low=ends[0],
        brier_high=ends[1],
        log_loss=float(np.mean(items.loss)),
        ece=float(error),
        ece_low=error_ends[0],
        ece_high=error_ends[1],
        ece_if_calibrated=error_if_calibrated(confidence),
    )


CALIBRATION = Aside("calibration", CalibrationRow, calibration_rows)
