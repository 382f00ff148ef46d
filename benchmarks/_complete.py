"""A store in which all of a plan is committed, made without a run."""

from collections.abc import Iterator

import pyarrow as pa

from medgen.engine.codec import encode, fingerprint
from medgen.engine.plan.effective import Effective
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.editions import Record, seen_of
from medgen.engine.run.together import together_of
from medgen.engine.store.gathering import create_together
from medgen.engine.store.layout import StagePlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.pack_layout import pack_of_shard
from medgen.engine.store.sealed import seal
from medgen.engine.store.shards import Head, Stage, label

EDITION = "e" * 16
_WRITTEN = "2026-01-01T00:00:00+00:00"


def fill(objects: Objects, plan: Plan) -> None:
    """Commit every shard of every node: answers one by one, scores and verdicts in packs."""
    for node in plan.nodes.values():
        if not node.upstream:
            _fill_alone(objects, plan, node)
    for group in dict.fromkeys(n.group for n in plan.nodes.values() if n.upstream):
        _fill_together(objects, plan, [n for n in plan.nodes.values() if n.group == group])


def _fill_alone(objects: Objects, plan: Plan, node: Node) -> None:
    objects.create(_place(node).identity(), _identity(plan, node))
    names = plan.shard_names(node)
    stage = Stage(objects, node.stage, node.key, names, edition=EDITION)
    data = seal(label(pa.table({"sample_id": ["a"]}), {"key": node.key, "inputs": {}}))
    for shard in range(len(names)):
        objects.create(stage.path(shard), data)


def _fill_together(objects: Objects, plan: Plan, nodes: list[Node]) -> None:
    together, names = together_of(plan, nodes[0].group), plan.shard_names(nodes[0])
    identities = {_place(node).identity(): _identity(plan, node) for node in nodes}
    create_together(objects, together, "identities", identities, {})
    read = {key: _digests(objects, plan, key) for node in nodes for key in node.upstream}
    for shard, name in enumerate(names):
        paths = {_place(node).shard(name, 0): node for node in nodes}
        notes = {
            path: encode(Head(fingerprint(path) * 4, dict(_inputs(node, read, shard)))).decode()
            for path, node in paths.items()
        }
        create_together(objects, together, pack_of_shard(name), dict.fromkeys(paths, b"."), notes)


def _digests(objects: Objects, plan: Plan, key: str) -> list[tuple[str, str]]:
    node = plan.nodes[key]
    names = plan.shard_names(node)
    head = Stage(objects, node.stage, key, names, edition=EDITION).head(0)  # all are alike
    return [(f"{key}/{name}", head.sha256) for name in names]


def _inputs(
    node: Node, read: dict[str, list[tuple[str, str]]], shard: int
) -> Iterator[tuple[str, str]]:
    return (read[key][shard] for key in node.upstream)


def _place(node: Node) -> StagePlace:
    return StagePlace(node.stage, node.key, EDITION)


def _identity(plan: Plan, node: Node) -> bytes:
    found = Effective(seen_of(plan, node))
    return encode(Record(found, dict.fromkeys(node.upstream, EDITION), _WRITTEN))
