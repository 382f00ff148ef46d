"""Samples as rows and back; every image stands in one list, with its role."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import pyarrow as pa

from medgen.engine.data import Box, Image, Number, Sample, Turn, Values
from medgen.engine.store.schemas import SAMPLE, dumps, loads, pairs

_AS_THEY_ARE = (
    *("asks", "task", "subtask", "modality", "context", "instruction", "choices"),
    *("reference_texts", "reference_choices", "rubric", "bundle", "source", "language"),
)
ROLES = ("context", "input", "reference", "region")  # each is a field of a sample: `input_images`


def sample_table(samples_: Iterable[Sample]) -> pa.Table:
    """Samples as rows, images embedded."""
    given = list(samples_)
    return pa.table(
        {
            "sample_id": [s.id for s in given],
            **{name: [getattr(s, name) for s in given] for name in _AS_THEY_ARE},
            "turns": [list(map(_turn_row, s.turns)) for s in given],
            "images": [list(_every_image(s)) for s in given],
            "reference_sections": [pairs(s.reference_sections, "text") for s in given],
            "reference_number": [s.reference_number and asdict(s.reference_number) for s in given],
            "reference_boxes": [list(map(asdict, s.reference_boxes)) for s in given],
            "groups": [pairs(s.groups) for s in given],
            "raw": [dumps(s.raw) for s in given],
        },
        SAMPLE,
    )


def samples(table: pa.Table) -> list[Sample]:
    """Rows back as samples."""
    columns = _columns(table)
    return list(map(Sample, *(columns[field.name] for field in fields(Sample))))


def _columns(table: pa.Table) -> dict[str, Sequence[Any]]:
    """Each field of the samples, in their order. Most columns of a benchmark are empty."""
    of: dict[str, list[Any]] = table.to_pydict()
    images = of.get("images") or [()] * table.num_rows  # none where the column was not read
    texts = ("context", "rubric", "bundle", "source", "language")
    return {
        **of,
        "id": of["sample_id"],
        **{name: [text or "" for text in of[name]] for name in texts},
        "turns": _tuples(of["turns"], _turn),
        "choices": _tuples(of["choices"]),
        **{
            f"{role}_images": [_read_images(i, role) if i else () for i in images] for role in ROLES
        },
        "reference_texts": _tuples(of["reference_texts"]),
        "reference_sections": _mappings(of["reference_sections"], "text"),
        "reference_choices": _tuples(of["reference_choices"]),
        "reference_number": [
            n and Number(n["value"], n["unit"] or "") for n in of["reference_number"]
        ],
        "reference_boxes": _tuples(of["reference_boxes"], lambda box: Box(**box)),
        "groups": _mappings(of["groups"], "value"),
        "raw": list(map(loads, of["raw"])),
    }


def _tuples(
    column: Iterable[Sequence[Any] | None], read: Callable[[Any], Any] = lambda one: one
) -> list[tuple[Any, ...]]:
    return [tuple(map(read, many)) if many else () for many in column]


def _mappings(
    column: Iterable[Sequence[Mapping[str, str]] | None], value: str
) -> list[dict[str, str]]:
    return [{one["name"]: one[value] for one in many} if many else {} for many in column]


def _turn(row: Mapping[str, Any]) -> Turn:
    return Turn(row["role"], row["text"] or "", _read_images(row["images"] or ()))


def _turn_row(turn: Turn) -> dict[str, Any]:
    return {"role": turn.role, "text": turn.text, "images": list(_images("input", turn.images))}


def _every_image(sample: Sample) -> Iterator[dict[str, Any]]:
    for role in ROLES:
        yield from _images(role, getattr(sample, f"{role}_images"))


def _images(role: str, images: Sequence[Image]) -> Iterator[dict[str, Any]]:
    for image in images:
        yield {
            "role": role,
            "bytes": image.data,
            "path": image.path,
            "label": image.label,
            "place": image.place,
            "values": image.values and _value_row(image.values),
        }


def _value_row(values: Values) -> dict[str, Any]:
    low, high = values.window or (None, None)
    return {
        "slope": values.slope,
        "intercept": values.intercept,
        "unit": values.unit,
        "low": low,
        "high": high,
    }


def _read_images(rows: Sequence[Mapping[str, Any]], role: str = "input") -> tuple[Image, ...]:
    return tuple(
        Image(
            row["bytes"],
            row["path"] or "",
            row["label"] or "",
            row["place"] or "",
            row["values"] and _values(row["values"]),
        )
        for row in rows
        if row["role"] == role
    )


def _values(row: Mapping[str, Any]) -> Values:
    window = None if row["low"] is None else (row["low"], row["high"])
    return Values(row["slope"], row["intercept"], row["unit"] or "", window)
