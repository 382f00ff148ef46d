"""Arrow schemas, and the way from nouns to rows and back.

A schema is a contract: its name and version stand in the metadata, and a table of another
version is refused by name, never read by guess.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import pyarrow as pa

from medgen.engine.data import Image, Prediction, Sample, Score, Usage, Verdict
from medgen.engine.errors import CorruptError

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_VALUES = pa.map_(pa.string(), pa.float64())
_TEXT = pa.string()


def columns(names: str, kind: pa.DataType = _TEXT) -> list[tuple[str, pa.DataType]]:
    """Columns of one kind, by their names with blanks between."""
    return [(name, kind) for name in names.split()]


def schema(name: str, columns: Sequence[tuple[str, pa.DataType]]) -> pa.Schema:
    """A schema that says its name and version."""
    return pa.schema(columns, metadata={"medgen.schema": name})


USAGE = [
    *columns("prompt_tokens completion_tokens cached_tokens", pa.int64()),
    *columns("seconds cost_usd", pa.float64()),
    ("finish_reason", _TEXT),
]
GROUPS = pa.list_(pa.struct(columns("name value")))
_LEVELS = pa.struct(
    [
        *columns("slope intercept", pa.float64()),
        ("unit", _TEXT),
        *columns("low high", pa.float64()),
    ]
)
_SHOWN = pa.struct(
    [("role", _TEXT), ("bytes", pa.binary()), *columns("path label place"), ("values", _LEVELS)]
)
_TURN = pa.struct([("role", _TEXT), ("text", _TEXT), ("images", pa.list_(_SHOWN))])
_BOX = pa.struct([("image", pa.int64()), *columns("x0 y0 x1 y1", pa.float64())])
SAMPLE = schema(
    "sample/2",
    [
        *columns("sample_id asks task subtask modality context"),
        ("turns", pa.list_(_TURN)),
        ("instruction", _TEXT),
        ("choices", pa.list_(_TEXT)),
        ("images", pa.list_(_SHOWN)),
        ("reference_texts", pa.list_(_TEXT)),
        ("reference_sections", pa.list_(pa.struct(columns("name text")))),
        ("reference_choices", pa.list_(pa.int64())),
        ("reference_number", pa.struct([("value", pa.float64()), ("unit", _TEXT)])),
        ("reference_boxes", pa.list_(_BOX)),
        *columns("rubric bundle source"),
        ("groups", GROUPS),
        *columns("language raw"),  # what is raw is JSON
    ],
)
PREDICTION = schema(
    "prediction/1",
    [
        *columns("sample_id status reason text image_prompt"),
        ("images", pa.list_(IMAGE)),
        ("details", _TEXT),  # JSON
        *USAGE,
    ],
)
# What a reader groups by, beside every score and verdict, so that no picture is read for a table.
_CONTEXT = [
    *columns("sample_id format task modality source bundle language"),
    ("groups", GROUPS),
    ("prediction_status", _TEXT),
]
VERDICT = schema(
    "verdict/2",
    [
        *_CONTEXT,
        *columns("view judge"),
        ("repeat", pa.int64()),
        *columns("status reason"),
        *columns("scores expected", _VALUES),
        ("explanations", pa.map_(_TEXT, _TEXT)),
        ("raw", _TEXT),
        *USAGE,
    ],
)


def score_schema(outputs: Sequence[str]) -> pa.Schema:
    """The schema of one metric: a status and a reason, then one nullable column an output."""
    values = [(name, pa.float64()) for name in outputs]
    return schema("score/2", [*_CONTEXT, *columns("status reason"), *values])


def check(table: pa.Table, schema: pa.Schema, name: str) -> pa.Table:
    """The table, when it keeps the contract.

    Raises:
        CorruptError: it has another version or other columns; both are printed.
    """
    want = (schema.metadata or {})[b"medgen.schema"].decode()
    check_name(table, want, name)
    if not table.schema.equals(schema):
        raise CorruptError(f"{name} breaks schema {want}: {table.schema} is not {schema}")
    return table


def check_name(table: pa.Table, want: str, name: str) -> None:
    """Refuse a table that says it keeps another contract.

    Raises:
        CorruptError: it has another version; both are printed.
    """
    have = (table.schema.metadata or {}).get(b"medgen.schema", b"none").decode("utf-8", "replace")
    if have != want:
        raise CorruptError(f"{name} holds schema {have}, this version reads {want}")


def prediction_table(predictions_: Iterable[Prediction]) -> pa.Table:
    """Predictions as rows, images embedded."""
    given = list(predictions_)
    return pa.table(
        {
            "sample_id": [p.sample_id for p in given],
            "status": [p.status for p in given],
            "reason": [p.reason for p in given],
            "text": [p.text for p in given],
            "image_prompt": [p.image_prompt for p in given],
            "images": [_image_rows(p.images) for p in given],
            "details": [dumps(p.details) for p in given],
            **{name: [getattr(p.usage, name) for p in given] for name, _ in USAGE},
        },
        PREDICTION,
    )


def predictions(table: pa.Table) -> list[Prediction]:
    """Rows back as predictions."""
    of = table.to_pydict()
    columns = {
        **of,
        "reason": [reason or "" for reason in of["reason"]],
        "images": [_images(rows) for rows in of["images"]],
        "usage": list(map(Usage, *(of[field.name] for field in fields(Usage)))),
        "details": [loads(text) for text in of["details"]],
    }
    return list(map(Prediction, *(columns[field.name] for field in fields(Prediction))))


Context = Mapping[str, Mapping[str, Any]]


def context(samples_: Iterable[Sample], predictions_: Iterable[Prediction]) -> Context:
    """The grouping columns by sample id."""
    return {
        s.id: {
            "sample_id": s.id,
            "format": s.format,
            "task": s.task,
            "modality": s.modality,
            "source": s.source,
            "bundle": s.bundle,
            "language": s.language,
            "groups": pairs(s.groups),
            "prediction_status": p.status,
        }
        for s, p in zip(samples_, predictions_, strict=True)
    }


def score_table(scores: Iterable[Score], outputs: Sequence[str], of: Context) -> pa.Table:
    """Scores of one metric as rows; a value that was not given is null, never 0."""
    given = list(scores)
    contexts = [of[s.sample_id] for s in given]
    return pa.table(
        {
            **{name: [row[name] for row in contexts] for name, _ in _CONTEXT},
            "status": [s.status for s in given],
            "reason": [s.reason for s in given],
            **{name: [s.values.get(name) for s in given] for name in outputs},
        },
        score_schema(outputs),
    )


def verdict_table(verdicts_: Iterable[Verdict], of: Context) -> pa.Table:
    """Verdicts as rows."""
    rows = [
        {
            **of[v.sample_id],
            "view": v.view,
            "judge": v.judge,
            "repeat": v.repeat,
            "status": v.status,
            "reason": v.reason,
            "scores": list(v.scores.items()),
            "expected": list(v.expected.items()),
            "explanations": list(v.explanations.items()),
            "raw": v.raw,
            **usage_row(v.usage),
        }
        for v in verdicts_
    ]
    return pa.Table.from_pylist(rows, VERDICT)


def verdicts(table: pa.Table) -> list[Verdict]:
    """Rows back as verdicts."""
    return [
        Verdict(
            sample_id=row["sample_id"],
            view=row["view"],
            judge=row["judge"],
            repeat=row["repeat"],
            status=row["status"],
            reason=row["reason"] or "",
            scores=dict(row["scores"] or ()),
            expected=dict(row["expected"] or ()),
            explanations=dict(row["explanations"] or ()),
            raw=row["raw"] or "",
            usage=_usage(row),
        )
        for row in table.to_pylist()
    ]


_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False)


def dumps(value: Mapping[str, Any]) -> str:
    """JSON with sorted keys, as stored in text columns; NaN is refused."""
    if not value:  # what most rows say, for which no encoder need be made ready
        return "{}"
    return _JSON.encode(value)


def loads(text: str | None) -> dict[str, Any]:
    """Such JSON read back; most rows say nothing, which is read without a parser."""
    found: dict[str, Any] = json.loads(text) if text and text != "{}" else {}
    return found


def pairs(given: Mapping[str, str], value: str = "value") -> list[dict[str, str]]:
    """A mapping of names as a list of structs, which every reader of Arrow knows."""
    return [{"name": name, value: text} for name, text in given.items()]


def _image_rows(images: Iterable[Image]) -> list[dict[str, Any]]:
    return [{"bytes": image.data, "path": image.path} for image in images]


def _images(rows: Sequence[Mapping[str, Any]] | None) -> tuple[Image, ...]:
    return tuple(Image(row["bytes"], row["path"] or "") for row in rows or ())


def usage_row(usage: Usage) -> dict[str, Any]:
    """What was used, as the columns `USAGE`."""
    return {name: getattr(usage, name) for name, _ in USAGE}


def _usage(row: Mapping[str, Any]) -> Usage:
    return Usage(**{name: row[name] for name, _ in USAGE})
