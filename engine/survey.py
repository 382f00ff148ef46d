"""What is left to do: the plan's shards less the objects that exist. This is all of resume."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow.compute as pc

from engine.plan import Node, Plan
from engine.ports import Target
from engine.reading import RunReader, stage_shards
from engine.stages import labels
from engine.workers import SETTLED

_LISTINGS_AT_ONCE = 16  # object storage answers listings slowly, but many at once


@dataclass(slots=True)
class Todo:
    """Shards to write, by node and shard, and the revision that each shard has or will have."""

    targets: dict[str, dict[int, Target]] = field(default_factory=dict)
    revisions: dict[str, dict[int, int]] = field(default_factory=dict)

    @property
    def shards(self) -> int:
        """How many shards are to be written."""
        return sum(len(targets) for targets in self.targets.values())

    def leave(self, key: str, shard: int) -> None:
        """Do not write this shard after all; it keeps the revision that it has, if any."""
        target = self.targets[key].pop(shard)
        if target.revision:
            self.revisions[key][shard] = target.revision - 1
        else:
            del self.revisions[key][shard]

    def inputs(self, plan: Plan, node: Node, shard: int) -> dict[str, int]:
        """The revisions, where not 0, of what a benchmark shard of the node is made from."""
        given = {}
        for key in node.upstream:
            for index in stage_shards(plan.nodes[key], shard):
                if revision := self.revisions[key].get(index, 0):
                    given[f"{key}/{index}"] = revision
        return given


def survey(reader: RunReader, retry_errors: bool = False) -> Todo:
    """List what exists and say what is missing, stale or, on request, worth another try."""
    plan, todo = reader.plan, Todo()
    nodes = list(plan.nodes.values())
    with ThreadPoolExecutor(_LISTINGS_AT_ONCE) as threads:
        listed = dict(zip(plan.nodes, threads.map(reader.listing, nodes), strict=True))
    for key, node in plan.nodes.items():
        have = dict(listed[key].revisions)
        targets: dict[int, Target] = {}
        for shard in range(plan.shards * node.split):
            if shard in listed[key].lost:
                target: Target | None = Target(key, listed[key].lost[shard] + 1)
            else:
                target = _target(reader, todo, node, shard, have.get(shard), retry_errors)
            if target:
                targets[shard] = target
                have[shard] = target.revision
        todo.targets[key], todo.revisions[key] = targets, have
    return todo


def _target(
    reader: RunReader, todo: Todo, node: Node, shard: int, have: int | None, retry: bool
) -> Target | None:
    if have is None:
        return Target(node.key)
    if _stale(reader, todo, node, shard, have):
        return Target(node.key, have + 1)
    if retry and _unsettled(reader, node, shard, have):
        return Target(node.key, have + 1, retry=True)
    return None


def _stale(reader: RunReader, todo: Todo, node: Node, shard: int, have: int) -> bool:
    """Whether the shard was made from other revisions of its inputs than there are now."""
    inputs = todo.inputs(reader.plan, node, shard // node.split)
    if not inputs:
        return False  # every input is the first revision: nothing can be stale, nothing is read
    made_from: Mapping[str, int] = labels(reader.stage(node).read(shard, have)).get("inputs", {})
    return dict(made_from) != inputs


def _unsettled(reader: RunReader, node: Node, shard: int, have: int) -> bool:
    status = reader.stage(node).read(shard, have)["status"]
    settled: Sequence[str] = SETTLED[node.stage]
    return any(value not in settled for value in pc.unique(status).to_pylist())
