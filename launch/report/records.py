"""The benchmark authors' records of a run: JSONL with pictures, and an aggregate beside each file.

Every value that a metric declares is in its records, under the authors' name where they know it;
a value that is not there is null, and `value_status` says why.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from medgen.engine.data import Image, Prediction, Sample, Verdict, View, form_of
from medgen.engine.errors import ConfigError
from medgen.engine.plan.plan import Node
from medgen.engine.results.statistics import Floats, bootstrap_mean
from medgen.engine.results.summary import random_labels
from medgen.engine.results.thresholds import Threshold, threshold
from medgen.engine.run.reader import RunReader
from medgen.engine.stages import SCORES, VERDICTS
from medgen.engine.store import schemas
from medgen.engine.store.objects import Objects
from medgen.launch.report import authors
from medgen.launch.report.escaping import file_name
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


@dataclass
class _Totals:
    """Numbers of one file's records, for the aggregate beside it."""

    samples: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)
    groups: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    modes: dict[str, list[str]] = field(default_factory=dict)
    statuses: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, made: Mapping[str, Any], own: Sequence[str]) -> None:
        """Count one record in; `own` are values that the authors do not know."""
        self.samples += 1
        numbers = authors.record_metrics(made, own)
        for name, value in numbers.items():
            self.values.setdefault(name, []).append(value)
        for kind, group in (("by_modality", "modality"), ("by_paper_task", "paper_task")):
            counts = self.counts.setdefault(kind, {})
            of: str = made[group]
            counts[of] = counts.get(of, 0) + 1
            part = self.groups.setdefault(kind, {}).setdefault(of, {})
            for name, value in numbers.items():
                part.setdefault(name, []).append(value)
        for mode in authors.failure_modes(made):
            self.modes.setdefault(mode, []).append(made["sample_id"])
        for name, why in made[authors.STATUSES].items():
            if why["status"] != "ok":
                self.statuses.setdefault(name, Counter())[why["status"]] += 1


@dataclass(frozen=True, slots=True)
class _Values:
    """What a system's records hold: the name of each value, and those the authors do not know."""

    names: Mapping[tuple[str, str], str]

    @property
    def own(self) -> list[str]:
        return [name for name in self.names.values() if name not in authors.METRICS]

    def of(self, label: str) -> dict[str, str]:
        """The names of a metric's values by output."""
        return {output: name for (of, output), name in self.names.items() if of == label}


def export_authors(reader: RunReader, into: Objects) -> list[str]:
    """The authors' records: `vqa`, `edit` and `gen`, each with `<system>.jsonl` and its aggregate.

    A file is named after its system, because their statistics script takes a file's name for the
    model's. The benchmark's pictures are written once, under `images/`, and every system's under
    `outputs/<system>/`; paths in the records are relative to the destination. A format that the
    system owes has its files even when it holds no record. Returns the paths of records and
    aggregates.

    Raises:
        ConfigError: the benchmark asks for what these records have no place for.
    """
    _refuse_others(reader)
    for shard in range(reader.plan.shards):
        for sample in reader.benchmark.samples(shard):
            for images in _benchmark_images(sample).values():
                for path, image in images:
                    into.replace(path, image.data)
    written = []
    for system in reader.plan.answering:
        written += _export_system(reader, into, system.name)
    return written


def _refuse_others(reader: RunReader) -> None:
    formats = reader.benchmark.manifest.formats
    if others := [name for name in formats if name not in authors.CATEGORIES]:
        raise ConfigError(
            f"the records of MedGEN-Bench's authors have no place for {', '.join(others)}; "
            "export Parquet or CSV"
        )


def unknown_values(reader: RunReader) -> list[str]:
    """The names of values that are in the records and that the authors' scripts do not read."""
    found = [_values(reader, system.name).own for system in reader.plan.answering]
    return sorted({name for own in found for name in own})


def _values(reader: RunReader, system: str) -> _Values:
    declared = [
        d for node in reader.plan.giving(system, SCORES) for d in _declarations(reader, node)
    ]
    return _Values(authors.value_names(declared))


def _declarations(reader: RunReader, node: Node) -> list[authors.Declared]:
    """The values of a metric, from the passport of what ran; one of its name when nothing ran."""
    held = reader.identities(node)
    passport: Mapping[str, Any] = held[0].passport if held else {}
    outputs, profile = passport.get("outputs"), str(passport.get("profile", ""))
    return [
        authors.Declared(node.label, output["name"], output.get("authors", ""), profile)
        for output in outputs or [{"name": node.label}]
    ]


def _export_system(reader: RunReader, into: Objects, system: str) -> list[str]:
    note = {"Note": PLUMBING} if any(random_labels(reader, system).values()) else {}
    values = _values(reader, system)
    forms = {form_of(asks) for asks in reader.plan.system(system).gives}
    folders = [folder for form, folder in authors.FOLDERS_BY_FORM.items() if form in forms]
    lines: dict[str, list[str]] = {folder: [] for folder in folders}
    totals = {folder: _Totals() for folder in folders}
    for made in _in_order(reader, into, system, values):
        folder = authors.FOLDERS[made["paper_format"]]
        lines[folder].append(f"{json.dumps(made, ensure_ascii=False, allow_nan=False)}\n")
        totals[folder].add(made, values.own)
    if values.own:
        note["Unknown_To_Authors"] = ", ".join(values.own)
    marks = _marks(reader, values)
    written = []
    for folder, rows in lines.items():
        stem = f"{folder}/{file_name(system)}"
        aggregate = json.dumps(_aggregate(marks, totals[folder]) | note, indent=1, allow_nan=False)
        for path, text in ((f"{stem}.jsonl", "".join(rows)), (f"{stem}_results.json", aggregate)):
            into.replace(path, text.encode())
            written.append(path)
    return written


def _in_order(
    reader: RunReader, into: Objects, system: str, values: _Values
) -> list[dict[str, Any]]:
    """A system's records in the source's order, as the authors' evaluator has them.

    Their bootstrap draws items by place, so their intervals depend on it. Where nobody knows the
    order (docs/results.md) it is that of the shards.
    """
    made = [
        record
        for shard in range(reader.plan.shards)
        for record in _records(reader, into, system, shard, values)
    ]
    gives = reader.plan.system(system).gives
    places = reader.benchmark.places(gives, reader.plan.shards)
    if places is None:
        return made
    return [made[at] for at in np.argsort(places, kind="stable")]


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


def _records(
    reader: RunReader, into: Objects, system: str, shard: int, values: _Values
) -> Iterator[dict[str, Any]]:
    gives = reader.plan.system(system).gives
    samples = [s for s in reader.benchmark.samples(shard) if s.asks in gives]
    found = _Found({s.id: {} for s in samples}, {s.id: {} for s in samples})
    for node in reader.plan.giving(system, SCORES):
        _add_scores(found, reader.table(node, shard), values.of(node.label))
    _add_verdicts(found, reader, system, shard)
    predictions = reader.predictions(system, shard)
    for sample, prediction in zip(samples, predictions, strict=True):
        shown = _benchmark_images(sample)
        files = {role: [path for path, _ in images] for role, images in shown.items()}
        files["output"] = _outputs(into, system, prediction)
        made = authors.record(sample, prediction, files) | found.values[sample.id]
        yield made | {authors.STATUSES: found.statuses[sample.id]}


def _outputs(into: Objects, system: str, prediction: Prediction) -> list[str]:
    paths = []
    for at, image in enumerate(prediction.images):
        name = f"{file_name(prediction.sample_id)}-{at}.{_ending(image.data)}"
        paths.append(f"outputs/{file_name(system)}/{name}")
        into.replace(paths[-1], image.data)
    return paths


@dataclass(frozen=True, slots=True)
class _Found:
    """By sample: the values by name, null where there is none, and the reasons that rows give."""

    values: dict[str, dict[str, Any]]
    statuses: dict[str, dict[str, dict[str, str]]]

    def lack(self, sample: str, name: str, status: str, reason: str) -> None:
        """Note a value that is not there."""
        self.values[sample][name] = None
        self.statuses[sample][name] = {"status": status, "reason": reason}


def _add_scores(found: _Found, table: pa.Table | None, names: Mapping[str, str]) -> None:
    if table is None:
        for sample in found.values:
            for name in names.values():
                found.lack(sample, name, "missing", "the metric has no row")
        return
    have = set(table.column_names)
    columns = [output for output in names if output in have]
    for row in table.select(["sample_id", "status", "reason", *columns]).to_pylist():
        for output, name in names.items():
            value: float | None = row.get(output)
            if value is not None and np.isfinite(value):
                found.values[row["sample_id"]][name] = value
                if row["reason"]:
                    found.statuses[row["sample_id"]][name] = {
                        "status": "ok",
                        "reason": row["reason"],
                    }
            else:
                found.lack(row["sample_id"], name, *_why(row, value))


def _why(row: Mapping[str, Any], value: float | None) -> tuple[str, str]:
    """Status and reason of a value that is not there, in a row that may be ok for others."""
    if row["status"] != "ok":
        return row["status"], row["reason"]
    if value is None:
        return "not_applicable", "the metric says nothing about this output here"
    return "error", f"not a finite number: {value}"


def _add_verdicts(found: _Found, reader: RunReader, system: str, shard: int) -> None:
    """The judges' results: the mean over repeats, then over judges, where all judged."""
    nodes = reader.plan.giving(system, VERDICTS)
    tables = [(node, reader.table(node, shard)) for node in nodes]
    given: dict[tuple[str, View], dict[str, list[Verdict]]] = {
        (sample, view): {} for sample in found.values for view in authors.RESULTS if nodes
    }
    for node, table in tables:
        for verdict in schemas.verdicts(table) if table is not None else ():
            judges = given[verdict.sample_id, verdict.view]
            judges.setdefault(f"{node.label}/{verdict.judge}", []).append(verdict)
    lacking = [node.label for node, table in tables if table is None]
    for (sample, view), judges in given.items():
        fine = [[v for v in verdicts if v.status == "ok"] for verdicts in judges.values()]
        if judges and all(fine) and not lacking:
            result = authors.judge_result(_mean_scores(fine), fine[0][0].explanations)
            found.values[sample][authors.RESULTS[view]] = result
            continue
        failed = next((vs for vs in judges.values() if all(v.status != "ok" for v in vs)), [])
        status = failed[0].status if failed else "missing"
        reason = failed[0].reason if failed else f"no verdict of {', '.join(lacking) or 'a judge'}"
        found.statuses[sample][authors.RESULTS[view]] = {"status": status, "reason": reason}


def _mean_scores(judges: Sequence[Sequence[Verdict]]) -> dict[str, float]:
    names = [n for n in judges[0][0].scores if all(n in v.scores for vs in judges for v in vs)]
    return {
        name: float(np.mean([np.mean([v.scores[name] for v in verdicts]) for verdicts in judges]))
        for name in names
    }


def _aggregate(marks: Mapping[str, Threshold], totals: _Totals) -> dict[str, Any]:
    """Averages, deviations, intervals and pass rates by their names, with what they rest on."""
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
    found[authors.STATUSES] = {
        name: dict(sorted(counts.items())) for name, counts in sorted(totals.statuses.items())
    }
    return found


def _moments(name: str, values: Sequence[float] | Floats) -> dict[str, float]:
    return {f"Average_{name}": float(np.mean(values)), f"Std_{name}": float(np.std(values))}


def _marks(reader: RunReader, values: _Values) -> dict[str, Threshold]:
    thresholds = reader.plan.thresholds
    marks = {
        name: threshold(thresholds, f"{label}.{output}", label, output)
        for (label, output), name in values.names.items()
    }
    for suffix in authors.SUFFIXES.values():
        marks[f"VLM_Overall_Score_{suffix}"] = threshold(thresholds, authors.OVERALL)
    return marks
