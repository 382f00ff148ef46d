"""Short units go out several at once; each is one unit still, whatever becomes of the others."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import plan

from medgen.actors.local_pool import LocalPool
from medgen.actors.ray_pool import RayPool
from medgen.engine.errors import EngineDied
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.run import staff as staff_module
from medgen.engine.run.board import Queue
from medgen.engine.run.crew import Member
from medgen.engine.run.driver import Driver, Ending, Options
from medgen.engine.run.events import Event
from medgen.engine.run.pool import Group, Outcome, Pool, Receipt, Target, Unit, Worker
from medgen.engine.run.reader import RunReader
from medgen.engine.run.staff import HANDFUL_S, HANDFULS_LEFT, SOUND, Staff
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

HANDFUL = RayPool.handful
MANY = 480  # samples in shards of four: enough that a worker may hold a handful


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def work_of(objects: Objects, count: int = MANY, **given: Any) -> Plan:
    resources = given.pop("resources", Resources(0.1, workers=1))
    return plan(objects, System("echo", Model(Spec("fakes:Echo", given), resources)), count=count)


def go(objects: Objects, work: Plan, pool: Pool, **options: Any) -> tuple[Driver, Ending, int]:
    """The driver, how it ended, and the most units that one worker ever held."""
    reader, most = RunReader(objects, work), 0
    pool.handful = HANDFUL  # which changes nothing of what either pool does

    def watch(event: Event) -> None:
        nonlocal most
        held = Counter(out.worker for out in driver.desk.all())
        most = max(most, *held.values(), 0)

    driver = Driver(reader, survey(reader), pool, Options(watch=watch, **options))
    driver.books.declare()
    driver.books.note_editions()
    with pytest.MonkeyPatch.context() as patch:  # on a busy machine nothing is short
        patch.setattr(staff_module, "HANDFUL_S", 60.0)
        ending = driver.run()
    reader.noted.write()
    return driver, ending, most


def statuses(objects: Objects, work: Plan) -> dict[str, str]:
    reader = RunReader(objects, work)
    rows = [p for shard in range(work.shards) for p in reader.predictions("echo", shard)]
    assert len(rows) == work.rows_due("echo")
    return {p.sample_id: p.status for p in rows}


def test_short_units_go_out_by_the_handful_and_each_is_done_once(
    objects: Objects, tmp_path: Path, pool: Pool
) -> None:
    calls = tmp_path / "calls"
    work = work_of(objects, execution={"calls": str(calls)})
    driver, ending, most = go(objects, work, pool)
    assert ending.failed == {}
    assert 1 < most <= HANDFUL
    assert set(statuses(objects, work).values()) == {"ok"}
    asked = Counter(calls.read_text().split())
    assert len(asked) == work.rows_due("echo")
    assert set(asked.values()) == {1}
    assert not list(driver.desk.all())
    group = next(g for g in driver.plan.groups if g.startswith("answer/"))
    assert driver.crew.handfuls[group] == 1, "the last ones are for whoever is free"


@pytest.mark.parametrize(
    ("sample_s", "left", "workers", "holds"),
    [
        (0.001, 10_000, 2, HANDFUL),
        (0.0, 10_000, 2, HANDFUL),
        (HANDFUL_S / 4 / 3, 10_000, 2, 3),  # three of four samples in that time
        (HANDFUL_S / 4 / 1.5, 10_000, 2, 1),
        (30.0, 10_000, 2, 1),
        (0.001, 4 * HANDFULS_LEFT * 6, 2, 3),  # of which each worker could have so many again
        (0.001, 4 * HANDFULS_LEFT, 2, 1),
        (0.001, 0, 2, 1),
    ],
)
def test_a_worker_holds_as_many_as_are_short_together_and_many_more_are_left(
    objects: Objects, sample_s: float, left: int, workers: int, holds: int
) -> None:
    staff, group, queue = staffed(objects, workers)
    staff.left[group] = left
    assert staff.handful(queue) == 1, "nobody knows how long they take"
    staff.speeds.note_unit(group, 100 * sample_s, 100)
    assert staff.handful(queue) == holds
    staff.note_outcome(Outcome("finished", group))
    assert staff.handful(queue) == holds


@pytest.mark.parametrize("kind", ["failed", "crashed", "lost", "unstarted"])
def test_a_group_of_which_something_went_wrong_is_handed_singly_until_it_is_sound(
    objects: Objects, kind: str
) -> None:
    staff, group, queue = staffed(objects, 2)
    staff.left[group] = 10_000
    staff.speeds.note_unit(group, 0.1, 100)
    staff.note_outcome(Outcome(kind, "another"))
    assert staff.handful(queue) == HANDFUL, "another group is none of its business"
    for good in (0, 1, SOUND - 1):
        staff.note_outcome(Outcome(kind, group))
        for _ in range(good):
            assert staff.handful(queue) == 1
            staff.note_outcome(Outcome("finished", group))
    assert staff.handful(queue) == 1, "good ones count from the last bad one"
    staff.note_outcome(Outcome("started", group))
    assert staff.handful(queue) == 1, "a worker that starts has done nothing yet"
    staff.note_outcome(Outcome("finished", group))
    assert staff.handful(queue) == HANDFUL


def staffed(objects: Objects, workers: int) -> tuple[Staff, str, Queue]:
    """A staff whose one group that answers has so many workers, and a unit of four samples."""
    work = work_of(objects, 24)
    pool = LocalPool()
    pool.handful = HANDFUL
    driver = Driver(reader := RunReader(objects, work), survey(reader), pool, Options())
    group = next(g for g in work.groups if g.startswith("answer/"))
    driver.crew.groups[group] = {
        f"w{n}": Member(f"w{n}", group, "here", 0.0) for n in range(workers)
    }
    return driver.staff, group, driver.board.queues[group]


def test_what_has_a_price_goes_out_one_by_one(objects: Objects) -> None:
    work = plan(
        objects,
        System("echo", Model(Spec("faults.misfits:Leisurely", PRICED), Resources(0.1))),
        count=MANY,
    )
    driver, ending, _ = go(objects, work, LocalPool())
    assert ending.failed == {}
    group = next(g for g in driver.plan.groups if g.startswith("answer/"))
    assert driver.crew.handfuls[group] == 1


PRICED = {"seconds": 0.0, "prices": {"request": 0.01}}


@pytest.mark.parametrize("fault", ["raise", "engine_died"])
def test_one_that_fails_among_others_costs_its_sample_alone(
    objects: Objects, pool: Pool, fault: str
) -> None:
    work = work_of(objects, faults={"s0241": fault})
    driver, ending, most = go(objects, work, pool)
    assert ending.failed == {}
    assert most > 1
    found = statuses(objects, work)
    assert {s for s, status in found.items() if status != "ok"} == {"s0241"}
    group = next(g for g in driver.plan.groups if g.startswith("answer/"))
    assert driver.crew.handfuls[group] == 1, "from then on it is known which one fails"


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("fault", "deadline_s"),
    [("kill", 1800.0), pytest.param("hang", 1.0, marks=pytest.mark.trial)],
)
def test_one_that_costs_its_process_every_time_among_others_costs_its_sample_alone(
    objects: Objects, ray_pool: Pool, fault: str, deadline_s: float
) -> None:
    work = work_of(objects, faults={"s0241": fault}, resources=Resources(0.1, workers=2))
    _, ending, most = go(objects, work, ray_pool, deadline_s=deadline_s)
    assert ending.failed == {}
    assert most > 1
    found = statuses(objects, work)
    assert {s: v for s, v in found.items() if v != "ok"} == {"s0241": "quarantined"}


def test_one_that_never_returns_among_others_holds_none_of_them(
    objects: Objects, tmp_path: Path, pool: Pool
) -> None:
    (tmp_path / "marks").mkdir()
    once = {"once": str(tmp_path / "marks")}
    work = work_of(objects, faults={"s0241": "hang"}, execution=once)
    _, ending, most = go(objects, work, pool, deadline_s=2.0)
    assert ending.failed == {}
    assert most > 1
    assert (tmp_path / "marks" / "s0241").exists()
    assert set(statuses(objects, work).values()) == {"ok"}


def test_a_run_that_is_stopped_among_them_is_finished_by_the_next(
    objects: Objects, tmp_path: Path, pool: Pool
) -> None:
    calls = tmp_path / "calls"
    work = work_of(objects, execution={"calls": str(calls)})
    reader, seen = RunReader(objects, work), list[Event]()

    def stop() -> bool:
        return sum(e.kind == "receipt" for e in seen) > 60

    driver = Driver(reader, survey(reader), pool, Options(watch=seen.append, stop=stop))
    driver.books.declare()
    driver.books.note_editions()
    assert driver.run().stopped
    reader.noted.write()
    _, ending, _ = go(objects, work, pool)
    assert ending.failed == {}
    assert set(statuses(objects, work).values()) == {"ok"}
    asked = Counter(calls.read_text().split())
    assert set(asked.values()) == {1}, "what was out when it stopped was let finish"


class Counting:
    """A worker that notes what it does, fails at shard 3 and ends its engine at shard 5."""

    def __init__(self, dies_at: int) -> None:
        self.dies_at = dies_at

    def __call__(self, unit: Unit) -> Sequence[Receipt]:
        if unit.shard == 3:
            raise ValueError("shard 3")
        if unit.shard == self.dies_at:
            raise EngineDied("the engine died")
        return [Receipt("answer", "k", unit.shard)]


def counting(dies_at: int) -> Callable[[], Worker]:
    def make() -> Worker:
        return Counting(dies_at)

    return make


@pytest.mark.parametrize("in_flight", [1, 2, 3])
@pytest.mark.parametrize("dies_at", [5, 99])
def test_each_unit_that_a_worker_holds_is_told_of_once(
    pool: Pool, in_flight: int, dies_at: int
) -> None:
    group = Group("g", counting(dies_at), Resources(0.1, in_flight=in_flight))
    worker = pool.open(group, pool.machines()[0].name)
    told: list[Outcome] = []
    while not told:
        told += pool.wait(1.0)
    assert [o.kind for o in told] == ["started"]
    units = [Unit("g", shard, (Target("k"),)) for shard in range(20)]
    for unit in units:
        pool.submit(unit, worker)
    told = []
    while len(told) < len(units):
        told += pool.wait(1.0)
    assert not pool.wait(0.0)
    assert sorted(o.unit.shard for o in told if o.unit) == list(range(20))
    kinds = {o.unit.shard: o.kind for o in told if o.unit}
    done = {shard for shard, kind in kinds.items() if kind == "finished"}
    if dies_at > 20:
        assert kinds[3] == "failed"
        assert done == {*range(20)} - {3}
        return
    assert kinds[5] == "crashed"
    if in_flight == 1:  # in their order
        assert kinds[3] == "failed"
        assert done == {0, 1, 2, 4}
        assert {kinds[shard] for shard in range(5, 20)} == {"crashed"}
        assert not any(o.alone for o in told if o.kind == "crashed")


class Slow:
    """A worker whose every unit takes long."""

    def __call__(self, unit: Unit) -> Sequence[Receipt]:
        time.sleep(0.6)
        return [Receipt("answer", "k", unit.shard)]


def test_a_call_ends_where_its_units_are_slower_than_they_were(ray_pool: Pool) -> None:
    worker = ray_pool.open(Group("g", Slow, Resources(0.1)), ray_pool.machines()[0].name)
    while not ray_pool.wait(1.0):
        pass
    units = [Unit("g", shard, (Target("k"),)) for shard in range(5)]
    for unit in units:
        ray_pool.submit(unit, worker)
    told: list[list[int]] = []
    while sum(map(len, told)) < len(units):
        if outcomes := ray_pool.wait(5.0):
            told.append([o.unit.shard for o in outcomes if o.unit and o.kind == "finished"])
    assert told == [[0, 1], [2, 3], [4]], "each is done once, in order, and none waits for all"


def test_in_one_process_nothing_is_saved_by_handfuls() -> None:
    assert LocalPool.handful == 1


def test_a_unit_waits_until_it_is_sent(ray_pool: Pool) -> None:
    worker = ray_pool.open(Group("g", counting(99), Resources(0.1)), ray_pool.machines()[0].name)
    unit = Unit("g", 0, (Target("k"),))
    while not ray_pool.wait(1.0):
        pass
    ray_pool.submit(unit, worker)
    assert ray_pool.waits(unit, worker)
    assert not ray_pool.waits(replace(unit, shard=1), worker)
    (done,) = ray_pool.wait(10.0)
    assert done.unit == unit
    assert not ray_pool.waits(unit, worker)
