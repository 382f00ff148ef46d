"""A stage of another package: it reads every verdict of a judge and says which it doubts."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from medgen.engine.plan.plan import Node
from medgen.engine.run.pool import Target, Unit
from medgen.engine.run.worker import StageWorker
from medgen.engine.stages import PREDICTIONS, VERDICTS, StageKind

SCHEMA = pa.schema(
    [("sample_id", pa.string()), ("doubted", pa.int64()), ("status", pa.string())],
    metadata={"medgen.schema": "audit/1"},
)
AUDIT = StageKind(
    "audit", "auditing:AuditWorker", "audit/1", ("ok",), upstream=(PREDICTIONS, VERDICTS)
)


class Doubter:
    """Doubts marks of `above` and more."""

    def __init__(self, above: float) -> None:
        self.above = above


class AuditWorker(StageWorker):
    """Counts the verdicts of each sample that its doubter doubts."""

    def __init__(self, url: str, plan: Any, group: str) -> None:
        super().__init__(url, plan, group)
        self.doubter: Doubter = self.group.spec.build()

    def work(self, unit: Unit) -> dict[Target, pa.Table]:
        (target,) = unit.targets
        node = self.node(target)
        judges = [self.plan.nodes[k] for k in node.upstream if self.plan.nodes[k].stage == "judge"]
        counts = {s.id: 0 for s in self.samples(unit)}
        for judge in judges:
            for row in self.rows(judge, unit.shard, unit).to_pylist():
                counts[row["sample_id"]] += dict(row["scores"])["overall"] >= self.doubter.above
        rows = [{"sample_id": i, "doubted": n, "status": "ok"} for i, n in counts.items()]
        return {target: pa.Table.from_pylist(rows, SCHEMA)}

    def untried_rows(self, node: Node, unit: Unit) -> pa.Table:
        rows = [{"sample_id": s.id, "doubted": None, "status": "error"} for s in self.samples(unit)]
        return pa.Table.from_pylist(rows, SCHEMA)

    def passport(self, node: Node) -> Mapping[str, Any]:
        return {"above": self.doubter.above}
