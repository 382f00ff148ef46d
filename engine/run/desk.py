"""What is out: units in the hands of workers, since when, their second copies and deadlines."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from medgen.engine.run.faults import Slot, Work, slot_of, work_of
from medgen.engine.run.pool import Unit


@dataclass(slots=True)
class Out:
    """A unit in the hands of a worker."""

    unit: Unit
    slot: Slot
    worker: str
    machine: str
    since: float
    samples: int
    beside: float = 1.0  # units that its worker held when it went out, itself counted
    waited: float = 0.0  # seconds in which the pool did others first

    @property
    def rows(self) -> int:
        """Samples, each as often as there are targets."""
        return self.samples * len(self.unit.targets)

    def work_s(self, now: float) -> float:
        """Seconds for which it has been at work."""
        return now - self.since - self.waited


@dataclass(slots=True)
class Desk:
    """All units that are out."""

    running: dict[str, int] = field(default_factory=dict)  # group -> units out
    rows: dict[str, int] = field(default_factory=dict)  # group -> samples in them, by target
    since: dict[str, float] = field(default_factory=dict)  # group -> sum of when they went out
    _out: dict[Slot, list[Out]] = field(default_factory=dict)
    _over: set[tuple[Slot, str]] = field(default_factory=set)  # copies of what is done
    _begun: dict[Work, str] = field(default_factory=dict)  # who had a part of a shard last

    def hand_out(self, out: Out) -> None:
        """A unit went out."""
        self._out.setdefault(out.slot, []).append(out)
        self._count(out, 1)
        if out.unit.positions is not None and len(out.unit.targets) > 1:  # it has read for all
            self._begun[work_of(out.unit)] = out.worker

    def begun_by(self, unit: Unit) -> str:
        """The worker that had a part of a unit's shard last, for all its systems; empty: nobody."""
        return self._begun.get(work_of(unit), "")

    def note_commit(self, unit: Unit) -> None:
        """The whole of a unit's shard is done."""
        self._begun.pop(work_of(unit), None)

    def take_back(self, unit: Unit, worker: str) -> tuple[Out | None, bool]:
        """A unit came back. Returns what was noted of it, and whether a copy has done it before.

        None: nobody waits for it any more.
        """
        slot = slot_of(unit)
        copies = self._out.get(slot, [])
        out = next((o for o in copies if o.worker == worker), None)
        if out is None:
            return None, False
        copies.remove(out)
        if not copies:
            del self._out[slot]
        self._count(out, -1)
        over = (slot, worker) in self._over
        self._over.discard((slot, worker))
        return out, over

    def settle(self, unit: Unit) -> list[Out]:
        """The unit is done: its other copies count no more. Returns them."""
        slot = slot_of(unit)
        others = self._out.get(slot, [])
        self._over |= {(slot, out.worker) for out in others}
        return list(others)

    def copies(self, slot: Slot) -> list[Out]:
        """Who has the unit now."""
        return self._out.get(slot, [])

    def held_by(self, worker: str) -> list[Out]:
        """What a worker has."""
        return [out for out in self.all() if out.worker == worker]

    def elsewhere(self, key: str, shards: Collection[int]) -> int:
        """How many of some shards of a key nobody makes here just now, from whom they will come."""
        whole = [out.unit for out in self.all() if out.unit.positions is None]
        here = {unit.shard for unit in whole if any(t.key == key for t in unit.targets)}
        return len({*shards} - here)

    def of(self, group: str) -> list[Out]:
        """What is out of a group."""
        return [out for out in self.all() if out.unit.group == group]

    def all(self) -> Iterable[Out]:
        """Everything that is out."""
        return [out for copies in self._out.values() for out in copies]

    def drop(self, group: str) -> None:
        """The group is closed: nobody waits for its units any more."""
        for out in self.of(group):
            self.take_back(out.unit, out.worker)

    def seconds_out(self, group: str, now: float) -> float:
        """Seconds that the group's units have been out, all together."""
        return self.running.get(group, 0) * now - self.since.get(group, 0.0)

    def _count(self, out: Out, by: int) -> None:
        group = out.unit.group
        self.running[group] = self.running.get(group, 0) + by
        self.rows[group] = self.rows.get(group, 0) + by * out.rows
        self.since[group] = self.since.get(group, 0.0) + by * out.since
