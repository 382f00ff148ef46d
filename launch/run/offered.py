"""What models no longer do, or never did, said before anything is asked of them.

Hosted models end: a plan that needs one that its vendor has withdrawn is refused beforehand.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from medgen.conf.schema import RunConf
from medgen.engine.errors import ConfigError, PlanError
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.survey import Todo
from medgen.launch.setup.foreign import strange

WARN_DAYS = 60  # before a model ends


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A model that its vendor withdraws: whose it is, when, and what its vendor offers instead."""

    who: str
    ends: date
    successor: str

    def sentence(self, today: date) -> str:
        """What a person must know."""
        verb = "has withdrawn" if self.ends <= today else "withdraws"
        instead = f"; its successor is {self.successor}" if self.successor else ""
        return f"{self.who}: the vendor {verb} this model on {self.ends.isoformat()}{instead}"


def check_offered(conf: RunConf, plan: Plan, todo: Todo, today: date | None = None) -> list[str]:
    """Sentences about models that end soon.

    What is in the store already needs no model, so only those that have something to do count.

    Raises:
        PlanError: models that are needed have ended, each with its successor.
        ConfigError: an end that is no date.
    """
    day = today or datetime.now(UTC).date()
    open_ = [node for node in plan.nodes.values() if todo.targets.get(node.key)]
    needed = {who for node in open_ for who in _askers(node)}
    found = [ending for ending in _endings(conf) if ending.who in needed]
    over = [ending.sentence(day) for ending in found if ending.ends <= day]
    if over:
        raise PlanError(
            "models that can no longer be asked: " + "; ".join(over) + ". Take them out, name the "
            "successor in their place, or import what they once answered with `replay`"
        )
    return [e.sentence(day) for e in found if (e.ends - day).days <= WARN_DAYS]


def narrow_models(conf: RunConf, plan: Plan, todo: Todo) -> list[str]:
    """Sentences about systems that do less than they are asked, and still have something to do."""
    open_ = [node for node in plan.nodes.values() if todo.targets.get(node.key)]
    needed = {who for node in open_ for who in _askers(node)}
    named = {f"system {name!r}": entry.only for name, entry in conf.system.items()}
    return [f"{who}: {only}" for who, only in named.items() if only and who in needed]


def strange_arguments(plan: Plan, todo: Todo) -> list[str]:
    """Sentences about arguments that the libraries installed here do not know.

    A worker's may be others, so nothing is refused for them.
    """
    found: dict[str, None] = {}
    for node in plan.nodes.values():
        if todo.targets.get(node.key):
            spec = plan.groups[node.group].spec
            for words in strange(spec.target, spec.kwargs):
                found |= {f"{who}: {words}": None for who in _askers(node)}
    return list(found)


def _askers(node: Node) -> Collection[str]:
    """The systems and judges whose models a stage of the plan asks."""
    if node.stage == "judge":
        return (f"judge {node.label!r}",)
    predicts = node.stage in ("answer", "render")
    return [f"system {name!r}" for name in node.systems] if predicts else ()


def _endings(conf: RunConf) -> Iterator[Withdrawal]:
    for kind, group in (("system", conf.system), ("judge", conf.judge)):
        for name, entry in group.items():
            if entry.ends:
                who = f"{kind} {name!r}"
                yield Withdrawal(who, _day(who, entry.ends), entry.successor)


def _day(who: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{who}: `ends` is a date (2026-12-01), not {text!r}") from None
