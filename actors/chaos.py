"""A pool that loses machines on purpose."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from medgen.engine.run.pool import Group, Outcome, Pool, Unit
from medgen.engine.store.chaos import Chaos
from medgen.engine.trouble import Trouble


class ChaoticPool:
    """Another pool, of which the driver hears now and then that a machine was lost.

    What the machine had finished is in the store, as it is when a machine dies between its last
    write and the receipt; the driver does not know and has the unit done again. Once a unit.
    """

    def __init__(self, inner: Pool, chaos: Chaos) -> None:
        """Nothing is lost yet."""
        self.inner, self.chaos = inner, chaos
        self._lost: set[str] = set()

    def nodes(self) -> Sequence[Mapping[str, float]]:
        """See `Pool.nodes`."""
        return self.inner.nodes()

    def open(self, group: Group, workers: int) -> None:
        """See `Pool.open`."""
        self.inner.open(group, workers)

    def room(self, group: str) -> int:
        """See `Pool.room`."""
        return self.inner.room(group)

    def submit(self, unit: Unit, alone: bool = False, avoid: frozenset[str] = frozenset()) -> bool:
        """See `Pool.submit`."""
        return self.inner.submit(unit, alone, avoid)

    def sound(self, group: str) -> int:
        """See `Pool.sound`."""
        return self.inner.sound(group)

    def retire(self, group: str, worker: str) -> Sequence[Outcome]:
        """See `Pool.retire`."""
        return self.inner.retire(group, worker)

    def abandon(self, unit: Unit) -> Sequence[Outcome]:
        """See `Pool.abandon`."""
        return self.inner.abandon(unit)

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """See `Pool.wait`."""
        return [self._after(outcome) for outcome in self.inner.wait(seconds)]

    def _after(self, outcome: Outcome) -> Outcome:
        unit = outcome.unit
        if outcome.kind != "finished" or unit is None:
            return outcome
        place = f"{unit.group}/{unit.shard}/{unit.positions}/{unit.merge}"
        if place in self._lost or not self.chaos.strikes("node_loss", place):
            return outcome
        self._lost.add(place)
        lost = Trouble("chaos: the machine was lost", "Chaos")
        return replace(outcome, kind="lost", receipts=(), trouble=lost)

    def close(self, group: str) -> None:
        """See `Pool.close`."""
        self.inner.close(group)

    def shutdown(self) -> None:
        """See `Pool.shutdown`."""
        self.inner.shutdown()
