"""A damaged store: found by checksum when it is read, named, and replaced under --repair."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from fakes import Lines, run_file
from sources.outside import RECORDS, write_directory

from medgen.actors.local_pool import LocalPool
from medgen.conf.schema import BenchmarkConf
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.manifest import Benchmark, find_benchmark
from medgen.engine.errors import CorruptError, MedgenError
from medgen.engine.plan.plan import Plan
from medgen.engine.results.summary import summarize
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.events import Event
from medgen.engine.run.reader import RunReader
from medgen.engine.run.repair import cure
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import BenchmarkPlace, StagePlace, sample_shard
from medgen.engine.store.sealed import seal, seal_of, unseal
from medgen.engine.store.shards import labels
from medgen.launch import compose
from medgen.launch.cli import main
from medgen.launch.commands.options import configuration
from medgen.launch.run.evaluation import RunOptions, RunResult, evaluate
from medgen.launch.run.repair import mend_benchmark
from medgen.launch.run.stop import Stop

Spoil = Callable[[Path], object]


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0x10
    file.write_bytes(content)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def foreign(file: Path) -> None:
    """Another version's rows, whole and sealed."""
    table = unseal(file.read_bytes(), "x")
    metadata = {**table.schema.metadata, b"medgen.schema": b"prediction/99"}
    file.write_bytes(seal(table.replace_schema_metadata(metadata)))


def of_another_shard(file: Path) -> None:
    other = next(path for path in sorted(file.parent.glob("shard-*")) if path != file)
    file.write_bytes(other.read_bytes())


def unsealed(file: Path) -> None:
    """The same rows, written by somebody else."""
    table = unseal(file.read_bytes(), "x")
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


SPOILS = (flip, truncate, empty, foreign, of_another_shard, unsealed)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that is over."""
    made = tmp_path_factory.mktemp("finished")
    store = made / "store"
    import_benchmark(Lines(12), connect(str(store)), ImportOptions("fake", 4))
    path = run_file(made, str(store), "damaged")
    assert again(path)[0].complete
    return made


@pytest.fixture
def run(tmp_path: Path, finished: Path) -> Path:
    """A configuration whose run is over."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "run.yaml"
    body = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**body, "store": str(tmp_path / "store")}))
    return path


def again(path: Path, **options: Any) -> tuple[RunResult, list[Event]]:
    conf, heard = configuration(str(path), None, ()), []
    return evaluate(conf, RunOptions(quiet=True, **options), Stop(), heard.append), heard


def folder(path: Path, stage: str) -> Path:
    (found,) = (path.parent / "store" / "stages" / stage).glob("*/*/")
    return found


def shard(path: Path, stage: str, number: int, revision: int = 0) -> Path:
    """The file of a shard of rows."""
    store = path.parent / "store"
    digest = find_benchmark(connect(str(store)), "fake").manifest.shards[number].digest
    found = folder(path, stage)
    return store / StagePlace(stage, found.parent.name, found.name).shard(digest, revision)


def rows(plan: Plan, path: Path, stage: str) -> list[dict[str, Any]]:
    reader = RunReader(connect(str(path.parent / "store")), plan)
    (node,) = (n for n in plan.nodes.values() if n.stage == stage)
    tables = [reader.table(node, shard) for shard in range(plan.shards)]
    assert all(table is not None for table in tables)
    return [row for table in tables for row in table.to_pylist()]  # type: ignore[union-attr]


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_a_damaged_prediction_is_named_and_replaced_with_all_that_was_made_of_it(
    run: Path, spoil: Spoil
) -> None:
    plan = again(run)[0].plan
    before = {stage: rows(plan, run, stage) for stage in ("answer", "score")}
    victim = shard(run, "answer", 0)
    spoil(victim)
    content = victim.read_bytes()
    with pytest.raises(CorruptError, match=victim.name):
        rows(plan, run, "answer")
    done, heard = again(run, repair=True)
    assert done.complete
    quarantined = [e for e in heard if e.kind == "quarantined"]
    assert [e.details["path"].rpartition("/")[2] for e in quarantined] == [victim.name]
    assert (folder(run, "answer") / "quarantine" / victim.name).read_bytes() == content
    receipts = sorted((e.receipt.stage, e.receipt.shard) for e in heard if e.receipt is not None)
    assert receipts == [("answer", 0), ("score", 0)], "only what was damaged, and what reads it"
    assert {stage: rows(plan, run, stage) for stage in before} == before
    names = {p.name for p in folder(run, "answer").iterdir()} - {"identity.json", "quarantine"}
    kept = [(0, 1), (1, 0), (2, 0)]
    assert names == {shard(run, "answer", number, revision).name for number, revision in kept}
    remade = unseal(shard(run, "score", 0, 1).read_bytes(), "x")
    mended = shard(run, "answer", 0, 1).read_bytes()
    told = seal_of(mended, "x")
    assert told is not None
    assert told[0] in labels(remade)["inputs"].values()
    assert not [e for e in again(run, repair=True)[1] if e.kind == "quarantined"]


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_damaged_scores_make_no_table(run: Path, spoil: Spoil) -> None:
    done = again(run)[0]
    before = shard(run, "score", 0)
    spoil(before)
    with pytest.raises(CorruptError, match=before.name):
        summarize(RunReader(done.reader.objects, done.plan))
    assert again(run, repair=True)[0].complete
    assert not before.exists()
    assert summarize(RunReader(done.reader.objects, done.plan)).num_rows


def test_a_run_that_needs_a_damaged_shard_ends_that_system_and_says_the_cure(run: Path) -> None:
    victim = shard(run, "answer", 1)
    flip(victim)
    shard(run, "score", 1).unlink()
    done, _ = again(run)
    assert not done.complete
    (reason,) = done.ending.failed.values()
    assert victim.name in reason
    assert "--repair" in reason
    assert again(run, repair=True)[0].complete


def test_a_damaged_retry_is_replaced_by_a_third_revision(run: Path) -> None:
    conf = yaml.safe_load(run.read_text())
    once = run.parent / "once"
    once.mkdir()
    conf["systems"][0]["answer"]["kwargs"] = {
        "faults": {"s0001": "error"}, "execution": {"once": str(once)}
    }  # fmt: skip
    run.write_text(yaml.safe_dump(conf))
    plan = again(run)[0].plan
    assert again(run, retry_errors=True)[0].complete
    (retried,) = (run.parent / "store" / "stages" / "answer").glob("*/*/shard-*-r1.arrow")
    truncate(retried)
    assert again(run, repair=True)[0].complete
    assert retried.with_name(retried.name.replace("-r1", "-r2")).exists()
    objects = connect(str(run.parent / "store"))
    found = [p for i in range(plan.shards) for p in RunReader(objects, plan).predictions("echo", i)]
    assert {p.status for p in found} == {"ok"}, "the row from before the retry is not read again"


def test_a_damaged_plan_in_the_store_is_replaced(run: Path) -> None:
    (stored,) = (run.parent / "store" / "runs").glob("*/plan.json")
    whole = json.loads(stored.read_bytes())
    stored.write_bytes(stored.read_bytes()[:100])
    again(run, repair=True)
    assert json.loads(stored.read_bytes()) == whole


def refused(run: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a plain run says that ends at something damaged."""
    with pytest.raises(SystemExit) as end:
        main(["run", "--config", str(run)])
    assert end.value.code == 6
    return capsys.readouterr().err.strip()


def test_a_damaged_list_of_editions_is_replaced(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = again(run)[0].plan
    before = {stage: rows(plan, run, stage) for stage in ("answer", "score")}
    (note,) = (run.parent / "store").glob("runs/*/editions.json")
    truncate(note)
    assert refused(run, capsys).endswith("`medgen run --repair` finds and replaces it")
    done, heard = again(run, repair=True)
    assert done.complete
    assert [e.details["path"].endswith(note.name) for e in heard if e.kind == "quarantined"]
    assert not [e for e in heard if e.receipt], "nothing is made again"
    assert {stage: rows(done.plan, run, stage) for stage in before} == before


@pytest.mark.parametrize("stage", ["answer", "score"])
def test_rows_of_a_maker_that_cannot_be_read_are_made_anew_once_they_are_moved_away(
    run: Path, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = again(run)[0].plan
    before = {stage: rows(plan, run, stage) for stage in ("answer", "score")}
    truncate(folder(run, stage) / "identity.json")
    said = refused(run, capsys)
    assert "--repair" not in said
    away = folder(run, stage).relative_to(run.parent / "store")
    assert said.endswith(f"move {away} away, and they are made anew")
    folder(run, stage).rename(run.parent / "away")
    assert again(run)[0].complete
    assert {stage: rows(plan, run, stage) for stage in before} == before


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("stages/answer/k/e/shard-0.arrow: checksum differs", "--repair` finds"),
        ("runs/r-1/plan.json: not a plan", "--repair` finds"),
        ("runs/r-1/editions.json: not a list of editions", "--repair` finds"),
        ("runs/r-1/heads.json: no note of heads", "--repair` finds"),
        ("samples/0.arrow: checksum differs", "imports it again from `benchmark.source`"),
        ("benchmarks/b-1/manifest.json: not a manifest", "imports it again"),
        ("samples/0.arrow: gone; import it again with `medgen import`", ""),
        ("stages/answer/k/e/identity.json: not an identity", "move stages/answer/k/e away"),
        ("stages/answer/k/e/identity-f.json: not an identity", "move stages/answer/k/e away"),
        ("runs/r-1/control/0001.json: not an order", ""),
        ("runs/r-1/tables.json: not a note on tables", "`medgen report` writes it again"),
        ("runs/r-1/report/index.md is not the object that was written", "`medgen report` writes"),
        ("runs/r-1/status.json: not readable", "starting the run again"),
        ("nightly/n/nights/2026-01-01.json: not a record", ""),
        ("answer/k: sample ids are not the benchmark's", ""),
        ("a sentinel table is not of version 3", ""),
    ],
)
def test_a_repair_is_offered_only_where_it_can_help(said: str, advice: str) -> None:
    assert advice in cure("CorruptError", said)
    assert bool(cure("CorruptError", said)) is bool(advice)
    assert cure("StaleError", said) == cure("AdapterError", said) == ""


def test_an_input_that_goes_while_a_run_reads_is_no_damage(run: Path) -> None:
    done = again(run)[0]
    (node,) = (n for n in done.plan.nodes.values() if n.stage == "score")
    shard(run, "score", 1).unlink()
    todo = survey(RunReader(done.reader.objects, done.plan))
    shard(run, "answer", 1).unlink()
    ending = carry_out(RunReader(done.reader.objects, done.plan), todo, LocalPool(), Options())
    assert "is gone; start again" in ending.failed[node.group]
    assert "--repair" not in ending.failed[node.group]
    assert again(run)[0].complete


@pytest.mark.parametrize("spoil", [flip, truncate, empty, Path.unlink], ids=lambda s: s.__name__)
@pytest.mark.parametrize("name", ["manifest.json", "samples"])
def test_a_damaged_benchmark_is_named_and_imported_again(
    tmp_path: Path, spoil: Spoil, name: str
) -> None:
    outside, store = tmp_path / "outside", tmp_path / "store"
    write_directory(outside, RECORDS)
    conf, objects = BenchmarkConf(name="tiny", source=str(outside)), connect(str(store))
    manifest = compose.ensure_benchmark(objects, conf)
    victim = store / BenchmarkPlace(manifest.ref).manifest
    if name == "samples":
        victim = store / sample_shard(manifest.shards[0].digest)
    whole, heard = victim.read_bytes(), []
    spoil(victim)
    with pytest.raises(MedgenError, match=f"{victim.name}|no benchmark"):
        Benchmark(objects, manifest.ref).samples(0)
    mend_benchmark(objects, conf, heard.append)
    assert victim.read_bytes() == whole
    assert len(heard) == 1


def test_a_damaged_benchmark_of_unknown_origin_is_refused_by_name(run: Path) -> None:
    store = run.parent / "store"
    manifest = find_benchmark(connect(str(store)), "fake").manifest
    victim = store / sample_shard(manifest.shards[2].digest)
    flip(victim)
    with pytest.raises(MedgenError, match=f"{victim.name}.*medgen import"):
        again(run, repair=True)
