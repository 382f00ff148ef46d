"""What a plain start takes up again is decided by cause: the outside's rows, and only those."""

from pathlib import Path
from typing import Any, get_args

import pytest
from fakes import PAIR, echo, plan

from medgen.actors.local_pool import LocalPool
from medgen.engine.data import PredictionStatus, ScoreStatus, VerdictStatus
from medgen.engine.errors import is_out_of_memory
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import Again, survey
from medgen.engine.stages import PREDICTIONS, SCORES, VERDICTS
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

OUTSIDE = {
    "answer": {"unreachable", "timeout", "out_of_memory", "missing"},
    "score": {"missing_weights", "out_of_memory"},
    "judge": {"transport_error"},
}
WORDS = {
    "answer": get_args(PredictionStatus),
    "score": get_args(ScoreStatus),
    "judge": get_args(VerdictStatus),
}
KINDS = {"answer": PREDICTIONS, "score": SCORES, "judge": VERDICTS}


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def go(objects: Objects, work: Plan, again: Again = "outside") -> int:
    """Carry a plan out; how many shards there were to do."""
    reader = RunReader(objects, work)
    todo = survey(reader, again)
    left = todo.shards
    assert carry_out(reader, todo, LocalPool(), Options()).failed == {}
    return left


def work_with(objects: Objects, stage: str, status: str, how: dict[str, str]) -> Plan:
    """A run in which one sample has the status in one stage, once."""
    faults: dict[str, Any] = {"faults": {"s0007": status}, "execution": how}
    inert: dict[str, Any] = {}
    parts = {name: faults if name == stage else inert for name in WORDS}
    return plan(
        objects,
        System("echo", echo(**parts["answer"])),
        scorer=Spec("fakes:Lengths", parts["score"]),
        judges={"j": Model(Spec("fakes:FixedJudge", {"name": "j", **parts["judge"]}), PAIR)},
    )


def statuses(objects: Objects, work: Plan, stage: str) -> set[str]:
    reader = RunReader(objects, work)
    nodes = [n for n in work.nodes.values() if n.stage == stage]
    tables = [reader.table(node, shard) for node in nodes for shard in range(work.shards)]
    return {s for table in tables if table is not None for s in table["status"].to_pylist()}


@pytest.mark.parametrize(
    ("stage", "status"), [(s, w) for s, words in WORDS.items() for w in words if w != "ok"]
)
def test_a_plain_start_repeats_what_the_outside_caused_and_nothing_else(
    objects: Objects, tmp_path: Path, stage: str, status: str
) -> None:
    once = tmp_path / "once"
    once.mkdir()
    work = work_with(objects, stage, status, {"once": str(once)})
    go(objects, work)
    assert status in statuses(objects, work, stage)
    (once / "healed").touch()
    reader = RunReader(objects, work)
    owed = status in OUTSIDE[stage]
    assert not survey(reader, "nothing").shards, "every row is there"
    assert bool(survey(reader).shards) == owed
    go(objects, work)
    assert (statuses(objects, work, stage) == {"ok"}) == owed
    assert not survey(RunReader(objects, work)).shards, "nothing is owed any more"


def test_only_the_rows_that_are_owed_are_asked_for_again(objects: Objects, tmp_path: Path) -> None:
    once, calls = tmp_path / "once", tmp_path / "calls"
    once.mkdir()
    how = {"once": str(once), "calls": str(calls)}
    faults = {"s0004": "unreachable", "s0005": "model_error", "s0006": "timeout", "s0020": "error"}
    work = plan(objects, System("echo", echo(faults=faults, execution=how)))
    go(objects, work)
    assert len(calls.read_text().split()) == 24
    assert go(objects, work) == 4, "two shards of answers, and the scores made from them"
    assert sorted(calls.read_text().split()[24:]) == ["s0004", "s0006"]
    assert statuses(objects, work, "answer") == {"ok", "model_error"}
    go(objects, work, "errors")
    assert sorted(calls.read_text().split()[26:]) == ["s0005", "s0020"]
    assert statuses(objects, work, "answer") == {"ok"}


def test_what_stays_away_stays_owed(objects: Objects) -> None:
    work = plan(objects, System("echo", echo(faults={"s0004": "unreachable"})))
    go(objects, work)
    for _ in range(3):
        assert go(objects, work) == 2
    assert statuses(objects, work, "answer") == {"ok", "unreachable"}


def test_a_run_with_nothing_owed_reads_no_rows_to_know_it(objects: Objects) -> None:
    work = plan(objects, System("echo", echo(faults={"s0004": "model_error"})))
    go(objects, work)
    for node in work.nodes.values():
        for shard in range(work.shards):
            objects.replace(RunReader(objects, work).stage(node).path(shard), b"damaged")
    assert not survey(RunReader(objects, work)).shards


class OutOfMemoryError(RuntimeError):
    """As PyTorch calls its own."""


@pytest.mark.parametrize("err", [MemoryError(), OutOfMemoryError("CUDA out of memory")])
def test_memory_that_ran_out_is_known(err: Exception) -> None:
    assert is_out_of_memory(err)
    assert not is_out_of_memory(ValueError("out of memory"))
