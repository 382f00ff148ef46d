"""The workers of a run: where they start, what they hold, when one is given back.

Starts are counted by machine as well as by group. A machine on which sound groups cannot start,
or whose workers fail at what others can do, or which cannot write, is retired: nothing more starts
there. The last machine that a group could use never is.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from medgen.engine.limiting import is_limited
from medgen.engine.plan.plan import Plan
from medgen.engine.run.fit import Ledger, demand
from medgen.engine.run.pool import Group, Outcome, Pool, Worker
from medgen.engine.run.starts import MAX_STARTS, Starts
from medgen.engine.trouble import Trouble


@dataclass(slots=True)
class Member:
    """One worker."""

    name: str
    group: str
    machine: str
    since: float  # when it was asked for
    doubtful: bool = False  # starts of its group had failed there before it was asked for
    ready: bool = False
    slow: bool = False  # is not made yet, and takes long: another one is tried elsewhere
    alone: bool = False  # holds one unit and gets no other beside it
    leaving: bool = False  # gets no more units, and ends when it holds none
    units: int = 0


@dataclass(slots=True)
class Crew:
    """Every worker of a run, by name and by group."""

    plan: Plan
    pool: Pool
    make: Callable[[str], Callable[[], Worker]]  # by group: how a worker is made
    clock: Callable[[], float]
    ledger: Ledger = field(default_factory=Ledger)
    starts: Starts = field(default_factory=Starts)
    members: dict[str, Member] = field(default_factory=dict)
    groups: dict[str, dict[str, Member]] = field(default_factory=dict)
    asked: dict[str, Mapping[str, float]] = field(default_factory=dict)
    handfuls: dict[str, int] = field(default_factory=dict)  # group -> units a worker gets at once
    made: dict[str, int] = field(default_factory=dict)  # group -> workers that are made
    _nowhere: dict[str, int] = field(default_factory=dict)  # group -> when no place was found

    def __post_init__(self) -> None:
        """Nobody is there yet."""
        self.groups = {name: {} for name in self.plan.groups}
        self.asked = {name: demand(g.resources) for name, g in self.plan.groups.items()}
        self.made = dict.fromkeys(self.plan.groups, 0)

    def refresh(self) -> list[Member]:
        """See what machines there are; returns the workers whose machine is gone or goes."""
        if not self.ledger.refresh(self.pool.machines()):
            return []
        there = self.ledger.machines
        return [
            m for m in self.members.values() if m.machine not in there or there[m.machine].leaving
        ]

    def hire(self, group: str) -> bool:
        """Start a worker where there is room and nothing speaks against it."""
        at = self.place(group)
        if at is None:
            return False
        plan = self.plan.groups[group]
        limited = is_limited(plan.spec.kwargs)
        name = self.pool.open(Group(group, self.make(group), plan.resources, limited), at)
        doubtful = self.starts.failures(group, at) > 0
        member = Member(name, group, at, self.clock(), doubtful)
        self.members[name] = self.groups[group][name] = member
        self.ledger.take(name, at, self.asked[group])
        return True

    def place(self, group: str) -> str | None:
        """The machine for the group's next worker, the fullest that has room; None: nowhere."""
        state = self.ledger.version + self.starts.version
        if self._nowhere.get(group) == state or self.starts.waits(group, self.clock()):
            return None
        asked = self.asked[group]
        fitting = [m for m in self.ledger.places(asked) if not self._full(group, m)]
        sound = [m for m in self._new_places(group, fitting) if self.may_start(group, m)]
        if not sound:
            self._nowhere[group] = state
            return None

        slow = {member.machine for member in self.members.values() if member.slow}

        def badness(machine: str) -> tuple[int, float, float]:
            free = self.ledger.free[machine]
            against = self.starts.misgivings(group, machine) + (machine in slow)
            return against, free.get("GPU", 0), free.get("CPU", 0)

        return min(sound, key=badness)

    def _new_places(self, group: str, machines: list[str]) -> list[str]:
        """Without those where the group has failed, while it may wait for room on others."""
        tried = [m for m in machines if self.starts.was_tried(group, m)]
        could = self.ledger.could_hold(self.asked[group]) if tried else []
        others = (m for m in could if not self.starts.is_barred(group, m))
        wait = any(not self.starts.was_tried(group, m) for m in others)
        return [m for m in machines if m not in tried] if wait else machines

    def may_start(self, group: str, machine: str) -> bool:
        """Whether nothing speaks against another worker of the group there."""
        slow = any(m.slow and m.machine == machine for m in self.groups[group].values())
        return not slow and not self.starts.is_barred(group, machine)

    def _full(self, group: str, machine: str) -> bool:
        most = self.ledger.machines[machine].most
        if most is None:
            return False
        return sum(m.machine == machine for m in self.groups[group].values()) >= most

    def other_places(self, group: str) -> bool:
        """Whether some machine that the group may start on could ever hold a worker of it."""
        could = self.ledger.could_hold(self.asked[group])
        return any(not self.starts.is_barred(group, name) for name in could)

    def is_hopeless(self, group: str) -> bool:
        """Whether a group failed to start as often as may be, and would elsewhere.

        Failed starts on several machines say so, unless those machines may be to blame: no other
        group has started on any of them, and one works or starts where this one has not failed.
        """
        if self.starts.in_a_row(group) < MAX_STARTS or self.sound(group):
            return False
        if not self.other_places(group):
            return True
        failed = self.starts.places_failed(group)
        if len(failed) < MAX_STARTS:
            return False
        others = [m for m in self.members.values() if self._asks_alike(m.group, group)]
        if any(member.ready and member.machine in failed for member in others):
            return True
        return not any(m.machine not in failed and not m.slow for m in others)

    def _asks_alike(self, other: str, group: str) -> bool:
        """Whether a worker of another group shows that one of this group could be made there."""
        gpus = [bool(self.plan.groups[name].resources.gpus) for name in (other, group)]
        return other != group and gpus[0] == gpus[1]

    def note_start(self, outcome: Outcome) -> float:
        """A worker is made. Returns the seconds that it took."""
        member = self.members.get(outcome.worker)
        if member is None:
            return 0.0
        member.ready, member.slow = True, False
        self.made[member.group] += 1
        if outcome.machine and outcome.machine != member.machine:
            self.ledger.move(member.name, outcome.machine)
            member.machine = outcome.machine
        self.starts.note_success(member.group, member.machine)
        return self.clock() - member.since

    def dismiss(self, name: str) -> None:
        """End a worker, and free what it held."""
        if name in self.members:
            self.pool.end(name)
            self.forget(name)

    def forget(self, name: str) -> Member | None:
        """A worker is gone."""
        member = self.members.pop(name, None)
        if member is not None:
            del self.groups[member.group][name]
            if member.ready:
                self.made[member.group] -= 1
            self.ledger.give(name)
        return member

    def sound(self, group: str) -> int:
        """How many workers of a group work, or start and are no new try of what failed."""
        return sum(m.ready or not m.doubtful for m in self.groups[group].values())

    def starting(self) -> list[Member]:
        """The workers that are not made yet."""
        return [m for m in self.members.values() if not m.ready]

    def _starting_for(self, seconds: Callable[[str], float]) -> list[Member]:
        """The workers whose start takes longer than is said of their group.

        Waiting for others' is not starting.
        """
        now, starting = self.clock(), self.starting()
        for member in starting:
            if self.pool.waits(None, member.name):
                member.since = now
        return [m for m in starting if now - m.since > seconds(m.group)]

    def end_stuck(self, seconds: float) -> list[Outcome]:
        """End the starts that take longer: they count as failed."""
        outcomes = []
        for member in self._starting_for(lambda group: seconds):
            took = self.clock() - member.since
            why = Trouble(f"it did not start in {took:.0f} s (cluster.start_s)", "TimeoutError")
            self.pool.end(member.name)
            outcomes.append(Outcome("unstarted", member.group, trouble=why, worker=member.name))
        return outcomes

    def note_slow(self, seconds: Callable[[str], float]) -> None:
        """See whose start takes so long that it may never end."""
        for member in self._starting_for(seconds):
            if not member.slow:
                member.slow = True
                self.starts.version += 1

    def surplus(self, group: str, most: int) -> list[Member]:
        """The workers that are not made yet, where a group has more than it may, the last first."""
        members = list(self.groups[group].values())
        late = [m for m in reversed(members) if not m.ready]
        return late[: max(0, len(members) - most)]

    def with_room(self, group: str, alone: bool = False) -> list[Member]:
        """The workers of a group that could take a unit; one that is to be alone wants none beside.

        A worker that is still starting takes nothing.
        """
        most = 1 if alone else self._holds(group)
        return [
            m
            for m in self.groups[group].values()
            if m.ready and m.units < most and not m.alone and not m.leaving
        ]

    def is_full(self, name: str) -> bool:
        """Whether there is a worker of this name, and could take nothing now."""
        member = self.members.get(name)
        return member is not None and member not in self.with_room(member.group)

    def elsewhere(
        self, group: str, fit: list[Member], bad: Collection[str], alone: bool
    ) -> list[Member]:
        """Those of some workers that are to try again what failed; empty: it waits for another.

        On another machine if one of them is there, else by another worker if the group has one.
        What kills workers (`alone`) waits for another machine that the group works on.
        """
        others = [m for m in self.groups[group].values() if not m.leaving]
        if best := [m for m in fit if m.machine not in bad]:
            return best
        if alone and any(m.machine not in bad for m in others):
            return []
        best = [m for m in fit if m.name not in bad]
        return best or ([] if any(m.name not in bad for m in others) else fit)

    def slots(self, group: str) -> int:
        """How many units the workers that are made can hold."""
        return self.made[group] * self._holds(group)

    def _holds(self, group: str) -> int:
        in_flight = max(1, self.plan.groups[group].resources.in_flight)
        return in_flight * self.handfuls.get(group, 1)

    def idle(self, group: str) -> list[Member]:
        """The workers of a group that hold nothing."""
        return [m for m in self.groups[group].values() if m.ready and not m.units]
