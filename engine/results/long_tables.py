"""A run's rows as long tables for other programs: every row says whose it is and of what.

    values        one row for each system, sample and value; also where there is none
    predictions   one row for each system and sample
    verdicts      one row for each system, sample, view, judge, repeat and scale

What they say of a sample, and why of such columns, is told in `medgen.engine.benchmark.table`.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medgen.engine.benchmark.table import (
    DESCRIBED,
    beside,
    by_name,
    describe,
    first_of,
    list_of,
)
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
from medgen.engine.store.schemas import IMAGE, USAGE, columns, schema
from medgen.engine.store.shards import concat, labels

_TEXT, _COUNT, _NUMBER, _YES = pa.string(), pa.int64(), pa.float64(), pa.bool_()


_WHOSE = [*columns("run benchmark system"), ("control", _YES)]
VALUES = schema(
    "values/1",
    [
        *_WHOSE,
        *DESCRIBED,
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
        *DESCRIBED,
        *columns("status reason text image_prompt"),
        ("image", IMAGE),  # the one that is scored
        ("more_images", list_of(IMAGE)),
        *USAGE,
        ("details", _TEXT),  # JSON
        ("random_weights", _YES),
    ],
)
VERDICT_ROWS = schema(
    "verdicts/1",
    [
        *_WHOSE,
        *DESCRIBED,
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
_BESIDE = {"label", "random_weights", *(name for name, _ in (*_WHOSE, *DESCRIBED))}
_ANSWERED = pa.schema([f for f in PREDICTIONS if f.name not in _BESIDE])
_JUDGED = pa.schema(
    [pa.field("sample", _TEXT), *(f for f in VERDICT_ROWS if f.name not in _BESIDE)]
)
_SHARDS = 64  # that are made at once, of small rows
_NOTHING = "the metric says nothing about this output here"


class Described:
    """What the samples of a run's benchmark are, as its index says, some thousands at a time."""

    def __init__(self, reader: RunReader) -> None:
        """Reads nothing yet."""
        self.reader, self._starts = reader, reader.benchmark.starts

    def due(self, system: str, shards: range) -> pa.Table:
        """The samples of some shards that a system owes, in the benchmark's order."""
        index = self.reader.benchmark.index(shards)
        return self._only_due(system, describe(index, self._starts[shards.start]))

    def due_parts(self, system: str) -> Iterator[pa.Table]:
        """All that a system owes."""
        start = 0
        for part in self.reader.benchmark.index_parts(self.reader.plan.shards):
            yield self._only_due(system, describe(part, start))
            start += len(part)

    def _only_due(self, system: str, samples: pa.Table) -> pa.Table:
        gives = pa.array(self.reader.plan.system(system).gives, _TEXT)
        return samples.filter(pc.is_in(samples["asks"], value_set=gives))

    def of(self, shard: int, ids: pa.ChunkedArray) -> pa.Table:
        """Samples of a shard, one row for each of the ids.

        Raises:
            CorruptError: the shard has no such sample.
        """
        index = self.reader.benchmark.index(range(shard, shard + 1))
        places = pc.index_in(ids, index["sample_id"].combine_chunks())
        if places.null_count:
            raise CorruptError(f"shard {shard} has rows of samples that the benchmark has not")
        return describe(index, self._starts[shard]).take(places)


# ---- values --------------------------------------------------------------------------------


def value_tables(
    reader: RunReader, system: str, described: Described, columns: Iterable[Column]
) -> Iterator[pa.Table]:
    """A system's values, one metric after another (schema `values/1`).

    Args:
        reader: of the run.
        system: whose values.
        described: the benchmark's samples.
        columns: all of the system's, with reasons.

    Raises:
        CorruptError: rows are damaged, or not as many as the index says.
    """
    whose, failed = _whose(reader, system), given_up(reader)
    random = random_labels(reader, system)
    for column in columns:
        made = whose | _of_column(reader, column)
        made["random_weights"] = random["predictions"] or random.get(column.label, False)
        missing = why_no_value(reader.plan, column.label, column.system, failed)
        passing = column.passing(reader.plan.thresholds)
        at = 0
        for due in described.due_parts(system):
            rows = slice(at, at + len(due))
            part = _of_entries(column, rows, None if passing is None else passing[rows])
            part["reason"] = reasons_of(column, missing, rows)
            yield beside(due, made | part, VALUES)
            at += len(due)
        if at != len(column.values):
            raise CorruptError(f"{column.label} of {system!r}: the benchmark has {at} of its rows")


def _of_column(reader: RunReader, column: Column) -> dict[str, Any]:
    """What the table says of a column, in each of its rows."""
    mark = column.threshold(reader.plan.thresholds)
    return {
        "stage": column.stage,
        "label": column.label,
        "output": column.output,
        "metric": column.name,
        "direction": mark.direction,
        "threshold": mark.value,
    }


def _of_entries(
    column: Column, rows: slice, passing: NDArray[np.bool_] | None
) -> dict[str, pa.Array | None]:
    """What it says of some entries."""
    values = column.values[rows]
    none = np.isnan(values)
    return {
        "value": pa.array(values, mask=none),
        "status": column.status.part(rows).texts(),
        "passed": None if passing is None else pa.array(passing, _YES, mask=none),
        "prediction_status": column.context.prediction.part(rows).texts(),
    }


def reasons_of(column: Column, missing: str = NO_ROW, rows: slice = slice(None)) -> pa.Array:
    """Why some entries have no value; of one that has, what its row says to it, or null.

    Args:
        column: with its reasons.
        missing: why there is no row, of entries without one.
        rows: of which entries.
    """
    assert column.reason is not None, "columns are read with their reasons"
    silent = {"missing": missing, "not_applicable": _NOTHING}
    remarked = column.stage == "score"  # a judge's is that of a repeat that failed

    def say(status: str, reason: str) -> str:
        if status == "ok":
            return reason if remarked else ""
        return reason or silent.get(status, status)

    statuses, reasons = column.status.part(rows), column.reason.part(rows)
    count = len(reasons.words)
    met, codes = np.unique(
        statuses.codes.astype(np.int64) * count + reasons.codes, return_inverse=True
    )
    words = (say(statuses.words[n // count], reasons.words[n % count]) for n in met.tolist())
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
        yield beside(of, whose | by_name(made), PREDICTIONS)


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
    told = by_name(table)
    told["reason"] = pc.if_else(pc.equal(told["reason"], ""), None, told["reason"])
    told["image"] = first_of(told["images"].combine_chunks())
    told["more_images"] = pc.list_slice(told["images"], 1)
    return pa.table({field.name: told[field.name].cast(field.type) for field in _ANSWERED})


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
            yield beside(of, whose | by_name(made.drop_columns(["sample"])), VERDICT_ROWS)


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
