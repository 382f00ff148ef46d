"""What a driver keeps in its books: samples left, units put by, shards that are sound, names."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import PAIR, echo, plan

from benchmarks._counted import CountedObjects
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, System
from medgen.engine.run import adopting
from medgen.engine.run import books as books_module
from medgen.engine.run.board import Queue
from medgen.engine.run.books import Books
from medgen.engine.run.control import Orders
from medgen.engine.run.desk import Desk, Out
from medgen.engine.run.driver import Driver
from medgen.engine.run.faults import slot_of
from medgen.engine.run.pool import Target, Unit
from medgen.engine.run.reader import RunReader
from medgen.engine.run.staff import Staff
from medgen.engine.run.steering import Steering
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import pieces_of


def staff_of(split: int, sizes: list[int]) -> Any:
    """A staff over one node, each benchmark shard cut into some stage shards; none is there."""
    node = SimpleNamespace(group="g", split=split)
    group = SimpleNamespace(name="g", spec=SimpleNamespace(kwargs={}))
    due = dict.fromkeys(range(split * len(sizes)))
    board: Any = SimpleNamespace(
        plan=SimpleNamespace(groups={"g": group}, nodes={"k": node}),
        todo=SimpleNamespace(targets={"k": due}),
    )
    none: Any = None
    return Staff(board, none, none, none, sizes, none), node


def test_a_shard_that_another_driver_wrote_is_left_no_more() -> None:
    staff, node = staff_of(2, [6, 2])
    assert staff.left == {"g": 8}
    staff.note_gone(node, 3)
    assert staff.left == {"g": 7}, "half of the second"
    staff.note_gone(node, 0)
    assert staff.left == {"g": 4}, "half of the first"
    for shard in (1, 2, 2):
        staff.note_gone(node, shard)
    assert staff.left == {"g": 0}, "never less than nothing"


def test_units_that_waited_go_back_to_the_queue_they_were_taken_from() -> None:
    fresh, suspect = (Unit("g", shard, ()) for shard in (1, 2))
    board: Any = SimpleNamespace(queues={"g": Queue()})
    none: Any = None
    steering = Steering(board, none, none, none, [(fresh, False), (suspect, True)])
    steering.lay_back()
    assert list(board.queues["g"].fresh) == [fresh]
    assert list(board.queues["g"].suspects) == [suspect], "it is still done alone"
    steering.lay_back()
    assert len(board.queues["g"].fresh) == 1, "once"


def test_units_of_a_system_that_goes_on_are_done_as_they_would_have_been() -> None:
    fresh, suspect = (Unit("g", shard, (Target("k"),)) for shard in (1, 2))
    node = SimpleNamespace(systems=("a",), group="g")
    board: Any = SimpleNamespace(
        queues={"g": Queue()},
        dropped=set(),
        failed={},
        plan=SimpleNamespace(nodes={"k": node}, groups={}),
        drop=lambda keys: None,
    )
    none: Any = None
    staff: Any = SimpleNamespace()
    steering = Steering(board, staff, none, none, [(fresh, False), (suspect, True)])
    assert steering.obey(Orders(workers={"g": 1}))
    assert list(board.queues["g"].fresh) == [fresh]
    assert list(board.queues["g"].suspects) == [suspect]


def test_a_shard_is_sound_when_its_own_benchmark_shard_came_back_as_it_was() -> None:
    objects = connect("memory://sound")
    work = plan(objects, System("echo", replace(echo(), split=2)), count=24)
    todo = survey(RunReader(objects, work))
    (above,) = (n for n in work.nodes.values() if n.stage == "answer")
    node = replace(next(n for n in work.nodes.values() if n.stage == "score"), split=2)
    for shard in range(12):
        todo.committed.setdefault(above.key, {})[shard] = f"bytes of {shard}"
    for index in range(12):
        given = todo.inputs(work, node, index // 2)
        todo.made_from[node.key] = {index: {place: one.sha256 for place, one in given.items()}}
        todo.targets[node.key][index] = Target(node.key, revision=1)
        assert todo.is_sound(work, node, index)
        todo.committed[above.key][index] = "other bytes"
        assert not todo.is_sound(work, node, index)


@pytest.mark.parametrize(
    ("copies", "done", "failed", "again"),
    [(1, False, (), True), (2, False, (), False), (1, True, (), False), (1, False, ("g",), False)],
)
def test_a_unit_that_hangs_is_done_again_unless_another_does_or_did_it_or_its_group_is_closed(
    copies: int, done: bool, failed: tuple[str, ...], again: bool
) -> None:
    desk, unit, told, followed = Desk(), Unit("g", 0, (Target("k"),)), list[Any](), list[Unit]()
    outs = [Out(unit, slot_of(unit), f"w{n}", "m", 0.0, 1) for n in range(copies)]
    for out in outs:
        desk.hand_out(out)
    if done:
        desk.settle(unit)
    driver: Any = SimpleNamespace(
        desk=desk,
        staff=SimpleNamespace(note_hung=lambda out: None, hung_with=lambda out, now: []),
        trust=SimpleNamespace(note_failure=lambda outcome, out: None),
        board=SimpleNamespace(failed=failed),
        tell=SimpleNamespace(of_trouble=told.append),
        charging=frozenset(),
        clock=lambda: 9.0,
        _answer_for=lambda culprit, outcome: None,
        _end_worker=lambda name: None,
        _follow=lambda outcome, unit: followed.append(unit),
    )
    Driver._end_hung(driver, outs[0])
    assert followed == ([unit] if again else [])
    assert [outcome.kind for outcome in told] == (["crashed"] if again else [])


def test_every_shard_of_a_plan_has_a_name_of_its_own() -> None:
    work = plan(connect("memory://names"), System("echo", replace(echo(), split=2)), count=24)
    (node,) = (n for n in work.nodes.values() if n.stage == "answer")
    names = work.shard_names(node)
    assert len(names) == len(set(names)) == 12
    assert [pieces_of(name)[1:] for name in names] == [(0, 2), (1, 2)] * 6
    assert [pieces_of(name)[0] for name in names[::2]] == [e.digest for e in work.content]


@pytest.mark.parametrize(("patterns", "groups"), [(("*",), 3), (("echo",), 3), ((), 2)])
def test_a_plan_has_no_workers_for_what_nothing_is_left_of(
    patterns: tuple[str, ...], groups: int
) -> None:
    judges = {"fixed": Model(Spec("fakes:FixedJudge", {"name": "fixed"}), PAIR)}
    work = plan(connect("memory://groups"), judges=judges, judged={"fixed": patterns})
    assert len(work.groups) == groups
    assert work.groups.keys() == {node.group for node in work.nodes.values()}


def test_editions_are_noted_once_in_a_while_and_when_they_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objects = CountedObjects()
    work = plan(objects, count=24)
    books, noted, clock = Books(reader := RunReader(objects, work), survey(reader)), [], [5.0]
    monkeypatch.setattr(books_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    objects.seen.clear()
    for moment in (5.0, 6.0, 34.0, 35.0, 64.0, 65.0, 99.0):  # of a machine that was just started
        clock[0] = moment
        if moment < 99:
            books.todo.editions["k"] = f"at {moment}"
        books.note_editions(30.0 if noted else 0.0)
        noted += [moment] * sum(n for (_, kind), n in objects.seen.items() if kind == "PUT")
        objects.seen.clear()
    assert noted == [5.0, 35.0, 65.0]


def test_of_shards_that_rows_are_taken_from_few_are_held_and_none_is_read_twice_in_a_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adopting, "_KEPT", 2)
    none: Any = None
    taking, read = adopting._Taking(none, none, {}), []
    taking.other = SimpleNamespace(
        names=["a", "b", "c"], read=lambda n, _: read.append(n) or "rows"
    )
    taking.revisions = {0: 0, 1: 0, 2: 0}
    for name in "aabbaccb":
        assert taking._table(name) == "rows"
        assert len(taking._held) <= 2
    assert read == [0, 1, 2], "the oldest went"


def test_shards_that_are_made_here_are_not_counted_as_somebody_elses() -> None:
    desk = Desk()
    for number, unit in enumerate(
        (
            Unit("g", 0, (Target("k"), Target("other"))),
            Unit("g", 1, (Target("other"),)),
            Unit("g", 2, (Target("k"),), positions=(0, 4)),  # of whose parts no shard is counted
        )
    ):
        desk.hand_out(Out(unit, slot_of(unit), f"w{number}", "m", 0.0, 1))
    assert desk.elsewhere("k", [0, 1, 2, 3]) == 3
    assert desk.elsewhere("other", [0, 1, 2, 3]) == 2
    assert desk.elsewhere("k", [0]) == 0
