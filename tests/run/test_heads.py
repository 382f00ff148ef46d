"""A start of a complete run asks no shard what it is, and is not misled by what it noted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes import Lines, run_file
from fakes import plan as echo_plan
from faults.test_damage import again
from run.held import carry
from run.test_lineage import lose, overwrite, shard

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.plan.plan import Plan
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import RunPlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.shards import Head, Stage
from medgen.launch.housekeeping.verifying import verify


@dataclass(slots=True)
class Asked:
    """Shards that were asked what they are."""

    shards: list[str] = field(default_factory=list)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found, ask = Asked(), Stage.ask

    def noting(self: Stage, shard: int, revision: int = 0) -> tuple[Head, str]:
        found.shards.append(self.path(shard, revision))
        return ask(self, shard, revision)

    monkeypatch.setattr(Stage, "ask", noting)
    return found


@pytest.fixture
def objects(s3_url: str) -> Objects:
    return connect(s3_url)


def left(objects: Objects, plan: Plan) -> int:
    return survey(RunReader(objects, plan)).shards


def test_a_complete_run_is_known_by_one_listing_a_key(objects: Objects, asked: Asked) -> None:
    plan = echo_plan(objects, count=12)
    carry(objects, plan)
    assert left(objects, plan) == 0
    assert asked.shards == []
    read, noted = RunReader(objects, plan), RunReader(objects, plan)
    objects.delete(RunPlace(plan.run_id).heads)
    for key, node in plan.nodes.items():
        assert noted.heads(node) == read.heads(node), key


@pytest.mark.parametrize("harm", [lose, overwrite])
def test_a_shard_that_is_another_by_now_is_asked_and_makes_stale(
    harm: Callable[[Objects, str], None], objects: Objects, asked: Asked
) -> None:
    plan = echo_plan(objects, count=12)
    carry(objects, plan)
    path = shard(objects, plan, 1)
    harm(objects, path)
    assert left(objects, plan) == (2 if harm is lose else 1)  # the answer, and its score
    assert asked.shards == ([] if harm is lose else [path])


def test_what_another_driver_had_done_is_noted_at_the_end(objects: Objects, asked: Asked) -> None:
    plan = echo_plan(objects, count=12)
    carry(objects, plan)
    objects.delete(RunPlace(plan.run_id).heads)  # as where the first one was killed
    objects.delete(shard(objects, plan, 2))
    carry(objects, plan)
    assert asked.shards
    asked.shards.clear()
    assert left(objects, plan) == 0
    assert asked.shards == []


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"a": 1}', b'{"x": {"md5": 3}}', b"\xff"])
def test_a_note_that_is_damaged_costs_requests_and_nothing_else(
    data: bytes, objects: Objects, asked: Asked
) -> None:
    plan = echo_plan(objects, count=12)
    carry(objects, plan)
    objects.replace(RunPlace(plan.run_id).heads, data)
    assert left(objects, plan) == 0
    assert len(asked.shards) == sum(plan.shards * node.split for node in plan.nodes.values())


def test_a_directory_has_no_such_note(tmp_path: Path) -> None:
    objects = connect(str(tmp_path))
    plan = echo_plan(objects, count=12)
    carry(objects, plan)
    with pytest.raises(FileNotFoundError):
        objects.read(RunPlace(plan.run_id).heads)
    assert left(objects, plan) == 0


def setup(store: str, folder: Path) -> Path:
    """What a run over fakes reads from its file."""
    import_benchmark(Lines(12), connect(store), ImportOptions("fake", 4))
    return run_file(folder, store, "noted")


@pytest.mark.parametrize("data", [b"", b"{"])
def test_a_start_with_nothing_to_do_writes_a_note_that_is_lost_or_damaged(
    data: bytes, s3_url: str, tmp_path: Path, asked: Asked
) -> None:
    file = setup(s3_url, tmp_path)
    plan = again(file)[0].plan
    objects, note = connect(s3_url), RunPlace(plan.run_id).heads
    objects.delete(RunPlace(plan.run_id).known)  # by which nothing is looked at
    objects.replace(note, data) if data else objects.delete(note)
    again(file)
    asked.shards.clear()
    assert again(file)[0].complete
    assert asked.shards == []
    assert verify(objects, plan.run_id).damages == ()


def test_a_damaged_note_in_a_directory_is_told_of_and_repaired(tmp_path: Path) -> None:
    """A copy from object storage has it there as well."""
    store = str(tmp_path / "store")
    file = setup(store, tmp_path)
    plan = again(file)[0].plan
    objects, note = connect(store), RunPlace(plan.run_id).heads
    objects.replace(note, b"{")
    assert [damage.path for damage in verify(objects, plan.run_id).damages] == [note]
    assert again(file, repair=True)[0].complete
    assert verify(objects, plan.run_id).damages == ()
