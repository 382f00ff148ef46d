"""What is said of rows that are not there, or not ok: from the plan, the answers and the reasons.

A system owes a value for every sample and every metric and judge of the plan. Where there is no
row, the status of the prediction is still that of the answer, and the reason that of the group
that was given up.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.folder import RunFolder
from medgen.engine.run.reader import RunReader
from medgen.engine.stages import VERDICTS, stage_kind
from medgen.engine.store import schemas
from medgen.engine.store.shards import BROKEN, labels

NO_ROW = "there is no row in the store"
STOPPED = "stopped early"  # the first words of why a system has no more rows
_SAMPLE = ("sample_id", "format", "task", "modality", "source", "bundle", "language", "groups")
_LETTERS = 300  # of a reason that are kept

Reasons = dict[tuple[str, str, str], str]  # (format, status, view) -> the first reason met


def prediction_statuses(reader: RunReader, system: str, shard: int) -> dict[str, str]:
    """The statuses of a system's predictions by sample id, as the rows of its models say.

    The first of the models that failed says it; of a row that is not there it is `missing`.
    """
    samples = reader.benchmark.asks(shard)
    due = reader.plan.system(system).gives
    found = {name: "ok" for name, asks in samples if asks in due}
    for node in reader.plan.predictions(system):
        table = reader.table(node, shard)
        columns = {} if table is None else table.select(["sample_id", "status"]).to_pydict()
        rows = dict(zip(columns.get("sample_id", ()), columns.get("status", ()), strict=True))
        for name, asks in samples:
            if asks in node.gives and found.get(name) == "ok":
                found[name] = rows.get(name, "missing")
    return found


def is_current(reader: RunReader, node: Node, shard: int, pieces: Sequence[pa.Table]) -> bool:
    """Whether rows were made from the answers that are there now; `pieces` as they are stored."""
    inputs: dict[str, Any] = {}
    for piece in pieces:
        inputs |= labels(piece).get("inputs", {})
    for key in node.upstream:
        above = reader.plan.nodes[key]
        heads = reader.heads(above)
        for index in range(shard * above.split, (shard + 1) * above.split):
            there = heads[index].sha256 if index in heads else ""
            place = f"{key}/{reader.plan.shard_name(above, index)}"
            if there not in (BROKEN, inputs.get(place)):
                return False
    return True


def with_prediction_statuses(table: pa.Table, statuses: Mapping[str, str]) -> pa.Table:
    """The rows with the statuses that the predictions have now."""
    words = [statuses[i] for i in table["sample_id"].to_pylist()]
    at = table.column_names.index("prediction_status")
    return table.set_column(at, "prediction_status", pa.array(words, pa.string()))


def missing_rows(reader: RunReader, system: str, node: Node, shard: int) -> pa.Table:
    """What stands for a shard that is not there: its samples, all `missing`."""
    table = reader.due(system, range(shard, shard + 1)).select(_SAMPLE)
    words = pa.array(["missing"] * len(table), pa.string())
    table = table.append_column("prediction_status", words).append_column("status", words)
    table = with_prediction_statuses(table, prediction_statuses(reader, system, shard))
    if stage_kind(node.stage).rows == VERDICTS:
        for column in (schemas.VERDICT.field(n) for n in ("view", "judge", "scores")):
            table = table.append_column(column, pa.nulls(len(table), column.type))
    return table


def note_reasons(table: pa.Table, found: Reasons) -> None:
    """Keep the first reason of every status that is not ok, by format and, of a judge, by view."""
    if "reason" not in table.column_names:
        return
    wanted = [n for n in ("format", "status", "view") if n in table.column_names]
    failed = table.select([*wanted, "reason"]).filter(pc.not_equal(table["status"], "ok"))
    told = failed.filter(pc.is_valid(failed["reason"]))
    kinds = np.zeros(len(told), np.int64)
    for name in wanted:
        words = pc.fill_null(told[name], "").combine_chunks().dictionary_encode()
        kinds = kinds * len(words.dictionary) + words.indices.to_numpy()
    _, first = np.unique(kinds, return_index=True)
    for row in told.take(pa.array(first)).to_pylist():
        slot = (row["format"], row["status"], row.get("view") or "")
        found.setdefault(slot, row["reason"][:_LETTERS])


def given_up(reader: RunReader) -> Mapping[str, str]:
    """Why groups of the run were given up, by group, when it last ran."""
    status = RunFolder(reader.objects, reader.plan.run_id).status()
    return status.failed if status else {}


def stopped_early(plan: Plan, failed: Mapping[str, str]) -> dict[str, str]:
    """Which systems a run has stopped early, and why; `failed` is why groups were given up."""
    return {
        system.name: failed[node.group]
        for system in plan.systems
        for node in plan.predictions(system.name)
        if failed.get(node.group, "").startswith(STOPPED)
    }


def why_no_row(plan: Plan, node: Node, failed: Mapping[str, str]) -> str:
    """Why rows of a node are not there: what was given up first on the way to them."""
    for key in node.upstream:
        above = plan.nodes[key]
        if above.group in failed:
            return f"{above.stage} was given up: {failed[above.group]}"[:_LETTERS]
    if node.group in failed:
        return f"{node.stage} was given up: {failed[node.group]}"[:_LETTERS]
    return NO_ROW


def why_no_value(plan: Plan, label: str, system: str, failed: Mapping[str, str]) -> str:
    """The same of a column, by the label of its metric or judge; of `judges` there is no node."""
    nodes = (n for n in plan.nodes.values() if n.label == label and system in n.systems)
    own = next(nodes, None)
    return NO_ROW if own is None else why_no_row(plan, own, failed)
