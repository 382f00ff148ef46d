"""What was committed in parts before a run ended is taken up by the next start, and asked once."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import echo, plan
from hypothesis import given
from hypothesis import strategies as st

from medgen.actors.local_pool import LocalPool
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.run.driver import Driver, Ending, Options, carry_out
from medgen.engine.run.events import Event
from medgen.engine.run.faults import FaultPolicy
from medgen.engine.run.pool import Outcome, Target, Unit
from medgen.engine.run.reader import RunReader
from medgen.engine.run.repair import damaged_stages, quarantine
from medgen.engine.run.schedule import even_part
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

COUNT = 48


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def work_of(objects: Objects, calls: Path) -> Plan:
    """Two shards of 24; so slow by its own account that the first part of each has 8 samples."""
    slow = replace(echo(execution={"calls": str(calls)}), seconds_per_sample=5.0)
    return plan(objects, System("echo", slow), count=COUNT, shard_size=24)


def carry(objects: Objects, work: Plan, receipts: int = 10**6) -> Ending:
    """A start that is told to stop after so many receipts of answers."""
    seen = 0

    def watch(event: Event) -> None:
        nonlocal seen
        seen += event.receipt is not None and event.receipt.stage == "answer"

    reader = RunReader(objects, work)
    options = Options(watch=watch, stop=lambda: seen >= receipts)
    return carry_out(reader, survey(reader), LocalPool(), options)


def parts_left(objects: Objects) -> list[str]:
    return [path for path in objects.walk("stages") if "/parts-" in path]


@pytest.mark.parametrize("receipts", range(1, 7))
def test_no_sample_is_asked_twice_wherever_a_run_was_stopped(
    objects: Objects, tmp_path: Path, receipts: int
) -> None:
    calls = tmp_path / "calls"
    work = work_of(objects, calls)
    carry(objects, work, receipts)
    assert carry(objects, work) == Ending(False, {})
    assert sorted(calls.read_text().split()) == [f"s{i:04d}" for i in range(COUNT)]
    reader = RunReader(objects, work)
    rows = [p for shard in range(work.shards) for p in reader.predictions("echo", shard)]
    assert sorted((p.sample_id, p.status) for p in rows) == [
        (f"s{i:04d}", "ok") for i in range(COUNT)
    ]
    assert not parts_left(objects)
    assert survey(RunReader(objects, work)).shards == 0


def test_a_part_that_is_damaged_is_put_aside_by_repair_and_asked_again(
    objects: Objects, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    work = work_of(objects, calls)
    carry(objects, work, 1)
    before = len(calls.read_text().split())
    (damaged, *_) = parts_left(objects)
    objects.replace(damaged, objects.read(damaged)[:-40])
    ending = carry(objects, work)
    (why,) = {reason for group, reason in ending.failed.items() if group.startswith("answer")}
    assert "--repair" in why
    found = list(damaged_stages(objects, work))
    assert [damage.path for damage in found] == [damaged]
    quarantine(objects, found[0])
    assert carry(objects, work) == Ending(False, {})
    assert len(calls.read_text().split()) == COUNT + 8, f"one part again, of {before} samples"
    assert not parts_left(objects)


def test_what_parts_cost_is_not_paid_again_when_they_are_put_together(objects: Objects) -> None:
    spec = Spec("run.dear:Dear", {"prices": {"request": 1.0}, "faults": {"s0005": "engine_died"}})
    work = plan(objects, System("dear", Model(spec, Resources(0.1))), count=24, shard_size=24)
    reader = RunReader(objects, work)
    driver = Driver(reader, survey(reader), LocalPool(), Options())
    assert driver.run() == Ending(False, {})
    assert driver.budget.spent_usd == 23, "every sample but the one that is quarantined"


def test_a_slow_unit_that_costs_money_is_committed_in_parts(objects: Objects) -> None:
    dear = Model(Spec("run.dear:Dear", {"prices": {"request": 1.0}}), Resources(0.1))
    dear = replace(dear, seconds_per_sample=50.0)
    work = plan(objects, System("dear", dear), count=24, shard_size=24)
    parts: list[tuple[int, int]] = []

    def watch(event: Event) -> None:
        if event.receipt is not None and event.receipt.part is not None:
            parts.append(event.receipt.part)

    reader = RunReader(objects, work)
    options = Options(watch=watch, commit_every_s=300.0)
    assert carry_out(reader, survey(reader), LocalPool(), options) == Ending(False, {}, 24)
    assert parts[0] == (0, 6), "1,200 s are four times 300"
    assert sum(high - low for low, high in parts) == 24


@given(st.integers(1, 500), st.floats(0.0, 1e4), st.floats(1.0, 1e4))
def test_an_even_part_takes_no_longer_than_it_may(whole: int, each: float, most: float) -> None:
    count = even_part(whole, each, most)
    assert 1 <= count <= whole
    assert count == 1 or (count - 1) * each <= most
    assert whole * each > most or count == whole


TARGET = Target("key")


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 39), st.integers(1, 9)), max_size=9))
def test_what_is_left_and_what_is_there_are_the_shard(
    count: int, drawn: list[tuple[int, int]]
) -> None:
    spans: list[tuple[int, int]] = []
    for low, size in sorted(drawn):
        if low + size <= count and (not spans or low >= spans[-1][1]):
            spans.append((low, low + size))
    policy, whole = FaultPolicy(), Unit("g", 0, (TARGET,))
    left = policy.take_up(whole, spans, count)
    gaps = [unit.positions for unit in left if unit.positions]
    covered = sorted(p for low, high in (*spans, *gaps) for p in range(low, high))
    assert covered == list(range(count))
    for unit in left:
        if not unit.merge:
            then = policy.after(Outcome("finished", "g", unit), count)
    last = left[-1] if left[-1].merge else then.units[-1]
    assert last.merge
    assert list(last.parts) == sorted((*spans, *gaps))
