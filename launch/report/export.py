"""Results for other programs: Parquet, CSV, and the benchmark authors' JSONL with pictures.

Everything is written through a store, so a destination may be a directory or object storage.
File names are made here and never taken from data; CSV cells are never formulas.
"""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine.errors import ConfigError
from medgen.engine.results.columns import More, system_columns
from medgen.engine.results.long_tables import Described, reasons_of
from medgen.engine.results.summary import summarize
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import SUMMARY
from medgen.engine.store.objects import Objects
from medgen.engine.store.parquet import parquet_bytes
from medgen.launch.report.escaping import file_name, spreadsheet
from medgen.launch.report.records import export_authors


def values_table(reader: RunReader, system: str) -> pa.Table:
    """One row a sample: what it is, what became of it, every value, its status and the reason."""
    shards = range(reader.plan.shards)
    due = Described(reader).due(system, shards)
    made = [row for shard in shards for row in reader.predictions(system, shard)]
    arrays: dict[str, Any] = {"sample_id": due["sample"]}
    for name in ("format", "task", "modality", "source"):
        arrays[name] = pc.fill_null(due[name], "")
    arrays["prediction_status"] = pa.array([row.status for row in made], pa.string())
    arrays["prediction_reason"] = pa.array([row.reason for row in made], pa.string())
    for column in system_columns(reader, system, More(reasons=True)):
        arrays[column.name] = pa.array(column.values, mask=np.isnan(column.values))
        arrays[f"{column.name}.status"] = column.status.texts()
        arrays[f"{column.name}.reason"] = pc.fill_null(reasons_of(column), "")
    table = pa.table(arrays)
    return table.add_column(0, "system", pa.array([system] * len(table), pa.string()))


def export_run(reader: RunReader, kind: str, to: Path) -> list[str]:
    """Write a run as `parquet`, `csv` or the authors' `jsonl` under a directory; returns the paths.

    Raises:
        ConfigError: there is no such kind.
        StoreError: rows cannot be read, or nothing can be written there.
    """
    writers = {"parquet": export_parquet, "csv": export_csv, "jsonl": export_authors}
    if kind not in writers:
        raise ConfigError(f"cannot export as {kind!r}; there are {', '.join(writers)}")
    return [str(to / path) for path in writers[kind](reader, connect(str(to)))]


def export_parquet(reader: RunReader, into: Objects) -> list[str]:
    """`summary.parquet` and `values/<system>.parquet`; returns the paths written."""
    written = [_put(into, SUMMARY, parquet_bytes(summarize(reader)))]
    for system in reader.plan.systems:
        data = parquet_bytes(values_table(reader, system.name))
        written.append(_put(into, f"values/{file_name(system.name)}.parquet", data))
    return written


def export_csv(reader: RunReader, into: Objects) -> list[str]:
    """`summary.csv` and `values/<system>.csv`; returns the paths written."""
    written = [_put(into, "summary.csv", csv_bytes(summarize(reader)))]
    for system in reader.plan.systems:
        data = csv_bytes(values_table(reader, system.name))
        written.append(_put(into, f"values/{file_name(system.name)}.csv", data))
    return written


def csv_bytes(table: pa.Table) -> bytes:
    """A table as CSV (RFC 4180, UTF-8); text that a spreadsheet would compute gets a quote mark."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow([spreadsheet(name) for name in table.column_names])
    for batch in table.to_batches(max_chunksize=4096):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            writer.writerow([_cell(value) for value in row])
    return sink.getvalue().encode()


def _cell(value: object) -> object:
    if value is None:
        return ""
    return spreadsheet(value) if isinstance(value, str) else value


def _put(into: Objects, path: str, data: bytes) -> str:
    into.replace(path, data)
    return path
