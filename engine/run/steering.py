"""Makes a run's driver do what holds of the orders that it was given (`engine/run/control.py`)."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from medgen.engine.plan.plan import Node
from medgen.engine.run.board import Board
from medgen.engine.run.budget import Budget
from medgen.engine.run.control import Orders
from medgen.engine.run.pool import Unit
from medgen.engine.run.staff import Staff

DROPPED = "it was dropped by `medgen control`; `medgen control RUN resume` and a new start go on"


@dataclass(slots=True)
class Steering:
    """What is paused holds no worker and no unit of it is handed out; what is dropped is over.

    Groups that work for other systems as well go on with those: only the units of paused systems
    are put by. Scoring several systems at once scores a paused one with them.
    """

    board: Board
    staff: Staff
    budget: Budget
    give_up: Callable[[str, str], None]
    _held: list[tuple[Unit, bool]] = field(default_factory=list)  # and whether it was a suspect
    _orders: Orders = field(default_factory=Orders)

    def obey(self, orders: Orders) -> bool:
        """Do what was asked since the last turn; whether that was anything."""
        changed = orders != self._orders
        if changed:
            self._orders = orders
            self._drop()
            self.staff.most = dict(orders.workers)
            if orders.cap_usd is not None:
                self.budget.cap_usd = orders.cap_usd
            self._release()
        if changed or orders.paused:  # others may have finished since, and left a group to it
            self.staff.paused = {name for name in self.board.plan.groups if self._is_paused(name)}
            self._hold()
        return changed

    def _nodes(self, group: str) -> list[Node]:
        return [n for n in self.board.plan.nodes.values() if n.group == group]

    def _is_paused(self, group: str) -> bool:
        still = [n for n in self._nodes(group) if self.board.open_shards(n.key)]
        return bool(still) and self._orders.holds(still)

    def _drop(self) -> None:
        nodes = self.board.plan.nodes.values()
        gone = [
            n
            for n in nodes
            if set(n.systems) <= self._orders.dropped and n.key not in self.board.dropped
        ]
        for node in gone:
            samples = (self.staff.sizes[s // node.split] // node.split for s in self._open(node))
            left = self.staff.left[node.group] - sum(max(1, count) for count in samples)
            self.staff.left[node.group] = max(0, left)
        self.board.drop({node.key for node in gone})
        for group in sorted({node.group for node in gone} - self.board.failed.keys()):
            own = self._nodes(group)
            if all(n.key in self.board.dropped for n in own):
                who = next((s for n in own for s in n.systems if s in self._orders.why), "")
                self.give_up(group, self._orders.why.get(who, DROPPED))

    def _open(self, node: Node) -> list[int]:
        return self.board.open_shards(node.key)

    def _hold(self) -> None:
        """Put by what of paused systems has become ready in groups that go on."""
        if not self._orders.paused:
            return
        for name, queue in self.board.queues.items():
            if name in self.staff.paused:
                continue
            for units, suspect in ((queue.fresh, False), (queue.suspects, True)):
                held = [unit for unit in units if self._is_held(unit)]
                for unit in held:
                    units.remove(unit)
                self._held += [(unit, suspect) for unit in held]

    def _is_held(self, unit: Unit) -> bool:
        return self._orders.holds(self.board.plan.nodes[t.key] for t in unit.targets)

    def lay_back(self) -> None:
        """Put everything back where it was taken from: another board goes on with it."""
        for unit, suspect in self._held:
            queue = self.board.queues[unit.group]
            (queue.suspects if suspect else queue.fresh).append(unit)
        self._held = []

    def _release(self) -> None:
        """Put back what is not to wait any more."""
        held, self._held = self._held, []
        for unit, suspect in held:
            queue = self.board.queues[unit.group]
            dropped = any(t.key in self.board.dropped for t in unit.targets)
            if self._is_held(unit) and not dropped:
                self._held.append((unit, suspect))
            elif unit.group not in self.board.failed and not dropped:
                put: deque[Unit] = queue.suspects if suspect else queue.fresh
                put.append(unit)
