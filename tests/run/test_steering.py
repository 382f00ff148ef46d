"""A run is steered by orders: what they add up to, and what the driver does on every pool."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import PAIR, echo, plan

from medgen.actors.local_pool import LocalPool
from medgen.engine.errors import ConfigError, CorruptError
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.run.control import Control, Order, Orders, check_order
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.editions import Terms
from medgen.engine.run.events import Event
from medgen.engine.run.pool import Pool
from medgen.engine.run.reader import RunReader
from medgen.engine.run.steering import DROPPED
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.launch.run.evaluation import Work, _carry_on

JUDGES = {"fixed": Model(Spec("fakes:FixedJudge", {"name": "fixed"}), PAIR)}


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


class Driven:
    """A run whose orders follow what happens; keeps the systems of its receipts in order."""

    def __init__(self, plan: Plan, orders: Callable[["Driven"], Orders]) -> None:
        self.plan, self.orders = plan, orders
        self.receipts: list[tuple[str, str]] = []  # stage, first system
        self.events: list[Event] = []

    def watch(self, event: Event) -> None:
        self.events.append(event)
        if event.receipt is not None and event.receipt.part is None:
            node = self.plan.nodes[event.receipt.key]
            self.receipts.append((node.stage, node.systems[0]))

    def count(self, stage: str, system: str) -> int:
        return self.receipts.count((stage, system))

    def options(self, **more: Any) -> Options:
        return Options(watch=self.watch, orders=lambda: self.orders(self), **more)


def drive(objects: Objects, driven: Driven, pool: Pool, **more: Any) -> Ending:
    reader = RunReader(objects, driven.plan)
    return carry_out(reader, survey(reader), pool, driven.options(**more))


def owed(objects: Objects, work: Plan) -> dict[str, int]:
    """How many shards are left to do of each system."""
    todo = survey(RunReader(objects, work), "nothing")
    return {
        s.name: sum(len(todo.targets[n.key]) for n in work.nodes.values() if s.name in n.systems)
        for s in work.systems
    }


def two(objects: Objects) -> Plan:
    systems = System("a", echo()), System("b", echo(prefix="b"))
    return plan(objects, *systems, metrics=(), judges=JUDGES)


def test_a_paused_system_waits_until_it_is_resumed(objects: Objects, pool: Pool) -> None:
    work = two(objects)

    def orders(driven: Driven) -> Orders:
        over = driven.count("answer", "a") == driven.count("judge", "a") == 6
        return Orders() if over else Orders(paused=frozenset({"b"}))

    driven = Driven(work, orders)
    assert drive(objects, driven, pool) == Ending(stopped=False, failed={})
    assert {system for _, system in driven.receipts[:12]} == {"a"}
    assert {system for _, system in driven.receipts[12:]} == {"b"}
    assert owed(objects, work) == {"a": 0, "b": 0}


def test_a_system_that_is_paused_on_the_way_is_judged_no_further(
    objects: Objects, pool: Pool
) -> None:
    work = two(objects)

    def orders(driven: Driven) -> Orders:
        # From b's first verdict on, until nothing but b is left; then b goes on.
        begun, over = driven.count("judge", "b"), driven.count("judge", "a") == 6
        return Orders(paused=frozenset({"b"})) if begun and not over else Orders()

    driven = Driven(work, orders)
    assert drive(objects, driven, pool).failed == {}
    assert owed(objects, work) == {"a": 0, "b": 0}


def test_a_run_of_which_all_is_paused_waits_and_stops_when_told(
    objects: Objects, pool: Pool
) -> None:
    work, turns = two(objects), 0

    def stop() -> bool:
        nonlocal turns
        turns += 1
        return turns > 4

    driven = Driven(work, lambda driven: Orders(paused=frozenset({"a", "b"})))
    assert drive(objects, driven, pool, stop=stop) == Ending(stopped=True, failed={})
    assert driven.receipts == []


def test_a_dropped_system_is_over_and_the_others_go_on(objects: Objects, pool: Pool) -> None:
    work = two(objects)

    def orders(driven: Driven) -> Orders:
        seen = driven.count("answer", "b") > 0
        return Orders(dropped=frozenset({"b"})) if seen else Orders()

    driven = Driven(work, orders)
    ending = drive(objects, driven, pool)
    (answers,) = (n.group for n in work.predictions("b"))
    assert set(ending.failed) <= {answers}
    assert set(ending.failed.values()) <= {DROPPED}
    left = owed(objects, work)
    assert left["a"] == 0
    assert left["b"] > 0
    again = Driven(work, lambda driven: Orders())
    assert drive(objects, again, pool).failed == {}
    assert owed(objects, work) == {"a": 0, "b": 0}


def test_scoring_does_not_wait_for_a_dropped_system(objects: Objects, pool: Pool) -> None:
    work = plan(objects, System("a", echo()), System("b", echo(prefix="b")))
    driven = Driven(work, lambda driven: Orders(dropped=frozenset({"b"})))
    drive(objects, driven, pool)
    assert driven.count("score", "a") == 6
    assert {system for _, system in driven.receipts} == {"a"}


def test_workers_of_a_group_are_at_most_as_many_as_ordered(objects: Objects, pool: Pool) -> None:
    three = Model(Spec("fakes:Echo"), Resources(cpus=0.1, workers=3))
    work = plan(objects, System("a", three), metrics=())
    (group,) = work.groups
    many = 1 if isinstance(pool, LocalPool) else 3  # it has one place
    for most, expected in ((None, many), (1, 1)):
        orders = Orders(workers={} if most is None else {group: most})
        driven = Driven(work, lambda driven, orders=orders: orders)
        assert drive(objects, driven, pool).failed == {}
        have = [e.details["workers"] for e in driven.events if e.kind == "opened"]
        assert max(have) == expected
        objects.delete("stages")


def test_a_cap_that_is_lowered_ends_what_charges(objects: Objects, pool: Pool) -> None:
    prices = {"prices": {"request": 0.25}}
    work = plan(objects, System("a", echo(execution=prices)), metrics=())

    def orders(driven: Driven) -> Orders:
        return Orders(cap_usd=0.5) if driven.count("answer", "a") else Orders()

    ending = drive(objects, Driven(work, orders), pool, spending_cap_usd=100.0)
    assert "cap of $0.5 is reached" in next(iter(ending.failed.values()))
    assert owed(objects, work)["a"] > 0
    raised = Driven(work, lambda driven: Orders(cap_usd=100.0))
    assert drive(objects, raised, pool, spending_cap_usd=0.01).failed == {}


def test_what_is_owed_is_taken_up_again_when_asked(
    objects: Objects, pool: Pool, tmp_path: Path
) -> None:
    (tmp_path / "once").mkdir()
    faults = {"s0003": "unreachable"}
    system = System("a", echo(faults=faults, execution={"once": str(tmp_path / "once")}))
    work = plan(objects, system, metrics=())
    for asked, expected in ((0, {"ok": 23, "unreachable": 1}), (1, {"ok": 24})):
        objects.delete("stages")
        (tmp_path / "once" / "s0003").unlink(missing_ok=True)
        driven = Driven(work, lambda d, n=asked: Orders(requeued=n if d.receipts else 0))
        reader = RunReader(objects, work)
        _carry_on(pool, (reader, Work(survey(reader), survey, Terms())), driven.options())
        rows: dict[str, int] = {}
        for shard in range(work.shards):
            for row in RunReader(objects, work).predictions("a", shard):
                rows[row.status] = rows.get(row.status, 0) + 1
        assert rows == expected


# ---- what is sent --------------------------------------------------------------------------


def test_orders_add_up_in_the_order_of_their_numbers(store_url: str) -> None:
    objects = connect(store_url)
    driver, sender, other = (Control(objects, "r") for _ in range(3))
    assert driver.look() == []
    assert [sender.send(Order("pause", "a")), other.send(Order("drop", "b"))] == [1, 2]
    assert other.send(Order("workers", "g", 2)) == 3
    assert [order.verb for order in driver.look()] == ["pause", "drop", "workers"]
    assert driver.orders == Orders(frozenset({"a"}), frozenset({"b"}), {"g": 2})
    for order in (Order("resume", "a"), Order("cap", number=3.5), Order("requeue")):
        sender.send(order)
    sender.send(Order("resume", "b"))
    assert len(driver.look()) == 4
    assert driver.orders == Orders(workers={"g": 2}, cap_usd=3.5, requeued=1)
    assert driver.look() == []
    anew = Control(objects, "r")
    anew.look()
    assert anew.orders == driver.orders


def test_an_order_that_cannot_be_read_is_said(memory_url: str) -> None:
    objects = connect(memory_url)
    objects.create("runs/r/control/000001.json", b"{")
    with pytest.raises(CorruptError, match=r"control/000001.json: not an order"):
        Control(objects, "r").look()


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (Order("pause", "c"), "no system 'c' in the run; there are a, b"),
        (Order("cap", number=0), "positive number of US dollars, not 0"),
        (Order("cap", number=float("nan")), "positive number"),
        (Order("workers", "a", 0), "at least 1"),
        (Order("workers", "a", 1.5), "at least 1"),
        (Order("workers", "nobody", 2), "'nobody' is not one group of workers"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(memory_url: str, order: Order, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        check_order(two(connect(memory_url)), order)


def test_groups_are_found_by_system_and_judge(memory_url: str) -> None:
    work = two(connect(memory_url))
    (answers,) = (n.group for n in work.predictions("b"))
    for name, group in (("b", answers), (answers, answers), ("fixed", "judge/fixed")):
        assert check_order(work, Order("workers", name, 2)).name == group
