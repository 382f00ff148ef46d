"""A pool in virtual time: workers that load and work as long as they are told, and no second runs.

The real driver and board are driven through the real port. Nothing is stored: receipts say what
would have been. A worker does one sample after another.
"""

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medgen.engine.plan.identity import Resources
from medgen.engine.run.pool import Group, Machine, Outcome, Receipt, Unit
from medgen.engine.trouble import Trouble

MERGE_S = 0.2  # to put the parts of a shard together
Fault = Literal["raises", "crashes", "unstartable", "unwritable", "hangs", "stuck"]
FAULTS: tuple[Fault, ...] = ("raises", "crashes", "unstartable", "unwritable", "hangs")


@dataclass(frozen=True, slots=True)
class Host:
    """A machine, when it is there, and what is wrong with it."""

    name: str
    gpus: int
    since: float = 0.0
    until: float = float("inf")
    fault: Fault | None = None
    notice_s: float = 0.0  # before it goes, it says so


@dataclass(frozen=True, slots=True)
class Work:
    """How long everything takes, in seconds of one worker."""

    samples: Mapping[str, NDArray[np.float64]]  # by group, in the order of the benchmark
    shard_size: int
    load_s: float = 180.0
    loads: Sequence[float] = ()  # of the first workers in the order of opening, where they differ
    fail_s: float = 1.0  # until a unit raises, or a start fails
    broken: frozenset[str] = frozenset()  # groups that raise at whatever they are given


@dataclass(slots=True)
class Worker:
    """One worker: what it holds, and the moments of its life, in virtual seconds."""

    group: str
    host: Host
    gpus: float
    alive: bool = True
    ready: bool = False
    units: list[Unit] = field(default_factory=list)
    since: float = 0.0  # when it began what it does now
    busy: float = 0.0  # seconds of work that counted
    opened: float = 0.0
    made: float = float("inf")
    ended: float = float("inf")
    hung: bool = False


class VirtualPool:
    """See `Pool`. The clock is `now`, and only `wait` moves it."""

    handful = 1

    def __init__(self, hosts: Sequence[Host], work: Work, grows: int = 0) -> None:
        """Machines that come later are in `hosts`, too; `grows` more are there when asked for."""
        self.hosts, self.work, self.time = list(hosts), work, 0.0
        self.may_grow, self.requested = grows, 0
        self.tick_s = float("inf")  # the longest time that may pass without a look
        self.workers: dict[str, Worker] = {}
        self.loads = 0
        self.load_gpu_s = 0.0
        self.calls = 0
        self.units = 0
        self.lost = 0  # that their machine took with it
        self.quarantined = 0  # samples
        self._events: list[tuple[float, int, Outcome]] = []
        self._numbers = itertools.count()
        self._gone: set[str] = set()
        self._changes = sorted({t for h in hosts for t in (h.since, h.until - h.notice_s, h.until)})
        self._machines: list[Machine] = []
        self._due = -1.0  # until when the list of machines holds

    def clock(self) -> float:
        """Virtual seconds."""
        return self.time

    def machines(self) -> Sequence[Machine]:
        """See `Pool.machines`."""
        if self.time >= self._due or self._due < 0:
            there = [h for h in self.hosts if h.since <= self.time < h.until]
            self._machines = [
                Machine(
                    h.name,
                    {"CPU": 16.0 * h.gpus, "GPU": float(h.gpus)},
                    leaving=self.time >= h.until - h.notice_s,
                )
                for h in there
            ]
            self._due = min((t for t in self._changes if t > self.time), default=float("inf"))
        return self._machines

    def open(self, group: Group, machine: str) -> str:
        """See `Pool.open`."""
        host = next(h for h in self.hosts if h.name == machine)
        name = f"w{next(self._numbers)}"
        gpus = group.resources.gpus
        worker = Worker(group.name, host, gpus, since=self.time, opened=self.time)
        self.workers[name] = worker
        if not host.since <= self.time < host.until:  # gone since the machines were looked at
            self._tell(self.work.fail_s, Outcome("lost", group.name), name)
            return name
        self._check(host)
        if host.fault == "unstartable":
            why = Trouble("no such device", "AdapterError")
            self._tell(self.work.fail_s, Outcome("unstarted", group.name, None, (), why), name)
            return name
        if host.fault == "stuck":  # a start there never ends
            return name
        first = self.loads < len(self.work.loads)
        load_s = self.work.loads[self.loads] if first else self.work.load_s
        self.loads += 1
        self.load_gpu_s += load_s * worker.gpus
        self._tell(load_s, Outcome("started", group.name, machine=host.name), name)
        return name

    def _check(self, host: Host) -> None:
        held = sum(w.gpus for w in self.workers.values() if w.alive and w.host.name == host.name)
        if held > host.gpus:
            raise AssertionError(f"{host.name} has {host.gpus} GPUs, and {held} are held")

    def _tell(self, after: float, outcome: Outcome, worker: str) -> None:
        told = replace(outcome, worker=worker)
        heapq.heappush(self._events, (self.time + after, next(self._numbers), told))

    def submit(self, unit: Unit, worker: str) -> None:
        """See `Pool.submit`."""
        held = self.workers[worker]
        if not held.ready or held.group != unit.group:
            raise AssertionError(f"{worker} cannot take a unit of {unit.group}")
        self.units += 1
        self.quarantined += len(unit.quarantined)
        held.units.append(unit)
        if len(held.units) == 1:
            self._begin(worker)

    def seconds(self, unit: Unit) -> float:
        """How long a unit takes."""
        if unit.merge:
            return MERGE_S
        start = unit.shard * self.work.shard_size
        low, high = unit.positions or (0, self.work.shard_size)
        return float(self.work.samples[unit.group][start + low : start + high].sum())

    def waits(self, unit: Unit | None, worker: str) -> bool:
        """See `Pool.waits`."""
        return any(other is unit for other in self.workers[worker].units[1:])

    def _begin(self, name: str) -> None:
        worker = self.workers[name]
        unit, worker.since = worker.units[0], self.time
        fault = worker.host.fault
        if fault == "hangs" and not unit.merge:
            worker.hung = True
            return
        if fault == "raises" or worker.group in self.work.broken:
            why = Trouble("the device is broken", "RuntimeError", error_id="device")
            self._tell(self.work.fail_s, Outcome("failed", unit.group, unit, (), why), name)
        elif fault == "crashes" and not unit.merge:
            why = Trouble("its process was killed", "ActorDiedError")
            self._tell(self.work.fail_s, Outcome("crashed", unit.group, unit, (), why), name)
        elif fault == "unwritable":
            why = Trouble("the disk is full", "StoreError")
            self._tell(self.seconds(unit), Outcome("failed", unit.group, unit, (), why), name)
        else:
            receipt = Receipt("answer", unit.targets[0].key, unit.shard, part=unit.positions)
            told = Outcome("finished", unit.group, unit, (receipt,))
            self._tell(self.seconds(unit), told, name)

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """See `Pool.wait`: the next thing that happens, whenever that is."""
        self.calls += 1
        if losses := self._losses():
            return losses
        while self._events:
            at, _, told = self._events[0]
            change = self._due if self._due > self.time else float("inf")
            if at > min(change, self.time + self.tick_s):
                break
            heapq.heappop(self._events)
            worker = self.workers.get(told.worker)
            if worker is None or not worker.alive:
                continue
            self.time = max(self.time, at)
            return [self._settle(told, worker)]
        # Nothing happens before the next machine comes or goes, or for as long as is waited.
        change = self._due if self._due > self.time else float("inf")
        self.time = min(self.time + (30.0 if self._events else seconds), change)
        return []

    def _settle(self, told: Outcome, worker: Worker) -> Outcome:
        if told.unit is None:
            worker.ready = told.kind == "started"
            worker.alive = worker.ready
            worker.made = self.time
            return told
        worker.units.remove(told.unit)
        worker.alive = told.kind != "crashed"
        if told.kind == "finished":
            worker.busy += self.time - worker.since
        if worker.units:
            self._begin(told.worker)
        return told

    def _losses(self) -> list[Outcome]:
        lost: list[Outcome] = []
        why = Trouble("its machine is gone", "ActorDiedError")
        for host in self.hosts:
            if host.until <= self.time and host.name not in self._gone:
                self._gone.add(host.name)
                for name, worker in self.workers.items():
                    if worker.host is host and worker.alive:
                        worker.alive = False
                        self.lost += len(worker.units)
                        units: Sequence[Unit | None] = worker.units or [None]
                        lost += [
                            Outcome("lost", worker.group, u, (), why, worker=name) for u in units
                        ]
        return lost

    def end(self, worker: str) -> None:
        """See `Pool.end`."""
        self.workers[worker].alive = False
        self.workers[worker].ended = self.time

    def grows(self) -> bool:
        """See `Pool.grows`."""
        return self.may_grow > 0

    def request(self, demands: Sequence[Mapping[str, float]]) -> None:
        """See `Pool.request`: machines of eight GPUs come two minutes later."""
        asked = sum(d.get("GPU", 0.0) for d in demands)
        self.requested = max(self.requested, round(asked))
        have = sum(h.gpus for h in self.hosts)
        while have < asked and self.may_grow > 0:
            self.may_grow -= 1
            have += 8
            self.hosts.append(Host(f"asked-{self.may_grow}", 8, since=self.time + 120.0))
            self._changes.append(self.time + 120.0)
            self._due = self.time

    def shutdown(self) -> None:
        """See `Pool.shutdown`."""
        for worker in self.workers.values():
            worker.alive = False


def asks(gpus: float) -> Resources:
    """What a worker on so many GPUs asks for."""
    return Resources(cpus=gpus, gpus=gpus)
