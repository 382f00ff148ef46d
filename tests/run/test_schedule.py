"""Every GPU works: small sweeps in virtual time, with the engine's own driver, near their bound."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks._virtual import FAULTS, Fault, Host, VirtualPool, Work
from benchmarks.schedule import (
    LOAD_S,
    SHARD,
    Case,
    Sweep,
    drive,
    joining,
    losing,
    misses,
    one,
    reader_of,
    run,
    summary,
    with_bad,
)
from medgen.engine.run.driver import LOOK_EVERY_S, Driver, Options
from medgen.engine.run.options import START_S
from medgen.engine.run.pool import Outcome, Target
from medgen.engine.run.schedule import Pace, Standing, can_spare, least_s, portion
from medgen.engine.run.speeds import Speed, Speeds, temper_guesses
from medgen.engine.run.staff import SLOW_START
from medgen.engine.run.survey import Todo
from medgen.engine.run.trust import MOST_TRIALS

# Loads weigh more in a small sweep, so that its limits are wider than those of the benchmark.


@pytest.mark.parametrize(
    ("gpus", "gangs", "sigma", "limit"),
    [(1, 0, 1.0, 1.05), (8, 2, 1.0, 1.15), (8, 2, 2.0, 1.2), (32, 2, 1.0, 1.45)],
)
def test_a_sweep_ends_near_the_least_time_that_its_machines_allow(
    gpus: int, gangs: int, sigma: float, limit: float
) -> None:
    case = Case(gpus, sigma, gangs=gangs, systems=8, samples=1280)
    assert run(case, seed=1).ratio < limit


def test_the_last_units_are_no_smaller_than_what_they_read_is_worth() -> None:
    last = {"left": 64, "whole": 64}
    ones = Pace(5.0, True, places=64, least_s=least_s(1))
    several = Pace(5.0, True, places=64, least_s=least_s(25))
    assert portion(**last, pace=ones) == 1, "five seconds"
    assert portion(**last, pace=several) == 3, "fifteen, for 25 reads of 30 ms"
    second = Pace(1.0, measured=True, places=1, least_s=1.0)
    assert portion(14, 10, second) == 7, "half of what is left, and a quarter for the next"
    assert portion(16, 10, second) == 10, "two would not be worth a unit"


def test_three_times_as_many_systems_as_places_do_not_take_turns_at_loading() -> None:
    found = run(Case(8, gangs=5, systems=25, samples=640), seed=0)
    assert found.ratio < 1.2
    assert found.loads < 0.3


def test_guesses_that_lie_no_further_apart_than_errors_do_place_nobody() -> None:
    wrong = {f"g{i}": 3.0 ** (i / 4 - 1) for i in range(9)}  # from a third to three times

    def tempered(guesses: dict[str, float], gpus: float = 1.0) -> dict[str, float]:
        speeds = Speeds({n: Speed(s) for n, s in guesses.items()}, dict.fromkeys(guesses, gpus))
        return {name: temper_guesses(speeds).sample_s(name) for name in guesses}

    same = tempered(wrong)
    assert max(same.values()) < 1.3 * min(same.values())
    apart = tempered({n: s**4 for n, s in wrong.items()})
    assert list(apart.values()) == sorted(apart.values())
    assert max(apart.values()) > 100 * min(apart.values())
    # It is the time of a GPU that is compared: what two take a second for is two seconds of one.
    counts = {"small": 1.0, "middle": 2.0, "large": 4.0} | {f"m{i}": 1.0 for i in range(5)}
    equal = Speeds({n: Speed(8.0 / count) for n, count in counts.items()}, counts)
    assert [temper_guesses(equal).sample_s(n) for n in counts] == pytest.approx(
        [8.0 / count for count in counts.values()]
    )
    # What was measured stays, and so does what is no model on a GPU.
    assert tempered(wrong, gpus=0.0) == wrong
    known = Speeds({n: Speed(s, 100) for n, s in wrong.items()}, dict.fromkeys(wrong, 1.0))
    assert [temper_guesses(known).sample_s(n) for n in wrong] == list(wrong.values())


def test_a_worker_does_not_leave_for_a_place_that_its_own_group_would_get_again() -> None:
    group = Standing("a", 37_000.0, 180.0, workers=2, idle=1, ready=100, weight=1.0)
    horizon = 38_000.0

    def taker(left_s: float, gpus: float = 1.0) -> Standing:
        return Standing("b", left_s, 180.0, workers=0, idle=0, ready=100, weight=gpus)

    # With one worker it has more before it than the other group: that loads, and is given back.
    assert not can_spare(group, horizon, taker(29_000.0))
    assert can_spare(group, horizon, taker(38_000.0))
    scored = replace(group, first=False)  # a model goes before it
    late = Standing("b", 18_501.0, 180.0, workers=1, idle=0, ready=100, weight=1.0)
    assert can_spare(scored, horizon, late)
    assert not can_spare(scored, horizon, replace(late, left_s=18_500.0)), "both end at once"
    assert can_spare(group, horizon, taker(29_000.0, gpus=4.0))  # wide ones come first
    done = replace(group, idle=1, ready=0)  # one of its workers has nothing to do
    assert can_spare(done, horizon, taker(1.0))
    assert not can_spare(replace(done, ready=1), horizon, taker(1.0))
    assert not can_spare(done, horizon, None)


def test_a_seed_far_above_the_target_is_a_miss_whatever_the_median_is() -> None:
    told = one(Case(1, gangs=0, systems=1, samples=64, target=1.05), seed=0)
    fine = [{**told, "ratio": ratio} for ratio in (1.0, 1.05, 1.15)]
    assert misses([summary(fine)]) == []
    assert misses([summary([*fine[:2], {**told, "ratio": 1.16}])])  # one seed
    assert misses([summary([*fine[:1], *[{**told, "ratio": 1.06}] * 2])])  # the median
    assert summary(fine)["worst"] == 1.15


def test_machines_that_join_late_are_used() -> None:
    found = run(joining(8, 600.0, systems=8, samples=1280), seed=1)
    assert found.ratio < 1.3
    assert found.used == 8


def test_machines_that_go_cost_what_they_held() -> None:
    found = run(losing(16, 0.5, seed=1, systems=8, samples=640), seed=1)
    assert found.ratio < 1.5


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_machine_of_eight_costs_itself(fault: Fault) -> None:
    sound = run(with_bad(None, systems=12, samples=1280), seed=1)
    bad = run(with_bad(fault, systems=12, samples=1280), seed=1)
    assert bad.failed == {}
    assert bad.makespan < 1.15 * sound.makespan


@pytest.mark.parametrize("gpus", [1, 4])
def test_sound_workers_that_are_too_slow_are_not_ended_for_ever(gpus: int) -> None:
    slow = {"answer/00": np.full(128, 2400.0)}  # 40 min a sample, and a unit has 30
    sweep = Sweep(slow, dict.fromkeys(slow, 1), dict.fromkeys(slow, 60.0))
    found = drive(Case(gpus, systems=1, samples=128, gangs=0, tick_s=300.0), sweep)
    assert found.ratio < 1.3


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lone_system_that_begins_on_a_bad_machine_goes_on_elsewhere(fault: Fault) -> None:
    sound = run(with_bad(None, systems=1, samples=640, gangs=1), seed=1)
    found = run(with_bad(fault, systems=1, samples=640, gangs=1), seed=1)
    assert found.quarantined == 0
    hangs_s = 1800.0 if fault == "hangs" else 0.0
    assert found.makespan < sound.makespan + hangs_s + 1.2 * LOAD_S  # one load more


def some_bad(fault: Fault, count: int, **more: Any) -> Case:
    """Eight machines, so many of which are bad, and come first."""
    bad = [Host(f"bad-{i}", 8, fault=fault) for i in range(count)]
    return Case(64, hosts=(*bad, *(Host(f"host-{i}", 8) for i in range(8 - count))), **more)


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_beside_a_start_that_may_never_end_another_is_tried_elsewhere(count: int) -> None:
    sound = run(with_bad(None, systems=1, samples=640, gangs=1), seed=1)
    found = run(some_bad("stuck", count, systems=1, samples=640, gangs=1), seed=1)
    assert found.failed == {}
    waited = count * (SLOW_START * START_S + LOOK_EVERY_S)
    assert found.makespan < sound.makespan + waited + 1.2 * LOAD_S


@pytest.mark.parametrize("fault", ["stuck", "unstartable"])
def test_of_a_sweep_no_system_ends_where_half_of_the_machines_start_nothing(fault: Fault) -> None:
    sound = run(some_bad(fault, 0, systems=12, samples=640), seed=1)
    found = run(some_bad(fault, 4, systems=12, samples=640), seed=1)
    assert found.failed == {}
    assert found.makespan < 2 * 1.15 * sound.makespan


class Slow(VirtualPool):
    """Of its two machines one takes longer for a start than other starts are waited for."""

    def _tell(self, after: float, outcome: Outcome, worker: str) -> None:
        slow = outcome.kind == "started" and self.workers[worker].host.name == "slow"
        super()._tell(600.0 if slow else after, outcome, worker)


def test_what_was_tried_beside_a_slow_start_goes_where_one_worker_is_all_that_may_be() -> None:
    times = {"answer/00": np.full(640, 1.0)}
    reader = reader_of(Sweep(times, {"answer/00": 1}, {"answer/00": 1.0}), 640)
    (group,) = reader.plan.groups.values()
    one = replace(group, resources=replace(group.resources, workers=1))
    reader.plan = replace(reader.plan, groups={group.name: one})
    pool = Slow([Host("slow", 1), Host("other", 8)], Work(times, SHARD, LOAD_S))
    pool.tick_s = 30.0
    targets, none = {"00": {i: Target("00") for i in range(10)}}, {"00": dict[int, Any]()}
    revisions = {"00": dict.fromkeys(range(10), 0)}
    todo = Todo(targets, revisions, existing=none, lost=none, made_from=none)
    driver = Driver(reader, todo, pool, Options(clock=pool.clock))
    assert driver.run().failed == {}
    assert [w.host.name for w in pool.workers.values()] == ["slow", "other"]
    slow, other = pool.workers.values()
    assert slow.made == 600.0 == other.ended
    assert other.made == float("inf"), "it never worked beside the first"


def test_a_machine_that_kills_its_workers_costs_no_sample_and_is_retired_once() -> None:
    found = run(with_bad("crashes", systems=12, samples=640, gangs=0), seed=1)
    assert found.quarantined == 0
    assert [why["machine"] for why in found.retired if "machine" in why] == ["host-bad"]


def test_systems_that_raise_at_everything_cost_the_others_nothing() -> None:
    sound = run(with_bad(None, systems=12, samples=640), seed=1)
    found = run(with_bad(None, systems=12, samples=640, broken=2), seed=1)
    assert found.makespan < 1.05 * sound.makespan
    assert not [why for why in found.retired if "machine" in why]
    assert len(found.retired) <= 2 * MOST_TRIALS  # each is a load for nothing


def test_a_cluster_that_was_scaled_to_zero_is_asked_to_grow() -> None:
    case = Case(16, systems=4, samples=640, gangs=1, hosts=(Host("head", 0),), grows=2)
    found = run(case, seed=1)
    assert found.failed == {}
    assert found.asked >= 8


def test_a_machine_that_says_it_goes_is_left_before_it_does() -> None:
    goes = Host("spot", 8, until=1500.0, notice_s=600.0)
    case = Case(16, systems=8, samples=1280, gangs=0, hosts=(goes, Host("stays", 8)))
    assert run(case, seed=1).lost == 0
