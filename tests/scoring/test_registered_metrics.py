"""Every registered metric keeps the law of a `Scorer`, and breaks no unit that it breaks."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from run.unfaithful import FAULTS, RAISED, strike, unfaithful
from scoring.scoring_cases import choice_cases, image_cases, text_cases

from medgen.engine.codec import plain
from medgen.engine.data import Image, Prediction, Sample, Score, ScoreStatus
from medgen.engine.ports import Scorer
from medgen.engine.run.guarding import guard_scores
from medgen.metrics.catalogue import CATALOGUE, metric_spec
from medgen.metrics.scorer import FusedScorer

# Loading a trunk of random weights takes seconds for each.
HEAVY = {"lpips", "lpips_vgg", "embedding_similarity", "medimageinsight_similarity", "bertscore"}
STRUCK = 1
NAMES = [
    pytest.param(name, marks=[pytest.mark.trial] if name in HEAVY else []) for name in CATALOGUE
]
Pairs = tuple[list[Sample], dict[str, list[Prediction]]]


def pairs() -> Pairs:
    """Samples of all kinds, each answered well, badly, oddly and not at all."""
    found = [pair for cases in (text_cases, choice_cases, image_cases) for pair in cases()[:3]]
    samples = [replace(p.sample, id=f"s{n}") for n, p in enumerate(found)]
    given = [replace(p.prediction, sample_id=f"s{n}") for n, p in enumerate(found)]
    odd: Sequence[Callable[[Prediction], Prediction]] = (
        lambda p: replace(p, text=None, images=()),
        lambda p: replace(p, text="\u202e\x00{}[]", images=(Image(b"no picture", "x.png"),)),
        lambda p: Prediction(p.sample_id, "refused", "I will not."),
    )
    systems = {f"odd-{n}": [change(p) for p in given] for n, change in enumerate(odd)}
    return samples, {"given": given, **systems}


@pytest.fixture
def scorer(with_weights: Path, name: str) -> Scorer:
    return FusedScorer({name: plain(metric_spec(name, {"profile": CATALOGUE[name].profiles[0]}))})


def hold(rows: Sequence[Score], samples: Sequence[Sample], outputs: Sequence[str]) -> None:
    assert [row.sample_id for row in rows] == [s.id for s in samples]
    for row in rows:
        assert row.status in get_args(ScoreStatus)
        assert row.reason or row.status == "ok", row
        assert set(row.values) <= set(outputs)
        assert bool(row.values) or row.status != "ok", row


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_gives_one_score_a_sample_and_system_in_their_order(
    scorer: Scorer, name: str
) -> None:
    samples, given = pairs()
    wanted = {system: [name] for system in given}
    whole = scorer.score(samples, given, wanted)
    assert set(whole) == {(system, name) for system in given}
    for rows in whole.values():
        hold(rows, samples, scorer.outputs(name))
    one = {system: rows[:1] for system, rows in given.items()}
    alone = scorer.score(samples[:1], one, wanted)
    assert {p: r[0].status for p, r in alone.items()} == {p: r[0].status for p, r in whole.items()}
    assert json.dumps(scorer.passport(name)) == json.dumps(scorer.passport(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_of_a_metric_ends_as_rows_or_as_its_own(scorer: Scorer, name: str) -> None:
    samples, given = pairs()
    wanted = {system: [name] for system in given}
    for fault in (*RAISED, *FAULTS):
        found: Mapping[Any, Sequence[Score]] = {}
        with suppress(Exception):  # the worker's own failure
            found = guard_scores(Over(scorer, fault), samples, given, wanted)
        if fault in ("raises", "raises at one"):
            assert set(found) == {(system, name) for system in given}
        for rows in found.values():
            if [getattr(r, "sample_id", "") for r in rows] != [s.id for s in samples]:
                continue  # which the worker refuses
            hold(rows, samples, scorer.outputs(name))
            struck = {n for n, r in enumerate(rows) if r.status == "internal_error"}
            if fault == "raises at one":
                assert struck == {STRUCK}


class Over:
    """A scorer that breaks its law in one way."""

    def __init__(self, scorer: Scorer, fault: str) -> None:
        self._scorer, self._fault = scorer, fault
        self.outputs, self.passport = scorer.outputs, scorer.passport

    def score(self, samples: Any, predictions: Any, wanted: Any) -> Any:
        found = self._scorer.score(samples, predictions, wanted)
        ids = [s.id for s in samples]
        if self._fault == "raises at one":
            strike("raises" if f"s{STRUCK}" in ids else "", ids)
        strike("raises" if self._fault == "raises" else "", ids)
        return {place: unfaithful(self._fault, list(rows)) for place, rows in found.items()}
