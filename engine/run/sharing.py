"""What of a run this driver does, and what others that make the same rows do beside it.

Units are handed out only of ranges that this driver has claimed (`engine/run/claims.py`), and it
claims the next one when it has none left that it could hand out. What another has is put by; now
and then it is looked whether that range is free again, and what was committed of it since.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace

from medgen.engine.codec import fingerprint
from medgen.engine.plan.plan import Node
from medgen.engine.run.adopting import take_over
from medgen.engine.run.board import Board
from medgen.engine.run.books import Books
from medgen.engine.run.claims import Claims, Range
from medgen.engine.run.desk import Desk
from medgen.engine.run.editions import Terms
from medgen.engine.run.faults import FaultPolicy
from medgen.engine.run.pool import Receipt, Target, Unit, join
from medgen.engine.run.presence import Presence
from medgen.engine.stages import stage_kind

LOOK_EVERY_S = 10.0  # at what others have
_LOOKS = 4  # at the least, in the time after which a silent driver counts as dead

Found = Callable[[str, list[int]], None]


@dataclass(slots=True)
class Sharing:
    """Keeps what others do out of the queues of a board."""

    board: Board
    books: Books
    desk: Desk
    claims: Claims
    terms: Terms
    faults: FaultPolicy
    tell: Found  # of shards of a key that another driver has committed
    is_full: Callable[[str], bool]  # a worker
    clock: Callable[[], float] = time.monotonic  # of the store's world, pretended or not
    anew: bool = False  # rows of another cut were taken over: what is to do is to be found anew
    away: dict[Range, list[tuple[Unit, bool]]] = field(default_factory=dict)  # and if suspect
    _met: bool = False  # whether another driver was ever at work as well
    _looked: float = 0.0
    _idle: dict[Range, float] = field(default_factory=dict)  # since when nothing of it is done
    _scopes: dict[str, str] = field(default_factory=dict)  # by group, of what is scored together
    _ranges: dict[tuple[str, str], Range] = field(default_factory=dict)  # by key and span
    _cuts: dict[str, str] = field(default_factory=dict)  # by key
    _shards: dict[tuple[int, str], set[int]] = field(default_factory=dict)  # by split and span

    def begin(self) -> None:
        """Let others see that this driver lives."""
        self.claims.presence.begin()
        # One that was taken for dead, and took nothing away: its workers may write yet, even where
        # a driver that has ended meanwhile had all of its claims.
        self._met = self.claims.presence.is_beside_others()
        self._looked = self.clock()

    def leave(self) -> None:
        """Before workers are ended: who does what they were at is to look for what they yet write.

        The claims of it stay, void, and are met there.
        """
        for out in self.desk.all():
            if not stage_kind(self.board.plan.groups[out.unit.group].stage).shard_major:
                for place in self.ranges_of(out.unit):
                    self.claims.own.pop(place, None)

    def end(self) -> None:
        """Leave everything to others."""
        self.leave()
        self.claims.end()

    def ranges_of(self, unit: Unit) -> frozenset[Range]:
        """What is claimed for a unit: one range for all scores, one for each that is judged."""
        return frozenset(self._range_of(unit, target) for target in self._standing_for(unit))

    def _standing_for(self, unit: Unit) -> Iterable[Target]:
        """Targets that stand for all of a unit's claims."""
        if len(unit.targets) == 1:
            return unit.targets
        kind = stage_kind(self.board.plan.groups[unit.group].stage)
        return unit.targets[:1] if kind.shard_major else unit.targets

    def _span_of(self, unit: Unit) -> str:
        split = self.board.plan.nodes[unit.targets[0].key].split
        return self.board.plan.content[unit.shard // split].digest[:1]

    def _range_of(self, unit: Unit, target: Target) -> Range:
        node = self.board.plan.nodes[target.key]
        span = self._span_of(unit)
        if (node.key, span) not in self._ranges:
            self._ranges[node.key, span] = Range(self._scope(node), span, self._cut(node))
        return self._ranges[node.key, span]

    def holds(self, unit: Unit) -> bool:
        """Whether a unit may be handed out now."""
        return all(self.claims.holds(place) for place in self.ranges_of(unit))

    def join(self, group: str) -> bool:
        """Have the unit in front do its shard for all systems that wait for it to be judged.

        False: by now there is none in front.
        """
        queue = self.board.queues[group]
        if not stage_kind(self.board.plan.groups[group].stage).by_sample or queue.suspects:
            return True
        first = queue.fresh[0]
        if not self._may_join(first, first.shard):
            return True
        others = [unit for unit in queue.fresh if self._may_join(unit, first.shard)]
        self._claim({p: None for unit in others for p in self.ranges_of(unit)}, group)
        return self._put_together(queue.fresh, first.shard)

    def _put_together(self, units: deque[Unit], shard: int) -> bool:
        """Make one unit of those that may be done together, and put it in front."""
        mine = [u for u in units if self._may_join(u, shard) and self._is_own(u)]
        left = [unit for one in mine if (unit := self.board.open_part(one)) is not None]
        if len(mine) > 1:
            taken = {id(unit) for unit in mine}
            others = [unit for unit in units if id(unit) not in taken]
            units.clear()
            units.extend([join(left), *others] if left else others)
        return bool(left)

    def _may_join(self, unit: Unit, shard: int) -> bool:
        """Whether a unit is a whole shard that nobody has tried."""
        whole = unit.shard == shard and unit.positions is None and not unit.merge
        return whole and not self.faults.has_failed(unit)

    def _is_own(self, unit: Unit) -> bool:
        own = self.claims.own
        return all(self._range_of(unit, target) in own for target in self._standing_for(unit))

    def bring(self, group: str) -> bool:
        """Have a unit of this driver's own in front of a group's queue; False: there is none."""
        queue = self.board.queues[group]
        self._bring(queue.suspects)
        return bool(queue.suspects) or self._bring(queue.fresh)

    def _bring(self, units: deque[Unit]) -> bool:
        last = self.faults.comes_last
        lost: set[str] = set()  # spans that another driver is at: the rest of them comes last
        while units and self.claims.presence.is_sure():
            group = units[0].group
            near = {place.span for place in self.claims.own}  # which is quickly asked of thousands
            mine = (
                (n, unit)
                for n, unit in enumerate(units)
                if self._span_of(unit) in near and self._is_own(unit)
            )
            at = next((n for n, unit in mine if not (last(unit) or self._waits(unit))), None)
            if at is None:  # what failed waits for all others, as it would without claims
                place = self._next_range(units, lost)
                if place is not None:
                    if self._claim((place,), group):
                        self._put_first(units, place, group)
                    else:
                        lost.add(place.span)
                    continue
                at = next((n for n, unit in enumerate(units) if not last(unit)), 0)
            unit = units[at]
            del units[at]
            if (left := self.board.open_part(unit)) is not None:
                units.appendleft(left)
                return True
        return False

    def _put_first(self, units: deque[Unit], place: Range, group: str) -> None:
        """Have units of what was claimed in front: to look for each behind others takes long.

        Not those that are judged: several systems' of one shard stay together, whose worker reads
        it once for all.
        """
        if stage_kind(self.board.plan.groups[group].stage).by_sample:
            return
        mine = [unit for unit in units if place in self.ranges_of(unit)]
        others = [unit for unit in units if place not in self.ranges_of(unit)]
        units.clear()
        units.extend([*mine, *others])

    def _waits(self, unit: Unit) -> bool:
        """Whether a worker that has begun a unit's shard is to go on with it when it has room."""
        return self.is_full(self.desk.begun_by(unit))

    def _next_range(self, units: Iterable[Unit], lost: Collection[str]) -> Range | None:
        """What to claim next for these units."""
        wanted = [p for u in units for p in sorted(self.ranges_of(u)) if p not in self.claims.own]
        return next((p for p in wanted if p.span not in lost), wanted[0] if wanted else None)

    def _claim(self, places: Iterable[Range], group: str) -> bool:
        """Claim what is not this driver's own; False: none of it could be had."""
        wanted = [place for place in places if place not in self.claims.own]
        taken = self.claims.take_all(wanted)
        for place in wanted:
            if place not in self.claims.own:
                self._put_by(place, group)
        self._catch_up(taken)
        return bool(taken)

    def met_others(self) -> bool:
        """Whether another driver was at work as well since this was asked the last time."""
        met, self.claims.met = self.claims.met, False
        self._met |= met
        return met

    def is_wary(self) -> bool:
        """Whether what is claimed here may be made elsewhere yet.

        All that stood there when it was claimed was seen then. What came later is of workers whose
        driver has died, was stopped, or was taken for dead: their claims were met. What this
        driver's own workers left when they were lost is known by the unit, which comes again.
        """
        return self._met or self.claims.met

    def note_commit(self, unit: Unit, receipts: Iterable[Receipt]) -> None:
        """A unit is committed: a range that is done is given back."""
        self.claims.met |= any(receipt.stood for receipt in receipts)
        for place in self.ranges_of(unit):
            if place in self.claims.own and not self._is_open(place):
                self.claims.drop(place)

    def look(self) -> None:
        """Now and then: what of others has become free, and what nobody here works at."""
        now = self.clock()
        if self.claims.presence.is_lost:
            self._begin_anew()
        if now - self._looked < min(LOOK_EVERY_S, self.claims.presence.seconds / _LOOKS):
            return
        self._looked = now
        self._leave_idle(now)
        for place in list(self.away):
            if self.claims.presence.is_sure() and self.claims.is_free(place):
                self._catch_up((place,))
                self._bring_back(place)

    def only_waits(self, group: str) -> bool:
        """Whether all that is left of a group now is with other drivers."""
        if self.board.has_queue(group) or self.desk.running.get(group):
            return False
        return any(unit.group == group for units in self.away.values() for unit, _ in units)

    def lay_back(self) -> None:
        """Put everything back where it was taken from: another board goes on with it."""
        for place in list(self.away):
            self._bring_back(place)

    def _begin_anew(self) -> None:
        """Others took this driver for dead: it has nothing any more, and goes on as another."""
        before = self.claims.presence
        before.end()
        presence = Presence(before.objects, before.who.run, before.seconds, before.clock)
        self.claims.begin_anew(presence)
        self.claims.met = True
        presence.begin()

    def _leave_idle(self, now: float) -> None:
        """Give back claims of what nothing was done of for a while: paused, or given up."""
        busy = {place for out in self.desk.all() for place in self.ranges_of(out.unit)}
        self._idle = {place: t for place, t in self._idle.items() if place in self.claims.own}
        for place in list(self.claims.own):
            if place in busy:
                self._idle.pop(place, None)
            elif now - self._idle.setdefault(place, now) >= self.claims.presence.seconds:
                del self._idle[place]
                self.claims.drop(place)

    def _put_by(self, place: Range, group: str) -> None:
        """Take everything of a range out of the queues."""
        put, queue = self.away.setdefault(place, []), self.board.queues[group]
        for units, suspect in ((queue.fresh, False), (queue.suspects, True)):
            put += [(unit, suspect) for unit in units if place in self.ranges_of(unit)]
            others = [unit for unit in units if place not in self.ranges_of(unit)]
            units.clear()
            units.extend(others)

    def _bring_back(self, place: Range) -> None:
        for unit, suspect in self.away.pop(place, []):
            left = self.board.open_part(unit)
            if left is not None and unit.group not in self.board.failed:
                queue = self.board.queues[unit.group]
                (queue.suspects if suspect else queue.fresh).append(left)

    def _catch_up(self, places: Iterable[Range]) -> None:
        """Take note of what others have committed of ranges that they had until now.

        And of what they have made of that, whoever has claimed it by now.
        """
        every = [self._keys(place) for place in places]
        # Scores cost no money, and there are many keys of them.
        keys = {k for of in every if len(of) == 1 or self.claims.met for k in of}
        moved = set[str]()
        self.books.reader.look_anew()
        for key, node in self.board.plan.nodes.items():
            if (key in keys or moved & set(node.upstream)) and (found := self._found(key)):
                moved.add(key)
                self.tell(key, found)

    def _found(self, key: str) -> list[int]:
        """The shards of a key that others have committed since it was looked last."""
        node, reader = self.board.plan.nodes[key], self.books.reader
        known = reader.listing(node).others
        listing = reader.list_again(node, self.terms)
        if self._cut(node) and listing.others - known - self._same_cut(node):
            self.anew = bool(take_over(reader, keys=(key,))) or self.anew
        found = []
        for shard in self.board.open_shards(key):
            target = self.books.todo.targets[key][shard]
            revision = listing.revisions.get(shard, -1)
            if revision < target.revision:
                continue
            self.claims.met = True
            if self.books.note_found(node, shard, revision):
                self.board.note_found(key, shard)
                found.append(shard)
        return found

    def _same_cut(self, node: Node) -> set[str]:
        """Names of all the benchmark's shards: a run without a limit makes more than this one."""
        shards = self.books.reader.benchmark.manifest.shards
        return {*replace(self.board.plan, content=shards).shard_names(node)}

    def _is_open(self, place: Range) -> bool:
        return any(self.board.has_open(k, self._of(k, place.span)) for k in self._keys(place))

    def _of(self, key: str, span: str) -> Collection[int]:
        """The shards of a key that are in a range."""
        plan, split = self.board.plan, self.board.plan.nodes[key].split
        if (split, span) not in self._shards:
            self._shards[split, span] = {
                n
                for n in range(plan.shards * split)
                if plan.content[n // split].digest.startswith(span)
            }
        return self._shards[split, span]

    def _keys(self, place: Range) -> list[str]:
        nodes = self.board.plan.nodes
        if place.scope in nodes:
            return [place.scope]
        return [n.key for n in nodes.values() if self._scope(n) == place.scope]

    def _scope(self, node: Node) -> str:
        """A stage's key; for metrics, which are scored together, what stands for all of them."""
        if not stage_kind(node.stage).shard_major:
            return node.key
        if node.group not in self._scopes:
            together = sorted(
                n.key for n in self.board.plan.nodes.values() if n.group == node.group
            )
            self._scopes[node.group] = fingerprint("claims", together)
        return self._scopes[node.group]

    def _cut(self, node: Node) -> str:
        """How samples are cut into shards, of rows that are taken over from one cut to another."""
        if node.upstream or not stage_kind(node.stage).predicts:
            return ""
        if node.key not in self._cuts:
            cut = fingerprint(self.board.plan.benchmark, list(node.gives), node.split)
            self._cuts[node.key] = cut
        return self._cuts[node.key]
