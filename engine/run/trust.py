"""Who is to be ended for what went wrong: a worker, a machine, or nobody.

The last worker of a group is ended only where another machine could have the next one, and the last
machine that a group could use never is.
"""

from dataclasses import dataclass, field
from typing import Literal

from medgen.engine.run.blame import Blame
from medgen.engine.run.crew import Crew
from medgen.engine.run.desk import Out
from medgen.engine.run.faults import MAX_FAILURES, Slot
from medgen.engine.run.pool import Outcome

REFUSALS = ("StoreError", "BusyError")  # what a worker says that cannot write


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
    _tries: dict[tuple[str, Slot], int] = field(default_factory=dict)  # (worker, unit) that failed

    def note_success(self, group: str, out: Out) -> None:
        """A unit came back done."""
        self.blame.note_success(group, out.worker, out.machine, out.slot)
        self.crew.starts.note_work(group)
        self.refused.pop(out.machine, None)

    def note_failure(self, outcome: Outcome, out: Out) -> Culprit | None:
        """A unit came back undone. Returns what is to be ended for it."""
        kind = outcome.trouble.error_type
        if outcome.kind != "failed" or kind in ("CorruptError", "StaleError"):
            return None
        if kind in REFUSALS:
            self.refused.setdefault(out.machine, []).append((outcome.group, out.worker))
        return self.hold_against(outcome, out)

    def hold_against(self, outcome: Outcome, out: Out) -> Culprit | None:
        """A unit failed there, or did not return. Returns what is to be ended for it."""
        group = outcome.group
        bad = self.blame.note_failure(group, out.worker, out.machine, out.slot)
        refused = len(self.refused.get(out.machine, ())) >= MAX_FAILURES
        if (bad == "machine" or refused) and (found := self.retire(out.machine, group, outcome)):
            self.refused.pop(out.machine, None)
            return found
        tries = self._tries[out.worker, out.slot] = self._tries.get((out.worker, out.slot), 0) + 1
        if bad and self.crew.sound(group) > 1:
            return Culprit("worker", out.worker, (out.worker,))
        if (bad or tries > 1) and self._has_elsewhere(out.machine, group):
            # The last of its group: another one is made on another machine, and tells them apart.
            self.crew.starts.shun(group, out.machine)
            return Culprit("worker", out.worker, (out.worker,))
        return None

    def _has_elsewhere(self, machine: str, group: str) -> bool:
        could = self.crew.ledger.could_hold(self.crew.asked[group])
        return any(n != machine and not self.crew.starts.is_barred(group, n) for n in could)

    def retire(self, machine: str, group: str, outcome: Outcome) -> Culprit | None:
        """Start nothing on a machine any more, unless the group could go nowhere else."""
        if not self._has_elsewhere(machine, group):
            return None
        self.crew.starts.retire(machine, outcome.trouble.error)
        there = (m.name for m in self.crew.members.values() if m.machine == machine)
        return Culprit("machine", machine, tuple(there))

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
