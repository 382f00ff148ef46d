"""Which workers fit on which machines: refusing early, with numbers, instead of hanging."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medgen.engine.errors import PlanError
from medgen.engine.plan.identity import Resources
from medgen.engine.plan.plan import Plan
from medgen.engine.run.pool import Machine

_GIB = 1024**3
_NAMED = 3  # groups that are named where more have no room
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


def check_fit(plan: Plan, machines: Sequence[Machine], grows: bool = False) -> None:
    """Every group must be able to have one worker on some machine.

    Args:
        plan: what is to run.
        machines: those that are there.
        grows: others may come, so nothing is refused for want of them.

    Raises:
        PlanError: one cannot; says what it asks and what the machines offer.
    """
    if grows:
        return
    asking: dict[str, list[str]] = {}
    for group in plan.groups.values():
        asked = demand(group.resources)
        if not any(holds(m.offers, asked) for m in machines):
            asking.setdefault(_words(asked), []).append(group.name)
    problems = [f"{_some(names)} for {words} a worker" for words, names in asking.items()]
    if problems:
        raise PlanError(
            f"the plan cannot fit: {'; '.join(problems)}. The cluster offers {_offers(machines)}. "
            "A worker lies on one machine, with all of its GPUs. "
            "Ask for less (`resources` of the system, `scoring`, the judge) or add a machine"
        )


def no_room(groups: Sequence[str], seconds: float, machines: Sequence[Machine]) -> PlanError:
    """What is said when no machine had room for these groups for so long."""
    return PlanError(
        f"no worker of {', '.join(groups) or 'any group'} could be placed for {seconds:.0f} s "
        f"(cluster.place_s). The cluster offers {_offers(machines)}"
    )


def _some(names: Sequence[str]) -> str:
    """Who asks, in words; of many the first ones alone."""
    if len(names) == 1:
        return f"{names[0]} asks"
    if len(names) <= _NAMED:
        return f"{', '.join(names[:-1])} and {names[-1]} ask"
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more ask"


def _offers(machines: Sequence[Machine]) -> str:
    told = (f"machine {i}: {_words(m.offers)}" for i, m in enumerate(machines))
    return "; ".join(told) or "none"


def holds(offers: Mapping[str, float], asked: Mapping[str, float]) -> bool:
    """Whether there is enough of everything."""
    return all(offers.get(name, 0.0) + _SLACK >= amount for name, amount in asked.items())


def _words(amounts: Mapping[str, float]) -> str:
    shown = {
        name: f"{amount / _GIB:.1f} GiB {name}" if name == "memory" else f"{amount:g} {name}"
        for name, amount in amounts.items()
        if not name.startswith(("node:", "object_store"))
    }
    return ", ".join(shown.values()) or "nothing"


@dataclass(slots=True)
class Ledger:
    """Who holds what on which machine, as far as this driver knows; machines come and go."""

    machines: dict[str, Machine] = field(default_factory=dict)
    free: dict[str, dict[str, float]] = field(default_factory=dict)
    held: dict[str, tuple[str, Mapping[str, float]]] = field(default_factory=dict)  # by worker
    version: int = 0  # another one after every change

    def refresh(self, machines: Sequence[Machine]) -> bool:
        """What machines there are now. Returns whether anything changed."""
        now = {machine.name: machine for machine in machines}
        if now == self.machines:
            return False
        self.machines = now
        self.version += 1
        self.free = {name: dict(machine.offers) for name, machine in now.items()}
        for machine, asked in self.held.values():
            self._book(machine, asked, -1)
        return True

    def take(self, worker: str, machine: str, asked: Mapping[str, float]) -> None:
        """A worker holds what it asked for, there."""
        self.held[worker] = (machine, asked)
        self._book(machine, asked, -1)

    def move(self, worker: str, machine: str) -> None:
        """A worker turned out to be on another machine than was foreseen."""
        if worker in self.held and self.held[worker][0] != machine:
            asked = self.held[worker][1]
            self.give(worker)
            self.take(worker, machine, asked)

    def give(self, worker: str) -> None:
        """What a worker held is free again."""
        machine, asked = self.held.pop(worker, ("", {}))
        self._book(machine, asked, 1)

    def places(self, asked: Mapping[str, float]) -> list[str]:
        """The machines with room for one more worker, and with no word that they go."""
        return [
            name
            for name, free in self.free.items()
            if holds(free, asked) and not self.machines[name].leaving
        ]

    def could_hold(self, asked: Mapping[str, float]) -> list[str]:
        """The machines that would have room if they were empty."""
        there = self.machines.values()
        return [m.name for m in there if not m.leaving and holds(m.offers, asked)]

    def total(self, resource: str) -> float:
        """How much of a resource all machines offer."""
        return sum(m.offers.get(resource, 0.0) for m in self.machines.values() if not m.leaving)

    def _book(self, machine: str, asked: Mapping[str, float], sign: int) -> None:
        self.version += 1
        free = self.free.get(machine)
        if free is not None:
            for name, amount in asked.items():
                free[name] = free.get(name, 0.0) + sign * amount
