"""Results for other programs: Parquet, CSV, and the benchmark authors' JSONL with pictures.

Everything is written through a store, so a destination may be a directory or object storage.
File names are made here and never taken from data; CSV cells are never formulas.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from medgen.engine.data import Image, Prediction, Sample, Verdict, View
from medgen.engine.errors import ConfigError
from medgen.engine.results.columns import system_columns
from medgen.engine.results.statistics import bootstrap_mean
from medgen.engine.results.summary import random_labels, summarize, write_summary
from medgen.engine.results.thresholds import threshold
from medgen.engine.run.reader import RunReader
from medgen.engine.stages import SCORES, VERDICTS
from medgen.engine.store import schemas
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import SUMMARY
from medgen.engine.store.objects import Objects
from medgen.launch.report import authors
from medgen.launch.report.escaping import file_name, spreadsheet
from medgen.launch.report.tables import PLUMBING

# What the first bytes of a picture say it is; anything else keeps no usual ending.
_ENDINGS = (
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"),
)


def values_table(reader: RunReader, system: str) -> pa.Table:
    """One row a sample: what it is, what became of it, every value with its status beside it."""
    columns = list(system_columns(reader, system, ids=True))
    if not columns:
        return pa.table({"sample_id": pa.array([], pa.string())})
    context = columns[0].context
    arrays: dict[str, Any] = {"sample_id": context.ids}
    for name, coded in (
        ("format", context.format),
        ("task", context.task),
        ("modality", context.modality),
        ("source", context.source),
        ("prediction_status", context.prediction),
    ):
        if coded is not None:
            arrays[name] = _texts(coded.words, coded.codes)
    for column in columns:
        arrays[column.name] = pa.array(column.values, mask=np.isnan(column.values))
        arrays[f"{column.name}.status"] = _texts(column.status.words, column.status.codes)
    table = pa.table(arrays)
    return table.add_column(0, "system", pa.array([system] * len(table), pa.string()))


def _texts(words: Sequence[str], codes: Any) -> pa.Array:
    found = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(list(words)))
    return found.cast(pa.string())


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
    written = [_put(into, SUMMARY, write_summary(summarize(reader)))]
    for system in reader.plan.systems:
        data = write_summary(values_table(reader, system.name))
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


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return spreadsheet(value) if isinstance(value, str) else value


def _put(into: Objects, path: str, data: bytes) -> str:
    into.replace(path, data)
    return path


# ---- the authors' records ------------------------------------------------------------------


@dataclass
class _Totals:
    """Numbers of one file's records, for the aggregate beside it."""

    samples: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)
    groups: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    modes: dict[str, list[str]] = field(default_factory=dict)

    def add(self, made: Mapping[str, Any]) -> None:
        """Count one record in."""
        self.samples += 1
        numbers = authors.record_metrics(made)
        for name, value in numbers.items():
            self.values.setdefault(name, []).append(value)
        for kind, group in (("by_modality", "modality"), ("by_paper_task", "paper_task")):
            counts = self.counts.setdefault(kind, {})
            counts[made[group]] = counts.get(made[group], 0) + 1
            own = self.groups.setdefault(kind, {}).setdefault(made[group], {})
            for name, value in numbers.items():
                own.setdefault(name, []).append(value)
        for mode in authors.failure_modes(made):
            self.modes.setdefault(mode, []).append(made["sample_id"])


def export_authors(reader: RunReader, into: Objects) -> list[str]:
    """The authors' records: `vqa`, `edit` and `gen`, each with `<system>.jsonl` and its aggregate.

    A file is named after its system, because their statistics script takes a file's name for the
    model's. The benchmark's pictures are written once, under `images/`, and every system's under
    `outputs/<system>/`; paths in the records are relative to the destination. Returns the paths
    of records and aggregates.
    """
    for shard in range(reader.plan.shards):
        for sample in reader.benchmark.samples(shard):
            for images in _benchmark_images(sample).values():
                for path, image in images:
                    into.replace(path, image.data)
    written = []
    for system in reader.plan.systems:
        written += _export_system(reader, into, system.name)
    return written


def _export_system(reader: RunReader, into: Objects, system: str) -> list[str]:
    note = {"Note": PLUMBING} if any(random_labels(reader, system).values()) else {}
    lines: dict[str, list[str]] = {}
    totals: dict[str, _Totals] = {}
    for shard in range(reader.plan.shards):
        for made in _records(reader, into, system, shard):
            folder = authors.FOLDERS[made["paper_format"]]
            text = json.dumps(made, ensure_ascii=False, allow_nan=False)
            lines.setdefault(folder, []).append(text)
            totals.setdefault(folder, _Totals()).add(made)
    written = []
    for folder, rows in lines.items():
        stem = f"{folder}/{file_name(system)}"
        written.append(_put(into, f"{stem}.jsonl", ("\n".join(rows) + "\n").encode()))
        aggregate = _aggregate(reader, totals[folder]) | note
        found = json.dumps(aggregate, indent=1, allow_nan=False)
        written.append(_put(into, f"{stem}_results.json", found.encode()))
    return written


def _benchmark_images(sample: Sample) -> dict[str, list[tuple[str, Image]]]:
    """The sample's pictures by role, each with the name it is written under."""
    roles = {"input": sample.input_images, "reference": sample.reference_images}
    stem = f"images/{file_name(sample.id)}"
    return {
        role: [(f"{stem}-{role}-{at}.{_ending(x.data)}", x) for at, x in enumerate(images)]
        for role, images in roles.items()
    }


def _ending(data: bytes) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return next((ending for start, ending in _ENDINGS if data.startswith(start)), "bin")


def _records(reader: RunReader, into: Objects, system: str, shard: int) -> Iterator[dict[str, Any]]:
    formats = reader.plan.system(system).formats
    samples = [s for s in reader.benchmark.samples(shard) if s.format in formats]
    scores = _scores(reader, system, shard)
    verdicts = _verdicts(reader, system, shard)
    predictions = reader.predictions(system, shard)
    for sample, prediction in zip(samples, predictions, strict=True):
        shown = _benchmark_images(sample)
        files = {role: [path for path, _ in images] for role, images in shown.items()}
        files["output"] = _outputs(into, system, prediction)
        made = authors.record(sample, prediction, files) | scores.get(sample.id, {})
        yield made | verdicts.get(sample.id, {})


def _outputs(into: Objects, system: str, prediction: Prediction) -> list[str]:
    paths = []
    for at, image in enumerate(prediction.images):
        name = f"{file_name(prediction.sample_id)}-{at}.{_ending(image.data)}"
        paths.append(_put(into, f"outputs/{file_name(system)}/{name}", image.data))
    return paths


def _scores(reader: RunReader, system: str, shard: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for node in reader.plan.giving(system, SCORES):
        if (table := reader.table(node, shard)) is None:
            continue
        outputs = table.column_names[len(schemas.score_schema(()).names) :]
        for row in table.select(["sample_id", *outputs]).to_pylist():
            for output in outputs:
                name = node.label if len(outputs) == 1 else f"{node.label}.{output}"
                value = row[output]
                if value is not None and np.isfinite(value):
                    found.setdefault(row["sample_id"], {})[authors.metric_name(name)] = value
    return found


def _verdicts(reader: RunReader, system: str, shard: int) -> dict[str, dict[str, Any]]:
    """The judges' results by sample: the mean over repeats, then over judges, where all judged."""
    given: dict[tuple[str, View], dict[str, list[Verdict]]] = {}
    for node in reader.plan.giving(system, VERDICTS):
        if (table := reader.table(node, shard)) is None:
            continue
        for verdict in schemas.verdicts(table):
            judges = given.setdefault((verdict.sample_id, verdict.view), {})
            judges.setdefault(f"{node.label}/{verdict.judge}", []).append(verdict)
    found: dict[str, dict[str, Any]] = {}
    for (sample, view), judges in given.items():
        fine = [[v for v in verdicts if v.status == "ok"] for verdicts in judges.values()]
        if all(fine):
            result = authors.judge_result(_mean_scores(fine), fine[0][0].explanations)
            found.setdefault(sample, {})[authors.RESULTS[view]] = result
    return found


def _mean_scores(judges: Sequence[Sequence[Verdict]]) -> dict[str, float]:
    names = [n for n in judges[0][0].scores if all(n in v.scores for vs in judges for v in vs)]
    return {
        name: float(np.mean([np.mean([v.scores[name] for v in verdicts]) for verdicts in judges]))
        for name in names
    }


def _aggregate(reader: RunReader, totals: _Totals) -> dict[str, Any]:
    """Averages, deviations, intervals and pass rates by their names, with what they rest on."""
    marks = _marks(reader)
    found: dict[str, Any] = {"Sample_Count": totals.samples}
    for name, numbers in sorted(totals.values.items()):
        values = np.asarray(numbers, dtype=np.float64)
        interval = bootstrap_mean(values)
        found |= _moments(name, values)
        found[f"CI_Low_{name}"], found[f"CI_High_{name}"] = interval.low, interval.high
        found[f"Count_{name}"] = len(values)
        if name in marks and (passed := marks[name].passes(values)) is not None:
            found[f"{name}_Accuracy_Rate"] = passed / len(values)
    for kind, groups in sorted(totals.groups.items()):
        found[kind] = {
            group: {"Sample_Count": totals.counts[kind][group]}
            | {k: v for n, x in sorted(own.items()) for k, v in _moments(n, np.asarray(x)).items()}
            for group, own in sorted(groups.items())
        }
    found["failure_modes"] = {
        mode: {"count": len(ids), "samples": ids[:10]} for mode, ids in sorted(totals.modes.items())
    }
    return found


def _moments(name: str, values: Any) -> dict[str, float]:
    return {f"Average_{name}": float(np.mean(values)), f"Std_{name}": float(np.std(values))}


def _marks(reader: RunReader) -> dict[str, Any]:
    thresholds = reader.plan.thresholds
    marks = {authors.metric_name(name): threshold(thresholds, name) for name in thresholds}
    for suffix in authors.SUFFIXES.values():
        marks[f"VLM_Overall_Score_{suffix}"] = threshold(thresholds, authors.OVERALL)
    return marks
