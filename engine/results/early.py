"""Which systems of a run cannot win any more, by the statistics of its gate.

A system is out when one other is better than it beyond the gate's tolerance in every value with a
direction, in every whole format: for each of these cells the gate's own test says `regressed`,
after Holm's correction. So the best system of any one value is out only when that one test errs.

It is looked at three times: when an eighth, a quarter and half of the benchmark's shards, the first
ones, are there of both. All pairs and looks share the gate's `alpha` (Bonferroni), so the chance
that a system is stopped that is the best of any value is at most `alpha` in the whole run,
however many systems there are and whichever are held against each other.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from medgen.engine.plan.plan import Plan
from medgen.engine.results.columns import system_columns
from medgen.engine.results.comparison import ANSWERED, Cell, Side, cells, paired_columns
from medgen.engine.results.gaps import STOPPED
from medgen.engine.results.gate import GateRules, decide, direction_of
from medgen.engine.results.summary import groups
from medgen.engine.run.reader import RunReader

SHARES = (1 / 8, 1 / 4, 1 / 2)  # of the shards, at which systems are looked at
_OPPONENTS = 3  # that a system is held against at one look: those that lead most others
Means = Mapping[tuple[str, ...], float]


def looks(shards: int) -> tuple[int, ...]:
    """After how many shards systems are looked at; never when all are there.

    >>> looks(101), looks(2), looks(1)
    ((13, 25, 51), (1,), ())
    """
    return tuple(sorted({n for share in SHARES if 0 < (n := -int(-shards * share // 1)) < shards}))


def first_part(plan: Plan, shards: int) -> Plan:
    """The plan over its first shards."""
    content = plan.content[:shards]
    samples = {asks: sum(entry.asks.get(asks, 0) for entry in content) for asks in plan.samples}
    kept = {asks: count for asks, count in samples.items() if count}
    return replace(plan, content=content, samples=kept)


def whole_means(reader: RunReader, system: str, rules: GateRules) -> Means:
    """The means of a system's gated values in whole formats, turned so that more is better.

    Raises:
        CorruptError: stored rows are damaged.
    """
    found: dict[tuple[str, ...], float] = {}
    for column in system_columns(reader, system):
        own = column.threshold(reader.plan.thresholds).direction
        direction = direction_of(column, own, rules)
        if direction is None:
            continue
        for group in groups(column):
            values = column.values[group.mask & np.isfinite(column.values)]
            if group.kind == "all" and len(values):
                mean = float(values.mean())
                key = (column.stage, column.label, column.output, group.format)
                found[key] = -mean if direction == "lower" else mean
    return found


def whole_cells(reader: RunReader, better: str, other: str, rules: GateRules) -> list[Cell]:
    """The gate's cells of two systems in whole formats; none where a value was not made alike.

    Raises:
        CorruptError: stored rows are damaged.
    """
    columns = [
        column
        for column in paired_columns(Side(reader, better), Side(reader, other))
        if ANSWERED not in column.left.threshold_names()
        and direction_of(column.left, column.threshold.direction, rules)
    ]
    if any(column.unlike for column in columns):
        return []
    return [cell for column in columns for cell in cells(column) if cell.group.kind == "all"]


def is_beaten(tested: Sequence[Cell], rules: GateRules) -> bool:
    """Whether the right side of all of these cells has regressed, for the gate."""
    found = decide(tested, rules).findings if tested else ()
    return bool(found) and all(finding.word == "regressed" for finding in found)


@dataclass(slots=True)
class Race:
    """Which systems are still in it. Each pair is looked at once at each look, at most."""

    systems: tuple[str, ...]  # that are ranked
    looks: tuple[int, ...]  # shards that are there at each
    rules: GateRules
    means: Callable[[int, str], Means]  # look and system
    cells: Callable[[int, str, str], Sequence[Cell]]  # look; who leads, and who may be out
    out: dict[str, str] = field(default_factory=dict)  # system -> why
    _seen: set[tuple[int, str, str]] = field(default_factory=set)
    _means: dict[tuple[int, str], Means] = field(default_factory=dict)

    @property
    def level(self) -> float:
        """The chance of an error that one pair has at one look."""
        return self.rules.alpha / max(1, (len(self.systems) - 1) * len(self.looks))

    def look(self, shards: int, ready: Collection[str], unfinished: Collection[str]) -> None:
        """Hold unfinished systems against all of which so many first shards are there."""
        there = [system for system in self.systems if system in ready]
        ahead = {s: [o for o in there if self._leads(shards, o, s)] for s in there}
        most = sorted(there, key=lambda o: -sum(o in others for others in ahead.values()))
        for system in there:
            if system in unfinished and system not in self.out:
                self._hold(shards, system, [o for o in most if o in ahead[system]][:_OPPONENTS])

    def _hold(self, shards: int, system: str, leaders: Sequence[str]) -> None:
        rules = replace(self.rules, alpha=self.level)
        for other in leaders:
            pair = (shards, other, system)
            if pair in self._seen:
                continue
            self._seen.add(pair)
            if is_beaten(self.cells(*pair), rules):
                self.out[system] = (
                    f"{STOPPED}: after {shards} shards {other} is better in every value beyond "
                    f"what is tolerated (level {self.rules.alpha:g} over all systems and looks)"
                )
                return

    def _leads(self, shards: int, other: str, system: str) -> bool:
        mine, theirs = self._means_of(shards, system), self._means_of(shards, other)
        return bool(mine) and all(key in theirs and theirs[key] > mine[key] for key in mine)

    def _means_of(self, shards: int, system: str) -> Means:
        place = (shards, system)
        if place not in self._means:
            self._means[place] = self.means(*place)
        return self._means[place]
