"""What a worker tells of a unit that it did, or did not do."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

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
    columns = {*table.column_names}

    def total(column: str) -> Any:
        return sum(filter(None, table[column].to_pylist())) if column in columns else 0

    return Receipt(
        stage=node.stage,
        key=node.key,
        shard=unit.shard,
        rows=dict(Counter(table["status"].to_pylist())),
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
