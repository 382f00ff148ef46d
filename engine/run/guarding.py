"""Scorers and judges behind the guard: what one sample makes them raise is that sample's rows."""

from collections.abc import Mapping, Sequence

from medgen.engine.data import (
    VIEWS,
    Prediction,
    Sample,
    Score,
    ScoreStatus,
    Verdict,
    VerdictStatus,
)
from medgen.engine.errors import AdapterError
from medgen.engine.guard import Unforeseen, guard_row, in_halves, in_halves_unless_all
from medgen.engine.ports import Judge, Scorer

Place = tuple[str, str]  # a system and a metric
Case = tuple[Sample, Prediction]  # what a judge is shown of one system


def guard_scores(
    scorer: Scorer,
    samples: Sequence[Sample],
    predictions: Mapping[str, Sequence[Prediction]],
    wanted: Mapping[str, Sequence[str]],
) -> Mapping[Place, Sequence[Score]]:
    """The scorer's scores. One that raises is asked for halves, then for metrics one by one."""
    places = [(system, metric) for system, metrics in wanted.items() for metric in metrics]

    def batch(indexes: Sequence[int]) -> list[dict[Place, Score]]:
        part = [samples[i] for i in indexes]
        given = {system: [rows[i] for i in indexes] for system, rows in predictions.items()}
        scores = scorer.score(part, given, wanted)
        if any(len(scores[place]) != len(part) for place in places):
            raise ValueError("a scorer gives one score a sample")
        return [{place: scores[place][at] for place in places} for at in range(len(part))]

    def one_by_one(index: int, _: Unforeseen) -> list[dict[Place, Score]]:
        sample = samples[index]

        def alone(place: Place) -> Score:
            system, metric = place
            given = {system: [predictions[system][index]]}
            return scorer.score([sample], given, {system: [metric]})[place][0]

        return [
            {
                place: guard_row(lambda p=place: alone(p), lambda f: _score(sample, f), sample.id)  # type: ignore[misc]
                for place in places
            }
        ]

    rows = in_halves(batch, range(len(samples)), one_by_one, lambda i: samples[i].id)
    return {place: [row[place] for row in rows] for place in places}


def guard_verdicts(
    judge: Judge, name: str, repeats: int, cases: Sequence[Case]
) -> list[Sequence[Verdict]]:
    """The judge's verdicts, by case. One that raises is asked for halves, down to the one case."""

    def batch(part: Sequence[Case]) -> Sequence[Sequence[Verdict]]:
        verdicts = judge.judge([sample for sample, _ in part], [given for _, given in part])
        if not all(isinstance(v, Verdict) for v in verdicts):
            raise TypeError("a judge gives verdicts")
        return _by_case(part, verdicts)

    def blank(case: Case, found: Unforeseen) -> list[Sequence[Verdict]]:
        return [every_verdict(case[0].id, name, repeats, found.reason, "internal_error")]

    return in_halves_unless_all(batch, cases, blank, lambda case: case[0].id)


def _by_case(cases: Sequence[Case], verdicts: Sequence[Verdict]) -> list[Sequence[Verdict]]:
    """Cut what a judge gave: so many verdicts for every case, in the order of the cases."""
    each = len(verdicts) // len(cases)
    found = [verdicts[n * each : (n + 1) * each] for n in range(len(cases))]
    ids = [{verdict.sample_id for verdict in given} for given in found]
    if each * len(cases) != len(verdicts) or ids != [{sample.id} for sample, _ in cases]:
        raise AdapterError("the judge broke its contract: verdicts for every sample, in order")
    return found


def every_verdict(
    sample_id: str, judge: str, repeats: int, reason: str, status: VerdictStatus = "skipped"
) -> list[Verdict]:
    """A sample's verdicts in all views and repeats, with one reason."""
    return [
        Verdict(sample_id, view, judge, repeat, status=status, reason=reason)
        for repeat in range(repeats)
        for view in VIEWS
    ]


def _score(sample: Sample, found: Unforeseen) -> Score:
    status: ScoreStatus = "out_of_memory" if found.out_of_memory else "internal_error"
    return Score(sample.id, status, found.reason)
