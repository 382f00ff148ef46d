"""A pool that loses machines on purpose."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from medgen.engine.run.pool import Group, Machine, Outcome, Pool, Unit
from medgen.engine.store.chaos import Chaos
from medgen.engine.trouble import Trouble


class ChaoticPool:
    """Another pool, of which the driver hears now and then that a machine was lost.

    What the machine had finished is in the store, as it is when a machine dies between its last
    write and the receipt; the driver does not know and has the unit done again. Once a unit.
    """

    def __init__(self, inner: Pool, chaos: Chaos) -> None:
        """Nothing is lost yet."""
        self.inner, self.chaos, self.handful = inner, chaos, inner.handful
        self._lost: set[str] = set()
        self._held: dict[str, list[Unit]] = {}  # by worker

    def machines(self) -> Sequence[Machine]:
        """See `Pool.machines`."""
        return self.inner.machines()

    def open(self, group: Group, machine: str) -> str:
        """See `Pool.open`."""
        return self.inner.open(group, machine)

    def submit(self, unit: Unit, worker: str) -> None:
        """See `Pool.submit`."""
        self._held.setdefault(worker, []).append(unit)
        self.inner.submit(unit, worker)

    def waits(self, unit: Unit | None, worker: str) -> bool:
        """See `Pool.waits`."""
        return self.inner.waits(unit, worker)

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """See `Pool.wait`."""
        return [told for outcome in self.inner.wait(seconds) for told in self._after(outcome)]

    def _after(self, outcome: Outcome) -> Sequence[Outcome]:
        unit = outcome.unit
        if unit is None:
            return [outcome]
        held = self._held.get(outcome.worker, [])
        if unit not in held:
            return []  # its worker was lost earlier in this batch
        held.remove(unit)
        place = f"{unit.group}/{unit.shard}/{unit.positions}/{unit.merge}"
        spared = place in self._lost or not self.chaos.strikes("node_loss", place)
        if outcome.kind != "finished" or spared:
            return [outcome]
        self._lost.add(place)
        self.end(outcome.worker)
        lost = Trouble("chaos: the machine was lost", "Chaos")
        gone = replace(outcome, kind="lost", receipts=(), trouble=lost)
        return [gone, *(replace(gone, unit=other) for other in held)]

    def end(self, worker: str) -> None:
        """See `Pool.end`."""
        self._held.pop(worker, None)
        self.inner.end(worker)

    def grows(self) -> bool:
        """See `Pool.grows`."""
        return self.inner.grows()

    def request(self, demands: Sequence[Mapping[str, float]]) -> None:
        """See `Pool.request`."""
        self.inner.request(demands)

    def shutdown(self) -> None:
        """See `Pool.shutdown`."""
        self.inner.shutdown()
