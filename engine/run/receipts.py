"""What a worker tells of a unit that it did, or did not do."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine.plan.plan import Node
from medgen.engine.run.editions import Home
from medgen.engine.run.pool import Receipt, Unit


@dataclass(frozen=True, slots=True)
class Written:
    """What was written where."""

    edition: str
    seconds: float
    size: int = 0  # bytes
    sha256: str = ""  # of a whole shard
    identity: str = ""


def elsewhere(node: Node, unit: Unit, home: Home) -> Receipt:
    """Nothing was done: this worker writes the rows of a node in another edition."""
    return Receipt(node.stage, node.key, unit.shard, edition=home.edition, another=home.why)


def receipt_of(node: Node, unit: Unit, table: pa.Table, written: Written) -> Receipt:
    counts = pc.value_counts(table["status"]).to_pylist()

    def total(column: str) -> Any:
        return pc.sum(table[column]).as_py() or 0 if column in table.column_names else 0

    return Receipt(
        stage=node.stage,
        key=node.key,
        shard=unit.shard,
        rows={c["values"]: c["counts"] for c in counts},
        size=written.size,
        seconds=written.seconds,
        prompt_tokens=total("prompt_tokens"),
        completion_tokens=total("completion_tokens"),
        cached_tokens=total("cached_tokens"),
        cost_usd=float(total("cost_usd")),
        part=unit.positions,
        sha256=written.sha256,
        edition=written.edition,
        identity=written.identity,
    )
