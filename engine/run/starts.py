"""Starts of workers, counted by group and by machine: who may start where, and when again."""

from dataclasses import dataclass, field

MAX_STARTS = 3  # that failed in a row: of a group on one machine, of sound groups on a machine
BACK_OFF_S = 2.0  # after the second death of a group in a row, doubled each time
MAX_BACK_OFF_S = 60.0


@dataclass(slots=True)
class Starts:
    """What started and what did not, in one run."""

    retired: dict[str, str] = field(default_factory=dict)  # machine -> why
    version: int = 0  # another one after every change of who may start where
    _failed: dict[tuple[str, str], int] = field(default_factory=dict)  # (group, machine), in a row
    _sound: set[str] = field(default_factory=set)  # groups that have started somewhere
    _shunned: set[tuple[str, str]] = field(default_factory=set)  # (group, machine)
    _tried: set[tuple[str, str]] = field(default_factory=set)  # (group that did nothing, machine)
    _deaths: dict[str, int] = field(default_factory=dict)  # of a group, in a row
    _until: dict[str, float] = field(default_factory=dict)  # group -> when it may start again

    def note_success(self, group: str, machine: str) -> None:
        """A worker of the group was made there."""
        self._sound.add(group)
        self.version += 1
        self._failed = {
            (g, m): n for (g, m), n in self._failed.items() if m != machine or g != group
        }

    def note_failure(self, group: str, machine: str) -> bool:
        """A worker could not be made there. Returns whether that speaks against the machine."""
        self._failed[group, machine] = self._failed.get((group, machine), 0) + 1
        self.version += 1
        against = sum(n for (g, m), n in self._failed.items() if m == machine and g in self._sound)
        return against >= MAX_STARTS

    def note_death(self, group: str, now: float) -> None:
        """A worker of the group died, or could not be made: the next start waits a little."""
        deaths = self._deaths[group] = self._deaths.get(group, 0) + 1
        if deaths > 1:
            pause = min(BACK_OFF_S * 2.0 ** min(deaths - 2, 10), MAX_BACK_OFF_S)
            self._until[group] = now + pause

    def note_work(self, group: str) -> None:
        """A unit of the group is done: its deaths were chance."""
        self._deaths.pop(group, None)
        self._until.pop(group, None)
        self._tried = {(g, m) for g, m in self._tried if g != group}

    def retire(self, machine: str, why: str) -> None:
        """Start nothing there any more."""
        self.retired.setdefault(machine, why)
        self.version += 1

    def shun(self, group: str, machine: str) -> None:
        """Start the group elsewhere while there is room: units failed there."""
        self._shunned.add((group, machine))

    def try_elsewhere(self, group: str, machine: str) -> None:
        """Start the group there only when no other machine could ever hold it, until it works."""
        self._tried.add((group, machine))
        self.version += 1

    def was_tried(self, group: str, machine: str) -> bool:
        """Whether the group is to be tried elsewhere first."""
        return (group, machine) in self._tried

    def failures(self, group: str, machine: str) -> int:
        """Starts of the group that failed there, in a row."""
        return self._failed.get((group, machine), 0)

    def misgivings(self, group: str, machine: str) -> int:
        """What speaks against starting the group there: fewer are better."""
        return self.failures(group, machine) + ((group, machine) in self._shunned)

    def waits(self, group: str, now: float) -> bool:
        """Whether the group's next start is not due yet."""
        return self._until.get(group, 0.0) > now

    def is_barred(self, group: str, machine: str) -> bool:
        """Whether the group may start there no more."""
        return machine in self.retired or self.failures(group, machine) >= MAX_STARTS

    def in_a_row(self, group: str) -> int:
        """Starts of the group that failed, on all machines."""
        return sum(n for (g, _), n in self._failed.items() if g == group)

    def places_failed(self, group: str) -> set[str]:
        """The machines on which starts of the group failed, but those that are retired."""
        return {m for g, m in self._failed if g == group and m not in self.retired}
