"""How near a sweep comes to the least time that its machines allow.

    python -m benchmarks.schedule                  20 seeds of every case, kept in results/
    python -m benchmarks.schedule --seeds 3 --only 64
    python -m benchmarks.schedule --picture docs/images/sweep.png

The engine's own driver and board run on a pool in virtual time (`benchmarks/_virtual.py`): 25
systems x 6,422 samples in shards of 64, times log-normal and cut at 20 times the mean (a reply has
a token limit), loads of 180 s, five systems on gangs of four GPUs, machines of eight GPUs. Nothing
is tuned by hand, and what a preset says of seconds a sample is wrong by a factor of 0.3 to 3.

The bound is the larger of (work + 180 s x max(GPUs used, sum over systems of one worker's GPUs)) /
GPUs and 180 s + the longest sample. `pooled` is one queue of all samples without any loads.
"""

import argparse
import heapq
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._records import keep
from benchmarks._timeline import draw_timeline
from benchmarks._virtual import FAULTS, Fault, Host, VirtualPool, Work, Worker, asks
from medgen.engine.benchmark.manifest import Benchmark, Manifest, ShardEntry
from medgen.engine.data import Asks
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import GroupPlan, Node, Plan
from medgen.engine.run.driver import Driver
from medgen.engine.run.events import Event
from medgen.engine.run.options import PLACE_S, START_S, Options
from medgen.engine.run.pool import Pool, Target
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import Todo
from medgen.engine.store.connect import connect

LOAD_S = 180.0
LONGEST = 20.0  # times the mean
SHARD = 64


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of sweep. `hosts` says more than `gpus` where machines are not alike."""

    gpus: int
    sigma: float = 1.0
    alike: bool = False  # every system takes 1 GPU second a sample, not 0.2 to 10
    systems: int = 25
    samples: int = 6422
    gangs: int = 5
    hosts: tuple[Host, ...] = ()
    grows: int = 0  # machines of eight GPUs that come when they are asked for
    loads: tuple[float, ...] = ()  # seconds, of the first workers; the others' is their median
    broken: int = 0  # systems that raise at whatever they are given
    patience_s: float = START_S  # that a start, and a machine to start on, are waited for
    tick_s: float = float("inf")  # the longest time that passes without a look of the driver
    target: float = 0.0
    name: str = ""

    def machines(self) -> Sequence[Host]:
        """Machines of eight GPUs, or of fewer where there are fewer."""
        if self.hosts:
            return self.hosts
        each = min(8, self.gpus)
        return [Host(f"host-{i:03d}", each) for i in range(self.gpus // each)]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is to be done, drawn from one seed."""

    times: Mapping[str, NDArray[np.float64]]  # seconds of one worker
    gpus: Mapping[str, int]  # of one worker
    guesses: Mapping[str, float]

    @property
    def work(self) -> float:
        """GPU seconds."""
        return float(sum(self.gpus[g] * t.sum() for g, t in self.times.items()))


def draw(case: Case, seed: int) -> Sweep:
    """The times of every sample, which systems are gangs, and how wrong the guesses are."""
    rng = np.random.default_rng(seed)
    means = np.full(case.systems, 1.0) if case.alike else np.geomspace(0.2, 10.0, case.systems)
    means = rng.permutation(means)
    times, gpus, guesses = {}, {}, {}
    for i in range(case.systems):
        name, width = f"answer/{i:02d}", 4 if i < case.gangs else 1
        shape = rng.lognormal(-(case.sigma**2) / 2, case.sigma, case.samples)
        seconds = means[i] / width * np.minimum(shape, LONGEST)
        times[name], gpus[name] = seconds, width
        guesses[name] = float(means[i] / width * np.exp(rng.uniform(np.log(0.3), np.log(3.0))))
    return Sweep(times, gpus, guesses)


def bound(sweep: Sweep, hosts: Sequence[Host], used: int) -> float:
    """The least seconds that these machines could take, each from when it comes to when it goes."""
    longest = max(float(t.max()) for t in sweep.times.values())
    need = sweep.work + LOAD_S * max(used, sum(sweep.gpus.values()))
    moments = sorted({t for h in hosts for t in (h.since, h.until)})
    at = 0.0
    for moment in moments:
        gpus = sum(h.gpus for h in hosts if h.since <= at < h.until)
        if need <= gpus * (moment - at):
            break
        need, at = need - gpus * (moment - at), moment
    gpus = sum(h.gpus for h in hosts if h.since <= at < h.until)
    return max(at + need / gpus, LOAD_S + longest)


def pooled(sweep: Sweep, gpus: int) -> float:
    """Seconds of one queue of all samples, the longest last in no order, without any loads."""
    rng = np.random.default_rng(0)
    times = np.concatenate([t * sweep.gpus[g] for g, t in sweep.times.items()])
    free = [0.0] * gpus
    for seconds in rng.permutation(times):
        heapq.heapreplace(free, free[0] + float(seconds))
    return max(free)


class _Entries(Benchmark):
    """A benchmark of which only the sizes are known: nobody reads its samples."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest


def _sizes(samples: int) -> list[int]:
    return [min(SHARD, samples - start) for start in range(0, samples, SHARD)]


def reader_of(sweep: Sweep, samples: int) -> RunReader:
    """A plan with one answer stage a system."""
    due: Mapping[Asks, int] = {"text": samples}
    entries = tuple(
        ShardEntry(n, {"text": {"VQA": n}}, f"{i:016x}"[::-1], "")
        for i, n in enumerate(_sizes(samples))
    )
    manifest = Manifest("virtual", "0" * 16, SHARD, 0, entries, due, {}, {}, {})
    nodes, groups = {}, {}
    for name, width in sweep.gpus.items():
        key = name.partition("/")[2]
        nodes[key] = Node("answer", key, name, ("text",), (), (name,), name)
        spec = Spec("benchmarks.schedule:Nobody", {"name": name})
        groups[name] = GroupPlan(name, "answer", spec, asks(width), sweep.guesses[name])
    plan = Plan("virtual", manifest.ref, due, entries, "", {}, (), nodes, groups)
    return RunReader(connect("memory://schedule"), plan, _Entries(manifest))


class Nobody:
    """Stands for a model: its name is in the plan, and it is never made."""


@dataclass(slots=True)
class Result:
    """What came of one sweep."""

    ratio: float
    makespan: float
    bound: float
    pooled: float
    loads: float  # share of GPU time
    used: int  # GPUs
    units: int
    driver_ms: float  # of CPU time a unit, the pool's own included
    asked: int = 0  # GPUs, of whoever adds machines
    lost: int = 0  # units that their machine took with it
    retired: Sequence[Mapping[str, Any]] = ()
    quarantined: int = 0  # samples
    failed: Mapping[str, str] = field(default_factory=dict)
    workers: Sequence[Worker] = ()  # all that there were


def options_of(
    case: Case, clock: Callable[[], float], watch: Callable[[Event], None] = lambda event: None
) -> Options:
    """How the case is carried out."""
    place_s = max(PLACE_S, case.patience_s - START_S)
    return Options(clock=clock, watch=watch, start_s=case.patience_s, place_s=place_s)


def driver_of(reader: RunReader, pool: Pool, options: Options) -> Driver:
    """A driver of the whole plan: nothing is there yet."""
    shards = {key: range(reader.plan.shards) for key in reader.plan.nodes}
    targets: dict[str, Any] = {
        key: {i: Target(key) for i in numbers} for key, numbers in shards.items()
    }
    revisions: dict[str, Any] = {key: dict.fromkeys(numbers, 0) for key, numbers in shards.items()}
    nothing: dict[str, Any] = {key: {} for key in shards}
    todo = Todo(targets, revisions, existing=nothing, lost=nothing, made_from=nothing)
    return Driver(reader, todo, pool, options)


def run(case: Case, seed: int, pools: bool = False) -> Result:
    """Drive one sweep to its end, in virtual time.

    Raises:
        RuntimeError: a system is not complete.
    """
    return drive(case, draw(case, seed), pools)


def drive(case: Case, sweep: Sweep, pools: bool = False) -> Result:
    """See `run`, of what was drawn.

    Raises:
        RuntimeError: a system is not complete.
    """
    reader = reader_of(sweep, case.samples)
    broken = frozenset(list(sweep.times)[-case.broken :] if case.broken else ())
    load_s = statistics.median(case.loads) if case.loads else LOAD_S
    work = Work(sweep.times, SHARD, load_s, case.loads, broken=broken)
    pool = VirtualPool(case.machines(), work, case.grows)
    pool.tick_s = case.tick_s
    told: list[Event] = []
    driver = driver_of(reader, pool, options_of(case, pool.clock, told.append))
    begun = time.process_time()
    ending = driver.run()
    spent = time.process_time() - begun
    groups = {node.group for node in reader.plan.nodes.values()}
    left = {group: n for group in groups if (n := driver.board.remaining(group))}
    if left.keys() - broken or ending.failed.keys() - broken:
        raise RuntimeError(f"{case}: {left} shards are missing; {ending.failed}")
    used = min(case.gpus, round(sum(w.gpus for w in pool.workers.values())))
    least = bound(sweep, pool.hosts, used)
    queue = pooled(sweep, case.gpus) if pools else 0.0
    share = pool.load_gpu_s / (pool.load_gpu_s + sweep.work)
    return Result(
        pool.time / least,
        pool.time,
        least,
        queue / least,
        share,
        used,
        pool.units,
        1000 * spent / pool.units,
        pool.requested,
        pool.lost,
        [e.details for e in told if e.kind == "retired"],
        pool.quarantined,
        workers=list(pool.workers.values()),
    )


def cases(seed: int) -> Iterator[Case]:
    """What the scheduler is held to; the seed says which machines are lost, and when."""
    for sigma in (1.0, 2.0):
        for alike in (False, True):
            yield Case(1, sigma, alike, gangs=0, target=1.05)
            yield Case(8, sigma, alike, target=1.05)
            yield Case(64, sigma, alike, target=1.15)
            yield Case(256, sigma, alike, target=1.25 if sigma == 1.0 else 1.35)
    yield joining(64, 600.0, target=1.2)
    yield losing(64, 0.1, seed=seed, target=1.3)


def joining(gpus: int, late_s: float, **more: Any) -> Case:
    """Machines of one GPU, of which all but one come late."""
    hosts = [Host(f"host-{i:03d}", 1, since=late_s if i else 0.0) for i in range(gpus)]
    return Case(gpus, gangs=0, hosts=tuple(hosts), name="joining late", **more)


def losing(gpus: int, an_hour: float, seed: int, **more: Any) -> Case:
    """Machines of one GPU that are lost at a rate; those that are lost do not come back."""
    rng = np.random.default_rng(seed)
    lasts = rng.exponential(3600.0 / an_hour, gpus)
    hosts = [Host(f"host-{i:03d}", 1, until=float(t)) for i, t in enumerate(lasts)]
    return Case(gpus, gangs=0, hosts=tuple(hosts), name="losing machines", **more)


def with_bad(fault: Fault | None, **more: Any) -> Case:
    """Eight machines of eight GPUs, the first of which is bad; None: the seven others."""
    bad = [Host("host-bad", 8, fault=fault)] if fault else []
    sound = [Host(f"host-{i}", 8) for i in range(7)]
    return Case(64 if fault else 56, hosts=(*bad, *sound), name=fault or "seven sound", **more)


def bad_machines(seeds: int) -> dict[str, float]:
    """The makespan beside that of seven sound machines, the worst of some seeds, by fault."""
    found: dict[str, float] = {}
    for fault in FAULTS:
        ratios = [
            run(with_bad(fault), seed).makespan / run(with_bad(None), seed).makespan
            for seed in range(seeds)
        ]
        found[fault] = round(max(ratios), 3)
        print(f"one machine of eight {fault}: {ratios}", flush=True)
    return found


def one(case: Case, seed: int) -> dict[str, Any]:
    """What one seed of a case came to."""
    result = run(case, seed, pools=True)
    return {
        "gpus": case.gpus,
        "sigma": case.sigma,
        "alike": case.alike,
        "name": case.name,
        "target": case.target,
        "seed": seed,
        "ratio": round(result.ratio, 3),
        "loads": round(result.loads, 3),
        "pooled": round(result.pooled, 3),
        "hours": round(result.makespan / 3600, 2),
        "units": result.units,
        "driver_ms_a_unit": round(result.driver_ms, 3),
    }


def summary(ones: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The seeds of one case together."""
    ratios = [each["ratio"] for each in ones]
    middle = {
        name: round(statistics.median(each[name] for each in ones), 3)
        for name in ("loads", "pooled", "hours", "units", "driver_ms_a_unit")
    }
    found = {name: ones[0][name] for name in ("gpus", "sigma", "alike", "name", "target")}
    found |= {"median": round(statistics.median(ratios), 3), "worst": max(ratios)}
    return found | {"seeds": ratios} | middle


def measure(seeds: int, only: int) -> list[dict[str, Any]]:
    """All cases of one seed after those of another, each printed as it comes."""
    found: dict[int, list[dict[str, Any]]] = {}
    for seed in range(seeds):
        for number, case in enumerate(cases(seed)):
            if only in (0, case.gpus):
                found.setdefault(number, []).append(one(case, seed))
                print(json.dumps(found[number][-1]), flush=True)
    return [summary(ones) for ones in found.values()]


def misses(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The cases whose median is above the target, or one of whose seeds is by more than 0.1."""
    return [f for f in found if f["median"] > f["target"] or f["worst"] > f["target"] + 0.1]


def main() -> None:
    """Measure every case, and keep what was found when it was all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", type=int, default=0, help="cases with so many GPUs")
    parser.add_argument("--picture", help="a file: one sweep on 16 GPUs, half of them late")
    given = parser.parse_args()
    if given.picture:
        late = [Host(f"host-{i}", 8, since=600.0 * i) for i in range(2)]
        draw_timeline(run(Case(16, gangs=3, hosts=late), seed=0).workers, given.picture)
        return
    found = measure(given.seeds, given.only)
    for case in found:
        print({k: v for k, v in case.items() if k != "seeds"})
    if not given.only:
        bad = bad_machines(min(3, given.seeds))
        print(keep("schedule", {"seeds": given.seeds, "cases": found, "one bad of eight": bad}))
    if above := misses(found):
        raise SystemExit(f"above the target: {above}")


if __name__ == "__main__":
    main()
