"""Laws that every metric keeps, as plain functions: for our tests and for yours.

    from medgen.metrics.laws import hold
    def test_my_metric(): hold(MyMetric(), my_pairs)

Each law raises `BrokenLawError` with the pair and both values. The pairs should be ones the
metric can score; `hold` adds ones it cannot.
"""

from collections.abc import Sequence
from dataclasses import replace

from medgen.engine.data import Image, Score
from medgen.engine.errors import MedgenError
from medgen.engine.store.schemas import dumps
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.eligible import OUT_OF_RANGE, score_pairs
from medgen.metrics.port import Metric
from medgen.metrics.selftest import check

SMALL = 1e-6  # allowed difference of a value that no network makes
NEURAL = 1e-4  # allowed difference of one that a network makes


class BrokenLawError(MedgenError):
    """A metric breaks a law that all metrics keep."""


def hold(metric: Metric, pairs: Sequence[Pair], tolerance: float = SMALL) -> None:
    """Hold a loaded metric to every law.

    Args:
        metric: built, and loaded with `load`.
        pairs: at least two pairs that it can score.
        tolerance: allowed difference, `SMALL` or `NEURAL`.

    Raises:
        BrokenLawError: a law is broken; says which, on which pair, and both values.
        AdapterError: a golden pair of the metric itself has another value.
    """
    if len(pairs) < 2:
        raise BrokenLawError("give at least two pairs that the metric can score")
    check(metric.name, metric)
    passport_is_json(metric)
    values_are_declared(metric, pairs)
    order_does_not_matter(metric, pairs, tolerance)
    company_does_not_matter(metric, pairs, tolerance)
    failures_stay_alone(metric, pairs, tolerance)


def passport_is_json(metric: Metric) -> None:
    """A passport can be stored, and outputs have distinct names."""
    try:
        dumps(dict(metric.passport()))
    except (TypeError, ValueError) as err:
        raise BrokenLawError(f"{metric.name}: its passport is not JSON: {err}") from err
    names = [output.name for output in metric.outputs]
    if not names or len(set(names)) != len(names):
        raise BrokenLawError(f"{metric.name}: outputs {names} are not distinct names")


def values_are_declared(metric: Metric, pairs: Sequence[Pair]) -> None:
    """Every score is ok or says why not, and its values lie in the declared range."""
    for score in _scores(metric, pairs):
        if score.reason.startswith(OUT_OF_RANGE):
            raise BrokenLawError(f"{metric.name}: {score.reason}")
        if score.status == "ok" and not score.values:
            raise BrokenLawError(f"{metric.name}: ok without a value on {score.sample_id!r}")
        if score.status != "ok" and (score.values or not score.reason):
            raise BrokenLawError(f"{metric.name}: {score} has values, or no reason")


def order_does_not_matter(metric: Metric, pairs: Sequence[Pair], tolerance: float) -> None:
    """The same pairs backwards give the same scores backwards."""
    forth = _scores(metric, pairs)
    back = _scores(metric, list(reversed(pairs)))
    _compare(metric, "order", forth, list(reversed(back)), tolerance)


def company_does_not_matter(metric: Metric, pairs: Sequence[Pair], tolerance: float) -> None:
    """A pair alone, in halves, twice or among the others has the same score."""
    together = _scores(metric, pairs)
    alone = [_scores(metric, [pair])[0] for pair in pairs]
    _compare(metric, "batch size", together, alone, tolerance)
    middle = len(pairs) // 2
    halves = [*_scores(metric, pairs[:middle]), *_scores(metric, pairs[middle:])]
    _compare(metric, "where the batch is cut", together, halves, tolerance)
    doubled = _scores(metric, [*pairs, *pairs])
    _compare(metric, "other samples", together, doubled[len(pairs) :], tolerance)


def failures_stay_alone(metric: Metric, pairs: Sequence[Pair], tolerance: float) -> None:
    """A failed, an empty and a damaged prediction are errors and change no other score."""
    first = pairs[0]
    broken = (
        replace(first.prediction, status="model_error", reason="out of memory"),
        replace(first.prediction, images=(), text=None),
        replace(first.prediction, images=(Image(b"\x89PNG damaged"),), text=None),
    )
    mixed = [Pair(first.sample, prediction) for prediction in broken]
    found = _scores(metric, [*mixed, *pairs])
    for pair, score in zip(mixed, found, strict=False):
        if score.status != "error" or score.values:
            raise BrokenLawError(f"{metric.name}: {pair.prediction} gives {score}, not an error")
    _compare(metric, "failed pairs", _scores(metric, pairs), found[len(mixed) :], tolerance)


def _scores(metric: Metric, pairs: Sequence[Pair]) -> list[Score]:
    return score_pairs(metric, ScoringBatch(pairs))


def _compare(
    metric: Metric, law: str, first: Sequence[Score], second: Sequence[Score], tolerance: float
) -> None:
    for one, other in zip(first, second, strict=True):
        same = (one.sample_id, one.status, set(one.values)) == (
            other.sample_id,
            other.status,
            set(other.values),
        )
        if not same or any(
            abs(value - other.values[name]) > tolerance for name, value in one.values.items()
        ):
            raise BrokenLawError(f"{metric.name}: {law} changes {one} to {other}")
