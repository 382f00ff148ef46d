"""What one start of a run may spend on hosted models, over all of its systems and judges.

The driver learns what a unit cost when it is committed. So it hands out a unit only while what is
open and this one still fit. A unit is priced by its samples, each as often as it is judged, for one
system after the other; such a unit is cut to no more of them than a shard has. Each is priced as
the dearest sample of its group so far (the mean of the unit that was dearest a sample), and never
less than what its recipe says that one sample costs at most (`stated`). Of a group of which neither
is known, one unit goes first, priced like the dearest sample of any. So a single unit can pass the
cap only by what its samples cost beyond those prices; a judge's sentinels are not counted. The cap
of an endpoint (`endpoint.spending_cap_usd`) is exact: its workers share a limiter.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medgen.engine.batching import price_share
from medgen.engine.errors import ConfigError
from medgen.engine.plan.plan import Plan
from medgen.engine.run.board import Board
from medgen.engine.run.desk import Desk
from medgen.engine.run.pool import Unit

_DUST = 1e-9  # US dollars that sums of floats may be off by


@dataclass(slots=True)
class Budget:
    """US dollars spent by a driver, and the most it may spend; None is no limit."""

    cap_usd: float | None = None
    spent_usd: float = 0.0
    stated: Mapping[str, float] = field(default_factory=dict)  # group -> US dollars a sample
    _dearest: dict[str, float] = field(default_factory=dict)  # group -> US dollars a sample

    def __post_init__(self) -> None:
        """Refuse a cap that is none.

        Raises:
            ConfigError: it is not a positive number of dollars.
        """
        if self.cap_usd is not None and not (self.cap_usd > 0 and math.isfinite(self.cap_usd)):
            raise ConfigError(f"spending_cap_usd is a positive number, not {self.cap_usd}")

    def is_capped(self) -> bool:
        """Whether there is a cap."""
        return self.cap_usd is not None

    def pay(self, group: str, usd: float, samples: int) -> None:
        """A unit of so many samples of the group was committed and cost so much."""
        self.spent_usd += max(0.0, usd)
        each = max(0.0, usd) / max(1, samples)
        self._dearest[group] = max(each, self._dearest.get(group, 0.0))

    def allows(self, group: str, samples: int, running: Mapping[str, int]) -> bool:
        """Whether a unit of a group that charges may start beside the samples that are running."""
        if self.cap_usd is None:
            return True
        known = group in self._dearest or self.stated.get(group)
        if not known and running.get(group):
            return False
        still = sum(count * self._price(name) for name, count in running.items() if count)
        most = self.spent_usd + still + samples * self._price(group)
        return self.spent_usd < self.cap_usd and most <= self.cap_usd + _DUST

    def _price(self, group: str) -> float:
        """US dollars that one sample may cost, as far as is known."""
        seen = self._dearest.get(group, max(self._dearest.values(), default=0.0))
        return max(seen, self.stated.get(group, 0.0))

    def reason(self) -> str:
        """Why a group was given up."""
        return (
            f"the run's spending cap of ${self.cap_usd:g} is reached: ${self.spent_usd:.4f} were "
            "spent since this start, and the next shard would cost too much. Start again to go "
            "on, with a higher `spending_cap_usd` or the same once more"
        )


@dataclass(slots=True)
class Purse:
    """Holds what a driver hands out against its budget."""

    budget: Budget
    charging: frozenset[str]  # groups that cost money
    rows: Callable[[Unit], int]  # samples, each as often as the unit has targets
    desk: Desk

    def affords(self, unit: Unit) -> bool:
        """Whether a unit may start beside what is out."""
        if unit.group not in self.charging or unit.merge:
            return True
        running, rows = self.desk.running, self.desk.rows
        out = {g: rows.get(g, 0) for g in self.charging if running.get(g)}
        return self.budget.allows(unit.group, self.rows(unit), out)

    def hopeless(self, board: Board) -> list[str]:
        """Groups of which nothing is affordable; none before every open unit's cost is known."""
        if any(self.desk.running.get(group) for group in self.charging):
            return []
        ahead = {
            group: [*list(queue.suspects)[:1], *list(queue.fresh)[:1]][:1]
            for group, queue in board.queues.items()
            if group in self.charging and group not in board.failed
        }
        return sorted(g for g, units in ahead.items() if any(not self.affords(u) for u in units))


def charging(plan: Plan) -> frozenset[str]:
    """The groups of a plan whose models have a price above 0."""
    return frozenset(name for name, g in plan.groups.items() if _has_price(g.spec.kwargs))


def _has_price(value: Any, within: bool = False) -> bool:
    """Whether a positive number stands anywhere under a key `prices`."""
    if isinstance(value, Mapping):
        return any(_has_price(v, within or key == "prices") for key, v in value.items())
    if isinstance(value, list | tuple):
        return any(_has_price(v, within) for v in value)
    return within and isinstance(value, int | float) and value > 0


def stated_by(plan: Plan) -> dict[str, float]:
    """US dollars that one sample of each group costs at most, where its recipe says so."""
    return {name: _most_for_sample(group.spec.kwargs) for name, group in plan.groups.items()}


def _most_for_sample(kwargs: Mapping[str, Any]) -> float:
    """The dearest request that the recipe states, times the requests of a sample.

    A price of a request is the whole of it. Else it is that of an image, and of a completion as
    long as it may be; a prompt is not known before it is read.
    """
    most = 0.0
    for prices in _find(kwargs, "prices"):
        for found in prices if isinstance(prices, list | tuple) else [prices]:
            if isinstance(found, Mapping):
                longest = max(_numbers(kwargs, _LIMITS), default=0.0)
                worked_out = _of(found, "image") + longest * _of(found, "completion") / 1e6
                most = max(most, _of(found, "request") or worked_out)
    views = 2 if "protocol" in kwargs else 1  # a judge gives two verdicts at a time
    repeats = max(_numbers(kwargs, ("repeats",)), default=1.0)
    return most * views * max(1.0, repeats) * price_share(kwargs)


_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def _of(prices: Mapping[str, Any], name: str) -> float:
    value = prices.get(name)
    sound = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if sound and value > 0 else 0.0  # type: ignore[arg-type,operator]


def _numbers(kwargs: Any, names: Sequence[str]) -> list[float]:
    return [_of({"": value}, "") for name in names for value in _find(kwargs, name)]


def _find(value: Any, name: str) -> Iterator[Any]:
    """Everything that stands under a name, however deep."""
    if isinstance(value, Mapping):
        if value.get(name) is not None:
            yield value[name]
        for inner in value.values():
            yield from _find(inner, name)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _find(inner, name)
