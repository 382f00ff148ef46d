"""A run's intervals: whole sources are drawn, and the authors' stand beside them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results.fake_runs import FakeRun, make_samples, picture, steady, write_benchmark

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.data import Score
from medgen.engine.results import statistics as st
from medgen.engine.results.comparison import Side, compare
from medgen.engine.results.gate import GateRules, gate
from medgen.engine.results.summary import summarize
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect
from medgen.launch.report.records import export_authors
from medgen.launch.report.tables import cell_lines, format_tables

STATS = json.loads((Path(__file__).parents[1] / "goldens" / "stats.json").read_text())


def row_of(table, **where):
    rows = [r for r in table.to_pylist() if all(r[k] == v for k, v in where.items())]
    assert len(rows) == 1
    return rows[0]


def edits(count, per_source):
    """Editing samples; siblings share a patient and no byte of an image."""
    own = [s for s in make_samples(2 * count + 2) if s.format == "ImageEditing"][:count]
    return [
        replace(s, source=f"patient-{i // per_source}", input_images=(picture(i),))
        for i, s in enumerate(own)
    ]


def luck(sample, system=""):
    """What all of a patient's samples share, and what is their own."""
    shared = np.random.default_rng(abs(hash_of(sample.source, system))).normal()
    own = np.random.default_rng(abs(hash_of(sample.id, system))).normal()
    return shared + 0.5 * own


def hash_of(*parts):
    return int.from_bytes("/".join(parts).encode(), "big") % 2**32


@pytest.mark.parametrize("per_source", [1, 2, 4])
def test_the_summary_draws_whole_sources(per_source, tmp_path):
    samples = edits(120, per_source)
    reader = FakeRun(samples, systems=("one",), score=steady(lambda _, s: luck(s))).write(
        str(tmp_path)
    )
    row = row_of(summarize(reader), group_kind="all")
    values = np.asarray([luck(s) for s in samples])
    clusters = np.arange(120) // per_source
    want = st.clustered_mean(values, clusters)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((want.low, want.high), abs=1e-9)
    assert row["sources"] == 120 // per_source
    assert row["ci_method"] == "clustered bootstrap"
    naive = st.bootstrap_mean(values)
    assert (row["authors_ci_low"], row["authors_ci_high"]) == pytest.approx((naive.low, naive.high))
    if per_source == 4:
        assert row["ci_high"] - row["ci_low"] > 1.4 * (naive.high - naive.low)


def test_samples_without_a_source_are_each_their_own(tmp_path):
    samples = [replace(s, source="") for s in edits(60, 1)]
    reader = FakeRun(samples, systems=("one",), score=steady(lambda _, s: luck(s))).write(
        str(tmp_path)
    )
    assert row_of(summarize(reader), group_kind="all")["sources"] == 60
    found = compare(Side(reader, "one"), Side(reader, "one"))
    assert {c.clusters for c in found.contrasts if c.kind == "all"} == {60}


def test_one_source_has_no_interval_and_few_say_how_many(tmp_path):
    samples = [replace(s, source="one") for s in edits(12, 1)]
    score = steady(lambda _, s: 7 / 15)
    reader = FakeRun(samples, systems=("one",), score=score).write(str(tmp_path / "a"))
    table = summarize(reader)
    row = row_of(table, group_kind="all")
    assert (row["ci_low"], row["ci_high"], row["sources"]) == (None, None, 1)
    assert row["ci_note"] == "one source: no interval"
    (shown,) = format_tables(table)
    assert "one source: no interval" in cell_lines(shown.lines[0], shown.metrics[0])
    few = FakeRun(edits(12, 1), systems=("one",), score=steady(lambda _, s: luck(s)))
    row = row_of(summarize(few.write(str(tmp_path / "b"))), group_kind="all")
    assert row["ci_low"] < row["mean"] < row["ci_high"]
    assert row["ci_note"] == "12 sources: covers less than 95 %"
    (shown,) = format_tables(summarize(few.write(str(tmp_path / "c"))))
    assert cell_lines(shown.lines[0], shown.metrics[0])[0].endswith(" ‡")
    assert shown.interval_notes == ["‡ interval: 12 sources: covers less than 95 %"]


class Given:
    """A source that gives some samples in an order."""

    def __init__(self, samples):
        self.samples = samples

    def __iter__(self):
        return iter(self.samples)

    def expected_counts(self):
        return {}

    def describe(self):
        return {"layout": "given", "url": ""}


def authors_interval(values):
    """As the authors' evaluator computes it: NumPy's generator, seed 42, 1,000 resamples."""
    rng = np.random.default_rng(42)
    values = np.asarray(values)
    draws = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(1000)]
    return np.mean(values), *np.percentile(draws, [2.5, 97.5])


@pytest.mark.parametrize("case", STATS["bootstrap_ci"], ids=lambda c: c["name"])
def test_the_interval_above_is_the_authors(case):
    values = [float(v) for v in case["values"] if np.isfinite(float(v))]
    if values:
        want = tuple(case["value"][k] for k in ("mean", "ci_low", "ci_high"))
        assert authors_interval(values) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("order", ["as made", "reversed", "shuffled"])
def test_a_whole_run_gives_the_authors_intervals_of_the_items_as_they_came(order, tmp_path):
    samples = [replace(s, input_images=(picture(i),)) for i, s in enumerate(make_samples(160))]
    if order == "reversed":
        samples.reverse()
    if order == "shuffled":
        np.random.default_rng(3).shuffle(samples)
    objects = connect(str(tmp_path))
    manifest = import_benchmark(Given(samples), objects, ImportOptions("fake", shard_size=8))
    benchmark = Benchmark(objects, manifest.ref)
    stored = [s for shard in range(len(manifest.shards)) for s in benchmark.samples(shard)]
    assert [s.id for s in stored] != [s.id for s in samples]

    def score(system, metric, sample, prediction):
        if sample.id.endswith("7"):
            return Score(sample.id, "error", "no value")
        return Score(sample.id, values={metric: luck(sample, metric)})

    metrics = {"psnr": ["psnr"], "exact_match": ["exact_match"]}
    run = FakeRun(stored, systems=("one",), metrics=metrics, score=score)
    plan = run.plan(manifest)
    run._write_system(objects, plan, "one")
    for row in summarize(RunReader(objects, plan)).to_pylist():
        own = [
            luck(s, row["label"])
            for s in samples
            if s.format == row["format"]
            and not s.id.endswith("7")
            and row["group"] in ("all", s.task, s.modality)
        ]
        found = row["mean"], row["authors_ci_low"], row["authors_ci_high"]
        assert found == pytest.approx(authors_interval(own), abs=1e-12)
    _the_export_has_the_same_order(RunReader(objects, plan), samples, tmp_path / "out")


def _the_export_has_the_same_order(reader, samples, to):
    into = connect(str(to))
    export_authors(reader, into)
    for folder, kind in (("vqa", "VQA"), ("edit", "ImageEditing")):
        lines = into.read(f"{folder}/one.jsonl").decode().splitlines()
        ids = [json.loads(line)["sample_id"] for line in lines]
        assert ids == [s.id for s in samples if s.format == kind]
    # So the interval in the aggregate is the one that the authors' script would make of it.
    edits = [s for s in samples if s.format == "ImageEditing" and not s.id.endswith("7")]
    found = json.loads(into.read("edit/one_results.json"))
    want = authors_interval([luck(s, "psnr") for s in edits])
    ours = tuple(found[f"{name}_PSNR"] for name in ("Average", "CI_Low", "CI_High"))
    assert ours == pytest.approx(want, abs=1e-12)


def test_the_order_is_mended_by_importing_again_and_enters_no_fingerprint(tmp_path):
    samples = [replace(s, input_images=(picture(i),)) for i, s in enumerate(make_samples(24))]
    objects = connect(str(tmp_path))
    manifest = import_benchmark(Given(samples), objects, ImportOptions("fake"))
    path = f"benchmarks/{manifest.ref}/order.arrow"
    whole = objects.read(path)
    again = import_benchmark(Given(samples[::-1]), objects, ImportOptions("fake"))
    assert (again.ref, objects.read(path)) == (manifest.ref, whole)
    objects.replace(path, whole[:-9])
    import_benchmark(Given(samples), objects, ImportOptions("fake"))
    assert objects.read(path) == whole
    places = Benchmark(objects, manifest.ref).places(("choice", "image"), 1)
    assert len(set(places)) == 18


def test_a_benchmark_whose_order_nobody_knows_is_taken_as_it_stands(tmp_path):
    objects = connect(str(tmp_path))
    manifest = write_benchmark(objects, make_samples(8), 8)
    assert Benchmark(objects, manifest.ref).places(("choice",), 1) is None


def test_an_index_that_is_not_there_is_read_out_of_the_shards(tmp_path):
    objects = connect(str(tmp_path))
    manifest = write_benchmark(objects, make_samples(20), 8)
    there = Benchmark(objects, manifest.ref).index_columns(["sample_id", "asks"])
    objects.delete(f"benchmarks/{manifest.ref}/order.arrow")
    found = Benchmark(objects, manifest.ref)
    assert len(there) == 20
    assert found.index_columns(["sample_id", "asks"]).equals(there)
    assert found.index(range(2, 3)).select(there.column_names).equals(there.slice(16, 4))


def test_runs_in_another_order_keep_their_clusters(tmp_path):
    samples = edits(80, 4)
    value = {"one": lambda s: luck(s, "one"), "two": lambda s: luck(s, "two")}
    score = steady(lambda system, s: value[system](s))
    one = FakeRun(samples, systems=("one",), score=score).write(str(tmp_path / "a"))
    same = FakeRun(samples, systems=("two",), score=score).write(str(tmp_path / "b"))
    turned = samples[::-1]
    np.random.default_rng(0).shuffle(turned)
    other = FakeRun(turned, systems=("two",), score=score).write(str(tmp_path / "c"))
    straight = compare(Side(one, "one"), Side(same, "two")).contrasts
    across = compare(Side(one, "one"), Side(other, "two"), across=True).contrasts
    assert straight == across
    row = next(c for c in straight if (c.metric, c.kind) == ("psnr", "all"))
    differences = np.asarray([value["two"](s) - value["one"](s) for s in samples])
    want = st.clustered_mean(differences, np.repeat(np.arange(20), 4))
    assert (row.clusters, row.n) == (20, 80)
    assert (row.ci_low, row.ci_high) == pytest.approx((want.low, want.high), abs=1e-9)
    first = gate(Side(one, "one"), Side(same, "two"), GateRules(least_clusters=20))
    assert [f.clusters for f in first.findings if f.kind == "all"] == [20, 20]
