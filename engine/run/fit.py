"""Which workers fit on which machines: refusing early, with numbers, instead of hanging."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medgen.engine.errors import PlanError
from medgen.engine.plan.identity import Resources
from medgen.engine.plan.plan import GroupPlan, Plan

_GIB = 1024**3
_SLACK = 1e-6  # fractions of a CPU add up with rounding


def logical_cpus() -> int:
    """CPUs that a Ray started here offers when nobody says: at least four.

    On a machine of two cores a model, its scoring and a judge still run side by side; they wait
    more than they compute.
    """
    return max(4, os.cpu_count() or 1)


def demand(resources: Resources) -> dict[str, float]:
    """What one worker asks of a machine, in Ray's words; zeros left out."""
    asked = {
        "CPU": resources.cpus,
        "GPU": resources.gpus,
        "memory": resources.memory_gib * _GIB,
        **resources.custom,
    }
    return {name: amount for name, amount in asked.items() if amount > 0}


def check_fit(plan: Plan, nodes: Sequence[Mapping[str, float]]) -> None:
    """Every group must be able to have one worker on some machine.

    Raises:
        PlanError: one cannot; says what it asks and what the machines offer.
    """
    problems = [
        f"{group.name} asks for {_words(demand(group.resources))} a worker"
        for group in plan.groups.values()
        if not any(_holds(node, demand(group.resources)) for node in nodes)
    ]
    if problems:
        offers = "; ".join(f"machine {i}: {_words(n)}" for i, n in enumerate(nodes)) or "none"
        raise PlanError(
            f"the plan cannot fit: {'; '.join(problems)}. The cluster offers {offers}. "
            "Ask for less (`resources` of the system, `scoring`, the judge) or add a machine"
        )


def _holds(node: Mapping[str, float], asked: Mapping[str, float]) -> bool:
    return all(node.get(name, 0.0) + _SLACK >= amount for name, amount in asked.items())


def _words(amounts: Mapping[str, float]) -> str:
    shown = {
        name: f"{amount / _GIB:.1f} GiB {name}" if name == "memory" else f"{amount:g} {name}"
        for name, amount in amounts.items()
        if not name.startswith(("node:", "object_store"))
    }
    return ", ".join(shown.values()) or "nothing"


@dataclass(slots=True)
class Ledger:
    """Who holds what on which machine, by first fit. Ray places the workers; this foresees it."""

    free: list[dict[str, float]]
    held: dict[str, list[tuple[int, dict[str, float]]]] = field(default_factory=dict)

    def take(self, group: GroupPlan, workers: int) -> int:
        """Reserve up to that many more workers; returns how many fitted."""
        asked, placed = demand(group.resources), 0
        for _ in range(workers):
            at = next((i for i, node in enumerate(self.free) if _holds(node, asked)), None)
            if at is None:
                break
            for name, amount in asked.items():
                self.free[at][name] -= amount
            self.held.setdefault(group.name, []).append((at, asked))
            placed += 1
        return placed

    def release(self, group: str) -> None:
        """Give back everything a group holds."""
        for at, asked in self.held.pop(group, []):
            for name, amount in asked.items():
                self.free[at][name] += amount
