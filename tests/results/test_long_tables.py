"""The long tables: what they say is what the summary and the rows say."""

import math
import tempfile
from collections import Counter
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from results.fake_runs import FakeRun, make_samples, picture, steady

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.benchmark.table import SAMPLES
from medgen.engine.data import Prediction, Score, Usage, Verdict
from medgen.engine.errors import CorruptError, StoreError
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Recipe, System, make_plan
from medgen.engine.results import long_tables
from medgen.engine.results.long_tables import PREDICTIONS, VALUES, VERDICT_ROWS
from medgen.engine.results.publishing import Summaries, TablePublisher
from medgen.engine.results.summary import summarize, summarize_system, summary_table
from medgen.engine.run.reader import RunReader
from medgen.engine.stages import SCORES
from medgen.engine.store import parquet
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import BenchmarkPlace, RunPlace, table_folder
from medgen.engine.store.parquet import PartWriter

SCHEMAS = {"values": VALUES, "predictions": PREDICTIONS, "verdicts": VERDICT_ROWS}


def predict(system, sample):
    number = int(sample.id[1:])
    if system == "bad" and number % 8 == 1:
        return Prediction(sample.id, "refused", f"would not do {sample.id}")
    images = (picture(number), picture(number + 1)) if sample.format != "VQA" else ()
    usage = Usage(prompt_tokens=number, seconds=0.5, cost_usd=0.25)
    return Prediction(sample.id, text=f"said of {sample.id}", images=images, usage=usage)


def score(system, metric, sample, prediction):
    if prediction.status == "ok" and sample.id == "s00004":
        return Score(sample.id, "ok", values={metric: math.inf})
    return steady(lambda system, s: 20.0 + int(s.id[1:]))(system, metric, sample, prediction)


def judge(system, label, sample, view, repeat):
    usage = Usage(prompt_tokens=100, cost_usd=1.0)
    if sample.id == "s00002":
        said = f"{label} said no JSON ({view})"
        return Verdict(sample.id, view, label, repeat, "parse_error", said, raw="?", usage=usage)
    scores = {"overall_score": 8.0 + repeat, "accuracy": 4.0}
    notes = {"accuracy": "because"}
    return Verdict(
        sample.id, view, label, repeat, scores=scores, explanations=notes, raw="{}", usage=usage
    )


def run(**changes):
    asked = {"judges": ("first", "second"), "repeats": 2, "predict": predict, "score": score}
    return FakeRun(make_samples(32, pictures=True), judge=judge, **(asked | changes))


def read(reader, kind, system):
    folder = RunPlace(reader.plan.run_id).table(kind, system)
    parts = [reader.objects.read(f"{folder}/{n}") for n in reader.objects.names(folder)]
    table = pa.concat_tables([pq.read_table(pa.BufferReader(part)) for part in parts])
    assert table.schema.equals(SCHEMAS[kind], check_metadata=True)
    return table.to_pylist()


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    made = run().write(str(tmp_path_factory.mktemp("store")))
    TablePublisher(made).publish_all(made)
    return made


def entries(values, row):
    """The values that a row of the summary is about."""
    columns = ("system", "stage", "label", "output", "format")
    kind = row["group_kind"]
    return [
        v
        for v in values
        if all(v[c] == row[c] for c in columns) and (kind == "all" or v[kind] == row["group"])
    ]


def test_values_are_those_of_the_summary(reader):
    told = [*read(reader, "values", "good"), *read(reader, "values", "bad")]
    for row in summarize(reader).to_pylist():
        mine = entries(told, row)
        values = [v["value"] for v in mine if v["value"] is not None]
        assert len(mine) == row["expected"]
        assert len(values) == row["n"]
        assert {v["metric"] for v in mine} == {row["metric"]}
        assert {v["direction"] for v in mine} == {row["direction"]}
        if values:
            assert sum(values) / len(values) == pytest.approx(row["mean"])
        statuses = Counter(v["status"] for v in mine)
        assert {s: n for s, n in statuses.items() if s not in ("ok", "not_applicable")} == {
            name.removeprefix("status_"): n
            for name, n in row.items()
            if name.startswith("status_")
            and n
            and name not in ("status_ok", "status_not_applicable")
        }
        passed = [v["passed"] for v in mine if v["passed"] is not None]
        assert row["passed"] == (sum(passed) if row["threshold"] is not None else None)


def test_every_sample_has_a_value_or_a_reason(reader):
    rows = read(reader, "values", "bad")
    assert all((r["value"] is None) != (r["status"] == "ok") for r in rows)
    assert all((r["reason"] is None) == (r["status"] == "ok") for r in rows)
    one = {(r["sample"], r["metric"]): r for r in rows}
    assert one["s00004", "psnr"]["status"] == "error"
    assert one["s00001", "psnr"]["reason"] == "prediction is refused"
    assert one["s00001", "psnr"]["prediction_status"] == "refused"
    assert one["s00002", "psnr"]["status"] == "not_applicable"
    fallen = one["s00002", "first:overall_score/reference_free"]
    assert fallen["reason"] == "first said no JSON (reference_free)"
    mean = next(r for r in rows if r["label"] == "judges" and r["sample"] == "s00002")
    assert (mean["status"], mean["value"]) == ("parse_error", None)
    assert mean["reason"].startswith("first said no JSON")
    assert [r["position"] for r in rows[:32]] == list(range(32))


def test_what_a_row_says_to_a_value_that_is_there_is_kept(tmp_path):
    def noted(system, metric, sample, prediction):
        said = "cut to 512 word pieces" if sample.id == "s00006" else ""
        return Score(sample.id, "ok", said, {metric: 1.0})

    made = run(score=noted).write(str(tmp_path))
    TablePublisher(made).publish_all(made)
    rows = [r for r in read(made, "values", "bad") if r["status"] == "ok" and r["reason"]]
    assert {(r["sample"], r["value"], r["reason"]) for r in rows} == {
        ("s00006", 1.0, "cut to 512 word pieces")
    }
    assert {r["stage"] for r in rows} == {"score"}


def test_predictions_say_what_was_given(reader):
    rows = {r["sample"]: r for r in read(reader, "predictions", "bad")}
    assert len(rows) == 32
    assert (rows["s00001"]["status"], rows["s00001"]["image"]) == ("refused", None)
    assert rows["s00001"]["reason"] == "would not do s00001"
    assert rows["s00000"]["image"]["bytes"] == picture(0).data
    assert [i["bytes"] for i in rows["s00000"]["more_images"]] == [picture(1).data]
    assert rows["s00003"]["text"] == "said of s00003"
    assert rows["s00003"]["modality"] == "MRI"
    assert sum(r["cost_usd"] for r in rows.values()) == 0.25 * 28


def test_verdicts_have_a_row_a_scale_and_cost_once(reader):
    rows = read(reader, "verdicts", "good")
    calls = 32 * 2 * 2 * 2  # samples, views, judges, repeats
    assert sum(r["cost_usd"] or 0 for r in rows) == calls
    told = [r for r in rows if r["sample"] == "s00000" and r["label"] == "second"]
    assert Counter(r["scale"] for r in told) == {"overall_score": 4, "accuracy": 4}
    assert {r["explanation"] for r in told if r["scale"] == "accuracy"} == {"because"}
    fallen = [r for r in rows if r["sample"] == "s00002"]
    assert {(r["scale"], r["value"], r["status"]) for r in fallen} == {(None, None, "parse_error")}
    assert {r["raw"] for r in fallen} == {"?"}


def test_predictions_of_many_systems_read_no_picture_of_the_benchmark(reader, monkeypatch):
    def table(*_):
        raise AssertionError("samples are read")

    monkeypatch.setattr(Benchmark, "table", table)
    rows = [row for system in ("good", "bad") for row in reader.predictions(system, 0)]
    assert {row.status for row in rows} == {"ok", "refused"}


def test_samples_stand_beside_the_benchmark(reader):
    place = BenchmarkPlace(reader.plan.benchmark)
    data = reader.objects.read(f"{place.samples}/part-00000.parquet")
    table = pq.read_table(pa.BufferReader(data))
    assert table.schema.equals(SAMPLES, check_metadata=True)
    rows = table.to_pylist()
    assert [r["position"] for r in rows] == list(range(32))
    assert [i["role"] for i in rows[0]["images"]] == ["input", "reference"]
    assert rows[0]["images"][0]["bytes"] == picture(0).data
    assert rows[0]["instruction"] == "Do what is right with picture 0"


def test_a_table_of_samples_that_is_lost_is_written_again_by_the_next_who_publishes(reader):
    place = BenchmarkPlace(reader.plan.benchmark)
    (part,) = reader.objects.walk(place.samples)
    before = reader.objects.read(part)
    for path in (part, place.samples_whole):
        reader.objects.delete(path)
    TablePublisher(reader).publish_all(reader)
    assert reader.objects.read(part) == before
    reader.objects.replace(part, before[:-9])
    publisher = TablePublisher(reader)
    publisher.prove()
    publisher.publish_all(reader)
    assert reader.objects.read(part) == before


def test_what_is_not_there_is_missing_with_the_reason(tmp_path):
    gone = frozenset(
        ("good", stage, shard) for stage in ("answer", "score", "judge") for shard in (1, 2)
    )
    made = run(without=gone).write(str(tmp_path))
    TablePublisher(made).publish_all(made)
    for kind in SCHEMAS:
        rows = read(made, kind, "good")
        missing = [r for r in rows if r["status"] == "missing"]
        assert {r["sample"] for r in missing} == {f"s{i:05d}" for i in range(8, 24)}
        assert all(r["reason"] for r in missing)
        assert len({r["sample"] for r in rows}) == 32


def test_tables_are_made_again_only_when_rows_changed(tmp_path):
    gone = frozenset({("good", "score", 1)})
    made = run(without=gone).write(str(tmp_path))
    publisher = TablePublisher(made)
    assert publisher.publish(made, "good")
    assert not publisher.publish(made, "good")
    assert not TablePublisher(made).publish(made.anew(), "good")
    whole = run().write(str(tmp_path))
    assert whole.plan == made.plan
    assert TablePublisher(whole).publish(whole, "good")
    assert not [r for r in read(whole, "values", "good") if r["status"] == "missing"]


def test_rows_of_other_samples_are_refused(tmp_path):
    made = run().write(str(tmp_path / "one"))
    other = FakeRun(make_samples(32)[::-1], predict=predict, score=score).write(
        str(tmp_path / "two")
    )
    made.benchmark = other.benchmark
    with pytest.raises(CorruptError, match="are not of the samples 'good' owes"):
        TablePublisher(made).publish(made, "good")


def test_a_table_that_became_smaller_leaves_no_old_part(tmp_path):
    from medgen.engine.store.connect import connect

    objects = connect(str(tmp_path))
    schema = pa.schema([("text", pa.string())])
    rows = [pa.table({"text": [f"{i}" * 200_000]}, schema) for i in range(100, 180)]
    writer = PartWriter(objects, "t", schema, part=1000)
    assert len(writer.write(rows)) > 2
    assert len(PartWriter(objects, "t", schema).write(rows[:1])) == 1
    assert objects.names("t") == ["part-00000.parquet"]
    assert PartWriter(objects, "t", schema).write([]) == {}
    assert objects.names("t") == []


@pytest.mark.parametrize(
    "name", ["_x", ".x", "a=b", "a/b", "Ä", "x*", "%41", "a b", "4", "-", "x" * 99]
)
def test_folders_of_systems_are_plain(name):
    folder = table_folder(name)
    assert folder[0].isalnum()
    assert set(folder) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    assert folder != table_folder(f"{name}?")


def one_by_one(shards):
    return ((range(shard, shard + 1), None) for shard in range(shards))


def test_rows_of_one_model_stand_as_they_are_stored(tmp_path, monkeypatch):
    """They are not made into predictions and back; what comes of it must be the same."""

    def several(system, sample):
        number = int(sample.id[1:])
        if number % 5 == 0:
            return Prediction(sample.id, "model_error", "no picture", details={"a": [number]})
        images = tuple(picture(number + i) for i in range(number % 4))
        return Prediction(sample.id, text="x" if number % 2 else None, images=images)

    made = run(predict=several).write(str(tmp_path))
    publisher = TablePublisher(made)
    assert publisher.publish(made, "good")
    quick = read(made, "predictions", "good")
    assert {len(row["more_images"]) for row in quick} == {0, 1, 2}
    assert {row["image"] is None for row in quick} == {True, False}
    monkeypatch.setattr(long_tables, "_rows_of_shards", lambda r, _: one_by_one(r.plan.shards))
    assert publisher.publish(made, "bad")
    slow = read(made, "predictions", "bad")
    assert [row | {"system": "bad"} for row in quick] == slow


def test_values_are_read_once_for_summary_and_tables_and_again_when_rows_changed(tmp_path):
    made = run(without=frozenset({("good", "score", 1)})).write(str(tmp_path))
    asked = []

    class Counting:
        def __getattr__(self, name):
            return getattr(made.objects, name)

        def read(self, path):
            asked.append(path)
            return made.objects.read(path)

    def scores(reader):
        keys = {node.key for node in reader.plan.giving("good", SCORES)}
        read = [p for p in asked if p.endswith(".arrow") and any(key in p for key in keys)]
        asked.clear()
        return len(read)

    reader, summaries = RunReader(Counting(), made.plan), Summaries()
    publisher = TablePublisher(reader)
    publisher.finish(reader, "good", summaries)
    assert scores(reader) == reader.plan.shards - 1
    said = summary_table([summaries.of(reader.anew(), "good")])
    assert scores(reader) == 0
    assert publisher.finish(reader.anew(), "good", summaries) == summaries.of(reader, "good")
    assert scores(reader) == 0
    assert said.equals(summary_table([summarize_system(made, "good")]))
    run().write(str(tmp_path))  # the shard that was missing
    later = reader.anew()
    assert not summary_table([summaries.of(later, "good")]).equals(said)
    assert scores(later) == later.plan.shards


def test_rows_that_cannot_be_had_leave_no_file_open(tmp_path, monkeypatch):
    table = pa.table({"x": pa.array(range(100), pa.float64())})
    monkeypatch.setattr(parquet, "GROUP", 1)
    made = []
    plain = tempfile.TemporaryFile
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: made.append(plain()) or made[-1])

    def rows():
        yield table
        raise CorruptError("a shard is damaged")

    with pytest.raises(CorruptError, match="a shard is damaged"):
        PartWriter(connect(str(tmp_path)), "rows", table.schema).write(rows())
    (file,) = made
    assert file.closed


def test_a_disk_without_room_is_said_with_what_to_do(tmp_path, monkeypatch):
    table = pa.table({"x": pa.array(range(100_000), pa.float64())})
    objects = connect(str(tmp_path))
    monkeypatch.setattr("tempfile.TemporaryFile", partial(open, "/dev/full", "r+b"))
    with pytest.raises(StoreError, match=r"No space left on device.*another folder in TMPDIR"):
        PartWriter(objects, "rows", table.schema).write([table])
    assert objects.names("rows") == []


def test_rows_wait_until_a_group_of_them_is_full(tmp_path, monkeypatch):
    table = pa.table({"x": pa.array(range(100), pa.float64())})
    monkeypatch.setattr(parquet, "GROUP", 2 * table.nbytes + 1)
    objects = connect(str(tmp_path))
    (part,) = PartWriter(objects, "rows", table.schema).write([table] * 7)
    groups = pq.ParquetFile(tmp_path / part).metadata
    sizes = [groups.row_group(n).num_rows for n in range(groups.num_row_groups)]
    assert sizes == [300, 300, 100], "three are the first that are more than two"


def test_a_shard_of_which_a_system_owes_nothing_gives_no_row(tmp_path):
    made = FakeRun(make_samples(8), shard_size=1, predict=predict, score=score).write(str(tmp_path))
    model = Model(Spec("fake:Model", {"model": "editor"}))
    editor = Recipe("editing", (System("editor", answer=model, gives=("image",)),), {}, {})
    plan = make_plan(editor, made.benchmark.manifest)
    reader = RunReader(made.objects, plan)
    assert TablePublisher(reader).publish(reader, "editor")
    rows = read(reader, "predictions", "editor")
    owed = [s.id for s in make_samples(8) if s.asks == "image"]
    assert 0 < len(owed) < 8
    assert [(r["sample"], r["status"]) for r in rows] == [(name, "missing") for name in owed]
