import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from results.fake_runs import FakeRun, make_samples, steady

from medgen.engine.data import Prediction, Score, Verdict
from medgen.engine.errors import CorruptError
from medgen.engine.results.columns import _entries, system_columns
from medgen.engine.results.summary import SUMMARY, has_random_weights, read_summary, summarize
from medgen.engine.run.reader import RunReader
from medgen.engine.stages import SCORES
from medgen.engine.store.parquet import parquet_bytes


def value(system, sample):
    return 20.0 + int(sample.id[1:]) % 16 + (4 if system == "good" else 0)


def rows(table, **where):
    return [r for r in table.to_pylist() if all(r[k] == v for k, v in where.items())]


def one(table, **where):
    (row,) = rows(table, **where)
    return row


def test_numbers_of_a_complete_run(store_url):
    run = FakeRun(make_samples(32), score=steady(value))
    table = summarize(run.write(store_url))
    assert table.schema.equals(SUMMARY, check_metadata=True)
    row = one(table, system="good", format="ImageEditing", group_kind="all")
    values = np.array([value("good", s) for s in run.samples if s.format == "ImageEditing"])
    assert (row["n"], row["expected"], row["coverage"]) == (16, 16, 1.0)
    assert row["mean"] == pytest.approx(values.mean())
    assert row["sd"] == pytest.approx(values.std())
    assert row["ci_low"] < row["mean"] < row["ci_high"]
    assert row["passed"] == np.count_nonzero(values >= 28)
    assert row["pass_rate"] == row["passed"] / 16
    tasks = rows(table, system="good", format="ImageEditing", group_kind="task")
    assert {r["group"]: r["n"] for r in tasks} == {"noise-reconstruction": 8, "style-transfer": 8}
    modalities = rows(table, system="good", format="ImageEditing", group_kind="modality")
    assert {r["group"] for r in modalities} == {"CT", "Pathology"}


def test_a_metric_that_does_not_apply_has_no_row(tmp_path):
    table = summarize(FakeRun(make_samples(16), score=steady(value)).write(str(tmp_path)))
    assert rows(table, format="VQA") == []


def test_failures_are_counted_and_never_scored_as_zero(tmp_path):
    def predict(system, sample):
        number = int(sample.id[1:])
        if system == "bad" and number % 8 == 0:
            return Prediction(sample.id, "refused", "no")
        return Prediction(sample.id, text="x")

    run = FakeRun(make_samples(32), predict=predict, score=steady(value))
    row = one(summarize(run.write(str(tmp_path))), system="bad", group="noise-reconstruction")
    kept = [value("bad", s) for s in run.samples if s.task == row["group"] and int(s.id[1:]) % 8]
    assert (row["n"], row["expected"], row["coverage"]) == (4, 8, 0.5)
    assert row["mean"] == pytest.approx(np.mean(kept))
    assert (row["status_ok"], row["status_error"]) == (4, 4)
    assert (row["prediction_ok"], row["prediction_refused"]) == (4, 4)


def test_missing_shards_are_missing_rows_of_the_locked_denominator(store_url):
    gone = frozenset({("bad", "score", 1), ("bad", "score", 3)})
    run = FakeRun(make_samples(32), score=steady(value), without=gone)
    table = summarize(run.write(store_url))
    row = one(table, system="bad", format="ImageEditing", group_kind="all")
    assert (row["n"], row["expected"], row["status_missing"]) == (8, 16, 8)
    # The scores are missing, not the answers.
    assert (row["coverage"], row["prediction_missing"], row["prediction_ok"]) == (0.5, 0, 16)
    assert row["reason"] == "there is no row in the store"
    # Missing questions do not make a pixel metric of them.
    assert rows(table, system="bad", format="VQA") == []


def test_a_system_without_any_score_still_owes_its_samples(tmp_path):
    gone = frozenset(("bad", "score", shard) for shard in range(4))
    table = summarize(
        FakeRun(make_samples(32), score=steady(value), without=gone).write(str(tmp_path))
    )
    row = one(table, system="bad", format="ImageEditing", group_kind="all")
    assert (row["n"], row["expected"], row["mean"], row["ci_method"]) == (0, 16, None, "none")


@pytest.mark.parametrize("no_number", [float("nan"), float("-inf"), 1e101, -1e308])
def test_a_null_value_is_not_applicable_and_one_that_is_no_number_an_error(no_number, tmp_path):
    def score(system, metric, sample, prediction):
        number = int(sample.id[1:]) // 4
        values = {"f1": [0.5, float("inf"), no_number][number % 3]} if number % 4 else {}
        return Score(sample.id, values=values)

    run = FakeRun(make_samples(48), systems=("a",), metrics={"e": ["f1", "g"]}, score=score)
    table = summarize(run.write(str(tmp_path)))
    row = one(table, metric="e.f1", format="VQA", group_kind="all")
    assert row["expected"] == 12
    assert row["n"] == row["status_ok"] == 3
    assert row["status_error"] == 6
    assert row["not_applicable"] == row["status_not_applicable"] == 3
    assert (row["coverage"], row["mean"], row["sd"]) == (3 / 9, 0.5, 0.0)
    assert rows(table, metric="e.g") == []


def test_equal_values_have_no_spread_whatever_their_last_bits_are(tmp_path):
    run = FakeRun(make_samples(320), systems=("a",), score=steady(lambda system, s: 0.1 + 0.2))
    found = rows(summarize(run.write(str(tmp_path))), metric="psnr")
    assert {row["sd"] for row in found} == {0.0}
    assert all(row["ci_note"].startswith("no spread") for row in found)


def judged(system, label, sample, view, repeat):
    number = int(sample.id[1:])
    if label == "strict" and number % 8 == 0:
        return Verdict(sample.id, view, label, repeat, "parse_error", "no JSON")
    if repeat == 1 and number % 8 == 4:
        return Verdict(sample.id, view, label, repeat, "transport_error", "gone")
    base = {"reference_based": 6.0, "reference_free": 8.0}[view]
    scores = {"overall_score": base + repeat + (1 if label == "strict" else 0)}
    if sample.format == "MultimodalGeneration":
        scores["coherence"] = 3.0
    return Verdict(sample.id, view, label, repeat, scores=scores)


def test_verdicts_are_averaged_over_repeats_then_judges(tmp_path):
    run = FakeRun(
        make_samples(64), systems=("a",), metrics={}, judges=("kind", "strict"), repeats=2
    )
    run.judge = judged
    table = summarize(run.write(str(tmp_path)))
    where = {"format": "ImageEditing", "group": "noise-reconstruction"}
    output = "overall_score/reference_based"
    kind = one(table, **where, label="kind", output=output)
    # Of 16 samples half have two repeats (6 and 7), half only the first (6).
    assert (kind["n"], kind["metric"]) == (16, f"kind:{output}")
    assert kind["mean"] == pytest.approx((8 * 6.5 + 8 * 6.0) / 16)
    strict = one(table, **where, label="strict", output=output)
    assert (strict["n"], strict["status_parse_error"], strict["coverage"]) == (8, 8, 0.5)
    both = one(table, **where, label="judges", output=output)
    # Only samples that every judge judged: there both have their first repeat alone.
    assert (both["n"], both["mean"]) == (8, pytest.approx((6.0 + 7.0) / 2))
    free = one(table, **where, label="kind", output="overall_score/reference_free")
    assert (free["threshold"], free["passed"]) == (8.0, 16)


def test_a_dimension_that_was_not_asked_is_not_applicable(tmp_path):
    run = FakeRun(make_samples(32), systems=("a",), metrics={}, judges=("kind",), judge=judged)
    table = summarize(run.write(str(tmp_path)))
    coherence = [r for r in table.to_pylist() if r["output"].startswith("coherence")]
    assert {r["format"] for r in coherence} == {"MultimodalGeneration"}
    assert all(r["coverage"] == 1.0 and r["direction"] == "higher" for r in coherence)


def test_missing_verdict_shards_are_counted(tmp_path):
    run = FakeRun(make_samples(32), systems=("a",), metrics={}, judges=("kind",), judge=judged)
    run.without = frozenset({("a", "judge", 0), ("a", "judge", 2)})
    row = one(
        summarize(run.write(str(tmp_path))),
        format="VQA",
        group_kind="all",
        output="overall_score/reference_free",
    )
    assert (row["n"], row["expected"], row["status_missing"]) == (4, 8, 4)


def test_random_weights_are_said_where_they_are(tmp_path):
    passports = {"lpips": {"weights": [{"random_weights": True}]}}
    run = FakeRun(
        make_samples(16),
        metrics={"psnr": ["psnr"], "lpips": ["lpips"]},
        score=steady(value),
        passports=passports,
    )
    table = summarize(run.write(str(tmp_path / "metric")))
    assert {r["metric"] for r in table.to_pylist() if r["random_weights"]} == {"lpips"}
    run.passports = {"Model(bad)": {"random_weights": True}}
    table = summarize(run.write(str(tmp_path / "model")))
    assert {r["system"] for r in table.to_pylist() if r["random_weights"]} == {"bad"}


SPOILS = {
    "too few": lambda rows: rows.slice(0, 3),
    "too many": lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]),
    "in another order": lambda rows: rows.take(list(reversed(range(len(rows))))),
    "of one sample twice": lambda rows: rows.take([0, 0, *range(2, len(rows))]),
}


@pytest.mark.parametrize(
    ("stage", "spoil"),
    [*(("score", spoil) for spoil in SPOILS), ("judge", "too few"), ("judge", "in another order")],
)
def test_rows_of_other_samples_than_are_owed_are_refused(tmp_path, stage, spoil):
    run = FakeRun(
        make_samples(32), systems=("a",), score=steady(value), judges=("kind",), judge=judged
    )
    reader = run.write(str(tmp_path))
    (node,) = (n for n in reader.plan.nodes.values() if n.stage == stage)
    rows = SPOILS[spoil](reader.stage(node).read(1))
    reader.stage(node).write(1, rows, revision=1)
    with pytest.raises(CorruptError, match="rows in benchmark shards 0 to 3 are not of the sampl"):
        summarize(reader.anew())


def test_batches_of_shards_do_not_change_the_summary(tmp_path, monkeypatch):
    rng = random.Random(5)
    known = {}

    def noisy(system, sample):
        return known.setdefault((system, sample.id), rng.gauss(30, 3))

    run = FakeRun(make_samples(96), score=steady(noisy), judges=("kind",), judge=judged)
    run.without = frozenset({("bad", "score", 0), ("good", "judge", 0)})
    reader = run.write(str(tmp_path))
    whole = summarize(reader)
    monkeypatch.setattr("medgen.engine.results.columns._BATCH", 1)
    monkeypatch.setattr("medgen.engine.results.summary._WAITING", 10)
    assert summarize(reader).equals(whole)


def test_summary_survives_its_file(tmp_path):
    table = summarize(FakeRun(make_samples(16), score=steady(value)).write(str(tmp_path)))
    assert read_summary(parquet_bytes(table)).equals(table)


def test_columns_hold_no_text_of_a_sample(tmp_path):
    reader = FakeRun(make_samples(32), score=steady(value)).write(str(tmp_path))
    (column,) = system_columns(reader, "good")
    assert column.context.ids is None
    assert len(set(column.context.clusters.tolist())) == 16  # by their codes, four bytes an entry
    assert column.context.clusters.nbytes == 4 * 32
    assert column.values.nbytes + column.status.codes.nbytes <= 9 * 32


def test_a_summary_reads_every_shard_of_rows_once(tmp_path):
    reader = FakeRun(make_samples(64), systems=("a", "b"), score=steady(value)).write(str(tmp_path))
    read, objects = [], reader.objects

    class Counting:
        def __getattr__(self, name):
            return getattr(objects, name)

        def read(self, path):
            read.append(path)
            return objects.read(path)

    table = summarize(RunReader(Counting(), reader.plan))
    assert table.equals(summarize(reader))
    for system in ("a", "b"):
        (node,) = reader.plan.giving(system, SCORES)
        times = Counter(p for p in read if node.key in p and p.endswith(".arrow"))
        assert list(times.values()) == [1] * reader.plan.shards


@pytest.mark.parametrize(
    ("passport", "random"),
    [
        ({"random_weights": True}, True),
        ({"random_weights": False, "metric": {"random_weights": True}}, True),
        ({"judges": [{"random_weights": True}]}, True),
        ({"random_weights": "true", "judges": [], "of": "random_weights"}, False),
    ],
)
def test_random_weights_are_found_wherever_a_passport_says_so(passport, random) -> None:
    assert has_random_weights(passport) is random


def test_values_of_a_part_of_a_table_are_those_of_its_rows() -> None:
    rows = [[("a", 1.0)], [("b", 2.0), ("c", 3.0)], [], [("d", 4.0)]]
    maps = pa.array(rows, pa.map_(pa.string(), pa.float64()))
    for low, high in ((0, 4), (1, 3), (2, 4), (0, 0)):
        found = _entries(maps[low:high])
        told = zip(found.row.tolist(), found.key.to_pylist(), found.value.tolist(), strict=True)
        assert [*told] == [(n, *e) for n, entries in enumerate(rows[low:high]) for e in entries]


def test_a_task_has_its_own_mark_and_other_groups_that_of_all(tmp_path):
    marks = {
        "psnr": {"pass_when": ">=", "value": 28},
        "psnr@style-transfer": {"pass_when": ">=", "value": 5},
    }
    run = FakeRun(make_samples(32), score=steady(value), thresholds=marks)
    table = summarize(run.write(str(tmp_path)))
    own = rows(table, system="good", format="ImageEditing")
    found = {(r["group_kind"], r["group"]): r["threshold"] for r in own}
    assert found["task", "style-transfer"] == 5
    assert {mark for kind, mark in found.items() if kind[1] != "style-transfer"} == {28}
