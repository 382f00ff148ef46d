"""A worker that sleeps as long as its samples would take: what actors of a pretended GPU hold.

Imports next to nothing, for dozens of them start on a few cores.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from medgen.engine.run.pool import Receipt, Unit


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a worker of one group takes, in seconds that pass."""

    samples: Sequence[float]  # in the order of the benchmark
    shard_size: int
    load_s: float  # from when the worker is asked for, its process's start included
    merge_s: float


class Recipe:
    """Makes a sleeper. When it is sent to an actor, it notes the time: the load begins then."""

    def __init__(self, pace: Pace, asked: float = 0.0) -> None:
        """Nothing sleeps yet."""
        self.pace, self.asked = pace, asked

    def __reduce__(self) -> tuple[type["Recipe"], tuple[Pace, float]]:
        return Recipe, (self.pace, time.time())

    def __call__(self) -> "Sleeper":
        """Load: sleep until the load's end, or not at all where the process came later."""
        time.sleep(max(0.0, self.asked + self.pace.load_s - time.time()))
        return Sleeper(self.pace)


class Sleeper:
    """See `medgen.engine.run.pool.Worker`."""

    def __init__(self, pace: Pace) -> None:
        """Ready."""
        self.pace = pace

    def __call__(self, unit: Unit) -> Sequence[Receipt]:
        """Sleep through the unit's samples."""
        if unit.merge:
            time.sleep(self.pace.merge_s)
        else:
            start = unit.shard * self.pace.shard_size
            low, high = unit.positions or (0, self.pace.shard_size)
            time.sleep(sum(self.pace.samples[start + low : start + high]))
        return [Receipt("answer", unit.targets[0].key, unit.shard, part=unit.positions)]
