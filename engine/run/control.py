"""Steering a run from anywhere: orders in the run's folder, which its driver takes up.

Each order is an object of its own with a number, created only if there is none of that number:
their order needs no clock, and of two people neither overwrites the other. What holds is the
sum of all of them, so a driver that is started anew finds a paused system still paused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from medgen.engine.codec import decode, with_seal
from medgen.engine.errors import ConfigError, CorruptError
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.folder import now
from medgen.engine.stages import stage_kind
from medgen.engine.store.layout import RunPlace, control_number
from medgen.engine.store.objects import Objects

Verb = Literal["pause", "resume", "drop", "workers", "cap", "requeue"]
VERBS: tuple[Verb, ...] = get_args(Verb)
_TRIES = 20  # for a number, while others send as well


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asked for."""

    verb: Verb
    name: str = ""  # of the system, or of the group of workers
    number: float = 0.0  # workers, or US dollars
    time: str = ""  # by the sender's clock; only shown


@dataclass(frozen=True, slots=True)
class Orders:
    """What holds of all that was asked for."""

    paused: frozenset[str] = frozenset()  # systems
    dropped: frozenset[str] = frozenset()  # systems
    workers: Mapping[str, int] = field(default_factory=dict)  # group -> at most so many
    cap_usd: float | None = None  # None: as the configuration says
    requeued: int = 0  # how often it was asked for
    why: Mapping[str, str] = field(default_factory=dict)  # dropped system -> not by an order

    def after(self, order: Order) -> "Orders":
        """With one more order."""
        name = frozenset({order.name})
        if order.verb == "pause":
            return replace(self, paused=self.paused | name)
        if order.verb == "resume":
            return replace(self, paused=self.paused - name, dropped=self.dropped - name)
        if order.verb == "drop":
            return replace(self, dropped=self.dropped | name, paused=self.paused - name)
        if order.verb == "workers":
            return replace(self, workers={**self.workers, order.name: int(order.number)})
        if order.verb == "cap":
            return replace(self, cap_usd=order.number)
        return replace(self, requeued=self.requeued + 1)

    def holds(self, nodes: Iterable[Node]) -> bool:
        """Whether all of these nodes are of paused systems, and dropped ones, alone."""
        return all(set(node.systems) <= self.paused | self.dropped for node in nodes)


class Control:
    """The orders of one run."""

    def __init__(self, objects: Objects, plan: Plan) -> None:
        """Nothing is read yet."""
        self.objects, self.plan, self.place = objects, plan, RunPlace(plan.run_id)
        self.orders = Orders()
        self.refused: list[str] = []  # at the last look and not before: which, and why
        self._known: dict[int, Order] = {}
        self._told: set[str] = set()

    def send(self, order: Order) -> int:
        """Leave an order; returns its number."""
        body = with_seal(replace(order, time=now()))
        for _ in range(_TRIES):
            number = max(self._numbers(), default=0) + 1
            if self.objects.create(self.place.order(number), body):
                return number
        raise ConfigError(f"others send orders to {self.place.run_id} all the time; try again")

    def look(self) -> list[Order]:
        """Take up the orders that came since the last look; they are in `orders` then.

        One that cannot be read or makes no sense costs nobody but its sender: it is `refused`, and
        looked at again, for it may be replaced.
        """
        self.refused = []
        fresh = [number for number in self._numbers() if self._take_up(number)]
        found = Orders()
        for _, order in sorted(self._known.items()):
            found = found.after(order)
        self.orders = found  # at once: a loop reads it meanwhile
        return [self._known[number] for number in fresh]

    def _take_up(self, number: int) -> bool:
        """Whether that is a sound order that was not known yet."""
        if number in self._known:
            return False
        path = self.place.order(number)
        try:
            order = decode(Order, self.objects.read(path), f"{path}: not an order")
            self._known[number] = check_order(self.plan, order)
        except FileNotFoundError:  # removed just now
            return False
        except (CorruptError, ConfigError) as err:
            words = str(err) if isinstance(err, CorruptError) else f"{path}: {err}"
            if words not in self._told:
                self._told.add(words)
                self.refused.append(words)
            return False
        return True

    def _numbers(self) -> list[int]:
        names = self.objects.names(self.place.control)
        return sorted(n for name in names if (n := control_number(name)) is not None)


def check_order(plan: Plan, order: Order) -> Order:
    """The order as the driver takes it: with the full name of a group.

    Raises:
        ConfigError: there is no such system or group, or the number makes no sense.
    """
    systems = [system.name for system in plan.systems]
    if order.verb in ("pause", "resume", "drop") and order.name not in systems:
        raise ConfigError(f"no system {order.name!r} in the run; there are {', '.join(systems)}")
    if order.verb == "cap" and not 0 < order.number < float("inf"):
        raise ConfigError(f"a cap is a positive number of US dollars, not {order.number:g}")
    if order.verb == "workers":
        if order.number < 1 or not float(order.number).is_integer():
            raise ConfigError("workers are a whole number, 1 or more; `pause` stops a system")
        return replace(order, name=_group(plan, order.name))
    return order


def _group(plan: Plan, name: str) -> str:
    """A group by its full name, or by the system or judge that only one of them works for."""
    if name in plan.groups:
        return name
    nodes = [n for n in plan.nodes.values() if stage_kind(n.stage).predicts and name in n.systems]
    found = {n.group for n in nodes} or {g for g in plan.groups if g.partition("/")[2] == name}
    if len(found) != 1:
        known = ", ".join(sorted(found or plan.groups))
        raise ConfigError(f"{name!r} is not one group of workers; there are {known}")
    return found.pop()
