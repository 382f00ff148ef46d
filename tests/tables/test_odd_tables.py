"""Tables of one's own as they are found: what is guessed of them, and what is told."""

import json
from pathlib import Path

import pytest
from tables.laying import lay, table

from medgen.adapters.sources.layouts import open_source
from medgen.adapters.tables.looks import are_several, as_range
from medgen.engine.data import Number, Sample
from medgen.engine.errors import BenchmarkError
from medgen.launch.own_data import first_samples, is_own, own_data


def guessed(file: Path) -> tuple[list[Sample], str, list[str]]:
    """The first samples, the protocol, and what is to be looked at."""
    own = own_data(str(file))
    found, problems = first_samples(own.conf, 10)
    assert problems == []
    return found, own.conf.protocol, own.doubts


def asked(root: Path, head: list[str], *rows: list[object], **how: str) -> Path:
    """`t.csv` and a picture for each of its rows."""
    lay(root, *(f"images/{n}.png" for n in range(len(rows))))
    table(root / "t.csv", [head, *([f"{n}.png", *row] for n, row in enumerate(rows))], **how)
    return root / "t.csv"


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_cells_are_parted_by_whatever_parts_them(tmp_path: Path, delimiter: str) -> None:
    rows = [["Is it 1,5 mm, or 2?", "yes"], ["Is it?", "no"]]
    head = ["image", "question", "answer"]
    found, protocol, _ = guessed(asked(tmp_path, head, *rows, delimiter=delimiter))
    assert [(s.instruction, s.reference_text) for s in found] == [*map(tuple, rows)]
    assert protocol == "choices"


def test_an_encoding_of_windows_is_read_and_told(tmp_path: Path) -> None:
    head = ["image", "question", "answer"]
    file = asked(tmp_path, head, ["Größe?", "5 µm – 6"], encoding="cp1252")
    found, _, doubts = guessed(file)
    assert (found[0].instruction, found[0].reference_text) == ("Größe?", "5 µm – 6")
    assert any("cp1252" in doubt for doubt in doubts)
    (tmp_path / "u").mkdir()
    with pytest.raises(BenchmarkError, match="UTF-16; save it as UTF-8"):
        own_data(str(asked(tmp_path / "u", head, ["Q?", "a"], encoding="utf-16")))


def test_names_of_pictures_without_an_ending_are_found(tmp_path: Path) -> None:
    lay(tmp_path, "scans/7.png", "scans/8.png")
    rows = [{"img_id": n, "question": "What?", "answer": "lung"} for n in (7, 8)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found, _, doubts = guessed(tmp_path / "t.jsonl")
    assert [s.input_images[0].path for s in found] == ["scans/7.png", "scans/8.png"]
    assert doubts == []


@pytest.mark.parametrize(
    ("question", "answers", "right"),
    [
        ("Is it ill?", ["1", "0"], ["yes", "no"]),
        ("Is it ill?", ["True", "False"], ["yes", "no"]),
        ("How many lesions?", ["1", "0"], ["1", "0"]),
        ("Is it ill?", ["1", "2"], ["1", "2"]),
    ],
)
def test_one_and_nought_are_yes_and_no_where_that_is_asked(
    tmp_path: Path, question: str, answers: list[str], right: list[str]
) -> None:
    head = ["image", "question", "answer"]
    found, _, doubts = guessed(asked(tmp_path, head, *([question, one] for one in answers)))
    assert [s.reference_text for s in found] == right
    assert [s.asks for s in found] == ["choice" if right[0] == "yes" else "text"] * 2
    assert len(doubts) == (right[0] == "yes")


def test_numbers_beside_a_unit_are_measurements(tmp_path: Path) -> None:
    head = ["image", "question", "answer", "unit"]
    found, protocol, _ = guessed(asked(tmp_path, head, ["How long?", 10.5, "mm"], ["?", 3, "cm"]))
    assert [s.reference_number for s in found] == [Number(10.5, "mm"), Number(3, "cm")]
    assert protocol == "numbers"


def test_letters_before_the_words_of_an_answer_are_letters(tmp_path: Path) -> None:
    head = ["image", "question", "options", "correct answer"]
    rows = [["Which?", "A: lung, B: heart", f"{letter}"] for letter in ("B. heart", "A. lung")]
    found, _, _ = guessed(asked(tmp_path, head, *rows))
    assert [s.reference_text for s in found] == ["heart", "lung"]


def test_an_answer_that_is_an_option_letter_and_all_is_its_text(tmp_path: Path) -> None:
    head = ["image", "question", "options", "answer"]
    rows = [["Which?", json.dumps(["B. heart", "A. lung"]), one] for one in ("B. heart", "A. lung")]
    found, _, _ = guessed(asked(tmp_path, head, *rows))
    assert [s.reference_text for s in found] == ["B. heart", "A. lung"]


def test_labels_and_reports_of_pictures_are_asked_for(tmp_path: Path) -> None:
    kinds = [["covid"], ["normal"], ["covid"]]
    found, protocol, (doubt,) = guessed(asked(tmp_path, ["file_name", "label"], *kinds))
    assert (found[0].choices, protocol) == (("covid", "normal"), "choices")
    assert [s.reference_text for s in found] == ["covid", "normal", "covid"]
    assert "--question names one" in doubt
    (tmp_path / "r").mkdir()
    reports = [["The heart is normal."], ["A mass is seen on the left."]]
    found, protocol, _ = guessed(asked(tmp_path / "r", ["image", "report"], *reports))
    assert [(s.asks, s.task) for s in found] == [("text", "report-generation")] * 2
    assert protocol == "reports"


def test_a_conversation_is_asked_its_last_question(tmp_path: Path) -> None:
    lay(tmp_path, "a.png")
    said = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A lung."}]
    (tmp_path / "t.json").write_text(json.dumps([{"image": "a.png", "conversations": said}]))
    ((one,), protocol, _) = guessed(tmp_path / "t.json")
    assert (one.instruction, one.reference_text) == ("What?", "A lung.")
    assert (len(one.input_images), protocol) == (1, "short-answers")


def test_a_spreadsheet_is_to_be_saved_as_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(BenchmarkError, match=r"spreadsheet: save its sheet as \.csv"):
        is_own(str(tmp_path / "t.xlsx"))


@pytest.mark.parametrize(
    ("head", "cells", "names"),
    [
        (["before_ct", "after_ct"], ["{}.png", "{}.png"], ["images/0.png", "images/0.png"]),
        (["Bild"], ["{}.png"], ["images/0.png"]),
        (["images"], ["{}.png; {}.png"], ["images/0.png", "images/0.png"]),
        (["image"], [r"D:\Export\images\{}.png"], ["images/0.png"]),
        (["image"], ["/export/set/{}.png"], ["images/0.png"]),
    ],
)
def test_pictures_are_found_by_what_columns_hold(
    tmp_path: Path, head: list[str], cells: list[str], names: list[str]
) -> None:
    """A column of another name was passed over, and all was asked without pictures."""
    lay(tmp_path, "images/0.png", "images/1.png")
    rows = [[*(cell.format(n, n) for cell in cells), f"Which {n}?", "lung"] for n in (0, 1)]
    table(tmp_path / "t.csv", [[*head, "question", "answer"], *rows])
    (sample, _), _, doubts = guessed(tmp_path / "t.csv")
    assert [f"images/{image.path.rpartition('/')[2]}" for image in sample.input_images] == names
    known = head[0] in ("image", "images")
    assert doubts == ([] if known else [f"pictures are taken from {', '.join(head)}: `images`"])


@pytest.mark.parametrize(
    ("options", "right"),
    [("a mass; a cyst", "a cyst"), ("a mass|a cyst", "a mass"), ("a mass, a cyst", "a cyst")],
)
def test_options_that_a_sign_parts_are_options(tmp_path: Path, options: str, right: str) -> None:
    file = asked(tmp_path, ["image", "question", "options", "answer"], ["Which?", options, right])
    (sample,), protocol, _ = guessed(file)
    assert (sample.choices, protocol) == (("a mass", "a cyst"), "choices")
    assert sample.choices[sample.reference_choices[0]] == right


@pytest.mark.parametrize(
    ("head", "rows", "asks", "right"),
    [
        ("A B C answer", ["x y z A,C", "x y z B"], "choices", ["x z", "y"]),
        ("A B C answer", ["x y z BC", "x y z C"], "choices", ["y z", "z"]),
        ("choice_a choice_b gold", ["x y choice_b", "x y choice_a"], "choice", ["y", "x"]),
        ("Answer Distractor_1 Distractor_2", ["x y z", "y x z"], "choice", ["x", "y"]),
        ("Answer Wrong", ["x y", "y x"], "choice", ["x", "y"]),
    ],
)
def test_answers_are_found_among_options_in_more_forms(
    tmp_path: Path, head: str, rows: list[str], asks: str, right: list[str]
) -> None:
    file = asked(
        tmp_path, ["image", "question", *head.split()], *(["Q?", *r.split()] for r in rows)
    )
    found, _, _ = guessed(file)
    assert [s.asks for s in found] == [asks] * 2
    assert [" ".join(s.choices[n] for n in s.reference_choices) for s in found] == right


def test_columns_that_are_no_part_of_an_item_are_told(tmp_path: Path) -> None:
    rows = [["7", "Which?", "lung", "because"], ["7", "Where?", "left", "so"]]
    _, _, doubts = guessed(asked(tmp_path, ["image", "id", "question", "answer", "why"], *rows))
    assert doubts == [
        "id names no item alone: '7' stands in 2 rows", "no part of an item: id, why",
    ]  # fmt: skip


def test_a_folder_of_several_tables_names_them(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("question,answer\nWhich?,lung\n")
    with pytest.raises(BenchmarkError, match=r"Of its tables \(a\.csv, b\.csv\) name the one"):
        open_source(str(tmp_path))


def test_pairs_of_which_one_side_is_missing_are_told_together(tmp_path: Path) -> None:
    """What stood in `output` alone was left out in silence."""
    lay(tmp_path, "input/1.png", "input/2.png", "output/1.png", "output/3.png")
    (tmp_path / "prompt.txt").write_text("Remove the noise.")
    with pytest.raises(BenchmarkError, match=r"input/2\.png, output/3\.png have no picture"):
        own_data(str(tmp_path))


def test_answers_full_of_ands_are_looked_at_in_linear_time() -> None:
    """The pattern that looked took a minute for eight of them, and twice as long for nine."""
    letters = list("ABCD")
    assert not are_several(["a fracture " + "and a mass " * 2000 + "."], letters)
    assert are_several(["A and C", "d"], letters)
    assert are_several(["BD", "A"], letters)
    assert not are_several(["A", "B"], letters)
    assert as_range(["distractor_" + "1" * 5000, "distractor_2"]) == ""


def test_a_row_that_stands_twice_is_told(tmp_path: Path) -> None:
    """It counted as two items without a word."""
    rows = [["0.png", "Which?", "lung"], ["1.png", "Which?", "liver"], ["0.png", "Which?", "lung"]]
    lay(tmp_path, "0.png", "1.png")
    table(tmp_path / "t.csv", [["image", "question", "answer"], *rows])
    assert own_data(str(tmp_path / "t.csv")).doubts == [
        "rows that repeat another, and count once more: 1"
    ]
