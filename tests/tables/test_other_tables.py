"""What tables of others hold: boxes, numbers, letters, names and faults in all their forms."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import medgen
from tables.fixtures import picture
from tables.reading import fault, one, read, write

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.boxes import read_boxes
from medgen.adapters.tables.columnar import parquet_rows
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Number, Sample


@pytest.mark.parametrize(
    ("given", "form", "corners"),
    [
        ([1, 2, 3, 4], "xyxy", [(1, 2, 3, 4)]),
        ([[1, 2, 3, 4], [5, 6, 7, 8]], "xyxy", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("[1, 2, 3, 4]", "xyxy", [(1, 2, 3, 4)]),
        ("1 2 3 4", "xywh", [(1, 2, 4, 6)]),
        ("1,2,3,4;5,6,7,8", "xyxy", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("[(1, 2), (3, 4)]", "xyxy", [(1, 2, 3, 4)]),
        ([[1, 2], [3, 4]], "xyxy", [(1, 2, 3, 4)]),
        # The order of an object's keys says nothing, their names do.
        ({"ymin": 2, "xmin": 1, "ymax": 4, "xmax": 3}, "xyxy", [(1, 2, 3, 4)]),
        ([{"x": 1, "y": 2, "width": 3, "height": 4}], "xyxy", [(1, 2, 4, 6)]),
        ([5, 5, 4, 2], "cxcywh", [(3, 4, 7, 6)]),
        ([0.5, 0.5, 0.4, 0.2], "relative-cxcywh", [(30, 20, 70, 30)]),
        ([0.1, 0.2, 0.3, 0.4], "relative-xywh", [(10, 10, 40, 30)]),
        ([1, 2, 3, 4], "yxyx", [(2, 1, 4, 3)]),
        ([0.2, 0.1, 0.4, 0.3], "relative-yxyx", [(10, 10, 30, 20)]),
        # Rectangles as two corners each, drawn in any direction; two of them are no four numbers.
        ([[[3, 4], [1, 2]]], "xyxy", [(1, 2, 3, 4)]),
        ([[[3, 2], [1, 4]], [[5, 6], [7, 8]]], "xyxy", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        # Of an outline the box around it.
        ([[1, 3], [2, 2], [3, 4], [2, 3]], "xyxy", [(1, 2, 3, 4)]),
        ([[0.1, 0.2], [0.3, 0.2], [0.2, 0.4]], "relative", [(10, 10, 30, 20)]),
        ([[1, 2], [2, 2]], "xywh", [(1, 2, 3, 4)]),
    ],
)
def test_boxes_are_read_in_all_their_forms(given: object, form: Any, corners: Any) -> None:
    found = [tuple(map(round, box)) for box in read_boxes(given, form, (100, 50))]
    assert found == corners


@pytest.mark.parametrize(
    ("given", "form", "said"),
    [
        ("1 2 3", "xyxy", "not four numbers"), ("x 1 2 3 4", "xyxy", "not four numbers"),
        ([3, 4, 1, 2], "xyxy", "no area as xyxy"), ({"a": 1, "b": 2}, "xyxy", "the keys a, b"),
        ({"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}, "xywh", "is xyxy, and `form` says xywh"),
        ([[1, 2], [3, 4], [5, 2]], "xywh", "3 points are an outline, and `form` says xywh"),
    ],
)  # fmt: skip
def test_what_is_no_box_is_a_fault(given: object, form: Any, said: str) -> None:
    with pytest.raises(FaultyContent, match=said):
        list(read_boxes(given, form, (100, 50)))


@pytest.mark.parametrize(
    ("cell", "value", "unit"),
    [("12.5 mm", 12.5, "mm"), ("1,200", 1200.0, ""), (-3, -3.0, ""), ("40 %", 40.0, "%"),
     ("1e3 ml/min", 1000.0, "ml/min"), (".5cm", 0.5, "cm")],
)  # fmt: skip
def test_a_number_may_bring_its_unit(tmp_path: Path, cell: object, value: float, unit: str) -> None:
    found = one(tmp_path, {"answer": {"number": "n"}}, {"n": cell})
    assert found.reference_number == Number(value, unit)


@pytest.mark.parametrize(
    ("cell", "said"),
    [("1,5 mm", "a comma is no decimal point"), ("about 12 mm", "`match` takes it out"),
     ("12 cm", "is not in 'mm'"), ("none", "is no number")],
)  # fmt: skip
def test_a_number_that_could_be_another_is_a_fault(tmp_path: Path, cell: str, said: str) -> None:
    sample = {"answer": {"number": "n", "unit": {"is": "mm"}}}
    assert said in fault(tmp_path, sample, {"n": cell})


def test_faults_of_one_kind_are_told_some_times_and_counted(tmp_path: Path) -> None:
    write(tmp_path, *({"p": f"{n}.png"} for n in range(40)))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"x")
    found = [str(p) for p in read(tmp_path, {"images": [{"of": "p", "below": "photos"}]})]
    assert len(found) == 6
    assert found[0].endswith("was the copy complete? photos holds a.png")
    assert found[-1].startswith("t.jsonl: 35 more row(s) like: file … is missing")


def test_an_option_may_be_called_by_a_name_of_its_own(tmp_path: Path) -> None:
    choices = {"of": "o[].t", "names": "o[].id"}
    row = {"o": [{"id": 101, "t": "mass"}, {"id": 102, "t": "cyst"}], "g": 102}
    found = one(tmp_path, {"choices": choices, "answer": {"letter": "g"}}, row)
    assert (found.choices, found.reference_choices) == (("mass", "cyst"), (1,))
    said = fault(tmp_path, {"choices": {"of": "o"}, "answer": {"letter": "g"}}, row)
    assert "an object of id, t; `of: o[].key` takes one of these" in said


@pytest.mark.parametrize("words", ["A, C", "AC", "A and C", "A;C", "(A) (C)"])
def test_letters_in_one_text(tmp_path: Path, words: str) -> None:
    sample = {"asks": "choices", "choices": {"is": ["x", "y", "z"]}, "answer": {"letters": "k"}}
    assert one(tmp_path, sample, {"k": words}).reference_choices == (0, 2)


def test_a_name_in_a_pattern_is_a_column_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "set-a").mkdir()
    write(tmp_path / "set-a", {"set": "x"})
    (found,) = read(tmp_path, {}, files="{set}/t.jsonl")
    assert isinstance(found, Problem)
    assert "'set' is a column and a name in the pattern" in found.what
    (found,) = read(tmp_path, {"subtask": "part"}, files="{part}/t.jsonl")
    assert isinstance(found, Sample)
    assert found.subtask == "set-a"


def test_a_compressed_table_that_breaks_off_is_a_fault(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"q": f"What {n}?", "a": "lung"}) + "\n" for n in range(5000))
    whole = gzip.compress(rows.encode())
    (tmp_path / "t.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    found = read(tmp_path, {}, files="*.gz")
    assert isinstance(found[-1], Problem)
    assert "damaged, fetch it again" in found[-1].what


def test_a_path_of_windows_is_turned_round(tmp_path: Path) -> None:
    assert "`replace: {'\\\\': /}` turns it round" in fault(
        tmp_path, {"images": [{"of": "p"}]}, {"p": "img\\a.png"}
    )
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "a.png").write_bytes(picture(1))
    sample = {"images": [{"of": "p", "replace": {"\\\\": "/"}}]}
    assert one(tmp_path, sample, {"p": "img\\a.png"}).input_images[0].path == "img/a.png"


def test_rows_without_a_partner_are_a_fault_or_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"k": 1}, {"k": 2})
    (tmp_path / "more.jsonl").write_text('{"id": 2, "s": "x"}\n{"id": 3, "s": "y"}\n')
    join = {"files": "more.jsonl", "by": "k", "key": "id"}
    found = read(tmp_path, {"subtask": "s"}, join=join)
    said = [f.what for f in found if isinstance(f, Problem)]
    assert "`unmatched: drop` leaves such rows out" in said[0]
    assert "'3' of the joined table has no row" in said[1]
    found = read(tmp_path, {"subtask": "s"}, join={**join, "unmatched": "drop"})
    assert [s.subtask for s in found if isinstance(s, Sample)] == ["x"]
    assert len(found) == 1


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("size", [100, 40_000])  # of a picture; larger ones leave the dictionary
def test_pictures_of_several_row_groups_are_read(tmp_path: Path, several: bool, size: int) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": bytes([n]) * size, "path": None} for n in range(90)]
    column = pa.array([[c] for c in cells], pa.list_(kind)) if several else pa.array(cells, kind)
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": column}), file, row_group_size=40)
    with file.open("rb") as opened:
        rows = [*parquet_rows(opened, None, 2**28)]
    assert [*map(str, rows)] == [*map(str, pa.table({"image": column}).to_pylist())]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("protocol: choices", "protocol: choice", "no protocol 'choice'. Did you mean 'choices'?"),
        ("reader: records", "licence: none", "'files' belongs to a table; say `reader: records`"),
        ("answer: {text: a}", "answer: a", "for example {text: column}, {letter: column}"),
        ("asks: choice", "asks: mcq", "for example choice, with `choices` and `answer`"),
        ("modality: {is: CT}", "modality: CT", "column 'CT' is in no row; there are a, q (words"),
        ('{is: ["x", "y"]}', "[x, y]", "for example {columns: [A, B, C]}"),
    ],
)
def test_validate_says_how_it_is_written(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    (tmp_path / "t.csv").write_text("q,a\nWhich?,x\n")
    text = """reader: records
files: t.csv
sample:
  instruction: q
  modality: {is: CT}
  asks: choice
  task: choice-qa
  choices: {is: ["x", "y"]}
  answer: {text: a}
protocol: choices
"""
    (tmp_path / "p.yaml").write_text(text)
    assert medgen("validate", str(tmp_path / "p.yaml")).returncode == 0
    assert before in text
    (tmp_path / "p.yaml").write_text(text.replace(before, after))
    done = medgen("validate", str(tmp_path / "p.yaml"))
    assert done.returncode == 2
    assert said in done.stdout + done.stderr
