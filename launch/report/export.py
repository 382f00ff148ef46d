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

from medgen.engine.errors import ConfigError
from medgen.engine.results.columns import Context, system_columns
from medgen.engine.results.long_tables import reasons_of
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
    columns = list(system_columns(reader, system, ids=True))
    reasons = {
        prediction.sample_id: prediction.reason
        for shard in range(reader.plan.shards)
        for prediction in reader.predictions(system, shard)
    }
    arrays = _description(columns[0].context) if columns else _samples(reader, system)
    ids = arrays["sample_id"].to_pylist()
    arrays["prediction_reason"] = pa.array([reasons[i] for i in ids], pa.string())
    for column in columns:
        arrays[column.name] = pa.array(column.values, mask=np.isnan(column.values))
        arrays[f"{column.name}.status"] = column.status.texts()
        arrays[f"{column.name}.reason"] = reasons_of(column).texts().fill_null("")
    table = pa.table(arrays)
    return table.add_column(0, "system", pa.array([system] * len(table), pa.string()))


def _description(context: Context) -> dict[str, Any]:
    """What each sample is, as a column's rows say it."""
    arrays: dict[str, Any] = {"sample_id": context.ids}
    for name, coded in (
        ("format", context.format),
        ("task", context.task),
        ("modality", context.modality),
        ("source", context.source),
        ("prediction_status", context.prediction),
    ):
        if coded is not None:
            arrays[name] = coded.texts().fill_null("")
    return arrays


def _samples(reader: RunReader, system: str) -> dict[str, Any]:
    """The same of a system that no metric and no judge looked at."""
    names = ("sample_id", "format", "task", "modality", "source", "prediction_status")
    rows: list[tuple[str, ...]] = []
    gives = reader.plan.system(system).gives
    for shard in range(reader.plan.shards):
        samples = [s for s in reader.benchmark.samples(shard) if s.asks in gives]
        for s, p in zip(samples, reader.predictions(system, shard), strict=True):
            rows.append((s.id, s.format, s.task, s.modality, s.source, p.status))
    return {name: pa.array([r[at] for r in rows], pa.string()) for at, name in enumerate(names)}


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
