"""A run is steered by orders: what they add up to, and what the driver does on every pool."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import medgen
from fakes import PAIR, echo, plan

from medgen.actors.local_pool import LocalPool
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.run.control import Control, Order, Orders, check_order
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.editions import Terms
from medgen.engine.run.events import Event
from medgen.engine.run.folder import RunFolder, Status, now
from medgen.engine.run.pool import Pool
from medgen.engine.run.reader import RunReader
from medgen.engine.run.steering import DROPPED
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import RunPlace
from medgen.engine.store.objects import Objects
from medgen.launch.run.evaluation import Work, _carry_on
from medgen.launch.run.progress import Recorder
from medgen.launch.run.stop import Pulse, Stop

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
    work = two(objects)
    driver, sender, other = (Control(objects, work) for _ in range(3))
    assert driver.look() == []
    assert [sender.send(Order("pause", "a")), other.send(Order("drop", "b"))] == [1, 2]
    assert other.send(Order("workers", "judge/fixed", 2)) == 3
    assert [order.verb for order in driver.look()] == ["pause", "drop", "workers"]
    held = {"judge/fixed": 2}
    assert driver.orders == Orders(frozenset({"a"}), frozenset({"b"}), held)
    for order in (Order("resume", "a"), Order("cap", number=3.5), Order("requeue")):
        sender.send(order)
    sender.send(Order("resume", "b"))
    assert len(driver.look()) == 4
    assert driver.orders == Orders(workers=held, cap_usd=3.5, requeued=1)
    assert driver.look() == []
    anew = Control(objects, work)
    anew.look()
    assert anew.orders == driver.orders
    assert driver.refused == anew.refused == []


GARBAGE = {
    b"": "not an order",
    b"{": "not an order",
    b'{"verb": "fly"}': "not an order",
    b'{"verb": "pause", "name": "nobody"}': "no system 'nobody' in the run",
    b'{"verb": "workers", "name": "nowhere", "number": 2}': "is not one group of workers",
    b'{"verb": "workers", "name": "judge/fixed", "number": 0}': "workers are a whole number",
    b'{"verb": "cap", "number": -1}': "a cap is a positive number",
}


@pytest.mark.parametrize("body", GARBAGE)
def test_an_order_that_makes_no_sense_costs_itself_alone(memory_url: str, body: bytes) -> None:
    objects = connect(memory_url)
    work = two(objects)
    path = RunPlace(work.run_id).order(1)
    objects.create(path, body)
    driver = Control(objects, work)
    assert driver.send(Order("pause", "a")) == 2
    assert [order.verb for order in driver.look()] == ["pause"]
    (words,) = driver.refused
    assert words.startswith(f"{path}: ")
    assert GARBAGE[body] in words
    assert (driver.look(), driver.refused) == ([], []), "it is said once"
    objects.replace(path, b'{"verb": "drop", "name": "a"}')
    assert [order.verb for order in driver.look()] == ["drop"]
    assert driver.orders == Orders(paused=frozenset({"a"}), dropped=frozenset({"a"}))


NO_ORDERS = [
    "1.json",
    "-00001.json",
    "0000001.json",
    "000001.json.tmp",
    ".DS_Store",
    "x/000001.json",
]


@pytest.mark.parametrize("name", NO_ORDERS)
def test_what_else_lies_in_the_folder_of_orders_is_none(memory_url: str, name: str) -> None:
    objects = connect(memory_url)
    work = two(objects)
    objects.create(f"{RunPlace(work.run_id).control}/{name}", b'{"verb": "requeue"}')
    driver = Control(objects, work)
    assert (driver.look(), driver.orders) == ([], Orders())
    assert driver.send(Order("requeue")) == 1


def test_a_driver_says_which_order_it_passes_over(
    objects: Objects, caplog: pytest.LogCaptureFixture
) -> None:
    work = two(objects)
    folder = RunFolder(objects, work.run_id)
    objects.create(folder.place.order(1), b"{")
    recorder = Recorder(folder, work, survey(RunReader(objects, work)), "driver")
    pulse = Pulse(Stop(), recorder, obey_present=False)
    assert "an order is passed over: runs/" in caplog.text
    objects.create(folder.place.order(2), b'{"verb": "drop", "name": "nobody"}')
    Control(objects, work).send(Order("pause", "a"))
    pulse.look_last()
    assert pulse.orders() == Orders(paused=frozenset({"a"}))
    recorder.publish(status="success")
    told = [event.get("error", "") for event in folder.events() if event["event"] == "trouble"]
    assert ["not an order" in words for words in told] == [True, False]
    assert "no system 'nobody'" in told[1]


def test_a_requeue_after_the_last_look_is_heard(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    faults = {"s0003": "unreachable"}
    system = System("a", echo(faults=faults, execution={"once": str(tmp_path / "once")}))
    work = plan(objects, system, metrics=())
    reader, asked = RunReader(objects, work), [0]
    driven = Driven(work, lambda driven: Orders(requeued=asked[0]))

    def look_last() -> None:
        asked[0] = 1

    given = reader, Work(survey(reader), survey, Terms())
    _carry_on(LocalPool(), given, driven.options(), look_last)
    rows = [r.status for n in range(work.shards) for r in reader.anew().predictions("a", n)]
    assert rows == ["ok"] * 24


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (Order("pause", "c"), "no system 'c' in the run; there are a, b"),
        (Order("cap", number=0), "positive number of US dollars, not 0"),
        (Order("cap", number=float("nan")), "positive number"),
        (Order("workers", "a", 0), "whole number, 1 or more"),
        (Order("workers", "a", 1.5), "whole number, 1 or more"),
        (Order("workers", "a", float("inf")), "whole number, 1 or more"),
        (Order("workers", "a", float("nan")), "whole number, 1 or more"),
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


def test_the_command_says_whether_a_driver_hears_it(tmp_path: Path) -> None:
    objects = connect(str(tmp_path))
    work = two(objects)
    folder = RunFolder(objects, work.run_id)
    folder.save_plan(work, "")
    for status, words in (("success", "no driver is at work (success)"), ("started", "")):
        folder.save_status(Status(status, work.run_id, now(), now()))  # type: ignore[arg-type]
        done = medgen("control", work.run_id, "workers", "fixed", "2", "--store", str(tmp_path))
        assert (done.returncode, words in done.stderr, done.stdout) == (0, True, "")
        assert ("no driver" in done.stderr) == bool(words)
    done = medgen("control", work.run_id, "workers", "fixed", "inf", "--store", str(tmp_path))
    assert (done.returncode, "whole number" in done.stderr) == (2, True)
