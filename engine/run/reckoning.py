"""What a driver foretold, held against what has happened since."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from medgen.engine.plan.plan import Plan
from medgen.engine.run.budget import charging


@dataclass(frozen=True, slots=True)
class Taken:
    """What one driver has taken since its forecast, in the forecast's units."""

    seconds: float  # until the last that was heard of it
    gpu_hours: float  # of workers that were there, at work or not
    priced_samples: int
    usd: float


def reckon(
    plan: Plan, events: Iterable[Mapping[str, Any]]
) -> tuple[Mapping[str, Any], Taken] | None:
    """The forecast of the driver that started last, and what it has taken.

    Args:
        plan: the run's.
        events: lines of logs of all its drivers, by time; each carries its `driver`.

    Returns:
        The forecast's event and what happened; None where no driver had anything to do.
    """
    every = list(events)
    foretold = next((e for e in reversed(every) if e["event"] == "forecast"), None)
    if foretold is None:
        return None
    mine = [e for e in every if e["driver"] == foretold["driver"] and e["time"] >= foretold["time"]]
    whole = [e for e in mine if e["event"] == "receipt" and e["part"] is None]
    priced = charging(plan)
    counts = [sum(e["rows"].values()) for e in whole if e["group"] in priced]
    seconds = _seconds(foretold, mine[-1])
    return foretold, Taken(
        seconds, _gpu_hours(plan, mine), sum(counts), sum(e["cost_usd"] for e in whole)
    )


def _gpu_hours(plan: Plan, events: list[Mapping[str, Any]]) -> float:
    """GPUs of the workers of each group, over the time that they were held."""
    held = dict.fromkeys(plan.groups, 0.0)
    total = 0.0
    for before, event in pairwise(events):
        _note(plan, held, before)
        total += sum(held.values()) * _seconds(before, event)
    return total / 3600


def _note(plan: Plan, held: dict[str, float], event: Mapping[str, Any]) -> None:
    if event["event"] in ("opened", "released"):
        held[event["group"]] = event["workers"] * plan.groups[event["group"]].resources.gpus
    elif event["event"] == "closed":
        held[event["group"]] = 0.0


def _seconds(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    start, end = (datetime.fromisoformat(event["time"]) for event in (before, after))
    return (end - start).total_seconds()
