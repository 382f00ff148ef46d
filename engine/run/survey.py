"""What is left to do: the plan's shards less the objects that exist. This is all of resume."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import pyarrow.compute as pc

from medgen.engine.environment import code_digest
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.pool import Target
from medgen.engine.run.reader import RunReader, stage_shards
from medgen.engine.stages import stage_kind
from medgen.engine.store.shards import labels

# nothing: no row that is there. outside: rows that the outside caused. errors: all that failed.
Again = Literal["nothing", "outside", "errors"]
_LISTINGS_AT_ONCE = 16  # object storage answers listings slowly, but many at once


@dataclass(slots=True)
class Todo:
    """Shards to write, by node and shard, and the revision that each shard has or will have."""

    targets: dict[str, dict[int, Target]] = field(default_factory=dict)
    revisions: dict[str, dict[int, int]] = field(default_factory=dict)
    existing: dict[str, Mapping[int, int]] = field(default_factory=dict)  # before this run

    @property
    def shards(self) -> int:
        """How many shards are to be written."""
        return sum(len(targets) for targets in self.targets.values())

    def leave(self, key: str, shard: int) -> None:
        """Do not write this shard after all; it keeps the revision that it has, if any."""
        del self.targets[key][shard], self.revisions[key][shard]
        if shard in self.existing[key]:
            self.revisions[key][shard] = self.existing[key][shard]

    def inputs(self, plan: Plan, node: Node, shard: int) -> dict[str, int]:
        """The revisions, where not 0, of what a benchmark shard of the node is made from."""
        given = {}
        for key in node.upstream:
            above = plan.nodes[key]
            for index in stage_shards(above, shard):
                if revision := self.revisions[key].get(index, 0):
                    given[f"{key}/{plan.shard_name(above, index)}"] = revision
        return given


def survey(reader: RunReader, again: Again = "outside") -> Todo:
    """List what exists and say what is missing, stale or worth another try."""
    plan, todo = reader.plan, Todo()
    nodes = list(plan.nodes.values())
    with ThreadPoolExecutor(_LISTINGS_AT_ONCE) as threads:
        listed = dict(zip(plan.nodes, threads.map(reader.listing, nodes), strict=True))
    surveyor = _Surveyor(reader, todo, again)
    for key, node in plan.nodes.items():
        todo.existing[key] = listed[key].revisions
        have, targets = dict(listed[key].revisions), {}
        for shard in range(plan.shards * node.split):
            lost = listed[key].lost.get(shard)
            target = (
                surveyor.target(node, shard, have.get(shard))
                if lost is None
                else Target(key, lost + 1)
            )
            if target:
                targets[shard] = target
                have[shard] = target.revision
        todo.targets[key], todo.revisions[key] = targets, have
    return todo


@dataclass(frozen=True, slots=True)
class _Surveyor:
    """Decides for one shard at a time, upstream nodes first."""

    reader: RunReader
    todo: Todo
    again: Again

    def target(self, node: Node, shard: int, have: int | None) -> Target | None:
        if have is None:
            return Target(node.key)
        if self._stale(node, shard, have):
            return Target(node.key, have + 1)
        redo = self._redone(node, shard, have)
        return Target(node.key, have + 1, redo) if redo else None

    def _stale(self, node: Node, shard: int, have: int) -> bool:
        """Whether the shard was made from other revisions of its inputs than there are now."""
        inputs = self.todo.inputs(self.reader.plan, node, shard // node.split)
        if not inputs:
            return False  # every input is the first revision: nothing can be stale
        table = self.reader.stage(node).read(shard, have)
        return dict(labels(table).get("inputs", {})) != inputs

    def _redone(self, node: Node, shard: int, have: int) -> tuple[str, ...]:
        """The statuses of a shard's rows that are to be repeated."""
        noted = shard in self.reader.listing(node).owed
        if self.again == "nothing" or (self.again == "outside" and not noted):
            return ()
        kind = stage_kind(node.stage)
        table = self.reader.stage(node).read(shard, have)
        found = set(pc.unique(table["status"]).to_pylist())
        if self.again != "outside":
            return tuple(sorted(found - set(kind.settled)))
        changed = labels(table).get("code") != code_digest()
        return tuple(sorted(found & {*kind.outside, *(kind.unforeseen if changed else ())}))
