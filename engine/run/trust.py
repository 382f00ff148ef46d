"""Who is to be ended for what went wrong: a worker, a machine, or nobody.

The last worker of a group is ended only where another machine could have the next one, and the last
machine that a group could use never is. A group that has done nothing yet may be broken itself: for
what fails of it no machine is retired, and it is tried with other workers, on other machines first,
`MOST_TRIALS` times. What fails then as well speaks for itself (`faults`).
"""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Literal

from medgen.engine.run.crew import Crew
from medgen.engine.run.desk import Out
from medgen.engine.run.faults import MAX_FAILURES, Slot, slot_of
from medgen.engine.run.pool import Outcome

MAX_UNITS_FAILED = 3  # different units in a row on one worker, without a success
MAX_UNITS_OF_MACHINE = 4  # the same for a machine, on at least two of its workers


@dataclass(slots=True)
class Blame:
    """What failed where, in one run, counted by worker, machine and unit, without a clock.

    A worker on which some units in a row failed without a success is retired, unless it is the last
    of its group; a machine is when that is so of several of its workers. A unit that fails on a
    second worker is to blame itself, and no longer held against the first; on a second machine, no
    longer against that. Nothing is held against a machine by a group that has done no unit
    anywhere: the group itself may be broken.
    """

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


REFUSALS = ("StoreError", "BusyError")  # what a worker says that cannot write
MOST_TRIALS = 2  # with other workers, of a group that has done nothing


@dataclass(frozen=True, slots=True)
class Culprit:
    """What is to blame."""

    kind: Literal["worker", "machine"]
    name: str
    workers: tuple[str, ...]  # that end with it


@dataclass(slots=True)
class Trust:
    """What has spoken against workers and machines so far."""

    crew: Crew
    blame: Blame = field(default_factory=Blame)
    refused: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # machine -> by whom
    crashed: dict[str, set[str]] = field(default_factory=dict)  # group -> where workers died
    _dead: set[str] = field(default_factory=set)  # workers
    _tries: dict[tuple[str, Slot], int] = field(default_factory=dict)  # (worker, unit) that failed
    _trials: dict[str, int] = field(default_factory=dict)  # of a group that has done nothing
    _words: dict[str, Outcome] = field(default_factory=dict)  # machine -> what failed there last

    def note_success(self, group: str, out: Out) -> list[tuple[Culprit, Outcome]]:
        """A unit came back done. Returns machines that are to be ended for what failed before.

        With the first unit that a group has done, what failed of it elsewhere counts. A merge asks
        nothing of a device: it only shows that the store can be written.
        """
        self.refused.pop(out.machine, None)
        if out.unit.merge:
            return []
        first = group not in self.blame.proven
        self.crashed.pop(group, None)
        self.blame.note_success(group, out.worker, out.machine, out.slot)
        self.crew.starts.note_work(group)
        bad = [name for name in self.blame.suspects() if self.blame.is_bad(name)] if first else []
        found = ((self.retire(name, group, self._words[name]), self._words[name]) for name in bad)
        return [(culprit, why) for culprit, why in found if culprit]

    def note_failure(self, outcome: Outcome, out: Out) -> Culprit | None:
        """A unit came back undone. Returns what is to be ended for it."""
        kind = outcome.trouble.error_type
        if outcome.kind == "crashed":
            return self._note_crash(outcome, out)
        if outcome.kind != "failed" or kind in ("CorruptError", "StaleError"):
            return None
        if kind in REFUSALS:
            self.refused.setdefault(out.machine, []).append((outcome.group, out.worker))
        return self._hold_against(outcome, out)

    def _note_crash(self, outcome: Outcome, out: Out) -> Culprit | None:
        """A worker's process died, or was ended in a unit that hung: the next is made elsewhere.

        Parts of a shard are one unit here, since one sample may kill the workers of all that hold
        it; parts of one sample are told apart.
        """
        low, high = out.unit.positions or (0, 0)
        unit = out.unit if high - low == 1 else replace(out.unit, positions=None)
        self.crashed.setdefault(outcome.group, set()).add(out.machine)
        self.blame.avoid(out.slot, out.worker, out.machine)
        self.crew.starts.shun(outcome.group, out.machine)
        if outcome.group not in self.blame.proven:
            self.crew.starts.try_elsewhere(outcome.group, out.machine)
        if not outcome.alone and out.worker in self._dead:  # its death counts once
            return None
        self._dead.add(out.worker)
        return self._hold_against(outcome, replace(out, slot=slot_of(unit)))

    def others_work(self, group: str) -> bool:
        """Whether workers of a group are at work on machines where none of it has died lately."""
        died = self.crashed.get(group, set())
        return any(m.units and m.machine not in died for m in self.crew.groups[group].values())

    def _hold_against(self, outcome: Outcome, out: Out) -> Culprit | None:
        """A unit failed there, or did not return. Returns what is to be ended for it."""
        group = outcome.group
        self._words[out.machine] = outcome
        bad = self.blame.note_failure(group, out.worker, out.machine, out.slot)
        if (bad == "machine" or self._cannot_write(out.machine)) and (
            found := self.retire(out.machine, group, outcome)
        ):
            self.refused.pop(out.machine, None)
            return found
        tries = self._tries[out.worker, out.slot] = self._tries.get((out.worker, out.slot), 0) + 1
        if group not in self.blame.proven and outcome.trouble.error_type not in REFUSALS:
            return self._try_others(group, out) if bad or tries > 1 else None
        if bad and self.crew.sound(group) > 1:
            return Culprit("worker", out.worker, (out.worker,))
        if (bad or tries > 1) and self._has_elsewhere(out.machine, group):
            # The last of its group: another one is made on another machine, and tells them apart.
            self.crew.starts.shun(group, out.machine)
            return Culprit("worker", out.worker, (out.worker,))
        return None

    def _try_others(self, group: str, out: Out) -> Culprit | None:
        """Give a group that has done nothing other workers: elsewhere, or beside sound ones."""
        if self._trials.get(group, 0) >= MOST_TRIALS:
            return None
        ended: tuple[str, ...] = ()
        if self._has_elsewhere(out.machine, group):
            self.crew.starts.try_elsewhere(group, out.machine)
            members = self.crew.groups[group].values()
            ended = tuple(m.name for m in members if m.machine == out.machine)
        elif self.crew.sound(group) > 1:
            ended = (out.worker,)
        if not ended:
            return None
        self._trials[group] = self._trials.get(group, 0) + 1
        return Culprit("worker", out.worker, ended)

    def _has_elsewhere(self, machine: str, group: str) -> bool:
        could = self.crew.ledger.could_hold(self.crew.asked[group])
        return any(n != machine and not self.crew.starts.is_barred(group, n) for n in could)

    def retire(self, machine: str, group: str, outcome: Outcome) -> Culprit | None:
        """Start nothing on a machine any more, unless the group could go nowhere else."""
        if machine in self.crew.starts.retired or not self._has_elsewhere(machine, group):
            return None
        self.crew.starts.retire(machine, outcome.trouble.error)
        there = (m for m in self.crew.members.values() if m.machine == machine)
        # What does its work there goes on with it, although nothing more can start beside it.
        ended = (m.name for m in there if outcome.kind != "unstarted" or not m.ready)
        return Culprit("machine", machine, tuple(ended))

    def none_can_write(self) -> bool:
        """Whether the store refuses every machine that has workers."""
        machines = {m.machine for m in self.crew.members.values()}
        return bool(machines) and all(map(self._cannot_write, machines))

    def _cannot_write(self, machine: str) -> bool:
        """Two workers say so of a machine, or all of a group: one of several may be bad itself."""
        refused = {*(told := self.refused.get(machine, []))}
        groups = {group for group, _ in refused}
        there = (m for m in self.crew.members.values() if m.machine == machine)
        asked = {(m.group, m.name) for m in there if m.group in groups}
        return len(told) >= MAX_FAILURES and (len(refused) > 1 or asked <= refused)
