"""Workers in this process, one unit at a time: for tests, the debugger and small runs."""

import math
from collections import deque
from collections.abc import Mapping, Sequence

from medgen.engine.errors import EngineDied
from medgen.engine.run.pool import Group, Outcome, Unit, Worker
from medgen.engine.trouble import trouble


class LocalPool:
    """The pool of one process. A worker that says its engine died is made anew."""

    def __init__(self) -> None:
        """No worker yet."""
        self._groups: dict[str, Group] = {}
        self._workers: dict[str, Worker] = {}
        self._queue: deque[Unit] = deque()
        self._unstarted: deque[str] = deque()

    def nodes(self) -> Sequence[Mapping[str, float]]:
        """One machine without end: a process has no resources to hand out."""
        return [{"CPU": math.inf, "GPU": math.inf, "memory": math.inf}]

    def open(self, group: Group, workers: int) -> None:
        """See `Pool.open`. However many are asked for, there is one."""
        self._groups[group.name] = group
        self._unstarted.append(group.name)

    def room(self, group: str) -> int:
        """One unit at a time over all groups, so that stages take turns."""
        return int(group in self._workers and not self._queue)

    def submit(self, unit: Unit, alone: bool = False, avoid: frozenset[str] = frozenset()) -> bool:
        """See `Pool.submit`. There is one worker, which cannot be avoided."""
        if not self.room(unit.group):
            return False
        self._queue.append(unit)
        return True

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """Make a worker or do a unit, now, in this thread."""
        while self._unstarted:
            if failed := self._start(self._unstarted.popleft()):
                return [failed]
        return [self._do(self._queue.popleft())] if self._queue else []

    def _start(self, name: str) -> Outcome | None:
        if name not in self._groups or name in self._workers:
            return None
        try:
            self._workers[name] = self._groups[name].make()
        except Exception as err:  # noqa: BLE001 - becomes an outcome; the driver bounds them
            self._unstarted.append(name)
            return Outcome("unstarted", name, trouble=trouble(err))
        return None

    def _do(self, unit: Unit) -> Outcome:
        try:
            receipts = tuple(self._workers[unit.group](unit))
        except EngineDied as err:
            del self._workers[unit.group]
            self._unstarted.append(unit.group)
            return Outcome("crashed", unit.group, unit, (), trouble(err))
        except Exception as err:  # noqa: BLE001 - becomes an outcome; the driver bounds them
            return Outcome("failed", unit.group, unit, (), trouble(err))
        return Outcome("finished", unit.group, unit, receipts)

    def sound(self, group: str) -> int:
        """See `Pool.sound`."""
        return int(group in self._workers)

    def retire(self, group: str, worker: str) -> Sequence[Outcome]:
        """See `Pool.retire`. There is one worker, which is the last."""
        return []

    def abandon(self, unit: Unit) -> Sequence[Outcome]:
        """See `Pool.abandon`. A unit runs in this thread, which cannot end it."""
        return []

    def close(self, group: str) -> None:
        """See `Pool.close`."""
        self._groups.pop(group, None)
        self._workers.pop(group, None)
        self._queue = deque(unit for unit in self._queue if unit.group != group)

    def shutdown(self) -> None:
        """See `Pool.shutdown`."""
        for group in list(self._groups):
            self.close(group)
