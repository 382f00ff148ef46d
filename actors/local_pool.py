"""Workers in this process, one unit at a time: for tests, the debugger and small runs.

Units are done in a thread of their own, so that one that never returns does not hold the driver: it
is left behind when its time is over, and another thread goes on with a worker made anew. It can
only be left, not ended; the process ends without it.
"""

import itertools
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from medgen.engine.errors import EngineDied
from medgen.engine.limiting import OwnLimiters, with_limiters
from medgen.engine.run.pool import Group, Machine, Outcome, Unit, Worker
from medgen.engine.trouble import trouble

_HERE = "here"
Task = Callable[[], Outcome]


class _Hands:
    """A thread that does one thing after another, and can be left behind."""

    def __init__(self) -> None:
        self.tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.done: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="medgen-worker", daemon=True).start()

    def _work(self) -> None:
        while (task := self.tasks.get()) is not None:
            try:
                self.done.put(task())
            except BaseException as err:  # noqa: BLE001 - raised again where the driver waits
                self.done.put(err)


class LocalPool:
    """The pool of one process. A worker that says its engine died is gone."""

    handful = 1

    def __init__(self) -> None:
        """No worker yet."""
        self._workers: dict[str, Worker | None] = {}  # by name; None until it is made
        self._held: dict[str, list[Unit]] = {}
        self._numbers = itertools.count()
        self._hands: _Hands | None = None
        self._waiting: deque[tuple[str, Unit | None, Task]] = deque()  # by worker
        self._busy: str | None = None  # the worker that does something
        self._doing: Unit | None = None  # what it does, when that is a unit
        self._limiters = OwnLimiters(time.monotonic)

    def machines(self) -> Sequence[Machine]:
        """One machine without end: a process has no resources to hand out."""
        endless = {"CPU": math.inf, "GPU": math.inf, "memory": math.inf}
        return [Machine(_HERE, endless, most=1)]

    def open(self, group: Group, machine: str) -> str:
        """See `Pool.open`."""
        name = f"{group.name}-{next(self._numbers)}"
        self._workers[name], self._held[name] = None, []
        self._waiting.append((name, None, lambda: self._start(group, name)))
        return name

    def submit(self, unit: Unit, worker: str) -> None:
        """See `Pool.submit`."""
        self._held[worker].append(unit)
        self._waiting.append((worker, unit, lambda: self._perform(unit, worker)))

    def waits(self, unit: Unit | None, worker: str) -> bool:
        """See `Pool.waits`: one thing is done after another, whosever it is."""
        return self._busy != worker or unit is not self._doing

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """See `Pool.wait`."""
        self._begin()
        if self._hands is None or self._busy is None:
            time.sleep(min(seconds, 0.02))
            return []
        try:
            told = self._hands.done.get(timeout=seconds)
        except queue.Empty:
            return []
        self._busy = self._doing = None
        if not isinstance(told, Outcome):
            raise told
        if told.unit is None:
            return self._note_start(told)
        self._held[told.worker].remove(told.unit)
        return self._bury(told) if told.kind == "crashed" else [told]

    def _begin(self) -> None:
        """Take up the next thing, when nothing is being done."""
        if self._busy is None and self._waiting:
            self._hands = self._hands or _Hands()
            self._busy, self._doing, task = self._waiting.popleft()
            self._hands.tasks.put(task)

    def _bury(self, told: Outcome) -> Sequence[Outcome]:
        others = self._held[told.worker]
        self._drop(told.worker)
        lost = [replace(told, unit=unit, alone=False) for unit in others]
        return [replace(told, alone=not others), *lost]

    def _drop(self, worker: str) -> None:
        self._workers.pop(worker, None)
        self._held.pop(worker, None)
        self._waiting = deque(task for task in self._waiting if task[0] != worker)

    def _note_start(self, told: Outcome) -> Sequence[Outcome]:
        if told.kind == "unstarted":
            self._drop(told.worker)
        return [told]

    def _start(self, group: Group, name: str) -> Outcome:
        try:
            self._workers[name] = with_limiters(self._limiters, group.make)
        except Exception as err:  # noqa: BLE001 - becomes an outcome; the driver bounds them
            return Outcome("unstarted", group.name, trouble=trouble(err), worker=name)
        return Outcome("started", group.name, worker=name, machine=_HERE)

    def _perform(self, unit: Unit, name: str) -> Outcome:
        worker = self._workers[name]
        assert worker is not None, "no unit is handed to a worker that has not started"
        done = Outcome("finished", unit.group, unit, worker=name)
        try:
            return replace(done, receipts=tuple(worker(unit)))
        except EngineDied as err:
            return replace(done, kind="crashed", trouble=trouble(err))
        except Exception as err:  # noqa: BLE001 - becomes an outcome; the driver bounds them
            return replace(done, kind="failed", trouble=trouble(err))

    def end(self, worker: str) -> None:
        """See `Pool.end`. When it is in the middle of a unit, its thread is left behind."""
        self._drop(worker)
        if self._hands is not None and self._busy == worker:
            self._hands.tasks.put(None)
            self._hands, self._busy, self._doing = None, None, None

    def grows(self) -> bool:
        """There is one machine, and no other comes."""
        return False

    def request(self, demands: Sequence[Mapping[str, float]]) -> None:
        """See `Pool.request`. Nobody is asked."""

    def shutdown(self) -> None:
        """See `Pool.shutdown`."""
        for worker in list(self._workers):
            self.end(worker)
        if self._hands is not None:
            self._hands.tasks.put(None)
            self._hands = None
