"""Drivers of one store share its work: whatever they share is asked once, and each ends whole."""

import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import PAIR, Lines, echo, plan, recipe

from medgen.actors.chaos import ChaoticPool
from medgen.actors.local_pool import LocalPool
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, System, make_plan
from medgen.engine.run.adopting import take_over
from medgen.engine.run.claims import Claims, Range
from medgen.engine.run.control import Orders
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.events import Event
from medgen.engine.run.pool import Target, Unit
from medgen.engine.run.presence import Presence, Watch
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import Again, survey
from medgen.engine.run.worker import StageWorker
from medgen.engine.store.chaos import Chaos
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import RunPlace
from medgen.engine.store.objects import Objects, PosixObjects

COUNT, SHARD = 96, 4
LEASE = 2.0


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def slow(folder: Path, **more: Any) -> Model:
    how = {"calls": str(folder / "calls"), "pause": "0.02"}
    return echo(execution={**how, **more})


def asked(folder: Path) -> Counter[str]:
    return Counter((folder / "calls").read_text().split())


class Side(threading.Thread):
    """A driver in a thread of its own."""

    def __init__(self, objects: Objects, work: Plan, again: Again = "outside", **more: Any) -> None:
        super().__init__()
        self.objects, self.work, self.again = objects, work, again
        self.events: list[Event] = []
        self.more = {"lease_s": LEASE, "watch": self.events.append, **more}
        self.ending: Ending | None = None
        self.start()

    def run(self) -> None:
        reader = RunReader(connect(self.objects.url), self.work)
        take_over(reader)
        reader = reader.anew()
        todo = survey(reader, self.again)
        self.ending = carry_out(reader, todo, LocalPool(), Options(**self.more))

    def done(self) -> int:
        """Answers that this driver made itself."""
        receipts = (e.receipt for e in self.events if e.receipt is not None)
        return sum(sum(r.rows.values()) for r in receipts if r.stage == "answer" and not r.part)

    def found(self) -> int:
        return sum(e.details["shards"] for e in self.events if e.kind == "found")


def wait_for(*sides: Side) -> None:
    for side in sides:
        side.join(120)
        assert side.ending is not None, "the driver raised, or hangs"
        assert side.ending == Ending(False, {})


def assert_whole(objects: Objects, *plans: Plan) -> None:
    for work in plans:
        assert survey(RunReader(objects, work)).shards == 0
    assert objects.walk("claims") == []
    assert not [p for p in objects.walk("runs") if "/drivers/" in p]


def test_two_at_once_ask_each_sample_once_and_both_do_some(
    objects: Objects, tmp_path: Path
) -> None:
    judges = {"fixed": Model(Spec("fakes:FixedJudge", {"name": "fixed"}), PAIR)}
    work = plan(objects, System("echo", slow(tmp_path)), count=COUNT, judges=judges)
    sides = Side(objects, work), Side(objects, work)
    wait_for(*sides)
    assert set(asked(tmp_path).values()) == {1}
    assert len(asked(tmp_path)) == COUNT
    assert min(side.done() for side in sides) > COUNT // 8
    assert sum(side.done() for side in sides) == COUNT
    assert all(side.found() for side in sides)
    finished = [e for side in sides for e in side.events if e.kind == "system_finished"]
    assert {e.details["system"] for e in finished} == {"echo"}
    assert_whole(objects, work)


def test_one_that_joins_late_takes_part_of_what_is_left(objects: Objects, tmp_path: Path) -> None:
    work = plan(objects, System("echo", slow(tmp_path)), count=COUNT)
    first = Side(objects, work)
    while not first.done():
        time.sleep(0.02)
    second = Side(objects, work)
    wait_for(first, second)
    assert set(asked(tmp_path).values()) == {1}
    assert second.done() > 0
    assert_whole(objects, work)


def test_two_plans_that_share_a_system_ask_it_once(objects: Objects, tmp_path: Path) -> None:
    manifest = import_benchmark(Lines(COUNT), objects, ImportOptions("fake", SHARD))
    shared = System("echo", slow(tmp_path))
    own = System("other", replace(echo(prefix="other"), seconds_per_sample=0.0))
    one = make_plan(replace(recipe(shared), name="one"), manifest)
    two = make_plan(replace(recipe(shared, own), name="two"), manifest, COUNT // 2)
    assert one.run_id != two.run_id
    wait_for(Side(objects, one), Side(objects, two))
    assert set(asked(tmp_path).values()) == {1}
    assert len(asked(tmp_path)) == COUNT
    assert_whole(objects, one, two)


def test_other_cuts_of_the_same_samples_are_taken_over_and_not_asked_again(
    objects: Objects, tmp_path: Path
) -> None:
    system = System("echo", slow(tmp_path))
    manifests = [
        import_benchmark(Lines(COUNT), objects, ImportOptions(f"fake{size}", size))
        for size in (4, 6)
    ]
    plans = [make_plan(recipe(system), manifest) for manifest in manifests]
    sides = [Side(objects, work) for work in plans]
    wait_for(*sides)
    assert set(asked(tmp_path).values()) == {1}
    assert_whole(objects, *plans)


LAG_S = 1.5


def test_listings_that_lag_make_no_call_twice(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = plan(objects, System("echo", slow(tmp_path)), count=COUNT)
    names = PosixObjects.names

    def late(self: PosixObjects, folder: str) -> list[str]:
        """What was there for so long; folders are told of at once."""
        long_ago = time.time() - LAG_S

        def is_told(path: Path) -> bool:
            try:
                return path.is_dir() or path.stat().st_mtime < long_ago
            except FileNotFoundError:  # removed since it was listed
                return False

        return [n for n in names(self, folder) if is_told(self.root / folder / n)]

    monkeypatch.setattr(PosixObjects, "names", late)
    wait_for(Side(objects, work), Side(objects, work))
    assert set(asked(tmp_path).values()) == {1}
    monkeypatch.undo()
    assert_whole(objects, work)


def test_what_is_paused_at_one_is_done_by_the_other(objects: Objects, tmp_path: Path) -> None:
    work = plan(objects, System("echo", slow(tmp_path)), count=COUNT)
    paused = threading.Event()

    def orders() -> Orders:
        return Orders(paused=frozenset({"echo"})) if paused.is_set() else Orders()

    first = Side(objects, work, orders=orders)
    while not first.done():
        time.sleep(0.02)
    paused.set()
    second = Side(objects, work)
    wait_for(second)
    paused.clear()
    wait_for(first)
    assert set(asked(tmp_path).values()) == {1}
    assert_whole(objects, work)


def test_what_one_gives_up_the_other_may_do(objects: Objects, tmp_path: Path) -> None:
    spec = Spec("run.dear:Dear", {"prices": {"request": 1.0}})
    work = plan(objects, System("dear", Model(spec, Resources(0.1))), count=COUNT)
    poor, rich = Side(objects, work, spending_cap_usd=9.0), Side(objects, work)
    for side in (poor, rich):
        side.join(120)
    assert poor.ending is not None
    assert rich.ending == Ending(False, {})
    assert poor.ending.spent_usd <= 9
    assert poor.ending.spent_usd + rich.ending.spent_usd == COUNT, "each sample was paid once"
    assert_whole(objects, work)


@pytest.mark.parametrize("shards", [1, 6])
def test_what_one_scores_of_rows_that_the_other_repeats_is_not_left_stale(
    objects: Objects, tmp_path: Path, shards: int
) -> None:
    (tmp_path / "once").mkdir()
    manifest = import_benchmark(Lines(4 * shards), objects, ImportOptions("fake", 4))

    def work(pause: str, **more: Any) -> Plan:
        model = echo(
            faults={"s0003": "error"},
            execution={**calls, "once": str(tmp_path / "once"), "pause": pause},
        )
        return make_plan(recipe(System("echo", model), **more), manifest)

    calls = {"calls": str(tmp_path / "calls")}
    reader = RunReader(objects, answered := work("0", metrics=()))
    carry_out(reader, survey(reader), LocalPool(), Options())
    judges = {"fixed": Model(Spec("fakes:FixedJudge", {"name": "fixed"}), PAIR)}
    repeated = work("1.0", judges=judges)
    assert answered.nodes.keys() < repeated.nodes.keys()
    repeats = Side(objects, repeated, "errors")
    while asked(tmp_path)["s0003"] < 2:
        time.sleep(0.02)
    scores = Side(objects, repeated)
    wait_for(scores, repeats)
    assert scores.events
    assert_whole(objects, repeated)
    reader = RunReader(objects, repeated)
    for node in (n for n in repeated.nodes.values() if n.upstream):
        tables = [reader.table(node, n) for n in range(shards)]
        found = {status for t in tables if t is not None for status in t["status"].to_pylist()}
        assert found == {"ok"}
    assert set(asked(tmp_path).values()) == {1, 2}


@pytest.mark.parametrize("beside", ["nobody", "claims", "a sign of life"])
def test_shards_are_looked_for_before_they_are_made_only_beside_others(
    beside: str, objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that died may have left workers that are still writing."""
    looked: list[Unit] = []

    def found(self: StageWorker, target: Target, unit: Unit, start: float) -> None:
        looked.append(unit)

    monkeypatch.setattr(StageWorker, "_found", found)
    work = plan(objects, System("echo", slow(tmp_path)), count=COUNT)
    if beside == "claims":
        (answer,) = work.predictions("echo")
        dead = Presence(objects, "night", LEASE)
        spans = {Range(answer.key, entry.digest[:1]): 1 for entry in work.content}
        assert Claims(objects, dead, Watch(objects, LEASE)).take_all(spans) == [*spans]
        objects.create(RunPlace("night").tombstone(dead.who.driver), b"{}")
    if beside == "a sign of life":  # who had its claims from it is gone as well
        Presence(objects, work.run_id, LEASE).renew()
    wait_for(Side(objects, work))
    assert bool(looked) is (beside != "nobody")
    assert survey(RunReader(objects, work)).shards == 0


def test_what_a_lost_machine_had_committed_is_not_asked_again(
    objects: Objects, tmp_path: Path
) -> None:
    """It may go between its last write and the receipt: the driver hears of the loss alone."""
    work = plan(objects, System("echo", slow(tmp_path)), count=SHARD)
    losing = ChaoticPool(LocalPool(), Chaos(node_loss=1.0))
    events: list[Event] = []
    reader = RunReader(objects, work)
    ending = carry_out(reader, survey(reader), losing, Options(watch=events.append))
    assert ending == Ending(False, {})
    assert any(e.kind == "trouble" for e in events), "no machine was lost"
    assert set(asked(tmp_path).values()) == {1}
    assert_whole(objects, work)


def test_what_workers_may_yet_write_that_were_ended_is_looked_for_by_who_comes_next(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that is stopped ends its workers when its grace is over; a kill takes its time."""
    work = plan(objects, System("echo", slow(tmp_path, pause="0.6")), count=2 * SHARD)
    first = Side(objects, work, stop=(tmp_path / "calls").exists, grace_s=0.0)
    first.join(120)
    assert first.ending == Ending(True, {})
    wary: list[bool] = []
    submit = LocalPool.submit

    def noting(self: LocalPool, unit: Unit, worker: str) -> None:
        wary.append(unit.wary)
        submit(self, unit, worker)

    monkeypatch.setattr(LocalPool, "submit", noting)
    wait_for(Side(objects, work))
    assert wary[0]
    assert_whole(objects, work)
