"""A complete run on object storage is known by its listings, and by nothing else than they say."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from faults.test_damage import again
from run.test_heads import setup
from run.test_lineage import lose, overwrite, truncate

from medgen.engine.codec import with_seal
from medgen.engine.plan.plan import Plan
from medgen.engine.run import known
from medgen.engine.run.editions import Terms
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import RunPlace, StagePlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.packs import PackedObjects
from medgen.launch.housekeeping.copying import copy_run
from medgen.launch.housekeeping.verifying import verify
from medgen.launch.run.evaluation import RunResult


@dataclass(slots=True)
class Looks:
    """Keys of which a reader looked what there is."""

    keys: list[str] = field(default_factory=list)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    found, look_at = Looks(), RunReader.settle

    def noting(self: RunReader, terms: Terms | None = None) -> Any:
        if self.known is None:
            found.keys += self.plan.nodes
        return look_at(self, terms)

    monkeypatch.setattr(RunReader, "settle", noting)
    return found


@pytest.fixture
def run(s3_url: str, tmp_path: Path) -> Path:
    """Of two metrics, whose rows are written together."""
    file = setup(s3_url, tmp_path)
    body = yaml.safe_load(file.read_text())
    body["protocol"]["metrics"] = {"bleu": {}, "token_f1": {}}
    file.write_text(yaml.safe_dump(body))
    return file


def store(run: Path) -> PackedObjects:
    objects = connect(yaml.safe_load(run.read_text())["store"])
    assert isinstance(objects, PackedObjects)
    return objects


def note(plan: Plan, objects: Objects) -> known.Known | None:
    return known.find_known(objects, plan, Terms())


def test_a_start_with_nothing_to_do_looks_at_no_key(run: Path, looks: Looks) -> None:
    done = again(run)[0]
    looks.keys.clear()
    second = again(run)[0]
    assert second.complete
    assert looks.keys == []
    assert second.reader.rows() == RunReader(store(run), done.plan).anew().rows()
    for key, node in done.plan.nodes.items():
        assert second.reader.revisions(node) == done.reader.revisions(node), key
        assert second.reader.heads(node) == done.reader.heads(node), key


def answer(objects: Objects, plan: Plan, number: int, revision: int = 0) -> str:
    (node,) = plan.predictions("echo")
    return RunReader(objects, plan).stage(node).path(number, revision)


def first(run: Path) -> RunResult:
    done = again(run)[0]
    assert note(done.plan, store(run)) is not None
    return done


@pytest.mark.parametrize("harm", [lose, overwrite, truncate])
def test_an_answer_that_is_another_by_now_is_seen(
    harm: Callable[[Objects, str], None], run: Path, looks: Looks
) -> None:
    done = first(run)
    harm(store(run), answer(store(run), done.plan, 1))
    assert note(done.plan, store(run)) is None
    looks.keys.clear()
    assert again(run)[0].complete
    assert looks.keys
    # Of a damaged object whoever needs its rows is told, and it is no complete run to go by.
    assert (note(done.plan, store(run)) is None) is (harm is truncate)


def later_revision(objects: Objects, plan: Plan) -> None:
    objects.create(answer(objects, plan, 0, 1), objects.read(answer(objects, plan, 0)))


def owed(objects: Objects, plan: Plan) -> None:
    (node,) = plan.predictions("echo")
    RunReader(objects, plan).stage(node).note_owed(2, 0)


def put_aside(objects: Objects, plan: Plan) -> None:
    (node,) = plan.predictions("echo")
    path = answer(objects, plan, 0)
    stage = RunReader(objects, plan).stage(node)
    objects.create(f"{stage.place.quarantine}/{path.rpartition('/')[2]}", objects.read(path))


def another_edition(objects: Objects, plan: Plan) -> None:
    (node,) = plan.predictions("echo")
    objects.create(StagePlace(node.stage, node.key, "f" * 16).identity(), b"{}")


def plain_score(objects: Objects, plan: Plan) -> None:
    node = next(n for n in plan.nodes.values() if n.stage == "score")
    objects.create(StagePlace(node.stage, node.key, "f" * 16).identity(), b"{}")


def new_packs(objects: Objects, plan: Plan) -> None:
    objects.create("packs/score/another/keys.json", b"[]")


def packs(objects: Objects) -> list[str]:
    return [path for path in objects.walk("packs") if "/shard-" in path]


def lost_pack(objects: Objects, plan: Plan) -> None:
    objects.remove(packs(objects)[0])


def harmed_pack(objects: Objects, plan: Plan) -> None:
    path = packs(objects)[1]
    data = bytearray(objects.read(path))
    data[9] ^= 1
    objects.replace(path, bytes(data))


def further_pack(objects: Objects, plan: Plan) -> None:
    path = packs(objects)[0]
    objects.create(path.replace("-0.pack", "-1.pack"), objects.read(path))


CHANGES = [
    *(later_revision, owed, put_aside, another_edition, plain_score),
    *(new_packs, lost_pack, harmed_pack, further_pack),
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_below_its_keys_ends_what_was_known(
    change: Callable[[Objects, Plan], None], run: Path
) -> None:
    plan = first(run).plan
    assert packs(store(run))
    change(store(run), plan)
    assert note(plan, store(run)) is None


def test_an_object_whose_md5_is_not_told_proves_nothing(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = first(run).plan
    objects = store(run)
    told = objects.md5s
    monkeypatch.setattr(objects, "md5s", lambda folder: dict.fromkeys(told(folder), ""))
    assert note(plan, objects) is None
    assert known.listings(objects, plan, known.packs_of(objects, plan)) == ""


def test_code_that_changed_since_is_seen(
    run: Path, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = first(run).plan
    looks.keys.clear()
    monkeypatch.setattr(known, "seen_of", lambda plan, node: {"code.fakes": "another"})
    assert note(plan, store(run)) is None
    assert again(run)[0].complete
    assert looks.keys


def test_terms_that_differ_are_another_look(run: Path) -> None:
    plan = first(run).plan
    for terms in (Terms(accept=True), Terms(strict=True)):
        assert known.find_known(store(run), plan, terms) is None


def test_asking_again_for_what_failed_looks_at_everything(run: Path, looks: Looks) -> None:
    first(run)
    looks.keys.clear()
    assert again(run, retry_errors=True)[0].complete
    assert looks.keys


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"seen": 1}', None])
def test_a_note_that_is_lost_or_damaged_is_written_anew(data: bytes | None, run: Path) -> None:
    plan = first(run).plan
    objects, path = store(run), RunPlace(plan.run_id).known
    objects.delete(path) if data is None else objects.replace(path, data)
    assert again(run)[0].complete
    assert note(plan, store(run)) is not None
    assert verify(objects, plan.run_id).damages == ()


def test_a_note_of_other_keys_is_not_believed(run: Path) -> None:
    plan = first(run).plan
    objects = store(run)
    noted = known.read_known(objects, RunPlace(plan.run_id).known)
    assert noted is not None
    key = next(iter(plan.nodes))
    editions = {k: e for k, e in noted.editions.items() if k != key}
    fewer = known.Known(noted.seen, noted.listed, noted.packs, editions, noted.rows)
    objects.replace(RunPlace(plan.run_id).known, with_seal(fewer))
    assert note(plan, store(run)) is None


def test_a_run_that_is_not_complete_leaves_no_note(run: Path) -> None:
    done, _ = again(run, stages=("answer",))
    assert not done.complete
    assert known.read_known(store(run), RunPlace(done.plan.run_id).known) is None


def test_a_copy_is_looked_at_by_itself(run: Path, tmp_path: Path) -> None:
    plan = first(run).plan
    there = connect(str(tmp_path / "copy"))
    copy_run(store(run), there, plan)
    assert note(plan, there) is None
    assert verify(there, plan.run_id).damages == ()


def test_a_start_with_nothing_to_do_imports_nothing_heavy(tmp_path: Path) -> None:
    """Pandas alone takes a third of a second, and pyarrow imports it for a single text."""
    file = setup(str(tmp_path / "store"), tmp_path)
    command = [sys.executable, "-X", "importtime", "-m", "medgen", "run", "--config", str(file)]
    path = f"{Path(__file__).parents[1]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    env = os.environ | {"PYTHONPATH": path}
    for _ in range(2):  # the first one makes rows and tables
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pyarrow" in imported
    assert imported & {"pandas", "scipy", "torch", "ray", "duckdb", "polars"} == set()
