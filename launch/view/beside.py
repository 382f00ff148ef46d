"""Two runs of one benchmark as one: the second one's systems stand behind the first one's."""

from functools import cached_property

import numpy as np
import pyarrow as pa

from medgen.engine.errors import ConfigError
from medgen.engine.results.comparison import Side
from medgen.engine.store.objects import Objects
from medgen.launch.view.charts import cut_middle, short_names
from medgen.launch.view.data import Key, Row, StoredRun, SystemEntry, Values


class BesideRun(StoredRun):
    """A run, and beside its systems the results of another, which are called `run/system`."""

    def __init__(self, objects: Objects, run_id: str, other_id: str) -> None:
        """Reads nothing yet."""
        super().__init__(objects, run_id)
        self.other = StoredRun(objects, other_id)

    @property
    def facing(self) -> tuple[int, int] | None:
        """The places to compare first: a system of this run, and the one called the same there."""
        own = {s.name: s.place for s in self._own if s.number}
        there = self.systems[len(self._own) :]
        for entry in there:
            if (name := entry.name.partition("/")[2]) in own:
                return own[name], entry.place
        return (next(iter(own.values())), there[0].place) if own and there else None

    @property
    def brief(self) -> dict[str, str]:
        """Short names of the other run's systems, which say that they are of another run."""
        title = self.other.run_id.rpartition("-")[0]
        run = title if title != self.run_id.rpartition("-")[0] else "other run"
        own = short_names([s.name for s in self.other.eligible])
        return {f"{self.other.run_id}/{name}": f"{cut_middle(run, 10)}: {short}"
                for name, short in own.items()}  # fmt: skip

    def check(self) -> None:
        """Whether the two can stand beside each other.

        Raises:
            ConfigError: they are of two benchmarks.
        """
        one, two = self.plan.benchmark, self.other.plan.benchmark
        if one != two:
            raise ConfigError(
                f"{self.run_id} is of {one} and {self.other.run_id} of {two}: other samples cannot "
                "be paired"
            )

    def _theirs(self, system: str) -> str | None:
        """The name there of a system of the other run; None for one of this run."""
        run, _, name = system.partition("/")
        return name if run == self.other.run_id and name else None

    def _place(self, name: str) -> int:
        return next(s.place for s in self.other.systems if s.name == name)

    @cached_property
    def _own(self) -> tuple[SystemEntry, ...]:
        return super()._systems()

    def _systems(self) -> tuple[SystemEntry, ...]:
        own = self._own
        number = max((s.number for s in own), default=0)
        more = [
            SystemEntry(len(own) + i, f"{self.other.run_id}/{s.name}", False, False, number + i + 1)
            for i, s in enumerate(self.other.eligible)
        ]
        return (*own, *more)

    def _summary(self) -> list[Row]:
        kept = {s.name for s in self.other.eligible}
        rows = [r for r in self.other.summary if r["system"] in kept]
        named = [r | {"system": f"{self.other.run_id}/{r['system']}"} for r in rows]
        return [*super()._summary(), *named]

    def _grid(self) -> dict[Key, Values]:
        found, theirs = super()._grid(), self.other.grid
        size = len(self.samples)
        for entry in self.systems:
            name = self._theirs(entry.name)
            for key, values in theirs.items() if name is not None else ():
                if key not in found:
                    found[key] = np.full((len(self.systems), size), np.nan, np.float32)
                some = values[self._place(name or "")][:size]
                found[key][entry.place, : len(some)] = some
        return found

    def _predictions(self) -> dict[str, pa.Table]:
        tables = self.other.predictions
        found = {}
        for entry in self.systems:
            name = self._theirs(entry.name)
            if name is not None:
                table = tables[name]
                here = pa.array(table["position"].to_numpy() < len(self.samples))
                found[entry.name] = table.filter(here)
        return super()._predictions() | found

    def owes(self, system: str, format_: str) -> bool:
        """Whether a system is asked for a format."""
        name = self._theirs(system)
        return super().owes(system, format_) if name is None else self.other.owes(name, format_)

    def rows(self, kind: str, system: str, positions: tuple[int, int]) -> list[Row]:
        """The rows of a table for some positions, of either run."""
        name = self._theirs(system)
        if name is None:
            return super().rows(kind, system, positions)
        end = min(positions[1], len(self.samples))
        return self.other.rows(kind, name, (positions[0], end))

    def rows_at(self, kind: str, system: str, position: int) -> list[Row]:
        """The rows of a sample, of either run."""
        name = self._theirs(system)
        if name is None:
            return super().rows_at(kind, system, position)
        return self.other.rows_at(kind, name, position)

    def picture(self, position: int, slot: str) -> bytes | None:
        """A picture, of either run."""
        if slot.startswith("s") and (name := self._theirs(self.systems[int(slot[1:])].name)):
            return self.other.picture(position, f"s{self._place(name)}")
        return super().picture(position, slot)

    def side(self, place: int) -> Side:
        """A system as the engine compares it, of either run."""
        name = self._theirs(self.systems[place].name)
        if name is None:
            return super().side(place)
        return self.other.side(self._place(name))

    def _doubts(self) -> str:
        return super()._doubts() or self.other.doubts
