"""What is left to do: the plan's shards less the objects that exist. This is all of resume."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Literal

import pyarrow.compute as pc

from medgen.engine.environment import code_digest
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.editions import Terms
from medgen.engine.run.known import Known, keep_known
from medgen.engine.run.pool import Input, Target
from medgen.engine.run.reader import RunReader, stage_shards
from medgen.engine.run.spans import Said, Span, own
from medgen.engine.stages import stage_kind
from medgen.engine.store.objects import Objects
from medgen.engine.store.shards import BROKEN, labels
from medgen.engine.threads import in_threads

# nothing: no row that is there. outside: rows that the outside caused. errors: all that failed.
Again = Literal["nothing", "outside", "errors"]
_USUAL = Terms()
_Reads = tuple[tuple[str, ...], int]  # keys, and a benchmark shard


@dataclass(slots=True)
class Todo:
    """Shards to write, by node and shard, and the revision that each shard has or will have."""

    targets: dict[str, MutableMapping[int, Target]] = field(default_factory=dict)
    revisions: dict[str, MutableMapping[int, int]] = field(default_factory=dict)
    existing: dict[str, Mapping[int, int]] = field(default_factory=dict)  # before this run
    lost: dict[str, Mapping[int, int]] = field(default_factory=dict)  # in quarantine
    editions: dict[str, str] = field(default_factory=dict)  # by key; empty: there is none
    # The sha256 of each shard that is there, and of what it was made from.
    digests: dict[str, Mapping[int, str]] = field(default_factory=dict)
    made_from: dict[str, Mapping[int, Mapping[str, str]]] = field(default_factory=dict)
    committed: dict[str, dict[int, str]] = field(default_factory=dict)  # sha256, in this run
    # By key, how what would make rows now differs from what made those that are there.
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def shards(self) -> int:
        """How many shards are to be written."""
        return sum(len(targets) for targets in self.targets.values())

    def leave(self, key: str, shard: int) -> None:
        """Do not write this shard after all; it keeps the revision that it has, if any."""
        del self.targets[key][shard], self.revisions[key][shard]
        if shard in self.existing[key]:
            self.revisions[key][shard] = self.existing[key][shard]

    def inputs(self, plan: Plan, node: Node, shard: int) -> dict[str, Input]:
        """What a benchmark shard of the node is made from."""
        given = {}
        for key in node.upstream:
            above = plan.nodes[key]
            for index in stage_shards(above, shard):
                given[f"{key}/{plan.shard_name(above, index)}"] = Input(
                    self.editions.get(key, ""),
                    self.revisions[key].get(index, 0),
                    self._digest(key, index),
                )
        return given

    def _digest(self, key: str, shard: int) -> str:
        """The sha256 of a shard; empty while it is still to be made."""
        known = self.committed if shard in self.targets[key] else self.digests
        return known.get(key, {}).get(shard, "")

    def is_sound(self, plan: Plan, node: Node, index: int) -> bool:
        """Whether a shard that is to be made again was made from what its inputs are by now.

        An input that was lost and came back as the same bytes makes nothing stale.
        """
        target = self.targets[node.key][index]
        recorded = self.made_from[node.key].get(index)
        if recorded is None or target.redo or target.revision == 0 or index in self.lost[node.key]:
            return False
        given = self.inputs(plan, node, index // node.split)
        return recorded == {place: one.sha256 for place, one in given.items()}

    def adopt(self, other: "Todo") -> None:
        """Become another one: whoever holds this sees what has changed."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))

    def note_commit(self, key: str, shard: int, sha256: str, edition: str) -> None:
        """A shard is there now, as this object in this edition."""
        self.committed.setdefault(key, {})[shard] = sha256
        self.editions[key] = edition


def survey(reader: RunReader, again: Again = "outside", terms: Terms | None = _USUAL) -> Todo:
    """List what exists and say what is missing, stale or worth another try.

    Args:
        reader: of the run.
        again: which rows that are there are made once more.
        terms: how what can be seen here is held against what made the rows; None: it is not.
    """
    plan, todo = reader.plan, Todo()
    if reader.known is not None:
        return _nothing(reader)
    todo.changed = reader.settle(terms)
    todo.editions = dict(reader.editions)
    nodes = list(plan.nodes.values())
    listed = dict(zip(plan.nodes, in_threads(reader.listing, nodes), strict=True))
    surveyor = _Surveyor(reader, todo, again)
    for key, node in plan.nodes.items():
        heads = reader.heads(node)
        todo.existing[key], todo.lost[key] = listed[key].revisions, listed[key].lost
        todo.digests[key] = Said(heads, attrgetter("sha256"))
        todo.made_from[key] = Said(heads, attrgetter("inputs"))
        count = plan.shards * node.split
        if not (listed[key].revisions or listed[key].lost):  # of millions this is soon said
            todo.targets[key] = Span(count, surveyor.make(node))
            todo.revisions[key] = Span(count, 0)
            continue
        have, targets = own(listed[key].revisions), dict[int, Target]()
        for shard in range(count):
            lost = listed[key].lost.get(shard)
            target = (
                surveyor.target(node, shard, have.get(shard))
                if lost is None
                else surveyor.make(node, lost + 1)
            )
            if target:
                targets[shard] = target
                have[shard] = target.revision
        todo.targets[key], todo.revisions[key] = targets, have
    return todo


def _nothing(reader: RunReader) -> Todo:
    """What is left of a run that is known to be complete; what its shards say is not read."""
    todo = Todo(editions=dict(reader.editions))
    for key, node in reader.plan.nodes.items():
        todo.existing[key] = todo.revisions[key] = own(reader.revisions(node))
        todo.targets[key] = {}
        todo.lost[key], todo.digests[key], todo.made_from[key] = {}, {}, {}
    return todo


def note_complete(objects: Objects, marked: Known, reader: RunReader, terms: Terms) -> None:
    """Note in a run's folder that all of it is there, if so: by what its objects say themselves.

    Args:
        objects: of its store, connected anew: nothing is taken from what this process made.
        marked: what was there and seen before.
        reader: of the run.
        terms: how what can be seen here is held against what made the rows.
    """
    plan = reader.plan
    reader = RunReader(objects, plan, reader.benchmark)
    todo = survey(reader, terms=terms)
    if todo.shards or todo.changed or any(todo.lost.values()) or _is_any_broken(reader):
        return
    revisions = {
        key: tuple((shard, r) for shard, r in reader.revisions(node).items() if r)
        for key, node in plan.nodes.items()
    }
    editions, rows = dict(reader.editions), reader.rows()
    keep_known(
        objects, plan.run_id, replace(marked, editions=editions, rows=rows, revisions=revisions)
    )


def _is_any_broken(reader: RunReader) -> bool:
    heads = (reader.heads(node) for node in reader.plan.nodes.values())
    return any(head.sha256 == BROKEN for some in heads for head in some.values())


@dataclass(frozen=True, slots=True)
class _Surveyor:
    """Decides for one shard at a time, upstream nodes first."""

    reader: RunReader
    todo: Todo
    again: Again
    # What shards were made from that are not stale, by what they read: so are others' of the same.
    _sound: dict[_Reads, Mapping[str, str]] = field(default_factory=dict)

    def make(self, node: Node, revision: int = 0, redo: tuple[str, ...] = ()) -> Target:
        return Target(node.key, revision, redo, self.todo.editions.get(node.key, ""))

    def target(self, node: Node, shard: int, have: int | None) -> Target | None:
        if have is None:
            return self.make(node)
        if self._stale(node, shard):
            return self.make(node, have + 1)
        redo = self._redone(node, shard, have)
        return self.make(node, have + 1, redo) if redo else None

    def _stale(self, node: Node, shard: int) -> bool:
        """Whether the shard was made from other objects than its inputs are now."""
        recorded = self.todo.made_from[node.key][shard]
        reads = (node.upstream, shard // node.split)
        if self._sound.get(reads) is recorded:
            return False
        inputs = self.todo.inputs(self.reader.plan, node, shard // node.split)
        stale = any(
            recorded.get(place) != one.sha256
            for place, one in inputs.items()
            if one.sha256 != BROKEN  # whoever needs it is told; what was made of it is whole
        ) or bool(recorded.keys() - inputs.keys())
        if not stale:
            self._sound[reads] = recorded
        return stale

    def _redone(self, node: Node, shard: int, have: int) -> tuple[str, ...]:
        """The statuses of a shard's rows that are to be repeated."""
        noted = self.again == "errors" or shard in self.reader.listing(node).owed
        if self.again == "nothing" or not noted:
            return ()
        kind = stage_kind(node.stage)
        table = self.reader.stage(node).read(shard, have)
        found = set(pc.unique(table["status"]).to_pylist())
        if self.again != "outside":
            return tuple(sorted(found - set(kind.settled)))
        changed = labels(table).get("code") != code_digest()
        return tuple(sorted(found & {*kind.outside, *(kind.unforeseen if changed else ())}))
