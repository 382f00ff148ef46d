"""Whether a driver lives, told from what changes in the store and from no machine's clock.

A driver writes an object in its run's folder anew, again and again. Whoever waits for it watches
that object: once it has not changed for as long as it says, measured by the watcher's own monotonic
clock, the watcher leaves a tombstone beside it. That is final. A driver looks for its tombstone
after each writing, and hands nothing out when the last look is too long ago: one that was stopped
for a while and goes on learns of its death before it hands out anything.

On one machine nobody has to wait: a process that is not there any more is dead.
"""

import contextlib
import json
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgen.engine.errors import StoreError
from medgen.engine.store.layout import RunPlace
from medgen.engine.store.objects import Objects

LEASE_S = 60.0  # without a change, after which a driver counts as dead
RENEWALS = 3  # in that time
SURE = 2 / 3  # of that time: for so long a driver relies on its last look
LONGEST_S = 600.0  # whatever an object says
_SPARSE = 0.5  # of that time between two looks: the watcher may have been stopped itself

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Who:
    """A driver of a run."""

    run: str  # empty: nobody knows; `driver` is then where that was read
    driver: str


class Presence:
    """A driver's own sign of life, written by a thread."""

    def __init__(
        self, objects: Objects, run: str, seconds: float = LEASE_S, clock: Clock = time.monotonic
    ) -> None:
        """Nothing is written yet. `seconds` without a change is how it is known to be dead."""
        self.objects, self.seconds, self.clock = objects, seconds, clock
        self.who = Who(run, uuid.uuid4().hex)
        self.is_lost = False  # another has found it dead: for ever
        self._looked = -LONGEST_S  # when a look for the tombstone began that found none
        self._beats = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Write it, and go on writing.

        Raises:
            StoreError: it cannot be written.
        """
        self.renew()
        self._thread = threading.Thread(target=self._keep, name="medgen-presence", daemon=True)
        self._thread.start()

    def is_sure(self) -> bool:
        """Whether nobody can have taken this driver for dead."""
        return not self.is_lost and self.clock() - self._looked < SURE * self.seconds

    def renew(self) -> None:
        """Write it anew, then look for the tombstone."""
        place, driver = RunPlace(self.who.run), self.who.driver
        self._beats += 1
        self.objects.replace(place.presence(driver), self._words())
        began = self.clock()
        if _is_there(self.objects, place.tombstone(driver)):
            self.is_lost = True
        else:
            self._looked = began

    def is_beside_others(self) -> bool:
        """Whether another driver of this run has left its sign there, alive or not."""
        there = self.objects.names(RunPlace(self.who.run).drivers)
        return any(name.partition(".")[0] != self.who.driver for name in there)

    def end(self) -> None:
        """Take it away: whatever this driver claimed is free."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        place = RunPlace(self.who.run)
        with contextlib.suppress(StoreError):  # it is not written any more, which says the same
            self.objects.remove(place.presence(self.who.driver))
            if self.is_lost:  # nobody asks for it any more
                self.objects.remove(place.tombstone(self.who.driver))

    def _keep(self) -> None:
        while not self.is_lost and not self._over.wait(self.seconds / RENEWALS):
            with contextlib.suppress(StoreError, OSError):  # away for a moment: `is_sure` ends
                self.renew()

    def _words(self) -> bytes:
        pid = os.getpid()
        said = {"beats": self._beats, "seconds": self.seconds, "pid": pid}
        return json.dumps({**said, "machine": _machine(), "began": _began(pid)}).encode()


@dataclass(slots=True)
class _Sight:
    """What was seen of a driver."""

    data: bytes
    since: float  # when it was first seen so
    last: float


class Watch:
    """Watches drivers."""

    def __init__(
        self, objects: Objects, seconds: float = LEASE_S, clock: Clock = time.monotonic
    ) -> None:
        """Nobody is seen yet. `seconds` holds for who does not say how long it may be silent."""
        self.objects, self.seconds, self.clock = objects, seconds, clock
        self._gone: set[Who] = set()
        self._seen: dict[Who, _Sight] = {}
        self._buried: dict[Who, float] = {}  # when a tombstone was first seen

    def is_gone(self, who: Who) -> bool:
        """Whether a driver is dead or has ended; what it claimed is free then."""
        if who not in self._gone and self._has_ended(who):
            self._gone.add(who)
        return who in self._gone

    def _has_ended(self, who: Who) -> bool:
        if not who.run:
            first = self._seen.setdefault(who, _Sight(b"", self.clock(), 0.0))
            return self.clock() - first.since >= self.seconds
        place = RunPlace(who.run)
        try:
            data = self.objects.read(place.presence(who.driver))
        except FileNotFoundError:
            return True
        said, now = _words_of(data), self.clock()
        if _is_dead_here(said):
            return True
        lasts = _seconds(said, self.seconds)
        if who in self._buried or _is_there(self.objects, place.tombstone(who.driver)):
            # It learns of that before so much time is over, or does nothing any more.
            return now - self._buried.setdefault(who, now) >= SURE * lasts
        seen = self._seen.get(who)
        sparse = seen is not None and now - seen.last > _SPARSE * lasts
        if seen is None or seen.data != data or sparse:
            self._seen[who] = _Sight(data, now, now)
            return False
        seen.last = now
        return now - seen.since >= lasts and self._bury(who, data)

    def _bury(self, who: Who, data: bytes) -> bool:
        """Leave a tombstone; whether what was seen before still stands, so that it was in time."""
        place = RunPlace(who.run)
        self.objects.create(place.tombstone(who.driver), b"{}")
        self._buried[who] = self.clock()
        try:
            return self.objects.read(place.presence(who.driver)) == data
        except FileNotFoundError:
            return True


def _is_there(objects: Objects, path: str) -> bool:
    try:
        objects.read(path)
    except FileNotFoundError:
        return False
    return True


def _words_of(data: bytes) -> dict[str, Any]:
    """What an object says; nothing, if it is in no form that this version reads."""
    try:
        said = json.loads(data)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _seconds(said: dict[str, Any], usual: float) -> float:
    value = said.get("seconds")
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return min(LONGEST_S, float(value))
    return usual


def _machine() -> str:
    """Names the running system and its numbering of processes; empty where that has no name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _began(pid: int) -> str:
    """When a process of this machine began, in ticks since the boot; empty: there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]


def _is_dead_here(said: dict[str, Any]) -> bool:
    """Whether a driver of this very machine is no process any more."""
    machine, pid = _machine(), said.get("pid")
    if not machine or said.get("machine") != machine or not isinstance(pid, int):
        return False
    return _began(pid) != said.get("began")
