"""Whose fault failures are: a worker's or a machine's, when units that others can do fail there.

Counted by worker, machine and unit, without a clock or a process. A worker on which some units in a
row failed without a success is retired, unless it is the last of its group; a machine is when that
is so of several of its workers. A unit that fails on a second worker is to blame itself, and no
longer held against the first; on a second machine, no longer against that. Nothing is held against
a machine by a group that has done no unit anywhere: the group itself may be broken.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

MAX_UNITS_FAILED = 3  # different units in a row on one worker, without a success
MAX_UNITS_OF_MACHINE = 4  # the same for a machine, on at least two of its workers


@dataclass(slots=True)
class Blame:
    """What failed where, in one run."""

    _failed: dict[tuple[str, str], set[Hashable]] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)  # groups that have done a unit somewhere
    _machines: dict[str, set[tuple[str, str, Hashable]]] = field(default_factory=dict)
    _tried: dict[Hashable, set[tuple[str, str]]] = field(default_factory=dict)  # (worker, machine)

    def note_success(self, group: str, worker: str, machine: str, unit: Hashable) -> None:
        """A worker did a unit: whatever failed on it before was not its fault."""
        self.proven.add(group)
        self._failed.pop((group, worker), None)
        self._machines.pop(machine, None)
        self._tried.pop(unit, None)

    def note_failure(
        self, group: str, worker: str, machine: str, unit: Hashable
    ) -> Literal["", "worker", "place", "machine"]:
        """A unit failed on a worker. Returns what is to be retired for it.

        place: as a machine, but nobody knows yet whether others can do what failed there.
        """
        if not worker:
            return ""
        tried = self._tried.setdefault(unit, set())
        tried.add((worker, machine))
        self._machines.setdefault(machine, set()).add((group, worker, unit))
        self._failed.setdefault((group, worker), set()).add(unit)
        if len(tried) > 1:
            self._clear(group, unit, {name for name, _ in tried})
        if len({place for _, place in tried}) > 1:
            for tries in self._machines.values():
                tries -= {one for one in tries if one[2] == unit}
        if self.is_bad(machine):
            return "machine"
        if group not in self.proven and self._are_many(self._machines[machine]):
            return "place"
        return "worker" if len(self._failed[group, worker]) >= MAX_UNITS_FAILED else ""

    def is_bad(self, machine: str) -> bool:
        """Whether units of groups that work elsewhere fail there on several workers."""
        tries = self._machines.get(machine, set())
        return self._are_many({one for one in tries if one[0] in self.proven})

    def _are_many(self, tries: set[tuple[str, str, Hashable]]) -> bool:
        workers, units = ({one[i] for one in tries} for i in (1, 2))
        return len(workers) > 1 and len(units) >= MAX_UNITS_OF_MACHINE

    def avoid(self, unit: Hashable, worker: str, machine: str) -> None:
        """Have the next try of a unit elsewhere."""
        self._tried.setdefault(unit, set()).add((worker, machine))

    def suspects(self) -> list[str]:
        """Machines on which something failed since anything was done there."""
        return list(self._machines)

    def _clear(self, group: str, unit: Hashable, workers: set[str]) -> None:
        for (other, name), units in self._failed.items():
            if other == group and name in workers:
                units.discard(unit)

    def places_to_avoid(self, unit: Hashable) -> frozenset[str]:
        """The workers and machines that a unit failed on: its next try goes elsewhere."""
        return frozenset(name for pair in self._tried.get(unit, ()) for name in pair)
