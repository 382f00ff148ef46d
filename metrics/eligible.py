"""Which pairs a metric gets to see; every other pair becomes a row with its reason here."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Real

from medgen.engine.data import LARGEST_VALUE, Score, ScoreStatus
from medgen.engine.guard import unforeseen
from medgen.engine.trouble import log_failed_row
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.pictures import DecodeError, Picture, Policy
from medgen.metrics.port import Metric, Output

log = logging.getLogger(__name__)
OUT_OF_RANGE = "out of its declared range"
ROUNDING = 1e-4  # the most that arithmetic in single precision moves a value out of its range


def score_pairs(metric: Metric, batch: ScoringBatch) -> list[Score]:
    """One score a pair, whatever happens: this is how every metric is called.

    A pair the metric does not apply to is `not_applicable`; a prediction that is not ok, or
    lacks the text or picture, is an `error` whose reason starts with "prediction"; a pair on
    which the metric raises is an `error` of its own and leaves the others as they were.
    """
    rows: list[Score | None] = [_refuse(metric, batch, i) for i in range(len(batch))]
    open_pairs = [i for i, row in enumerate(rows) if row is None]
    for index, score in zip(open_pairs, _score(metric, batch.select(open_pairs)), strict=True):
        rows[index] = _remark(metric, batch, index, score)
    return [row for row in rows if row is not None]


def without_weights(metric: Metric, batch: ScoringBatch, reason: str) -> list[Score]:
    """The rows of a metric whose weights are not on this machine."""
    return [
        _unsuitable(metric, pair) or Score(pair.sample.id, "missing_weights", reason)
        for pair in batch.pairs
    ]


def _unsuitable(metric: Metric, pair: Pair) -> Score | None:
    """The row of a pair that cannot be scored, from what is known without decoding."""
    sample, prediction = pair.sample, pair.prediction
    if reason := metric.applies(sample):
        return Score(sample.id, "not_applicable", reason)
    if prediction.status == "not_applicable":
        return Score(sample.id, "not_applicable", prediction.reason)
    if prediction.status != "ok":
        return Score(sample.id, "error", f"prediction: {prediction.status}")
    if metric.tier == "text" and prediction.text is None:
        return Score(sample.id, "error", "prediction: no text")
    if metric.tier == "image" and not prediction.images:
        return Score(sample.id, "error", "prediction: no image")
    return None


def _refuse(metric: Metric, batch: ScoringBatch, index: int) -> Score | None:
    pair = batch.pairs[index]
    if row := _unsuitable(metric, pair):
        return row
    if metric.tier == "text":
        return None
    for whose, look in _looks(batch, pair):
        try:
            look(index, metric.policy)
        except DecodeError as err:
            return Score(pair.sample.id, "error", f"{whose}: image {err}")
    return None


def _remark(metric: Metric, batch: ScoringBatch, index: int, score: Score) -> Score:
    """The score, with what a reader should know about the pictures it was made from."""
    if metric.tier != "image" or score.reason:
        return score
    looks = _looks(batch, batch.pairs[index])
    said = [(whose, look(index, metric.policy).remark) for whose, look in looks]
    return replace(score, reason="; ".join(f"{whose}: {text}" for whose, text in said if text))


def _looks(batch: ScoringBatch, pair: Pair) -> list[tuple[str, Callable[[int, Policy], Picture]]]:
    """The pictures of a pair that are decoded beforehand; an edit may have no reference."""
    reference = [("reference", batch.reference)] if pair.sample.reference_images else []
    return [*reference, ("prediction", batch.as_sent)]


def _score(metric: Metric, batch: ScoringBatch) -> Sequence[Score]:
    """The metric's scores; after an exception both halves are tried, down to the one pair."""
    if not len(batch):
        return []
    try:
        outputs = {output.name: output for output in metric.outputs}
        scores = [_check(outputs, score) for score in metric.score(batch)]
        if [s.sample_id for s in scores] != [p.sample.id for p in batch.pairs]:
            raise ValueError("the scores are not those of the pairs, in their order")
        return scores
    except DecodeError as err:
        if len(batch) == 1:
            return [Score(batch.pairs[0].sample.id, "error", f"image {err}")]
    except BaseException as err:  # noqa: BLE001 - what no row can stand for is raised again
        found = unforeseen(err)
        if len(batch) == 1:
            sample_id = batch.pairs[0].sample.id
            log_failed_row(log, err, sample_id, metric.name)
            status: ScoreStatus = "out_of_memory" if found.out_of_memory else "internal_error"
            return [Score(sample_id, status, found.reason)]
    middle = len(batch) // 2
    parts = range(middle), range(middle, len(batch))
    return [score for part in parts for score in _score(metric, batch.select(part))]


def _check(outputs: Mapping[str, Output], score: Score) -> Score:
    """The score with its values in their declared ranges; otherwise an error that says why not.

    What rounding alone put beyond an end of the range becomes that end.
    """
    if not _are_numbers(score.values):
        said = f"{score.values!r:.60}"
        return Score(score.sample_id, "error", f"values are {said}, not numbers by name")
    if unknown := set(score.values) - set(outputs):
        return Score(score.sample_id, "error", f"values that are no outputs: {sorted(unknown)}")
    if bad := [name for name, value in score.values.items() if not math.isfinite(value)]:
        return Score(score.sample_id, "error", f"not a finite number: {', '.join(sorted(bad))}")
    if bad := [name for name, value in score.values.items() if abs(value) > LARGEST_VALUE]:
        return Score(score.sample_id, "error", f"too large for a mean: {', '.join(sorted(bad))}")
    kept = {name: _within(outputs[name], value) for name, value in score.values.items()}
    if far := [n for n, value in score.values.items() if abs(kept[n] - value) > ROUNDING]:
        said = ", ".join(f"{n} {score.values[n]!r}" for n in sorted(far))
        return Score(score.sample_id, "error", f"{OUT_OF_RANGE}: {said}")
    return score if kept == score.values else replace(score, values=kept)


def _are_numbers(values: object) -> bool:
    every = values.values() if isinstance(values, Mapping) else [None]
    return all(isinstance(value, Real) for value in every)


def _within(output: Output, value: float) -> float:
    low = -math.inf if output.low is None else output.low
    high = math.inf if output.high is None else output.high
    return min(max(value, low), high)
