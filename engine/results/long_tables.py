"""A run's rows as long tables for other programs: every row says whose it is and of what.

    values        one row for each system, sample and value; also where there is none
    predictions   one row for each system and sample
    verdicts      one row for each system, sample, view, judge, repeat and scale
    samples       one row for each sample of a benchmark

Columns are numbers, texts, structs and lists of structs: maps and dictionaries are what one
reader or another refuses. A sample's `position` is its place in the benchmark, from 0.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine.data import Prediction, Verdict
from medgen.engine.errors import CorruptError
from medgen.engine.plan.plan import Node
from medgen.engine.results.coded import Coded
from medgen.engine.results.columns import Column
from medgen.engine.results.gaps import NO_ROW, given_up, why_no_row, why_no_value
from medgen.engine.results.summary import random_labels
from medgen.engine.run.reader import RunReader
from medgen.engine.stages import VERDICTS
from medgen.engine.store import schemas
from medgen.engine.store.parquet import GROUP
from medgen.engine.store.sample_rows import samples
from medgen.engine.store.schemas import IMAGE, USAGE, columns, schema
from medgen.engine.store.shards import concat, labels

_TEXT, _COUNT, _NUMBER, _YES = pa.string(), pa.int64(), pa.float64(), pa.bool_()


def _list(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", kind))  # as Parquet calls it


_WHOSE = [*columns("run benchmark system"), ("control", _YES)]
_SAMPLE = [
    ("sample", _TEXT),
    ("position", _COUNT),
    *columns("format asks task subtask modality source bundle language"),
    ("groups", _list(pa.struct(columns("name value")))),
]
VALUES = schema(
    "values/1",
    [
        *_WHOSE,
        *_SAMPLE,
        # score or judge, the metric or judge as the plan calls it, its value, and the name to show
        *columns("stage label output metric"),
        ("value", _NUMBER),
        *columns("status reason direction"),  # higher, lower, or null
        ("threshold", _NUMBER),
        ("passed", _YES),
        ("prediction_status", _TEXT),
        ("random_weights", _YES),
    ],
)
PREDICTIONS = schema(
    "predictions/1",
    [
        *_WHOSE,
        *_SAMPLE,
        *columns("status reason text image_prompt"),
        ("image", IMAGE),  # the one that is scored
        ("more_images", _list(IMAGE)),
        *USAGE,
        ("details", _TEXT),  # JSON
        ("random_weights", _YES),
    ],
)
VERDICT_ROWS = schema(
    "verdicts/1",
    [
        *_WHOSE,
        *_SAMPLE,
        *columns("label judge view"),  # the judge as the plan calls it, and the model that judged
        ("repeat", _COUNT),
        ("scale", _TEXT),  # null: the verdict has no scores
        *columns("value expected", _NUMBER),
        *columns("explanation status reason raw protocol prompt_digest"),
        *USAGE,  # in the first row of a verdict, so that sums are right
        ("prediction_status", _TEXT),
        ("random_weights", _YES),
    ],
)
SAMPLES = schema(
    "samples/1",
    [
        ("benchmark", _TEXT),
        *_SAMPLE,
        ("instruction", _TEXT),
        ("choices", _list(_TEXT)),
        ("reference_text", _TEXT),
        ("images", _list(pa.struct([("role", _TEXT), ("bytes", pa.binary()), ("path", _TEXT)]))),
        ("raw", _TEXT),  # JSON
    ],
)
_BESIDE = {"label", "random_weights", *(name for name, _ in (*_WHOSE, *_SAMPLE))}
_ANSWERED = pa.schema([f for f in PREDICTIONS if f.name not in _BESIDE])
_JUDGED = pa.schema(
    [pa.field("sample", _TEXT), *(f for f in VERDICT_ROWS if f.name not in _BESIDE)]
)
_SLICE = 131_072  # values a row group: one metric's, so that readers skip those of others
_SHARDS = 64  # that are made at once, of small rows
_NOTHING = "the metric says nothing about this output here"


class Described:
    """What the samples of a run's benchmark are, as its index says."""

    def __init__(self, reader: RunReader) -> None:
        """Read the index."""
        self.reader = reader
        self._starts = reader.benchmark.starts
        index = reader.benchmark.index().slice(0, self._starts[reader.plan.shards])
        self._whole = describe(index, 0)

    def due(self, system: str, shards: range | None = None) -> pa.Table:
        """The samples that a system owes, all or of some shards, in the benchmark's order."""
        gives = pa.array(self.reader.plan.system(system).gives, _TEXT)
        samples = self._whole if shards is None else self._of(shards)
        owed = pc.is_in(samples["asks"], value_set=gives)
        return samples if pc.all(owed).as_py() else samples.filter(owed)  # no copy of millions

    def _of(self, shards: range) -> pa.Table:
        start, end = self._starts[shards.start], self._starts[shards.stop]
        return self._whole.slice(start, end - start)

    def of(self, shard: int, ids: pa.ChunkedArray) -> pa.Table:
        """Samples of a shard, one row for each of the ids.

        Raises:
            CorruptError: the shard has no such sample.
        """
        table = self._of(range(shard, shard + 1))
        places = pc.index_in(ids, table["sample"].combine_chunks())
        if places.null_count:
            raise CorruptError(f"shard {shard} has rows of samples that the benchmark has not")
        return table.take(places)


def describe(index: pa.Table, first: int) -> pa.Table:
    """What every table says of samples of the index, of which the first has that position."""
    place = pa.array(np.arange(first, first + len(index)), _COUNT)
    told = _columns(index) | {"sample": index["sample_id"], "position": place}
    return pa.table({name: told[name].cast(kind) for name, kind in _SAMPLE}, pa.schema(_SAMPLE))


def sample_tables(reader: RunReader, check: Callable[[], None]) -> Iterator[pa.Table]:
    """The benchmark's samples, a shard at a time (schema `samples/1`).

    `check` is called before each, and may raise.
    """
    index, starts = reader.benchmark.index(), reader.benchmark.starts
    for shard in range(len(starts) - 1):  # also those beyond a run's limit
        check()
        start, table = starts[shard], reader.benchmark.table(shard)
        made = {
            "benchmark": reader.plan.benchmark,
            **{name: table[name] for name in ("instruction", "choices", "raw")},
            "reference_text": _reference_texts(table),
            "images": _pictures(table),
        }
        yield _beside(describe(index.slice(start, len(table)), start), made, SAMPLES)


def _reference_texts(table: pa.Table) -> pa.Array:
    """The first text of each reference, or what it is in words; null: there is none."""
    texts = table["reference_texts"].combine_chunks()
    if pc.min(pc.list_value_length(texts)).as_py():
        return _first(texts)
    silent = pc.equal(pc.list_value_length(texts), 0)
    words = samples(table.filter(silent).drop_columns(["images"]))
    said = pa.array([sample.reference_text for sample in words], _TEXT)
    return pc.replace_with_mask(_first(texts), silent, said)


def _pictures(table: pa.Table) -> pa.Array:
    """The pictures of each sample, in every role, without what is said of their numbers."""
    images, kind = table["images"].combine_chunks(), SAMPLES.field("images").type
    shown, sizes = images.flatten(), pc.list_value_length(images).to_numpy()
    kept = [shown.field(field.name) for field in kind.value_type]
    whole = pa.StructArray.from_arrays(kept, fields=[*kind.value_type])
    offsets = pa.array(np.concatenate(([0], np.cumsum(sizes))).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, whole).cast(kind)


# ---- values --------------------------------------------------------------------------------


def value_tables(
    reader: RunReader, system: str, described: Described, columns: Iterable[Column]
) -> Iterator[pa.Table]:
    """A system's values, one metric after another (schema `values/1`).

    Args:
        reader: of the run.
        system: whose values.
        described: the benchmark's samples.
        columns: all of the system's, with ids.

    Raises:
        CorruptError: rows are damaged, or not those of the samples that the system owes.
    """
    due, random = described.due(system), random_labels(reader, system)
    whose, failed = _whose(reader, system), given_up(reader)
    for column in columns:
        assert column.context.ids is not None, "columns are read with their ids"
        if not column.context.ids.equals(due["sample"]):
            raise CorruptError(f"{column.label} of {system!r}: samples are not the benchmark's")
        mark = column.threshold(reader.plan.thresholds)
        passing = column.passing(reader.plan.thresholds)
        none = np.isnan(column.values)
        made: dict[str, Any] = {
            **whose,
            "stage": column.stage,
            "label": column.label,
            "output": column.output,
            "metric": column.name,
            "value": pa.array(column.values, mask=none),
            "status": column.status.texts(),
            "reason": reasons_of(column, why_no_value(reader.plan, column.label, system, failed)),
            "direction": mark.direction,
            "threshold": mark.value,
            "passed": None if passing is None else pa.array(passing, _YES, mask=none),
            "prediction_status": column.context.prediction.texts(),
            "random_weights": random["predictions"] or random.get(column.label, False),
        }
        for at in range(0, len(due), _SLICE):  # a single value in every row takes memory
            part = {name: _part(value, at) for name, value in made.items()}
            yield _beside(due.slice(at, _SLICE), part, VALUES)


def _part(value: Any, at: int) -> Any:
    return value.slice(at, _SLICE) if isinstance(value, pa.Array) else value


def reasons_of(column: Column, missing: str = NO_ROW) -> pa.Array:
    """Why each entry has no value; of one that has, what its row says to it, or null.

    Args:
        column: with its ids.
        missing: why there is no row, of entries without one.
    """
    assert column.reason is not None, "columns are read with their ids"
    silent = {"missing": missing, "not_applicable": _NOTHING}
    remarked = column.stage == "score"  # a judge's is that of a repeat that failed

    def say(status: str, reason: str) -> str:
        if status == "ok":
            return reason if remarked else ""
        return reason or silent.get(status, status)

    statuses, reasons = column.status.words, column.reason.words
    pairs = column.status.codes.astype(np.int64) * len(reasons) + column.reason.codes
    met, codes = np.unique(pairs, return_inverse=True)
    words = (say(statuses[at // len(reasons)], reasons[at % len(reasons)]) for at in met.tolist())
    return Coded(tuple(words), codes).texts()


# ---- predictions ---------------------------------------------------------------------------


def prediction_tables(reader: RunReader, system: str, described: Described) -> Iterator[pa.Table]:
    """A system's predictions, some benchmark shards at a time (schema `predictions/1`).

    Raises:
        CorruptError: rows are damaged, or not those of the samples that the system owes.
    """
    whose = _whose(reader, system)
    whose["random_weights"] = random_labels(reader, system)["predictions"]
    for shards, table in _rows_of_shards(reader, system):
        if table is None:
            joined = reader.predictions(system, shards.start)
            made = pa.Table.from_pylist([_prediction(row) for row in joined], _ANSWERED)
            ids = pa.chunked_array([pa.array([row.sample_id for row in joined], _TEXT)])
            of = described.of(shards.start, ids)
        else:
            of, made = described.due(system, shards), _answer_columns(table)
            if not table["sample_id"].equals(of["sample"]):
                raise CorruptError(f"answers of {system!r}: samples are not the benchmark's")
        yield _beside(of, whose | _columns(made), PREDICTIONS)


def _rows_of_shards(reader: RunReader, system: str) -> Iterator[tuple[range, pa.Table | None]]:
    """Rows of one model as they are stored, of so many shards that they make a row group.

    None stands for a single shard whose rows are to be joined of several models', or filled.
    """
    nodes, every = reader.plan.predictions(system), reader.plan.shards
    held: list[pa.Table] = []
    size = 0
    for shard in range(every):
        table = reader.table(nodes[0], shard) if len(nodes) == 1 else None
        if table is not None:
            held.append(schemas.check(table, schemas.PREDICTION, nodes[0].label))
            size += table.nbytes
        past = shard + (table is not None)
        if held and (past in (shard, every) or len(held) == _SHARDS or size >= GROUP):
            yield range(past - len(held), past), concat(held)
            held, size = [], 0
        if table is None:
            yield range(shard, shard + 1), None


def _answer_columns(table: pa.Table) -> pa.Table:
    told = _columns(table)
    told["reason"] = pc.if_else(pc.equal(told["reason"], ""), None, told["reason"])
    told["image"] = _first(told["images"].combine_chunks())
    told["more_images"] = pc.list_slice(told["images"], 1)
    return pa.table({field.name: told[field.name].cast(field.type) for field in _ANSWERED})


def _first(lists: pa.Array) -> pa.Array:
    """The first entry of each list; null: there is none."""
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    return lists.flatten().take(pa.array(np.cumsum(sizes) - sizes, mask=sizes == 0))


def _prediction(row: Prediction) -> dict[str, Any]:
    images = [{"bytes": i.data, "path": i.path} for i in row.images]
    return {
        "status": row.status,
        "reason": row.reason or None,
        "text": row.text,
        "image_prompt": row.image_prompt,
        "image": images[0] if images else None,
        "more_images": images[1:],
        **schemas.usage_row(row.usage),
        "details": schemas.dumps(row.details),
    }


# ---- verdicts ------------------------------------------------------------------------------


def verdict_tables(reader: RunReader, system: str, described: Described) -> Iterator[pa.Table]:
    """A system's verdicts, a benchmark shard of one judge at a time (schema `verdicts/1`).

    Raises:
        CorruptError: rows are damaged.
    """
    random, failed = random_labels(reader, system), given_up(reader)
    for node in reader.plan.giving(system, VERDICTS):
        whose = _whose(reader, system) | {"label": node.label}
        whose["random_weights"] = random["predictions"] or random[node.label]
        missing = why_no_row(reader.plan, node, failed)
        for shard in range(reader.plan.shards):
            rows = _verdict_rows(reader, node, shard)
            if rows is None:
                due = [name for name, asks in reader.benchmark.asks(shard) if asks in node.gives]
                rows = [{"sample": i, "status": "missing", "reason": missing} for i in due]
            made = pa.Table.from_pylist(rows, _JUDGED)
            of = described.of(shard, made["sample"])
            yield _beside(of, whose | _columns(made.drop_columns(["sample"])), VERDICT_ROWS)


def _verdict_rows(reader: RunReader, node: Node, shard: int) -> list[dict[str, Any]] | None:
    pieces = reader.pieces(node, shard)
    if pieces is None:
        return None
    rows = []
    for piece in pieces:
        record = reader.identity(node, labels(piece).get("identity", ""))
        passport = record.effective.passport if record else {}
        told = {n: _text(passport.get(f)) for n, f in _OF_PASSPORT.items()}
        statuses = piece["prediction_status"].to_pylist()
        for verdict, status in zip(schemas.verdicts(piece), statuses, strict=True):
            rows += [{**row, **told, "prediction_status": status} for row in _scales(verdict)]
    return rows


_OF_PASSPORT = {"protocol": "protocol", "prompt_digest": "prompt_hash"}


def _scales(verdict: Verdict) -> Iterator[dict[str, Any]]:
    """The rows of a verdict: one for each scale, one without any when it has no scores."""
    usage = schemas.usage_row(verdict.usage)
    for scale in verdict.scores or (None,):
        yield {
            "sample": verdict.sample_id,
            "judge": verdict.judge,
            "view": verdict.view,
            "repeat": verdict.repeat,
            "scale": scale,
            "value": verdict.scores.get(scale) if scale else None,
            "expected": verdict.expected.get(scale) if scale else None,
            "explanation": verdict.explanations.get(scale) if scale else None,
            "status": verdict.status,
            "reason": verdict.reason or None,
            "raw": verdict.raw,
            **usage,
        }
        usage = {}


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, sort_keys=True)


# ---- parts of all --------------------------------------------------------------------------


def _whose(reader: RunReader, system: str) -> dict[str, Any]:
    plan = reader.plan
    return {
        "run": plan.run_id,
        "benchmark": plan.benchmark,
        "system": system,
        "control": plan.system(system).control,
    }


def _columns(table: pa.Table) -> dict[str, Any]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _beside(samples: pa.Table, made: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """Rows of samples with further columns; a single value stands in every row."""
    size = len(samples)
    arrays: list[Any] = []
    for field in schema:
        value = samples[field.name] if field.name in samples.column_names else made[field.name]
        if not isinstance(value, pa.Array | pa.ChunkedArray):
            value = pa.repeat(pa.scalar(value, field.type), size)
        arrays.append(value)
    return pa.Table.from_arrays(arrays, schema=schema)
