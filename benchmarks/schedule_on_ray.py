"""A sweep of `benchmarks.schedule` on a real Ray whose GPUs are pretended, a minute in a second.

    python -m benchmarks.schedule_on_ray [--seed 0]

The engine's own driver, board and Ray pool; only the workers sleep instead of computing
(`benchmarks/_sleeper.py`). Nothing is stored. Twelve systems run on 32 GPUs, eight of which join
late, and six on a cluster without any, whose autoscaler is asked. Each is held against the same
sweep in virtual time. Kept in results/schedule_on_ray.json.
"""

import argparse
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from benchmarks._pretended import autoscaled_machines, pretended_machines
from benchmarks._records import keep
from benchmarks._sleeper import Pace, Recipe
from benchmarks._virtual import MERGE_S, Host, Work
from benchmarks.schedule import LOAD_S, SHARD, Case, draw, drive, driver_of, options_of, reader_of
from medgen.actors.ray_pool import RayPool
from medgen.engine.run.pool import Group, Machine, Outcome

SPEED = 60.0  # pretended seconds in one that passes
# That pass between looks at Ray's machines, and for an autoscaler: sixty times as often costs much.
_LOOK_S, _ASK_S = 0.25, 2.0
PATIENCE_S = 10 * 3600.0  # a process may start late on a busy machine, and a machine join late


@dataclass(slots=True)
class Life:
    """One worker's moments, in pretended seconds."""

    group: str
    opened: float
    made: float = float("inf")
    ended: float = float("inf")


class HurriedPool(RayPool):
    """Ray's pool under a clock that runs sixty times as fast, with sleepers for workers."""

    def __init__(self, work: Work, growing: bool = True) -> None:
        """Needs a connected Ray, as `RayPool` does."""
        super().__init__(growing=growing)
        self._recipes = {
            group: Recipe(
                Pace(
                    (seconds / SPEED).tolist(),
                    work.shard_size,
                    work.load_s / SPEED,
                    MERGE_S / SPEED,
                )
            )
            for group, seconds in work.samples.items()
        }
        self._began = time.monotonic()
        self._seen: tuple[float, Sequence[Machine]] = (-_LOOK_S, ())
        self._growing_seen = (-_ASK_S, False)
        self.lives: dict[str, Life] = {}  # by worker, in the order in which they were asked for
        self.since: dict[str, tuple[float, float]] = {}  # machine: when it was seen, and its GPUs
        self.units = 0

    def clock(self) -> float:
        """Pretended seconds since the beginning."""
        return (time.monotonic() - self._began) * SPEED

    def machines(self) -> Sequence[Machine]:
        """See `Pool.machines`."""
        looked, found = self._seen
        if time.monotonic() - looked >= _LOOK_S:
            found = super().machines()
            self._seen = time.monotonic(), found
            for machine in found:
                gpus = machine.offers.get("GPU", 0.0)
                self.since.setdefault(machine.name, (self.clock(), gpus))
        return found

    def grows(self) -> bool:
        """See `Pool.grows`."""
        looked, grows = self._growing_seen
        if not grows and time.monotonic() - looked >= _ASK_S:
            grows = super().grows()
            self._growing_seen = time.monotonic(), grows
        return grows

    def open(self, group: Group, machine: str) -> str:
        """See `Pool.open`."""
        opened = self.clock()
        name = super().open(replace(group, make=self._recipes[group.name]), machine)
        self.lives[name] = Life(group.name, opened)
        return name

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """See `Pool.wait`; the seconds are pretended ones."""
        told = super().wait(seconds / SPEED)
        for outcome in told:
            if outcome.kind == "started":
                self.lives[outcome.worker].made = self.clock()
            elif outcome.kind != "finished":
                raise RuntimeError(f"a worker that only sleeps: {outcome}")
            else:
                self.units += 1
        return told

    def end(self, worker: str) -> None:
        """See `Pool.end`."""
        if worker in self.lives and worker in self._actors:
            self.lives[worker].ended = self.clock()
        super().end(worker)


@dataclass(frozen=True, slots=True)
class Hurried:
    """What came of a sweep on Ray; all times are pretended seconds."""

    makespan: float
    units: int
    lives: Sequence[Life]  # in the order in which the workers were asked for
    machines: Sequence[tuple[float, int]]  # since when, and how many GPUs: those that have any

    @property
    def loads(self) -> tuple[float, ...]:
        """How long each load took, or as much of it as there was."""
        return tuple(min(one.made, one.ended) - one.opened for one in self.lives)

    def given_back(self) -> Mapping[str, list[float]]:
        """By group, when its workers ended while others of it went on."""
        ends: dict[str, list[float]] = {}
        for life in self.lives:
            if any(o.group == life.group and o.ended > life.ended + SPEED for o in self.lives):
                ends.setdefault(life.group, []).append(life.ended)
        return {group: sorted(moments) for group, moments in ends.items()}


def hurry(case: Case, seed: int, add: Callable[[], None], late_s: float) -> Hurried:
    """Drive one sweep to its end on the Ray that is connected.

    Args:
        case: the sweep; its machines are those of Ray.
        seed: of what is drawn.
        add: called once `late_s` pretended seconds have passed, to have a machine join.
        late_s: see `add`.

    Raises:
        RuntimeError: a worker failed, or something is not done.
    """
    sweep = draw(case, seed)
    reader = reader_of(sweep, case.samples)
    pool = HurriedPool(Work(sweep.times, SHARD, LOAD_S))
    late = threading.Timer(late_s / SPEED, add)
    late.start()
    driver = driver_of(reader, pool, options_of(case, pool.clock))
    ending = driver.run()
    makespan = pool.clock()
    late.join()
    pool.shutdown()
    if ending.failed or any(driver.board.remaining(group) for group in sweep.times):
        raise RuntimeError(f"{case}: not all was done; {ending.failed}")
    machines = [(since, round(gpus)) for since, gpus in pool.since.values() if gpus]
    return Hurried(makespan, pool.units, list(pool.lives.values()), machines)


def beside_virtual(case: Case, seed: int, found: Hurried) -> dict[str, Any]:
    """The sweep on Ray beside the same in virtual time: same seed, machines and loads.

    Processes start when the machine that pretends has time for them, so that loads are taken as
    they were. `nominal` is against loads of 180 s and machines that are there when they are due.
    """
    hosts = [Host(f"host-{i}", gpus, since) for i, (since, gpus) in enumerate(found.machines)]
    sweep = draw(case, seed)
    seen = replace(case, hosts=(Host("head", 0), *hosts), loads=found.loads, grows=0)
    same = drive(seen, sweep)
    nominal = drive(case, sweep)
    return {
        "seed": seed,
        "gpus": case.gpus,
        "hours": round(found.makespan / 3600, 2),
        "to_virtual": round(found.makespan / same.makespan, 3),
        "to_nominal": round(found.makespan / nominal.makespan, 3),
        "to_bound": round(found.makespan / nominal.bound, 3),
        "load_s": round(median(found.loads)),
        "loads": len(found.loads),
        "loads_virtual": len([w for w in same.workers if w.made < float("inf")]),
        "units": found.units,
        "units_virtual": same.units,
        "joined_s": [round(since) for since, _ in found.machines],
        "given_back": {group: len(ends) for group, ends in found.given_back().items()},
    }


def thirty_two(seed: int, late_s: float = 600.0) -> dict[str, Any]:
    """Twelve systems, one on gangs of four, on four machines, of which one joins late."""
    hosts = [Host(f"host-{i}", 8, since=late_s if i == 3 else 0.0) for i in range(4)]
    case = Case(32, systems=12, gangs=1, hosts=tuple(hosts), patience_s=PATIENCE_S)
    with pretended_machines(3) as add:
        return beside_virtual(case, seed, hurry(case, seed, add, late_s))


def scaled(seed: int) -> dict[str, Any]:
    """Six systems on a cluster without a GPU, whose autoscaler may add two machines."""
    case = Case(
        16, systems=6, samples=3200, gangs=1, hosts=(Host("head", 0),), grows=2,
        patience_s=PATIENCE_S,
    )  # fmt: skip
    with autoscaled_machines(2):
        return beside_virtual(case, seed, hurry(case, seed, lambda: None, 0.0))


def main() -> None:
    """Run both, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    found = {}
    for name, sweep in {"joining late": thirty_two, "scaled from zero": scaled}.items():
        found[name] = sweep(given.seed)
        print(name, json.dumps(found[name]), flush=True)
    print(keep("schedule_on_ray", found))


if __name__ == "__main__":
    main()
