import io
import json
import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from results.fake_runs import FakeRun, make_samples, steady
from rich.console import Console

from medgen.engine.data import Prediction, Score, Verdict
from medgen.engine.errors import ConfigError
from medgen.engine.results.comparison import Side, compare
from medgen.launch.report.verdicts import comparison_json, comparison_markdown, comparison_tables
from medgen.launch.view.comparing import _by_weight, comparison_lines


def noise(sample, name):
    return random.Random(f"{sample.id}/{name}").gauss(0, 1)


def value(system, sample):
    worse = 1.5 if system == "bad" else 0.0
    return 30.0 + 3 * noise(sample, "difficulty") + noise(sample, system) - worse


def contrast(found, **where):
    (hit,) = [c for c in found.contrasts if all(getattr(c, k) == v for k, v in where.items())]
    return hit


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    run = FakeRun(make_samples(160), systems=("one", "two", "bad"), score=steady(value))
    return run.write(str(tmp_path_factory.mktemp("runs")))


def test_a_planted_loss_is_found_and_named(reader):
    found = compare(Side(reader, "one"), Side(reader, "bad"))
    row = contrast(found, format="ImageEditing", kind="all", metric="psnr")
    assert (row.n, row.applicable, row.clusters) == (80, 80, 40)
    assert row.ci_low < row.difference < row.ci_high < 0
    assert row.difference == pytest.approx(row.right_mean - row.left_mean)
    assert max(row.wilcoxon_holm, row.sign_flip_holm) < 0.05
    assert row.cohen_dz < -0.5
    assert row.rank_biserial < -0.5
    assert row.better == "left"
    tasks = [c for c in found.contrasts if c.kind == "task" and c.metric == "psnr"]
    assert {c.group for c in tasks} == {
        "noise-reconstruction",
        "style-transfer",
        "disease-prediction",
    }


@pytest.mark.parametrize("patients", [1, 5, 160])
def test_the_short_table_says_how_few_sources_an_interval_has(patients, tmp_path):
    samples = [replace(s, source=f"p{i % patients}") for i, s in enumerate(make_samples(160))]
    run = FakeRun(samples, systems=("one", "two"), score=steady(value)).write(str(tmp_path))
    found = compare(Side(run, "one"), Side(run, "two"))
    told = list(comparison_lines(found))
    remark = {1: "one source: no interval", 5: "5 sources: covers less than 95 %"}.get(patients)
    assert (f"‡ interval: {remark}" in told) == (remark is not None)
    whole = contrast(found, format="ImageEditing", kind="all", metric="psnr")
    assert whole.ci_note == (remark or "")
    lines = [t for t in told if t.startswith(("Editing ", "VQA ")) and "answered" not in t]
    assert lines
    assert all(("‡" in line) == (remark is not None) for line in lines)
    assert max(map(len, told)) <= 80


def test_swapping_the_sides_mirrors_everything(reader):
    there = compare(Side(reader, "one"), Side(reader, "bad"))
    back = compare(Side(reader, "bad"), Side(reader, "one"))
    for left, right in zip(there.contrasts, back.contrasts, strict=True):
        assert left.difference == pytest.approx(-right.difference)
        assert left.ci_low == pytest.approx(-right.ci_high)
        assert left.wilcoxon_p == pytest.approx(right.wilcoxon_p)
        assert left.sign_flip_p == pytest.approx(right.sign_flip_p)
        assert left.lowest == pytest.approx(-right.highest)


def test_a_system_equals_itself(reader):
    found = compare(Side(reader, "one"), Side(reader, "one"))
    assert {c.difference for c in found.contrasts} == {0.0}
    assert {c.better for c in found.contrasts} == {"neither shown"}


def test_holm_is_over_all_cells_of_a_kind(reader):
    found = compare(Side(reader, "one"), Side(reader, "bad"))
    for kind in ("all", "task", "modality"):
        family = [c for c in found.contrasts if c.kind == kind]
        smallest = min(family, key=lambda c: c.wilcoxon_p)
        assert smallest.wilcoxon_holm == pytest.approx(min(1, smallest.wilcoxon_p * len(family)))


def test_incomplete_pairs_are_left_out_and_bounded(tmp_path):
    def predict(system, sample):
        failed = system == "bad" and int(sample.id[1:]) % 16 == 0
        return Prediction(sample.id, "timeout", "slow") if failed else Prediction(sample.id)

    run = FakeRun(make_samples(160), systems=("one", "bad"), score=steady(value), predict=predict)
    run.without = frozenset({("one", "score", 1)})
    reader = run.write(str(tmp_path))
    found = compare(Side(reader, "one"), Side(reader, "bad"))
    row = contrast(found, group="noise-reconstruction", metric="psnr")
    assert (row.applicable, row.left_missing, row.right_missing, row.n) == (40, 2, 10, 28)
    assert row.bounds == "declared"
    assert row.lowest < row.ci_low < row.ci_high < row.highest
    answered = contrast(found, group="noise-reconstruction", metric="answered")
    assert (answered.n, answered.left_missing) == (40, 0)
    assert answered.difference == pytest.approx(-10 / 40)


def test_runs_are_paired_by_id_whatever_their_order(tmp_path):
    samples = make_samples(64)
    one = FakeRun(samples, systems=("one",), score=steady(value)).write(str(tmp_path / "a"))
    turned = [*reversed(samples[8:])]
    two = FakeRun(turned, systems=("bad",), score=steady(value)).write(str(tmp_path / "b"))
    found = compare(Side(one, "one"), Side(two, "bad"), across=True)
    assert (found.shared, found.left_only, found.right_only) == (56, 8, 0)
    assert len(found.benchmarks) == 2
    kept = [s for s in samples[8:] if s.format == "ImageEditing"]
    row = contrast(found, format="ImageEditing", kind="all", metric="psnr")
    expected = np.mean([value("bad", s) - value("one", s) for s in kept])
    assert row.difference == pytest.approx(expected)


def test_sides_with_nothing_in_common_are_refused(tmp_path):
    def renamed(samples):
        return [replace(s, id=f"other-{s.id}") for s in samples]

    samples = make_samples(16)
    score = steady(lambda system, sample: 1.0)
    one = FakeRun(samples, systems=("one",), score=score).write(str(tmp_path / "a"))
    two = FakeRun(renamed(samples), systems=("one",), score=score).write(str(tmp_path / "b"))
    with pytest.raises(ConfigError, match="share no sample id"):
        compare(Side(one, "one"), Side(two, "one"))


def test_a_metric_without_a_direction_has_no_winner(tmp_path):
    def score(system, metric, sample, prediction):
        return Score(sample.id, values={"x": value(system, sample)})

    run = FakeRun(make_samples(80), systems=("one", "bad"), metrics={"x": ["x"]}, score=score)
    found = compare(*(Side(run.write(str(tmp_path)), s) for s in run.systems))
    row = contrast(found, format="VQA", kind="all", metric="x")
    assert (row.better, row.bounds) == ("unknown direction", "observed")


def test_judges_are_compared_too(tmp_path):
    def judge(system, label, sample, view, repeat):
        score = 8.0 if system == "one" else 6.0
        return Verdict(sample.id, view, label, scores={"overall_score": score + (view[-1] == "d")})

    run = FakeRun(make_samples(160), systems=("one", "bad"), metrics={}, judges=("q",), judge=judge)
    found = compare(*(Side(run.write(str(tmp_path)), s) for s in run.systems))
    row = contrast(found, format="VQA", kind="all", metric="overall_score/reference_based")
    assert (row.difference, row.better, row.cohen_dz) == (-2.0, "left", None)


def test_it_can_be_shown_and_stored(reader):
    found = compare(Side(reader, "one"), Side(reader, "bad"))
    stored = json.loads(comparison_json(found))
    assert stored["schema"] == "comparison/1"
    assert len(stored["contrasts"]) == len(found.contrasts)
    text = comparison_markdown(found)
    assert "## By task" in text
    assert "| ImageEditing | all | psnr | 80/80 |" in text
    sink = io.StringIO()
    for table in comparison_tables(found):
        Console(file=sink, width=200).print(table)
    assert "style-transfer" in sink.getvalue()


def test_a_judges_overall_scores_stand_before_metrics_and_these_before_its_dimensions():
    shown = [
        ("judge", "accuracy/reference_based"),
        ("score", "overall/reference_based"),
        ("judge", "overall_score/reference_free"),
        ("judge", "overall_score/reference_based"),
        ("score", "psnr"),
    ]
    ordered = _by_weight([SimpleNamespace(stage=s, output=o) for s, o in shown])
    assert [shown.index((c.stage, c.output)) for c in ordered] == [3, 1, 2, 4, 0]
