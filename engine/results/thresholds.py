"""What counts as good: direction, pass mark and range of each value, as plain data.

A plan's `thresholds` maps a name to an entry:

    {"pass_when": "<=" | ">=", "value": 0.6, "direction": "higher" | "lower", "range": [0, 1]}

Every field may be left out. `direction` says which way is better, and follows from `pass_when`
when absent; `range` gives the smallest and largest possible value, for bounds on missing rows.
The name is looked up from the most special to the most general: `metric.output`, `metric`, then
`output`; for a judge's dimension `overall_score/reference_based`, then `overall_score`. Each may
carry a task, and then goes before those without: `ssim@region-edit`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medgen.engine.errors import ConfigError
from medgen.engine.results.statistics import Floats

Direction = Literal["higher", "lower"]
Pass = Literal["<=", ">="]


@dataclass(frozen=True, slots=True)
class Threshold:
    """How one value is read. `direction` None: nobody said which way is better."""

    direction: Direction | None = None
    pass_when: Pass | None = None
    value: float | None = None
    lowest: float | None = None
    highest: float | None = None

    def or_else(self, declared: "Threshold") -> "Threshold":
        """With the direction and the range that `declared` has where this one has none."""
        ranged = self if self.lowest is not None else declared
        return replace(
            self,
            direction=self.direction or declared.direction,
            lowest=ranged.lowest,
            highest=ranged.highest,
        )

    def passes(self, values: Floats) -> int | None:
        """How many values pass; None without a pass mark."""
        hits = self.passing(values)
        return None if hits is None else int(np.count_nonzero(hits))

    def passing(self, values: Floats) -> NDArray[np.bool_] | None:
        """Which values pass; None without a pass mark."""
        if self.value is None or self.pass_when is None:
            return None
        hits: NDArray[np.bool_] = (
            values <= self.value if self.pass_when == "<=" else values >= self.value
        )
        return hits


def threshold(thresholds: Mapping[str, Any], *names: str) -> Threshold:
    """The entry under the first of `names` that has one; an empty one when none has.

    Raises:
        ConfigError: the entry is not of the form this module describes.
    """
    name = next((n for n in names if n in thresholds), None)
    return Threshold() if name is None else _parse(name, thresholds[name])


def check_thresholds(thresholds: Mapping[str, Any]) -> None:
    """Refuse entries that cannot be read, before anything is computed.

    Raises:
        ConfigError: an entry is not of the form this module describes.
    """
    for name, entry in thresholds.items():
        _parse(name, entry)


def is_of_task(thresholds: Mapping[str, Any], task: str) -> bool:
    """Whether an entry is about one task alone."""
    return any(name.endswith(f"@{task}") for name in thresholds)


def _parse(name: str, entry: Any) -> Threshold:
    try:
        unknown = set(entry) - {"pass_when", "value", "direction", "range"}
        pass_when: Pass | None = entry.get("pass_when")
        direction: Direction | None = entry.get("direction")
        low, high = entry.get("range") or (None, None)
        given = (entry.get("value"), low, high)
        value, lowest, highest = (None if x is None else float(x) for x in given)
    except (TypeError, ValueError, AttributeError) as err:
        raise ConfigError(f"threshold {name!r}: {entry!r} is not an entry ({err})") from err
    if unknown or pass_when not in (None, "<=", ">=") or direction not in (None, "higher", "lower"):
        raise ConfigError(
            f"threshold {name!r}: {entry!r}; known are pass_when (<= or >=), value, "
            "direction (higher or lower), range ([lowest, highest])"
        )
    if (pass_when is None) != (value is None):
        raise ConfigError(f"threshold {name!r}: pass_when and value come together")
    _check_numbers(name, value, lowest, highest)
    if direction is None and pass_when is not None:
        direction = "lower" if pass_when == "<=" else "higher"
    return Threshold(direction, pass_when, value, lowest, highest)


def _check_numbers(name: str, value: float | None, low: float | None, high: float | None) -> None:
    """A pass mark and a range are finite numbers, and a range goes upwards."""
    if not all(math.isfinite(x) for x in (value, low, high) if x is not None):
        raise ConfigError(f"threshold {name!r}: value and range are finite numbers")
    if low is not None and high is not None and low >= high:
        raise ConfigError(f"threshold {name!r}: the range [{low:g}, {high:g}] goes downwards")
