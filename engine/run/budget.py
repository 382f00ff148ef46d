"""What one start of a run may spend on hosted models, over all of its systems and judges.

The driver learns what a shard cost when it is committed. So it hands out a shard only while what
is open and this one still fit, each priced like the dearest shard of its group so far. Of a group
that nothing is known of, one shard goes first, priced like the dearest of any; only such first
shards, at most one a group, and a judge's sentinels can pass the cap unseen. The cap of an endpoint
(`endpoint.spending_cap_usd`) is exact, and counts for one worker.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medgen.engine.errors import ConfigError
from medgen.engine.plan.plan import Plan


@dataclass(slots=True)
class Budget:
    """US dollars spent by a driver, and the most it may spend; None is no limit."""

    cap_usd: float | None = None
    spent_usd: float = 0.0
    _dearest: dict[str, float] = field(default_factory=dict)  # group -> US dollars a shard

    def __post_init__(self) -> None:
        """Refuse a cap that is none.

        Raises:
            ConfigError: it is not a positive number of dollars.
        """
        if self.cap_usd is not None and not (self.cap_usd > 0 and math.isfinite(self.cap_usd)):
            raise ConfigError(f"spending_cap_usd is a positive number, not {self.cap_usd}")

    def pay(self, group: str, usd: float) -> None:
        """A shard of the group was committed and cost so much."""
        self.spent_usd += usd
        self._dearest[group] = max(usd, self._dearest.get(group, 0.0))

    def allows(self, group: str, running: Mapping[str, int]) -> bool:
        """Whether one more shard of a group that charges may start beside those running."""
        if self.cap_usd is None:
            return True
        if group not in self._dearest and running.get(group):
            return False
        still = sum(units * self._price(name) for name, units in running.items() if units)
        most = self.spent_usd + still + self._price(group)
        return self.spent_usd < self.cap_usd and most <= self.cap_usd

    def _price(self, group: str) -> float:
        """US dollars that one shard may cost, as far as is known."""
        return self._dearest.get(group, max(self._dearest.values(), default=0.0))

    def reason(self) -> str:
        """Why a group was given up."""
        return (
            f"the run's spending cap of ${self.cap_usd:g} is reached: ${self.spent_usd:.4f} were "
            "spent since this start, and the next shard would cost too much. Start again to go "
            "on, with a higher `spending_cap_usd` or the same once more"
        )


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
