"""Values by groups: means, the worst of them, and a gap whose interval is what it says."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from results.fake_runs import FakeRun, make_samples, steady

from medgen.engine.data import Prediction
from medgen.engine.results.subgroups import FEWEST, SUBGROUPS, find_gap, group_means
from medgen.launch.report.subgroups import first_values


def test_the_gap_lies_between_the_best_and_the_worst_group() -> None:
    values = np.array([1.0] * 40 + [0.0] * 40 + [0.5] * 40) + np.tile([0.01, -0.01], 60)
    codes = np.repeat([0, 1, 2], 40)
    found = find_gap(values, codes, np.arange(120))
    assert found is not None
    assert (found.best, found.worst) == (0, 1)
    assert found.gap == pytest.approx(1.0)
    assert 0.95 < found.low < 1.0 < found.high < 1.05
    lower = find_gap(values, codes, np.arange(120), sign=-1.0)
    assert lower is not None
    assert (lower.best, lower.worst) == (1, 0)
    assert find_gap(values[:40], codes[:40], np.arange(40)) is None


def test_a_gap_of_a_group_that_is_one_patients_has_no_interval() -> None:
    values, codes = np.array([1.0] * 30 + [0.0, 0.1] * 15), np.repeat([0, 1], 30)
    apart = find_gap(values, codes, np.arange(60))
    assert apart is not None
    assert apart.low is not None
    for sources in (codes, np.where(codes == 0, 0, np.arange(60))):
        found = find_gap(values, codes, sources)
        assert found is not None
        assert (found.gap, found.low, found.high) == (pytest.approx(0.95), None, None)


def test_a_page_shows_the_first_values_of_each_format_metrics_before_judges() -> None:
    shown = [("A", "judge", "j"), ("A", "score", "x"), ("A", "score", "y"), ("B", "judge", "j")]
    rows: list[Any] = [
        SimpleNamespace(format=f, stage=stage, label=label, output="o", group=group)
        for f, stage, label in shown
        for group in ("young", "old")
    ]
    for most, kept in ((1, "xj"), (2, "xyj"), (3, "jxyj")):
        assert "".join(row.label for row in first_values(rows, most)[::2]) == kept


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_groups_of_a_system_that_is_always_right_or_wrong_have_no_gap(right: float) -> None:
    """Best and worst were one group then, and the report of the run was not made."""
    found = find_gap(np.full(90, right), np.repeat([0, 1, 2], 30), np.arange(90))
    assert found is not None
    assert (found.gap, found.low, found.high) == (0.0, None, None)
    assert found.best != found.worst


def test_a_gap_in_which_nothing_varies_has_no_interval() -> None:
    found = find_gap(np.repeat([1.0, 0.0], 40), np.repeat([0, 1], 40), np.arange(80))
    assert found is not None
    assert (found.gap, found.low, found.high, found.worst) == (1.0, None, None, 1)


def test_of_groups_that_are_alike_the_interval_holds_zero() -> None:
    draw = np.random.default_rng(7)
    held = 0
    for _ in range(60):
        # Three values of a patient are nearly the same: samples are not independent.
        values = np.repeat(draw.normal(size=120), 3) + draw.normal(scale=0.1, size=360)
        groups = np.repeat(draw.integers(0, 4, 120), 3)
        found = find_gap(values, groups, np.repeat(np.arange(120), 3))
        assert found is not None
        held += found.low <= 0
    assert held >= 53


def test_groups_of_a_run_with_few_values_are_shown_and_left_out(tmp_path) -> None:
    samples = [
        replace(
            s, groups={"sex": "FM"[n % 8 // 4], **({"site": "rare"} if n < 9 else {"site": "A"})}
        )
        for n, s in enumerate(make_samples(320))
    ]
    score = steady(lambda system, s: 30.0 - (5.0 if s.groups["sex"] == "M" else 0.0))
    reader = FakeRun(samples, systems=("one",), score=score).write(str(tmp_path))
    rows = [r for r in group_means(reader) if r.format == "ImageEditing"]
    by = {(r.name, r.group): r for r in rows}
    assert (by["sex", "F"].mean, by["sex", "M"].mean, by["sex", "M"].worst) == (30.0, 25.0, True)
    assert by["sex", "F"].gap == 5.0
    assert (by["site", "rare"].counts, by["site", "rare"].n < FEWEST) == (False, True)
    assert by["site", "A"].gap is None
    assert SUBGROUPS.table(rows).num_rows == len(rows)


def test_a_group_in_which_every_sample_failed_has_a_row_without_a_mean(tmp_path) -> None:
    samples = [replace(s, groups={"sex": "FM"[n % 8 // 4]}) for n, s in enumerate(make_samples(80))]

    def predict(system, sample):
        return Prediction(sample.id, "timeout" if sample.groups["sex"] == "M" else "ok", text="x")

    score = steady(lambda system, s: 30.0)
    run = FakeRun(samples, systems=("one", "copy-input"), score=score, predict=predict)
    rows = group_means(run.write(str(tmp_path)))
    assert {row.system for row in rows} == {"one"}, "of a control nobody asks for groups"
    found = {row.group: row for row in rows if row.format == "ImageEditing"}
    assert (found["F"].n, found["F"].mean) == (20, 30.0)
    assert (found["M"].n, found["M"].mean, found["M"].gap) == (0, None, None)
    assert found["M"].ci_note == "no value"
    assert {row.format for row in rows} == {
        "ImageEditing",
        "MultimodalGeneration",
    }  # where it applies
    assert SUBGROUPS.table(rows).num_rows == len(rows)
