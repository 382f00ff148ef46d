"""The patient, study or source that items share, in every layout."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sources.outside import (
    HUB_SCHEMA,
    RECORDS,
    hub_rows,
    picture,
    write_directory,
    write_hub,
    write_view,
)

from medgen.adapters.sources.layouts import open_source
from medgen.adapters.sources.records import SOURCE_FIELDS
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Sample

LAYOUTS = ("directory", "hub", "view")


def _write(layout: str, folder: Path, given: list[dict[str, Any]]) -> None:
    """Four items, each with the fields that are given for it."""
    if layout == "hub":
        rows = [row | more for row, more in zip(hub_rows(), given, strict=True)]
        names = dict.fromkeys(name for more in given for name in more)
        found = [pa.array([more.get(name) for more in given]) for name in names]
        fields = [pa.field(n, column.type) for n, column in zip(names, found, strict=True)]
        write_hub(folder, rows, pa.schema([*HUB_SCHEMA, *fields]))
        return
    records = [record | more for record, more in zip(RECORDS, given, strict=True)]
    {"view": write_view, "directory": write_directory}[layout](folder, records)


def _sources(folder: Path) -> list[str]:
    found = list(open_source(str(folder)))
    assert all(isinstance(item, Sample) for item in found), found
    return [item.source for item in found if isinstance(item, Sample)]


def _first_image(number: int) -> str:
    inner = hashlib.sha256(picture((number, 0, 0))).digest()
    return hashlib.sha256(inner).hexdigest()[:16]


@pytest.mark.parametrize("field", SOURCE_FIELDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_siblings_of_one_patient_share_a_source(layout: str, field: str, tmp_path: Path) -> None:
    _write(layout, tmp_path, [{field: name} for name in ("p1", "p1", "p2", "p1 ")])
    assert _sources(tmp_path) == ["p1", "p1", "p2", "p1"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_a_field_the_first_image_stands_for_it(layout: str, tmp_path: Path) -> None:
    _write(layout, tmp_path, [{}, {}, {}, {}])
    assert _sources(tmp_path) == [_first_image(n) for n in range(4)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_item_without_its_field_falls_back_alone(layout: str, tmp_path: Path) -> None:
    _write(layout, tmp_path, [{"patient": "p1"}, {"patient": None}, {"patient": ""}, {}])
    assert _sources(tmp_path) == ["p1", *(_first_image(n) for n in (1, 2, 3))]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_widest_field_wins_and_numbers_are_names(layout: str, tmp_path: Path) -> None:
    given = [{"source": "a.png", "study": 7, "patient": 12}, {"source": "a.png", "study": 7}]
    _write(layout, tmp_path, [*given, {"study": 7}, {"source": "b.png"}])
    # Where some rows have none, a table holds whole numbers as fractions.
    assert _sources(tmp_path) == ["12", "7", "7", "b.png"]


@pytest.mark.parametrize("wrong", [True, [1], {"id": 1}, 1.5, "x" * 300, "a\nb", "\0"])
@pytest.mark.parametrize("layout", ["hub", "view"])
def test_what_is_no_name_is_refused(layout: str, wrong: object, tmp_path: Path) -> None:
    _write(layout, tmp_path, [{"patient": wrong}] * 4)
    found = list(open_source(str(tmp_path)))
    assert len(found) == 4
    assert all(isinstance(p, Problem) and "source" in p.what for p in found)
