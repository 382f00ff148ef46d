"""What is guessed of answers and options as tables have them; each was read wrongly in silence."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables.fixtures import picture
from tables.laying import lay, table

from medgen.adapters.tables.seen import Seen
from medgen.engine.data import Box, Number, Sample
from medgen.engine.errors import BenchmarkError
from medgen.launch.own_data import first_samples, own_data

Q = "What is it?"
THREE = {"A": "lung", "B": "liver", "C": "heart"}


def guess(root: Path, *rows: dict[str, Any]) -> tuple[list[Sample], list[str]]:
    """The samples of rows with a picture each, and what is to be looked at."""
    lay(root, *(f"{n}.png" for n in range(len(rows))))
    head = list(dict.fromkeys(name for row in rows for name in row))
    cells = ([f"{n}.png", *(row.get(name, "") for name in head)] for n, row in enumerate(rows))
    table(root / "t.csv", [["image", *head], *cells])
    return read(root / "t.csv")


def read(file: Path) -> tuple[list[Sample], list[str]]:
    own = own_data(str(file))
    samples, problems = first_samples(own.conf, 10)
    assert problems == []
    return samples, own.doubts


@pytest.mark.parametrize(
    ("options", "answers", "right", "doubt"),
    [
        # Numbers that are options themselves are no places.
        ({"A": "2", "B": "3", "C": "1"}, ["1", "2"], [(2,), (0,)], "'1' is taken for the words"),
        ({"A": "B", "B": "A", "C": "AB"}, ["A", "AB"], [(1,), (2,)], "'A' is taken for the words"),
        # Places are counted as the columns are.
        (
            {"option_0": "lung", "option_1": "liver", "option_2": "heart"},
            ["1", "2"],
            [(1,), (2,)],
            "counted from 0",
        ),
        (THREE, ["1", "2"], [(0,), (1,)], "counted from 1 (no answer is 0)"),
        (THREE, ["0.0", "2.0"], [(0,), (2,)], "counted from 0"),
        (THREE, ["['A','C']", "['B']"], [(0, 2), (1,)], "several of the options"),
        (THREE, ["[0, 2]", "[1]"], [(0, 2), (1,)], "counted from 0"),
        (THREE, ["Option A", "option c"], [(0,), (2,)], ""),
        ({"options": "lung|liver|heart"}, ["lung|heart", "liver"], [(0, 2), (1,)], "several of"),
        ({"options": "lung\nliver\nheart"}, ["liver", "heart"], [(1,), (2,)], ""),
        (
            {"question": "Which? 1) lung 2) liver 3) heart"},
            ["1", "3"],
            [(0,), (2,)],
            "options are read from the question",
        ),
        (
            {"question": "Which? A. lung B. liver C. heart"},
            ["A", "C"],
            [(0,), (2,)],
            "options are read from the question",
        ),
    ],
)
def test_which_of_the_options_is_right(
    tmp_path: Path, options: dict[str, str], answers: list[str], right: list[Any], doubt: str
) -> None:
    found, doubts = guess(tmp_path, *({"question": Q, **options, "answer": a} for a in answers))
    assert [s.reference_choices for s in found] == right
    assert any(doubt in one for one in doubts) or not doubt


def test_a_letter_with_the_words_of_another_option_is_a_fault(tmp_path: Path) -> None:
    """The letter was taken, whatever stood behind it."""
    (tmp_path / "t.csv").write_text(
        "question,A,B,answer\nWhich?,lung,liver,A. lung\nWhich?,lung,liver,A. liver\n"
        "Which?,lung,liver,B) Liver.\nWhich?,lung,liver,B\n"
    )
    samples, problems = first_samples(own_data(str(tmp_path)).conf, 10)
    assert [s.reference_choices for s in samples] == [(0,), (1,), (1,)]
    (problem,) = problems
    assert "t.csv:3: answer 'A. liver' says A, and its words are those of B" in str(problem)


def test_pictures_are_found_by_names_with_blanks_and_zeros(tmp_path: Path) -> None:
    lay(tmp_path, "scans/0007.png", "scans/0008.png")
    (tmp_path / "t.csv").write_text(f"image_id,question,answer\n7,{Q},lung\n8,{Q},x\n")
    found, _ = read(tmp_path / "t.csv")
    assert [s.input_images[0].path for s in found] == ["scans/0007.png", "scans/0008.png"]
    (tmp_path / "u.csv").write_text(f"image,question,answer\n 0007.png ,{Q},lung\n")
    ((sample,), _) = read(tmp_path / "u.csv")
    assert sample.input_images[0].path.endswith("0007.png")


def test_rows_without_their_picture_are_told(tmp_path: Path) -> None:
    lay(tmp_path, "0.png")
    (tmp_path / "t.csv").write_text(f"image,question,answer\n0.png,{Q},lung\n,{Q},liver\n")
    found, doubts = read(tmp_path / "t.csv")
    assert [len(s.input_images) for s in found] == [1, 0]
    assert doubts == ["1 of the first 2 rows have no picture in 'image': `optional`"]


def test_groups_are_parts_of_an_item_and_signs_in_answers_are_told(tmp_path: Path) -> None:
    rows = [{"question": Q, "answer": a, "sex": "F"} for a in ("lung|left lung", "liver")]
    found, doubts = guess(tmp_path, *rows)
    assert found[0].groups == {"sex": "F"}
    (doubt,) = doubts
    assert doubt.startswith("answers with | are taken for one text each")


def test_options_that_are_objects_are_taken_by_their_words_and_names(tmp_path: Path) -> None:
    options = [{"key": "A", "text": "lung"}, {"key": "B", "text": "liver"}]
    columns = {"image": [picture(0)], "question": [Q], "options": [options], "answer": ["B"]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    ((sample,), _) = read(tmp_path / "t.parquet")
    assert (sample.choices, sample.reference_choices) == (("lung", "liver"), (1,))


@pytest.mark.parametrize(
    ("answers", "texts"),
    [
        (["['lung', 'left lung']", "['liver']"], [("lung", "left lung"), ("liver",)]),
        (['["lung"]', '["liver", "it"]'], [("lung",), ("liver", "it")]),
        (["[lung]", "x"], [("[lung]",), ("x",)]),
    ],
)
def test_a_list_is_several_right_texts(
    tmp_path: Path, answers: list[str], texts: list[tuple[str, ...]]
) -> None:
    found, _ = guess(tmp_path, *({"question": Q, "answer": answer} for answer in answers))
    assert [s.reference_texts for s in found] == texts


@pytest.mark.parametrize(
    ("cells", "box", "form"),
    [
        ({"answer": "[1, 2, 8, 9]"}, (1, 2, 8, 9), "xyxy"),
        ({"bbox": "[5, 5, 2, 3]"}, (5, 5, 7, 8), "xywh"),
        ({"x": 1, "y": 2, "w": 3, "h": 4}, (1, 2, 4, 6), "xywh"),
        ({"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}, (1, 2, 3, 4), "xyxy"),
    ],
)
def test_four_numbers_are_a_box(
    tmp_path: Path, cells: dict[str, Any], box: tuple[float, ...], form: str
) -> None:
    ((sample,), doubts) = guess(tmp_path, {"question": "Where is it?", **cells})
    assert sample.reference_boxes == (Box(0, *map(float, box)),)
    assert f"four numbers are taken for a box, {form}: `form`" in doubts


def test_a_column_of_masks_is_what_is_asked_for(tmp_path: Path) -> None:
    lay(tmp_path, "masks/0.png")
    ((sample,), doubts) = guess(tmp_path, {"question": "Segment it.", "mask": "masks/0.png"})
    assert (sample.asks, len(sample.input_images), len(sample.reference_images)) == ("mask", 1, 1)
    assert any("is marked in mask is taken" in doubt for doubt in doubts)
    (tmp_path / "t.yaml").unlink()
    with pytest.raises(BenchmarkError, match="'EncodedPixels' holds masks as run lengths"):
        guess(tmp_path, {"question": "Segment it.", "EncodedPixels": "1 3"})


@pytest.mark.parametrize(
    ("cells", "numbers", "doubt"),
    [
        ([{"answer": "12 mm"}, {"answer": "3.5 cm"}], [(12, "mm"), (3.5, "cm")], "their unit"),
        (
            [{"answer": "12,5", "unit": "mm"}, {"answer": "3", "unit": "mm"}],
            [(12.5, "mm"), (3, "mm")],
            "12,5 is read as 12.5",
        ),
        ([{"answer": "1,200", "unit": "ml"}], [(1200, "ml")], "between thousands"),
        ([{"answer": "1e-3", "unit": "ml"}], [(0.001, "ml")], ""),
    ],
)
def test_numbers_keep_their_unit(
    tmp_path: Path, cells: list[dict[str, str]], numbers: list[Any], doubt: str
) -> None:
    found, doubts = guess(tmp_path, *({"question": "How large?", **cell} for cell in cells))
    assert [s.reference_number for s in found] == [Number(float(n), unit) for n, unit in numbers]
    assert any(doubt in one for one in doubts) or not doubt


@pytest.mark.parametrize("answers", [["Y", "N"], ["T", "F"], ["y", "n"], ["Yes.", "No."]])
def test_single_letters_are_yes_and_no(tmp_path: Path, answers: list[str]) -> None:
    found, doubts = guess(tmp_path, *({"question": "Is it?", "answer": a} for a in answers))
    assert [s.reference_text for s in found] == ["yes", "no"]
    assert len(doubts) == (len(answers[0]) == 1)


def test_what_may_be_no_answer_and_what_may_be_no_test_is_told(tmp_path: Path) -> None:
    rows = [
        {"question": Q, "answer": a, "split": s} for a, s in (("lung", "train"), ("NaN", "test"))
    ]
    _, doubts = guess(tmp_path, *rows)
    assert "'NaN' is taken for an answer: `unless` leaves such rows out" in doubts
    said = "split is train, test, and all are items: `where: {split: test}` keeps some"
    assert said in doubts


def test_findings_that_a_sign_parts_are_several_labels(tmp_path: Path) -> None:
    found, _ = guess(tmp_path, {"Finding Labels": "Mass|Nodule"}, {"Finding Labels": "No Finding"})
    assert {s.choices for s in found} == {("Mass", "No Finding", "Nodule")}
    assert [s.reference_choices for s in found] == [(0, 2), (1,)]


ROW = {"question": Q, "answer": "lung"}


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"info": {"v": 1}, "questions": [ROW, ROW | {"answer": "x"}]}, 2),
        ({"a": ROW, "b": ROW | {"answer": "x"}}, 2),
        ({"question": [Q, Q], "answer": ["lung", "x"]}, 2),
        ({"question": {"0": Q, "1": Q}, "answer": {"0": "lung", "1": "x"}}, 2),
        ({"train": [ROW], "test": [ROW | {"answer": "x"}]}, 2),
        (ROW, 1),
    ],
)
def test_rows_of_json_are_found_wherever_they_lie(tmp_path: Path, body: Any, count: int) -> None:
    (tmp_path / "t.json").write_text(json.dumps(body))
    found, _ = read(tmp_path / "t.json")
    assert len(found) == count


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.json", '{"images": [1], "annotations": [2]}', "which of them are rows cannot be told"),
        ("t.json", json.dumps(ROW) + "\n" + json.dumps(ROW), "are these JSON lines, called .jsonl"),
        ("t.jsonl", json.dumps([ROW]), "JSON of one list is called .json"),
        ("t.json", "3", "its rows are no objects"),
        ("t.csv", "question,answer\nQ,\nR,\n", "column 'answer' is empty in the first 2 rows"),
        ("t.csv", "image,Mass,Edema\na.png,1,0\nb.png,0,1\n", "Mass, Edema look like `flags`"),
    ],
)
def test_what_cannot_be_guessed_is_said(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BenchmarkError, match=said):
        own_data(str(tmp_path / name))


def test_a_guess_holds_few_rows_of_large_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred of 64 MiB each would be more than a machine has."""
    rows = [{"question": Q, "image": {"bytes": picture(n)}, "answer": "x"} for n in range(50)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    monkeypatch.setattr("medgen.adapters.tables.guess._HELD", 5 * len(picture(0)))
    seen: list[int] = []
    taken = Seen.cells
    monkeypatch.setattr(
        Seen, "cells", lambda self, column: (seen.append(len(self.rows)), taken(self, column))[1]
    )
    assert own_data(str(tmp_path)).conf.protocol == "short-answers"
    assert max(seen) <= 6


def test_a_line_of_excel_and_a_compressed_table_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=;\nquestion;answer\nWhat, now?;lung\n")
    ((sample,), _) = read(tmp_path / "t.csv")
    assert (sample.instruction, sample.reference_text) == ("What, now?", "lung")
    (tmp_path / "u.csv.gz").write_bytes(gzip.compress(b"question;answer\nWhat, now?;lung\n"))
    ((same,), _) = read(tmp_path / "u.csv.gz")
    assert same.id == sample.id
    assert (tmp_path / "u.yaml").is_file()


def test_a_picture_that_is_there_by_another_name_is_told(tmp_path: Path) -> None:
    lay(tmp_path, "scans/a.PNG")
    (tmp_path / "t.csv").write_text(f"image,question,answer\na.png,{Q},lung\n")
    assert any("'scans/a.PNG' is there" in doubt for doubt in own_data(str(tmp_path)).doubts)
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "t.csv").write_text(f"image,question,answer\n../scans/a.PNG,{Q},lung\n")
    (doubt,) = own_data(str(tmp_path / "t")).doubts
    assert "lies outside the table's folder" in doubt


def test_a_table_that_is_a_link_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("question,answer\nQ,a\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "u.csv").symlink_to(tmp_path / "t.csv")
    with pytest.raises(BenchmarkError, match="is a link that leaves the benchmark's folder"):
        own_data(str(tmp_path / "other"))


def test_one_letter_of_no_option_makes_words_of_no_letters(tmp_path: Path) -> None:
    """A slip in one row: the other rows were called wrong, and it was not."""
    lay(tmp_path, *(f"{n}.png" for n in range(6)))
    rows = [[f"{n}.png", Q, *THREE.values(), "ABCABE"[n]] for n in range(6)]
    table(tmp_path / "t.csv", [["image", "question", *THREE, "answer"], *rows])
    samples, problems = first_samples(own_data(str(tmp_path / "t.csv")).conf, 10)
    assert [s.reference_choices for s in samples] == [(0,), (1,), (2,), (0,), (1,)]
    (said,) = problems
    assert "t.csv:7" in str(said)
    assert "'E'" in str(said)
