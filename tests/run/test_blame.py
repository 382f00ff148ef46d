"""Whose fault a failure is, in pure logic: workers, units, samples, or the system."""

from collections import deque
from typing import Any

import pytest

from medgen.engine.run.faults import COMMON_TO, LEAST_RAISING, MAX_FAILURES, FaultPolicy, Next
from medgen.engine.run.pool import Outcome, Target, Unit
from medgen.engine.run.trust import MAX_UNITS_FAILED, Blame
from medgen.engine.trouble import Trouble


def unit(shard: int, span: tuple[int, int] | None = None) -> Unit:
    return Unit("g", shard, (Target("k"),), span)


def raised(work: Unit, kind: str = "ValueError", lines: str = "here") -> Outcome:
    return Outcome("failed", "g", work, trouble=Trouble("bad", kind, "", lines))


def finished(work: Unit) -> Outcome:
    return Outcome("finished", "g", work)


def test_a_machine_may_be_lost_many_times_under_a_unit_and_not_for_ever() -> None:
    policy = FaultPolicy()
    lost = Outcome("lost", "g", unit(0), trouble=Trouble("the machine is gone"))
    kinds = [policy.after(lost, 64).kind for _ in range(20)]
    assert kinds == ["again"] * 19 + ["give_up"]
    other = Outcome("lost", "g", unit(1), trouble=Trouble("the machine is gone"))
    assert policy.after(other, 64).kind == "again"  # each unit has losses of its own


def crashed(work: Unit, worker: str) -> Outcome:
    return Outcome("crashed", "g", work, (), Trouble("killed"), alone=False, worker=worker)


def test_a_worker_that_died_with_many_units_died_once() -> None:
    policy = FaultPolicy()
    held = [policy.after(crashed(unit(shard), "w0"), 64) for shard in range(16)]
    assert {(then.kind, then.alone) for then in held} == {("again", True)}
    others = [policy.after(crashed(unit(0), f"w{n}"), 64).kind for n in range(1, 12)]
    assert others == ["again"] * 10 + ["give_up"]


@pytest.mark.parametrize("between", [0, 1, 11, 12])
def test_deaths_in_a_row_are_counted_from_the_last_unit_that_was_finished(between: int) -> None:
    policy = FaultPolicy()
    kinds = []
    for shard in range(12 + between):
        if shard == between and between:
            policy.after(finished(unit(100)), 64)
        died = crashed(unit(shard), f"w{shard}")
        kinds.append(policy.after(died, 64).kind)
    at = 11 if between in (0, 12) else between + 11
    assert kinds.index("give_up") == at
    assert "give_up" not in kinds[:at]


def test_a_worker_that_fails_unit_after_unit_is_retired() -> None:
    blame = Blame()
    found = [blame.note_failure("g", "bad", "m", n) for n in range(MAX_UNITS_FAILED)]
    assert found == [""] * (MAX_UNITS_FAILED - 1) + ["worker"]


@pytest.mark.parametrize("between", range(1, MAX_UNITS_FAILED))
def test_a_success_in_between_clears_a_worker(between: int) -> None:
    blame = Blame()
    for n in range(between):
        assert not blame.note_failure("g", "w", "m", n)
    blame.note_success("g", "w", "m", "fine")
    assert not any(blame.note_failure("g", "w", "m", 10 + n) for n in range(MAX_UNITS_FAILED - 1))


def test_one_unit_that_fails_on_one_worker_for_ever_retires_nobody() -> None:
    blame = Blame()
    assert not any(blame.note_failure("g", "w", "m", "u") for _ in range(50))


def test_a_unit_that_fails_elsewhere_too_is_not_held_against_the_first() -> None:
    blame = Blame()
    for n in range(20):
        assert not blame.note_failure("g", "a", "m", n)
        assert not blame.note_failure("g", "b", "n", n)
    assert blame.places_to_avoid(3) == {"a", "b", "m", "n"}


def test_a_unit_avoids_where_it_failed_until_it_is_done() -> None:
    blame = Blame()
    blame.note_failure("g", "a", "m", "u")
    assert blame.places_to_avoid("u") == {"a", "m"}
    blame.note_success("g", "b", "n", "u")
    assert not blame.places_to_avoid("u")


def test_a_group_that_has_done_nothing_says_nothing_of_a_machine_until_it_has() -> None:
    blame = Blame()
    for n in range(8):
        assert blame.note_failure("g", f"w{n % 2}", "m", n) != "machine"
    blame.note_success("other", "w2", "n", "fine")
    assert not blame.is_bad("m")
    blame.note_success("g", "w3", "n", "fine")
    assert blame.is_bad("m")


def test_workers_without_a_name_and_other_groups_are_apart() -> None:
    blame = Blame()
    assert not any(blame.note_failure("g", "", "m", n) for n in range(9))
    for n in range(MAX_UNITS_FAILED - 1):
        blame.note_failure("g", "w", "m", n)
        assert not blame.note_failure("h", "w", "m", n)


def play(bad: set[int], samples: int = 64, done: bool = True) -> tuple[FaultPolicy, set[int], int]:
    """Do one unit of which some samples raise; which were given up, and how many tries it took."""
    policy = FaultPolicy()
    if done:
        policy.after(finished(unit(99)), samples)
    waiting, lost, tries = [unit(0)], set[int](), 0
    while waiting:
        work, tries = waiting.pop(0), tries + 1
        low, high = work.positions or (0, samples)
        fails = not work.merge and any(low <= n < high for n in bad)
        then = policy.after(raised(work) if fails else finished(work), samples)
        assert then.kind != "give_up"
        waiting += then.units
        if work.merge:
            lost = set(work.quarantined)
    return policy, lost, tries


@pytest.mark.parametrize("bad", [set(), {0}, {63}, {17}, {0, 63}, {5, 6, 7}, {1, 9, 33, 50}])
@pytest.mark.parametrize("done", [True, False])
def test_samples_that_raise_are_found_and_the_others_are_done(bad: set[int], done: bool) -> None:
    _, lost, tries = play(bad, done=done)
    assert lost == bad
    assert tries <= 2 * MAX_FAILURES + 2 + len(bad) * 16


def failing(outcomes: list[Outcome]) -> list[Next]:
    policy = FaultPolicy()
    return [policy.after(outcome, 8) for outcome in outcomes]


def test_what_is_common_to_the_first_units_is_not_halved() -> None:
    tries = [raised(unit(n)) for _ in range(MAX_FAILURES) for n in range(COMMON_TO)]
    found = failing(tries)
    assert [n.kind for n in found] == ["again"] * (len(tries) - 1) + ["give_up"]


@pytest.mark.parametrize("error", ["KeyError", "AdapterError", "ConfigError"])
def test_a_group_whose_every_unit_fails_alike_ends_after_a_few(error: str) -> None:
    policy, waiting, tried = FaultPolicy(), deque(unit(n) for n in range(2000)), []
    while (then := policy.after(raised(waiting[0], error), 8)).kind == "again":
        tried.append(waiting.popleft().shard)
        (waiting.extendleft if then.ahead else waiting.extend)(then.units)
    assert then.kind == "give_up"
    assert len(tried) < COMMON_TO * (MAX_FAILURES + 1)


@pytest.mark.parametrize(
    ("first", "error"),
    [
        (finished(unit(99)), "KeyError"),  # it works: what fails has something of its own
        (raised(unit(99), lines="elsewhere"), "ValueError"),
        (raised(unit(99), "CorruptError"), "CorruptError"),  # one object, and others are whole
    ],
)
def test_what_fails_is_tried_after_the_others_where_these_may_be_sound(
    first: Outcome, error: str
) -> None:
    policy = FaultPolicy()
    policy.after(first, 8)
    found = [policy.after(raised(unit(n), error), 8) for n in range(20)]
    assert not any(then.ahead for then in found)


def test_units_that_raise_in_other_ways_are_halved() -> None:
    tries = [raised(unit(n), lines=f"line {n}") for _ in range(6) for n in range(COMMON_TO)]
    assert {n.kind for n in failing(tries)} == {"again"}


@pytest.mark.parametrize("kind", ["AdapterError", "SpendingError", "ConfigError", "CorruptError"])
def test_what_was_raised_on_purpose_is_never_halved(kind: str) -> None:
    found = failing([raised(unit(0), kind) for _ in range(MAX_FAILURES)])
    assert [n.kind for n in found] == ["again"] * (MAX_FAILURES - 1) + ["give_up"]
    assert all(not u.positions for n in found for u in n.units)


def test_a_group_of_which_too_many_samples_raise_is_given_up() -> None:
    policy = FaultPolicy()
    policy.after(finished(unit(99)), 64)
    waiting: list[Unit] = [unit(0)]
    found: list[Any] = []
    while waiting and "give_up" not in found:
        work = waiting.pop(0)
        then = policy.after(raised(work), 64)
        found.append(then.kind)
        waiting += then.units
    assert found[-1] == "give_up"
    assert found.count("again") <= MAX_FAILURES + 64 + 2 * LEAST_RAISING + 64


@pytest.mark.parametrize(
    ("left", "raising", "ends"),
    [(64, 16, False), (64, 17, True), (640, 32, False), (640, 33, True), (320, 16, False)],
)
def test_so_many_samples_may_raise_and_not_one_more(left: int, raising: int, ends: bool) -> None:
    policy = FaultPolicy(samples={unit(0).group: left})
    policy.after(finished(unit(999)), 64)
    kinds = set()
    for number in range(raising):
        lone = unit(number, (0, 1))
        for _ in range(MAX_FAILURES + 1):
            kinds.add(policy.after(raised(lone), 64).kind)
    assert ("give_up" in kinds) == ends
