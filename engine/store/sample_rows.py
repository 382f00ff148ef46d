"""Samples as rows and back; every image stands in one list, with its role."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from medgen.engine.data import Box, Image, Number, Sample, Turn, Values
from medgen.engine.store.schemas import SAMPLE, dumps, loads, pairs

ROLES = ("context", "input", "reference", "region")  # each is a field of a sample: `input_images`


def sample_table(samples_: Iterable[Sample]) -> pa.Table:
    """Samples as rows, images embedded."""
    return pa.Table.from_pylist([_row(sample) for sample in samples_], SAMPLE)


def samples(table: pa.Table) -> list[Sample]:
    """Rows back as samples."""
    return [_sample(row) for row in table.to_pylist()]


def _row(s: Sample) -> dict[str, Any]:
    number = s.reference_number
    return {
        "sample_id": s.id,
        "asks": s.asks,
        "task": s.task,
        "subtask": s.subtask,
        "modality": s.modality,
        "context": s.context,
        "turns": [
            {"role": t.role, "text": t.text, "images": list(_images("input", t.images))}
            for t in s.turns
        ],
        "instruction": s.instruction,
        "choices": list(s.choices),
        "images": [row for role in ROLES for row in _images(role, getattr(s, f"{role}_images"))],
        "reference_texts": list(s.reference_texts),
        "reference_sections": pairs(s.reference_sections, "text"),
        "reference_choices": list(s.reference_choices),
        "reference_number": number and {"value": number.value, "unit": number.unit},
        "reference_boxes": [
            {"image": b.image, "x0": b.x0, "y0": b.y0, "x1": b.x1, "y1": b.y1}
            for b in s.reference_boxes
        ],
        "rubric": s.rubric,
        "bundle": s.bundle,
        "source": s.source,
        "groups": pairs(s.groups),
        "language": s.language,
        "raw": dumps(s.raw),
    }


def _sample(row: Mapping[str, Any]) -> Sample:
    images = row.get("images") or ()  # none where the column was not read
    number = row["reference_number"]
    return Sample(
        id=row["sample_id"],
        asks=row["asks"],
        task=row["task"],
        subtask=row["subtask"],
        modality=row["modality"],
        context=row["context"] or "",
        turns=tuple(
            Turn(turn["role"], turn["text"] or "", _read_images(turn["images"] or ()))
            for turn in row["turns"] or ()
        ),
        instruction=row["instruction"],
        choices=tuple(row["choices"] or ()),
        **({f"{role}_images": _read_images(images, role) for role in ROLES} if images else {}),
        reference_texts=tuple(row["reference_texts"] or ()),
        reference_sections={r["name"]: r["text"] for r in row["reference_sections"] or ()},
        reference_choices=tuple(row["reference_choices"] or ()),
        reference_number=number and Number(number["value"], number["unit"] or ""),
        reference_boxes=tuple(Box(**box) for box in row["reference_boxes"] or ()),
        rubric=row["rubric"] or "",
        bundle=row["bundle"] or "",
        source=row["source"] or "",
        groups={r["name"]: r["value"] for r in row["groups"] or ()},
        language=row["language"] or "",
        raw=loads(row["raw"]),
    )


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


def _read_images(rows: Iterable[Mapping[str, Any]], role: str = "input") -> tuple[Image, ...]:
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
