"""Whose fault failures are: a worker's, when units that others can do fail on it.

Counted by worker and unit, without a clock or a process. A worker on which some units in a row
failed without a success is retired, unless it is the last of its group. A unit that fails on a
second worker is to blame itself, and no longer held against the first.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

MAX_UNITS_FAILED = 3  # different units in a row on one worker, without a success


@dataclass(slots=True)
class Blame:
    """What failed where, in one run."""

    _failed: dict[tuple[str, str], set[Hashable]] = field(default_factory=dict)
    _tried: dict[Hashable, set[str]] = field(default_factory=dict)  # unit -> workers it failed on

    def note_success(self, group: str, worker: str, unit: Hashable) -> None:
        """A worker did a unit: whatever failed on it before was not its fault."""
        self._failed.pop((group, worker), None)
        self._tried.pop(unit, None)

    def note_failure(self, group: str, worker: str, unit: Hashable) -> bool:
        """A unit failed on a worker. Returns whether the worker is to be retired."""
        if not worker:
            return False
        tried = self._tried.setdefault(unit, set())
        tried.add(worker)
        if len(tried) > 1:
            for (other, name), units in self._failed.items():
                if other == group and name in tried:
                    units.discard(unit)
            return False
        held = self._failed.setdefault((group, worker), set())
        held.add(unit)
        return len(held) >= MAX_UNITS_FAILED

    def workers_to_avoid(self, unit: Hashable) -> frozenset[str]:
        """The workers that a unit failed on: its next try goes elsewhere while there are others."""
        return frozenset(self._tried.get(unit, ()))
