"""A judge is asked sample by sample for all systems that are there, and waits a bounded time."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import PAIR, FixedJudge, benchmark, echo, plan, recipe

from medgen.actors.local_pool import LocalPool
from medgen.engine.data import Prediction, Sample, Usage, Verdict
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System, make_plan
from medgen.engine.run.board import Board
from medgen.engine.run.desk import Desk
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.faults import FaultPolicy
from medgen.engine.run.pool import Outcome, Target, Unit
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.run.waves import Waves
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

SHARDS = 6
Case = tuple[str, str]  # a sample, and the system whose answer was judged


class Seen(FixedJudge):
    """Leaves a line for every call: which samples it was asked, of which systems."""

    def __init__(self, name: str, execution: Mapping[str, Any]) -> None:
        super().__init__(name)
        self.calls, self.usd = Path(execution["calls"]), float(execution.get("usd", 0.0))

    def judge(self, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> list[Verdict]:
        cases = [(p.sample_id, (p.text or "").split()[0]) for p in predictions]
        with self.calls.open("a") as log:
            log.write(json.dumps(cases) + "\n")
        usage = Usage(cost_usd=self.usd / 2)  # of each view
        return [replace(v, usage=usage) for v in super().judge(samples, predictions)]


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def judge(folder: Path, **more: Any) -> dict[str, Model]:
    how = {"calls": str(folder / "calls"), **more}
    said = {"name": "seen", "execution": how}
    return {"seen": Model(Spec("run.test_judging_together:Seen", said), PAIR)}


def systems(*names: str, **pauses: str) -> list[System]:
    how = {name: {"execution": {"pause": pause}} for name, pause in pauses.items()}
    return [System(name, echo(prefix=f"{name} ", **how.get(name, {}))) for name in names]


def go(objects: Objects, work: Plan, **options: Any) -> Ending:
    reader = RunReader(objects, work)
    return carry_out(reader, survey(reader), LocalPool(), Options(**options))


def calls(folder: Path) -> list[list[Case]]:
    lines = (folder / "calls").read_text().splitlines()
    return [[(sample, system) for sample, system in json.loads(line)] for line in lines]


def counted(folder: Path) -> Counter[Case]:
    return Counter(case for call in calls(folder) for case in call)


def verdicts(objects: Objects, work: Plan, system: str) -> list[dict[str, Any]]:
    reader = RunReader(objects, work)
    (node,) = (n for n in work.nodes.values() if n.stage == "judge" and system in n.systems)
    tables = [reader.table(node, shard) for shard in range(work.shards)]
    return [row for table in tables if table is not None for row in table.to_pylist()]


def test_a_shard_is_judged_sample_by_sample_for_all_systems(
    objects: Objects, tmp_path: Path
) -> None:
    work = plan(objects, *systems("a", "b", "c"), judges=judge(tmp_path))
    assert go(objects, work) == Ending(False, {})
    found = calls(tmp_path)
    assert len(found) == SHARDS
    for call in found:
        ids = list(dict.fromkeys(sample for sample, _ in call))
        assert call == [(sample, system) for sample in ids for system in "abc"]
    for name in "abc":
        rows = verdicts(objects, work, name)
        assert Counter(row["status"] for row in rows) == {"ok": 48}
        assert len({row["sample_id"] for row in rows}) == 24


def test_what_is_there_waits_for_a_slower_system(objects: Objects, tmp_path: Path) -> None:
    three = systems("a", "b", "slow", slow="0.2")
    go(objects, plan(objects, *three, count=8, judges=judge(tmp_path)))
    assert [{system for _, system in call} for call in calls(tmp_path)] == [{"a", "b", "slow"}] * 2


class Held:
    """A board on which some systems are there to be judged, and a clock that is turned by hand."""

    def __init__(self, objects: Objects, folder: Path) -> None:
        self.work = plan(objects, *systems("a", "b", "c"), judges=judge(folder))
        self.board = Board(self.work, survey(RunReader(objects, self.work)))
        self.now, self.desk = 0.0, Desk()
        groups = {name: {"w": None} for name in self.work.groups}
        crew: Any = SimpleNamespace(groups=groups)
        self.groups = groups
        self.waves = Waves(self.board, self.desk, crew, self.clock, 120.0, score_wait_s=600.0)

    def clock(self) -> float:
        return self.now

    def answer(self, system: str) -> None:
        (node,) = self.work.predictions(system)
        self.board.commit(Unit(node.group, 0, (Target(node.key),)))

    def ready(self, at: float, moved: float = 1e9) -> list[str]:
        """Systems that could be judged then; `moved`: when something last happened."""
        self.now = at
        self.waves.look(moved)
        return self.queued("judge/seen")

    def queued(self, group: str) -> list[str]:
        """Systems that stand in a group's queue, which is emptied."""
        queue = self.board.queues[group].fresh
        named = [self.work.nodes[t.key].systems[0] for unit in queue for t in unit.targets]
        queue.clear()
        return named

    def scored(self, at: float) -> list[str]:
        """Systems that could be scored then, while other work goes on."""
        self.ready(at)
        return self.queued("score")


@pytest.fixture
def held(objects: Objects, tmp_path: Path) -> Held:
    return Held(objects, tmp_path)


def test_a_shard_is_judged_in_waves_of_those_that_have_waited_long_enough(held: Held) -> None:
    held.answer("a")
    assert held.ready(0.0) == []
    held.answer("b")
    assert held.ready(119.0) == [], "the first has not waited long enough"
    assert held.ready(120.0) == ["a", "b"]
    held.answer("c")
    assert held.ready(121.0) == ["c"], "nobody is to come"


def test_scoring_waits_for_slower_systems_as_long_as_the_run_says(held: Held) -> None:
    held.answer("a")
    assert held.scored(599.0) == []
    held.answer("b")
    assert held.scored(600.0) == ["a", "b"]
    held.answer("c")
    assert held.scored(601.0) == ["c"], "nobody is to come"


def test_scoring_that_has_work_takes_up_nothing_beside_it(held: Held) -> None:
    held.answer("a")
    held.board.queues["score"].fresh.append(Unit("score", 1, ()))
    held.waves.look(held.now)
    held.now = 700.0
    held.waves.look(held.now)
    held.board.queues["score"].fresh.clear()
    assert held.scored(1299.0) == [], "it had something to do until 700"
    assert held.scored(1300.0) == ["a"]


def test_nobody_waits_for_a_system_that_is_given_up_or_dropped(held: Held) -> None:
    held.answer("a")
    (b,), (c,) = held.work.predictions("b"), held.work.predictions("c")
    held.board.drop({n.key for n in held.work.nodes.values() if "b" in n.systems})
    assert held.ready(0.0) == []
    held.board.give_up(c.group, "it does not start")
    assert held.ready(1.0) == ["a"]
    assert b.group not in held.board.failed


def test_nobody_waits_where_no_model_is_at_work(held: Held) -> None:
    held.answer("a")
    assert held.ready(6.0, moved=0.0) == [], "workers are there for it"
    held.groups.update({name: {} for name in held.work.groups})
    assert held.ready(7.0, moved=0.0) == ["a"]


def test_a_system_that_dies_keeps_nobody_waiting(objects: Objects, tmp_path: Path) -> None:
    broken = System("broken", echo(faults={"start": "yes"}))
    work = plan(objects, *systems("a", "b"), broken, judges=judge(tmp_path))
    ending = go(objects, work, judge_wait_s=600.0)
    assert len(ending.failed) == 1
    assert set(counted(tmp_path).values()) == {1}
    assert len(counted(tmp_path)) == 48


def test_a_further_system_is_judged_alone_and_the_others_not_again(
    objects: Objects, tmp_path: Path
) -> None:
    go(objects, plan(objects, *systems("a", "b"), judges=judge(tmp_path)))
    (tmp_path / "calls").unlink()
    work = plan(objects, *systems("a", "b", "c", "d"), judges=judge(tmp_path))
    go(objects, work)
    assert len(calls(tmp_path)) == SHARDS
    assert {system for _, system in counted(tmp_path)} == {"c", "d"}
    assert len(verdicts(objects, work, "a")) == len(verdicts(objects, work, "d")) == 48


def test_a_start_that_was_stopped_has_judged_nothing_in_vain(
    objects: Objects, tmp_path: Path
) -> None:
    work = plan(objects, *systems("a", "b", "c"), judges=judge(tmp_path))
    seen: list[str] = []

    def watch(event: Any) -> None:
        if event.receipt is not None and event.receipt.stage == "judge":
            seen.append(event.receipt.key)

    go(objects, work, watch=watch, stop=lambda: len(seen) >= 3)
    assert 3 <= len(seen) < 3 * SHARDS
    assert go(objects, work) == Ending(False, {})
    assert set(counted(tmp_path).values()) == {1}


def test_a_unit_costs_no_more_under_a_cap_than_a_shard_of_one_system(
    objects: Objects, tmp_path: Path
) -> None:
    priced = judge(tmp_path, usd=1.0, prices={"request": 1.0})
    work = plan(objects, *systems("a", "b", "c", "d"), judges=priced)
    ending = go(objects, work, spending_cap_usd=10.0)
    assert max(len(call) for call in calls(tmp_path)) <= 4
    assert len(ending.failed) == 1, "the judge, with what it has"
    assert ending.spent_usd <= 10.0
    paid = counted(tmp_path)
    go(objects, work, spending_cap_usd=1000.0)
    again = {case for case, times in counted(tmp_path).items() if times > 1}
    assert paid
    assert not again, "parts of a start that was ended are taken up"
    assert len(counted(tmp_path)) == 96


def test_plans_that_share_some_systems_pay_for_each_verdict_once(
    objects: Objects, tmp_path: Path
) -> None:
    manifest = benchmark(objects)
    wide, narrow = (
        make_plan(replace(recipe(*systems(*names), judges=judge(tmp_path)), name=names), manifest)
        for names in ("abc", "bc")
    )
    go(objects, narrow)
    go(objects, wide)
    assert counted(tmp_path) == Counter(
        (f"s{n:04d}", system) for n in range(24) for system in "abc"
    )


def test_two_drivers_judge_each_answer_once(objects: Objects, tmp_path: Path) -> None:
    work = plan(objects, *systems("a", "b", "c"), count=48, judges=judge(tmp_path))
    endings: list[Ending] = []
    sides = [Thread(target=lambda: endings.append(go(objects, work))) for _ in range(2)]
    for side in sides:
        side.start()
    for side in sides:
        side.join()
    assert endings == [Ending(False, {})] * 2
    assert set(counted(tmp_path).values()) == {1}
    assert len(counted(tmp_path)) == 144


KEYS = tuple(Target(key) for key in "abc")


def crash(policy: FaultPolicy, unit: Unit) -> tuple[Unit, ...]:
    return policy.after(Outcome("crashed", unit.group, unit, alone=True), 1).units


def test_a_sample_that_kills_a_judge_costs_the_one_system_whose_answer_it_is() -> None:
    policy = FaultPolicy(by_target=["judge"])
    whole = Unit("judge", 0, KEYS)
    (again,) = crash(policy, whole)
    ones = crash(policy, again)
    assert [one.targets for one in ones] == [(key,) for key in KEYS]
    done = [policy.after(Outcome("finished", "judge", one), 1) for one in ones[:2]]
    assert not any(then.units for then in done)
    (again,) = crash(policy, ones[2])
    (row,) = crash(policy, again)
    assert row.targets == KEYS[2:]
    assert "killed its worker twice" in row.quarantined[0]
    (merge,) = policy.after(Outcome("finished", "judge", row), 1).units
    assert (merge.targets, merge.parts, merge.quarantined) == (KEYS, ((0, 1),), {})


def test_a_part_with_a_target_less_is_still_a_part(objects: Objects) -> None:
    """One that was dropped, or that another driver has done: the rest of the shard is not there."""
    work = plan(objects, *systems("a", "b"), metrics=("length",))
    board = Board(work, survey(RunReader(objects, work)))
    keys = [n.key for n in work.nodes.values() if n.stage == "score"]
    policy, whole = FaultPolicy(), Unit("score", 0, tuple(Target(key) for key in keys))
    first, second = policy.cut(whole, (0, 4), 2)
    board.queues["score"].fresh.extend([first, second])
    board.drop({keys[0]})
    parts = list(board.queues["score"].fresh)
    assert [p.targets for p in parts] == [whole.targets[1:]] * 2
    kinds = [policy.after(Outcome("finished", "score", part), 4) for part in parts]
    assert [then.kind for then in kinds] == ["again", "again"]
    (merge,) = kinds[1].units
    left = board.open_part(merge)
    assert left is not None
    assert left.targets == whole.targets[1:]
