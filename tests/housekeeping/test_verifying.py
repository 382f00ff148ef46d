"""Whatever becomes of any object of a finished run, `medgen verify` names it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from commands import medgen
from fakes import Lines, plan

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.run.folder import RunFolder, find_run
from medgen.engine.run.reader import RunReader
from medgen.engine.run.repair import cure
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.launch.cli import main
from medgen.launch.housekeeping.verifying import Proof, verify
from medgen.launch.run.progress import Recorder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one run that is over: rows, packs, tables, report, an order."""
    folder = tmp_path_factory.mktemp("finished")
    objects = connect(str(folder / "store"))
    import_benchmark(Lines(6), objects, ImportOptions("fake", 3))
    systems = [{"name": s, "answer": {"target": "fakes:Echo"}} for s in "ab"]
    body = {
        "name": "finished",
        "store": str(folder / "store"),
        "benchmark": {"name": "fake"},
        "systems": systems,
        "protocol": {"name": "text", "metrics": {"token_f1": {}, "exact_match": {}}},
        "cluster": "in-process",
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(body))
    for arguments in (("run", "--config", str(folder / "run.yaml")), ("report", "--no-pages")):
        done = medgen(*arguments, "--store", str(folder / "store"))
        assert done.returncode == 0, done.stderr
    done = medgen("control", "finished", "cap", "5", "--store", str(folder / "store"))
    assert done.returncode == 0, done.stderr
    return folder / "store"


@pytest.fixture
def store(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "store"))


def run_of(store: Path) -> str:
    (name,) = os.listdir(store / "runs")
    return name


def prove(store: Path, run: str = "") -> Proof:
    return verify(connect(str(store)), run or run_of(store))


def own_files(store: Path) -> Iterator[Path]:
    """Every file of the run and what it needs; how fast something was is no part of it."""
    for path in sorted(store.rglob("*")):
        if path.is_file() and path.relative_to(store).parts[0] != "speeds":
            yield path


def flipped(data: bytes, share: float) -> bytes:
    harmed = bytearray(data)
    harmed[int(share * (len(data) - 1))] ^= 1
    return bytes(harmed)


HARMS: dict[str, Callable[[bytes], bytes | None]] = {
    "a bit in the middle": lambda data: flipped(data, 0.5),
    "last bit": lambda data: flipped(data, 1),
    "empty": lambda data: b"",
    "one byte more": lambda data: data + b"x",
    "missing": lambda data: None,
}


def test_a_finished_run_is_proven_to_the_last_object(store: Path) -> None:
    proof = prove(store)
    assert (proof.damages, proof.additional) == ((), ())
    assert proof.proven == proof.objects > len([*own_files(store)])


@pytest.mark.parametrize("harm", HARMS)
def test_whatever_becomes_of_any_object_is_named(store: Path, harm: str) -> None:
    for path in own_files(store):
        data, name = path.read_bytes(), str(path.relative_to(store))
        after = HARMS[harm](data)
        if harm == "missing" and "/control/" in name:
            continue  # who takes an order away takes it back
        path.unlink() if after is None else path.write_bytes(after)
        damages = prove(store).damages
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        packed = name.startswith("packs/") and not name.endswith("keys.json")
        if packed and harm == "missing":
            assert {damage.path.split("/")[1] for damage in damages} == {"score"}, name
            continue
        # A note whose words are others may be wrong about what it names.
        assert any(name == d.path or name in d.why for d in damages), (name, damages)


def test_a_run_without_what_it_needs_is_named(store: Path) -> None:
    for folder in ("benchmarks", "samples", "stages", "packs"):
        kept = Path(shutil.move(store / folder, store.parent / folder))
        assert any(d.path.startswith((folder, "stages")) for d in prove(store).damages), folder
        shutil.move(kept, store / folder)
    assert prove(store).damages == ()


def answers(store: Path) -> list[Path]:
    return sorted((store / "stages" / "answer").rglob("shard-*.arrow"))


def exchange(one: Path, other: Path) -> None:
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


@pytest.mark.parametrize("kind", ["stages/answer/*/*/shard-*.arrow", "samples/*.arrow"])
def test_shards_that_were_exchanged_are_named(store: Path, kind: str) -> None:
    one, other, *_ = sorted(store.glob(kind))
    exchange(one, other)
    named = {damage.path for damage in prove(store).damages}
    assert {str(path.relative_to(store)) for path in (one, other)} <= named


def test_a_shard_under_another_key_is_named_and_what_was_made_of_the_lost_one(
    store: Path,
) -> None:
    objects = connect(str(store))
    plan = RunFolder(objects, run_of(store)).plan()
    keys = {node.key for node in plan.nodes.values() if node.stage == "answer"}
    assert len(keys) == 1, "both systems are the same one, which answers once"
    (lost, kept) = answers(store)
    lost.replace(kept)
    why = [damage.why for damage in prove(store).damages]
    assert f"{lost.relative_to(store)} is missing" in why
    assert any("was made from other rows than are there" in words for words in why)


@pytest.mark.parametrize("act", [shutil.copytree, shutil.move])
def test_a_run_under_another_name_is_none(store: Path, act: Callable[[Path, Path], object]) -> None:
    run = run_of(store)
    act(store / "runs" / run, store / "runs" / "other")
    (damage,) = prove(store, "other").damages
    assert damage.why == f"runs/other/plan.json is the plan of run {run}"


@pytest.mark.parametrize("system", ["a", "nobody"])
def test_a_part_of_a_table_that_no_note_names_is_read_by_all_and_so_is_named(
    store: Path, system: str
) -> None:
    tables = store / "runs" / run_of(store) / "tables" / "values"
    (tables / system).mkdir(exist_ok=True)
    shutil.copy(tables / "a" / "part-00000.parquet", tables / system / "part-00001.parquet")
    (damage,) = prove(store).damages
    assert damage.path.endswith(f"{system}/part-00001.parquet")


def test_what_else_lies_there_is_said_and_is_no_damage(store: Path) -> None:
    places = [store / "runs" / run_of(store), answers(store)[0].parent]
    places += [next(store.glob("packs/score/*"))]
    for place in places:
        (place / "notes.txt").write_text("mine")
    proof = prove(store)
    assert proof.damages == ()
    assert set(proof.additional) == {f"{p.relative_to(store)}/notes.txt" for p in places}
    done = medgen("verify", "--store", str(store))
    assert (done.returncode, done.stdout.count("additional: ")) == (0, 3)


def test_a_report_writes_what_is_damaged_of_it_again(store: Path) -> None:
    run = store / "runs" / run_of(store)
    harmed = [run / "summary.parquet", run / "tables.json", run / "report" / "index.md"]
    harmed += [run / "tables" / "values" / "a" / "part-00000.parquet"]
    whole = [path.read_bytes() for path in harmed]
    for path, data in zip(harmed, whole, strict=True):
        path.write_bytes(flipped(data, 0.5))
    damages = prove(store).damages
    assert {store / damage.path for damage in damages} >= set(harmed[:3])
    assert {cure("CorruptError", d.why) for d in damages} == {"; `medgen report` writes it again"}
    done = medgen("verify", "--store", str(store))
    assert (done.returncode, done.stdout.count("damaged: ")) == (3, len(damages))
    assert medgen("report", "--no-pages", "--store", str(store)).returncode == 0
    assert prove(store).damages == ()
    assert [path.read_bytes() for path in harmed] == whole


COMMANDS = (("status",), ("logs", "finished"), ("list", "runs"), ("gc", "--dry-run"), ("view",))


@pytest.mark.parametrize("kind", ["events/*", "status.json", "summary.parquet", "tables/*/*/*"])
def test_what_is_damaged_ends_no_command_in_a_fault_of_ours(
    store: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (store / "runs" / run_of(store)).glob(kind):
        path.write_bytes(flipped(path.read_bytes(), 0.5)[:-200])
    for command in COMMANDS:
        more = ["--bundle", str(tmp_path / "pages")] if command == ("view",) else []
        with pytest.raises(SystemExit) as ended:
            main([*command, *more, "--store", str(store)])
        said = capsys.readouterr()
        assert ended.value.code in (0, 6), (command, said.err)
        assert "Traceback" not in said.err
    (name,) = {run_of(store)}
    assert find_run(connect(str(store)), None) == name


def test_a_run_of_which_nothing_is_known_is_not_the_last_one(store: Path) -> None:
    run = run_of(store)
    shutil.copytree(store / "runs" / run, store / "runs" / "z-other")
    (store / "runs" / "z-other" / "status.json").write_bytes(b"{")
    assert find_run(connect(str(store)), None) == run


def test_a_damaged_log_is_passed_over_and_said(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder(connect(str(store)), run_of(store))
    (log,) = (store / "runs" / run_of(store) / "events").iterdir()
    whole, count = log.read_bytes(), len(folder.events())
    log.write_bytes(whole.replace(b'"opened"', b'"closed"'))
    assert folder.events() == []
    assert "its checksum differs" in caplog.text
    broken = whole[: whole.rindex(b'{"seal"')].replace(
        b'"event": "opened"', b'"event": \xff"opened"'
    )
    log.write_bytes(broken)
    left = folder.events()
    assert 0 < len(left) < count
    assert caplog.text.count("a line of a log is damaged") == count - len(left)


def test_a_run_that_was_only_begun_is_proven_too(tmp_path: Path) -> None:
    objects = connect(str(tmp_path))
    work = plan(objects, count=6, shard_size=3)
    folder = RunFolder(objects, work.run_id)
    folder.save_plan(work, "name: it\n")
    recorder = Recorder(folder, work, survey(RunReader(objects, work)), "driver")
    recorder.publish(status="cancelled")
    assert [damage.why for damage in prove(tmp_path).damages] == []
