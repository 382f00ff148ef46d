"""Sentinels are the same in every run, and show when a judge moves."""

import json
import random
from dataclasses import replace

import pytest
from judging.cases import EDIT, GENERATION, VQA

from medgen.adapters.judges.rule_judge import RuleJudge
from medgen.engine.data import Sample
from medgen.engine.errors import CorruptError
from medgen.engine.judging.sentinels import (
    Sentinel,
    choose_sentinels,
    compare_sentinels,
    sentinel_table,
)

SAMPLES = [
    replace(s, id=f"{s.id}-{n}", reference_texts=tuple(f"{text} {n}" for text in s.reference_texts))
    for n in range(9)
    for s in (VQA, EDIT, GENERATION)
]
JUDGE = {"judge": "rule", "protocol": "table-iv/1"}


def judged(sentinels: tuple[Sentinel, ...], **execution: float) -> dict[str, object]:
    judge = RuleJudge(name="rule", protocol="table-iv/1", execution=execution)
    cases = [s.sample for s in sentinels], [s.prediction for s in sentinels]
    table = sentinel_table(sentinels, judge.judge(*cases), JUDGE)
    again: dict[str, object] = json.loads(json.dumps(table))
    return again


def test_the_draw_depends_on_the_samples_and_the_seed_alone() -> None:
    shuffled = SAMPLES[:]
    random.Random(1).shuffle(shuffled)
    chosen = choose_sentinels(SAMPLES)
    assert chosen == choose_sentinels(shuffled)
    assert chosen != choose_sentinels(SAMPLES, seed=1)


def test_the_draw_is_even_over_formats_and_kinds() -> None:
    chosen = choose_sentinels(SAMPLES, count=9)
    formats = [s.sample.format for s in chosen]
    assert {f: formats.count(f) for f in formats} == {
        "VQA": 3,
        "ImageEditing": 3,
        "MultimodalGeneration": 3,
    }
    kinds = [s.kind for s in chosen]
    assert {k: kinds.count(k) for k in kinds} == {"reference": 3, "unrelated": 3, "input": 3}
    assert len({s.sample.id for s in chosen}) == 9


def test_a_case_is_made_from_samples_alone() -> None:
    references = {s.id: s.reference_text for s in SAMPLES}
    for sentinel in choose_sentinels(SAMPLES):
        sample, given = sentinel.sample, sentinel.prediction
        assert given.sample_id == sample.id
        if sentinel.kind == "reference":
            assert given.text == sample.reference_text
        elif sentinel.kind == "input":
            assert given.images == sample.input_images[:1]
        elif sample.reference_text:
            assert given.text != sample.reference_text
            assert given.text in references.values()


def test_an_unrelated_case_borrows_from_the_next_of_the_draw() -> None:
    """Of nobody else: another one would be another case, and every judge would seem to move."""
    chosen = [s for s in choose_sentinels(SAMPLES, count=9) if s.sample.format == "VQA"]
    assert [s.kind for s in chosen] == ["reference", "unrelated", "input"]
    assert chosen[1].prediction.text == chosen[2].sample.reference_text
    two = choose_sentinels([s for s in SAMPLES if s.format == "VQA"][:2])
    assert [s.kind for s in two] == ["reference", "unrelated"]
    assert two[1].prediction.text == two[0].sample.reference_text


def test_small_benchmarks_have_few_and_empty_ones_none() -> None:
    assert choose_sentinels([]) == ()
    lone = choose_sentinels([VQA, EDIT])
    assert [s.kind for s in lone] == ["reference", "reference"]
    bare: Sample = replace(VQA, reference_texts=())
    assert choose_sentinels([bare]) == ()


def test_the_same_judge_has_not_moved() -> None:
    sentinels = choose_sentinels(SAMPLES)
    drift = compare_sentinels(judged(sentinels), judged(sentinels))
    assert (drift.moved, drift.changed, drift.largest) == (False, 0, 0.0)
    assert drift.compared == 2 * len(sentinels)
    assert "gave before" in drift.words


def test_a_moved_score_is_found_and_said() -> None:
    sentinels = choose_sentinels(SAMPLES)
    before, now = judged(sentinels), judged(sentinels)
    now["rows"][0]["scores"]["overall_score"] -= 2  # type: ignore[index]
    drift = compare_sentinels(before, now)
    assert (drift.moved, drift.changed, drift.largest) == (True, 1, 2.0)
    assert drift.shift["overall_score"] == pytest.approx(-2 / (2 * len(sentinels)))
    assert "the judge moved: 1 of" in drift.words
    assert not compare_sentinels(before, now, tolerance=2.0).moved
    now["rows"][0]["scores"]["overall_score"] += 1.75  # type: ignore[index]
    assert compare_sentinels(before, now).moved


def test_a_verdict_that_fails_now_has_moved() -> None:
    sentinels = choose_sentinels(SAMPLES)
    drift = compare_sentinels(judged(sentinels), judged(sentinels, rubbish=1.0))
    assert drift.changed == drift.compared > 0
    assert drift.moved
    failed = judged(sentinels, rubbish=1.0)
    assert not compare_sentinels(failed, failed).moved


def test_a_dimension_that_is_not_there_any_more_has_moved() -> None:
    sentinels = choose_sentinels(SAMPLES)
    before, now = judged(sentinels), judged(sentinels)
    del now["rows"][0]["scores"]["overall_score"]  # type: ignore[index]
    drift = compare_sentinels(before, now)
    assert (drift.moved, drift.changed, drift.largest) == (True, 1, 0.0)


def test_tables_of_different_judges_are_not_compared() -> None:
    table = judged(choose_sentinels(SAMPLES))
    with pytest.raises(CorruptError, match="different judges"):
        compare_sentinels(table, {**table, "judge": {"judge": "other"}})
    with pytest.raises(CorruptError, match="version"):
        compare_sentinels({**table, "version": "sentinels/0"}, table)


def test_nothing_in_common_is_said_to_be_nothing() -> None:
    table = judged(choose_sentinels(SAMPLES))
    drift = compare_sentinels({**table, "rows": []}, table)
    assert (drift.moved, drift.compared) == (False, 0)
    assert "nothing can be said" in drift.words
