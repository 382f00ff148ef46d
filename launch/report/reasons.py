"""The reason beside each status, sample by sample: why there is no value, or how to read it."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine.results.columns import Column
from medgen.engine.run.reader import RunReader
from medgen.engine.stages import SCORES, VERDICTS

_SILENT = {
    "missing": "there is no row in the store",
    "not_applicable": "the metric says nothing about this output here",
}


class Reasons:
    """The reasons of one system's rows, by sample id."""

    def __init__(self, reader: RunReader, system: str) -> None:
        """Read every row of the system once; only reasons are kept."""
        self.predictions: dict[str, str] = {}
        self._given: dict[tuple[str, str], dict[str, str]] = {}  # (metric, "") or (judge, view)
        self._remarks: dict[str, dict[str, str]] = {}  # of a metric's rows that are ok
        plan = reader.plan
        nodes = [*plan.giving(system, SCORES), *plan.giving(system, VERDICTS)]
        self._judges = [node.label for node in plan.giving(system, VERDICTS)]
        for shard in range(plan.shards):
            for prediction in reader.predictions(system, shard):
                self.predictions[prediction.sample_id] = prediction.reason
            for node in nodes:
                if (table := reader.table(node, shard)) is not None:
                    self._add(node.label, table)

    def _add(self, label: str, table: pa.Table) -> None:
        wanted = [n for n in ("sample_id", "reason", "view") if n in table.column_names]
        ok = pc.equal(table["status"], "ok")
        for row in table.select(wanted).filter(pc.invert(ok)).to_pylist():
            self._given.setdefault((label, row.get("view", "")), {}).setdefault(
                row["sample_id"], row["reason"]
            )
        if "view" not in wanted:
            said = pc.and_(ok, pc.not_equal(table["reason"], ""))
            for row in table.select(wanted).filter(said).to_pylist():
                self._remarks.setdefault(label, {})[row["sample_id"]] = row["reason"]

    def of(self, column: Column) -> list[str]:
        """The reason of every entry of a column; of most that are ok it is empty."""
        known = self._known(column)
        remarks = self._remarks.get(column.label, {}) if column.stage == "score" else {}
        words, codes = column.status.words, column.status.codes
        assert column.context.ids is not None, "columns are read with their ids"
        return [
            remarks.get(sample, "")
            if words[code] == "ok"
            else known.get(sample) or _SILENT.get(words[code], "")
            for sample, code in zip(column.context.ids.to_pylist(), codes, strict=True)
        ]

    def _known(self, column: Column) -> Mapping[str, str]:
        view = column.output.rpartition("/")[2] if column.stage == "judge" else ""
        labels = self._judges if (column.label, view) not in self._given and view else []
        found: dict[str, str] = {}
        for label in [column.label, *labels]:
            found = self._given.get((label, view), {}) | found
        return found
