"""What is ready, what runs, what is done: the bookkeeping of one run, with no clock or process.

The board knows the graph and nothing of pools. A shard is ready when the shards that it reads
are committed. Scoring is shard-major: a benchmark shard is scored for all systems at once when
all are there, or for those that are there when one of them has just finished. Judging waits alike,
and then becomes ready system by system: what is handed out joins those that are.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.pool import Input, Target, Unit, narrow
from medgen.engine.run.reader import stage_shards
from medgen.engine.run.spans import Rest, numbers_of
from medgen.engine.run.survey import Todo
from medgen.engine.stages import stage_kind

Place = tuple[str, int]  # group, benchmark shard


class Waiting:
    """By group and shard, the keys that wait there, and whether their inputs are there.

    Of the shards of a group that nothing has happened to yet all is the same, and is kept once.
    """

    def __init__(self) -> None:
        """Nothing waits."""
        self._alike: dict[str, tuple[int, dict[str, bool]]] = {}  # shards below a number, keys
        self._own: dict[Place, dict[str, bool]] = {}

    def add_all(self, group: str, count: int, key: str) -> None:
        """A key waits at every shard below a number, and its inputs are nowhere."""
        self._alike.setdefault(group, (count, {}))[1][key] = False
        for (name, shard), keys in self._own.items():
            if name == group and shard < count:
                keys[key] = False

    def add(self, group: str, shard: int, key: str, there: bool) -> None:
        """A key waits at one shard."""
        self._of(group, shard)[key] = there

    def mark(self, group: str, shard: int, key: str) -> bool:
        """The inputs of a key are there by now; False: it does not wait."""
        if key not in self.at(group, shard):
            return False
        self._of(group, shard)[key] = True
        return True

    def pop(self, group: str, shard: int, key: str) -> bool:
        """A key waits there no more; whether it did."""
        return key in self.at(group, shard) and self._of(group, shard).pop(key) is not None

    def at(self, group: str, shard: int) -> Mapping[str, bool]:
        """What waits at a shard."""
        own = self._own.get((group, shard))
        if own is not None:
            return own
        count, keys = self._alike.get(group, (0, {}))
        return keys if shard < count else {}

    def drop(self, keys: Collection[str]) -> None:
        """These keys wait nowhere any more."""
        for waiting in (*(alike for _, alike in self._alike.values()), *self._own.values()):
            for key in keys:
                waiting.pop(key, None)

    def places(self) -> Iterator[Place]:
        """Where something may be ready, in order: some inputs have come, or others had before."""
        yield from sorted(self._own)

    def _of(self, group: str, shard: int) -> dict[str, bool]:
        place = group, shard
        if place not in self._own:
            self._own[place] = dict(self.at(group, shard))
        return self._own[place]


@dataclass(slots=True)
class Queue:
    """Units of one group that can be handed out now."""

    fresh: deque[Unit] = field(default_factory=deque)
    suspects: deque[Unit] = field(default_factory=deque)  # to be done alone, after a crash


class Board:
    """Tracks a run's shards from waiting to committed."""

    def __init__(self, plan: Plan, todo: Todo) -> None:
        """Queue everything whose inputs are already there."""
        self.plan = plan
        self.todo = todo
        self.queues = {name: Queue() for name in plan.groups}
        self.failed: dict[str, str] = {}  # group -> why it was given up
        self.dropped: set[str] = set()  # keys of nodes that nobody wants any more
        # Groups and shards of which some systems are there to be judged, and wait for others.
        self.held: set[tuple[str, int]] = set()
        self._open = {key: numbers_of(targets) for key, targets in todo.targets.items()}
        self._keys: dict[str, list[str]] = {name: [] for name in plan.groups}
        for key, node in plan.nodes.items():
            self._keys[node.group].append(key)
        self._waiting = Waiting()
        self._readers: dict[str, list[Node]] = {key: [] for key in plan.nodes}
        for node in plan.nodes.values():
            for key in node.upstream:
                self._readers[key].append(node)
        for node in plan.nodes.values():
            self._enlist(node)
        self._offer_all()

    def has_queue(self, group: str) -> bool:
        """Whether a unit of the group could be handed out."""
        queue = self.queues[group]
        return bool(queue.fresh or queue.suspects)

    def remaining(self, group: str) -> int:
        """How many stage shards of the group are not committed, and still wanted."""
        return sum(len(self._open[key]) for key in self._keys[group] if key not in self.dropped)

    def has_open(self, key: str, shards: Iterable[int]) -> bool:
        """Whether any of these shards of a node is not committed, and still wanted."""
        return key not in self.dropped and not self._open[key].isdisjoint(shards)

    def open_shards(self, key: str) -> list[int]:
        """The shards of a node that are not committed."""
        return sorted(self._open[key])

    def is_finished(self) -> bool:
        """Whether nothing is left that can still be done."""
        return not any(self._open[n.key] for n in self.plan.nodes.values() if not self._is_lost(n))

    def over(self, system: str) -> bool:
        """Whether every shard of every stage of a system is committed."""
        return not any(self._open[n.key] for n in self.plan.nodes.values() if system in n.systems)

    def samples(self, unit: Unit, sizes: list[int]) -> int:
        """How many samples a unit's shard holds; `sizes` are those of the benchmark's shards."""
        split = self.plan.nodes[unit.targets[0].key].split
        piece, count = unit.shard % split, sizes[unit.shard // split]
        return (piece + 1) * count // split - piece * count // split

    def commit(self, unit: Unit) -> None:
        """The unit's shards are in the store: what was waiting for them may become ready."""
        fresh = [t.key for t in unit.targets if unit.shard in self._open[t.key]]
        for key in fresh:
            self._open[key].discard(unit.shard)
        for key in fresh:
            for reader in self._readers[key]:
                self._now_ready(reader, unit.shard // self.plan.nodes[key].split)

    def note_found(self, key: str, shard: int) -> None:
        """Another driver has committed a shard: nobody is to do it here."""
        node = self.plan.nodes[key]
        queue = self.queues[node.group]
        for units in (queue.fresh, queue.suspects):
            for unit in [
                u for u in units if u.shard == shard and key in {t.key for t in u.targets}
            ]:
                at = units.index(unit)
                left = tuple(t for t in unit.targets if t.key != key)
                del units[at]
                if left:
                    units.insert(at, narrow(unit, left))
        if self._waiting.pop(node.group, shard, key):
            self._offer(node.group, shard)
        self.commit(Unit(node.group, shard, (Target(key),)))

    def open_part(self, unit: Unit) -> Unit | None:
        """A unit with those of its targets that are still to be committed; None: there is none."""
        left = tuple(t for t in unit.targets if self.has_open(t.key, (unit.shard,)))
        if left == unit.targets:
            return unit
        return narrow(unit, left) if left else None

    def is_current(self, unit: Unit) -> bool:
        """Whether a unit writes what is still to be written: editions may have changed since.

        One that was handed out before an edition was known writes where its worker belongs.
        """
        known = self.todo.targets
        return all(_is_same(known[t.key].get(unit.shard), t) for t in unit.targets)

    def take_over(self, before: "Board", out: Sequence[Unit]) -> None:
        """Go on where another board stood, before what is to do had changed.

        What is out, and what waits there with its parts, is not handed out once more.
        """
        for group, why in before.failed.items():
            self.give_up(group, why)
        self.drop(before.dropped)
        held = {(t.key, unit.shard) for unit in out if self.is_current(unit) for t in unit.targets}
        for name, queue in before.queues.items():
            if name in self.failed:
                continue
            fresh = [unit for unit in queue.fresh if self.is_current(unit)]
            suspects = [unit for unit in queue.suspects if self.is_current(unit)]
            waiting = {(t.key, u.shard) for u in (*fresh, *suspects) for t in u.targets}
            taken = held | waiting
            mine = self.queues[name]
            mine.suspects.extend(suspects)
            mine.fresh = deque([*fresh, *_without(mine.fresh, taken)])
            for key, shard in taken:
                self._waiting.pop(name, shard, key)
        self._offer_all()

    def give_up(self, group: str, reason: str) -> None:
        """The group will do no more; neither will anything that reads its rows."""
        self.failed.setdefault(group, reason)
        self.queues[group] = Queue()
        self._offer_all()

    def drop(self, keys: Collection[str]) -> None:
        """These nodes get no more rows; the others of their groups go on."""
        if not keys:
            return
        self.dropped |= set(keys)
        for queue in self.queues.values():
            for units in (queue.fresh, queue.suspects):
                wanted = [_less(unit, self.dropped) for unit in units]
                units.clear()
                units.extend(unit for unit in wanted if unit.targets)
        self._waiting.drop(keys)
        self._offer_all()

    def flush(self, groups: Collection[str]) -> None:
        """Do of these groups what is there, without waiting for the systems still to come."""
        for group, shard in self._waiting.places():
            if group in groups:
                self._offer(group, shard, whole=False)

    def let_go(self, group: str, shard: int) -> None:
        """Have a shard judged for the systems that are there."""
        self._offer(group, shard, whole=False)

    def _is_lost(self, node: Node) -> bool:
        if node.group in self.failed or node.key in self.dropped:
            return True
        return any(self._open[key] and self._is_lost(self.plan.nodes[key]) for key in node.upstream)

    def _enlist(self, node: Node) -> None:
        gathers = stage_kind(node.stage).gathers
        if gathers and self._lacks_all(node):
            self._waiting.add_all(node.group, self.plan.shards, node.key)
            return
        for index in sorted(self._open[node.key]):
            if gathers:
                there = self._inputs_there(node, index)
                self._waiting.add(node.group, index, node.key, there)
            elif self._inputs_there(node, index // node.split):
                self._queue(node, index)

    def _lacks_all(self, node: Node) -> bool:
        """Whether a node has none of its shards, and nothing to make one from."""
        return self._is_whole(node.key) and any(map(self._is_whole, node.upstream))

    def _is_whole(self, key: str) -> bool:
        left = self._open[key]
        return isinstance(left, Rest) and left.is_whole

    def _inputs_there(self, node: Node, shard: int) -> bool:
        upstream = (self.plan.nodes[key] for key in node.upstream)
        return not any(i in self._open[u.key] for u in upstream for i in stage_shards(u, shard))

    def _now_ready(self, node: Node, shard: int) -> None:
        if not self._inputs_there(node, shard):
            return
        if stage_kind(node.stage).gathers:
            if self._waiting.mark(node.group, shard, node.key):
                self._offer(node.group, shard)
            return
        for index in stage_shards(node, shard):
            if index in self._open[node.key]:
                self._queue(node, index)

    def _queue(self, node: Node, index: int) -> None:
        if node.group in self.failed or node.key in self.dropped:
            return
        if self.todo.is_sound(self.plan, node, index):
            self._leave(node, index)
            return
        target = self.todo.targets[node.key][index]
        inputs = self.todo.inputs(self.plan, node, index // node.split)
        unit = Unit(node.group, index, (target,), inputs=inputs)
        self.queues[node.group].fresh.append(unit)

    def _leave(self, node: Node, index: int) -> None:
        """What it is made from came back as it was: the shard stays."""
        self._open[node.key].discard(index)
        self.todo.leave(node.key, index)
        for reader in self._readers[node.key]:
            self._now_ready(reader, index // node.split)

    def _offer_all(self) -> None:
        for place in self._waiting.places():
            self._offer(*place)

    def _offer(self, group: str, shard: int, whole: bool = True) -> None:
        """Queue a benchmark shard for the systems that are there.

        `whole` waits for every system still to come.
        """
        place = (group, shard)
        keys = self._waiting.at(group, shard)
        ready = [key for key, there in keys.items() if there]
        self.held.discard(place)
        # What a group that was given up would be handed starts it again, and again.
        if not ready or group in self.failed:
            return
        by_sample = stage_kind(self.plan.groups[group].stage).by_sample
        if whole and any(
            not there and not self._is_lost(self.plan.nodes[k]) for k, there in keys.items()
        ):
            self.held |= {place} if by_sample else set()
            return
        for key in ready:
            self._waiting.pop(group, shard, key)
        if by_sample:
            for key in ready:
                self._queue(self.plan.nodes[key], shard)
        else:
            self._queue_scores(group, shard, ready)

    def _queue_scores(self, group: str, shard: int, keys: Iterable[str]) -> None:
        inputs: dict[str, Input] = {}
        targets: list[Target] = []
        for key in keys:
            node = self.plan.nodes[key]
            if self.todo.is_sound(self.plan, node, shard):
                self._leave(node, shard)
                continue
            targets.append(self.todo.targets[key][shard])
            inputs |= self.todo.inputs(self.plan, node, shard)
        if targets:
            self.queues[group].fresh.append(Unit(group, shard, tuple(targets), inputs=inputs))


def _less(unit: Unit, keys: Collection[str]) -> Unit:
    left = tuple(t for t in unit.targets if t.key not in keys)
    return unit if left == unit.targets else narrow(unit, left)


def _is_same(known: Target | None, handed: Target) -> bool:
    return known is not None and (
        known == handed or (not handed.edition and replace(known, edition="") == handed)
    )


def _without(units: Iterable[Unit], taken: set[tuple[str, int]]) -> Iterator[Unit]:
    """The units with those of their targets that nobody has, by key and shard."""
    for unit in units:
        left = tuple(t for t in unit.targets if (t.key, unit.shard) not in taken)
        if left:
            yield replace(unit, targets=left)
