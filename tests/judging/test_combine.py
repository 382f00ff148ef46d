"""Repeats and judges are put together by a named rule, and a failure is never a number."""

import pytest

from medgen.engine.data import Verdict
from medgen.engine.errors import ConfigError
from medgen.engine.judging.combine import RULES, combine


def verdicts(*scores: float | None, judge: str = "a") -> list[Verdict]:
    return [
        Verdict("s", "reference_free", judge, i, "ok", scores={"overall_score": score})
        if score is not None
        else Verdict("s", "reference_free", judge, i, "parse_error", "rubbish")
        for i, score in enumerate(scores)
    ]


@pytest.mark.parametrize(
    ("rule", "want"), [("mean", 6.0), ("median", 5.0), ("min", 4.0), ("majority", 5.0)]
)
def test_each_rule_has_its_number(rule: str, want: float) -> None:
    (found,) = combine(verdicts(4, 5, 10, 5), rule)
    assert found.scores["overall_score"] == want
    assert (found.ok, found.asked) == (4, 4)


@pytest.mark.parametrize("rule", RULES)
def test_a_failed_verdict_is_counted_and_not_scored(rule: str) -> None:
    with_failures, alone = (combine(v, rule)[0] for v in (verdicts(6, None, None), verdicts(6)))
    assert with_failures.scores == alone.scores == {"overall_score": 6.0}
    assert (with_failures.ok, with_failures.asked) == (1, 3)


def test_below_the_quorum_there_is_no_score() -> None:
    (found,) = combine(verdicts(6, None, None), quorum=2)
    assert (dict(found.scores), dict(found.spread), found.ok) == ({}, {}, 1)


def test_a_tied_majority_is_the_lower_score() -> None:
    assert combine(verdicts(8, 3), "majority")[0].scores["overall_score"] == 3


def test_judges_and_repeats_are_one_list() -> None:
    (found,) = combine([*verdicts(2, 4), *verdicts(9, judge="b")])
    assert found.scores["overall_score"] == 5.0
    assert found.spread["overall_score"] == pytest.approx(2.9439, abs=1e-4)


def test_views_and_samples_are_kept_apart_in_order() -> None:
    other = Verdict("t", "reference_based", "a", scores={"overall_score": 1.0})
    found = combine([other, *verdicts(3)])
    assert [(c.sample_id, c.view) for c in found] == [
        ("t", "reference_based"),
        ("s", "reference_free"),
    ]


def test_a_dimension_that_one_judge_lacks_is_not_given() -> None:
    lacking = Verdict("s", "reference_free", "b", scores={"consistency": 2.0})
    assert combine([*verdicts(3), lacking])[0].scores == {}


@pytest.mark.parametrize(("rule", "quorum"), [("loudest", 1), ("mean", 0)])
def test_unknown_rules_are_refused(rule: str, quorum: int) -> None:
    with pytest.raises(ConfigError):
        combine(verdicts(1), rule, quorum)
