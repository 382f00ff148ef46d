"""What is told of tables that are damaged or not as the preset says: where, what, and the cure."""

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from tables.laying import document, picture
from tables.reading import fault, one, read, write

from medgen.adapters.tables.mapping import read_mapping
from medgen.adapters.tables.source import RecordsSource
from medgen.engine.benchmark.importing import ImportOptions, validate
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Number

CHOICE: dict[str, Any] = {"asks": "choice", "task": "choice-vqa"}


def problems(root: Path, files: object, **more: Any) -> list[str]:
    sample = {"instruction": "q", "task": "open-vqa", "answer": {"text": "a"}}
    mapping = read_mapping({"files": files, "sample": sample, **more}, "t")
    return [str(p) for p in RecordsSource(str(root), mapping) if isinstance(p, Problem)]


def test_an_id_that_occurs_again_is_told_with_both_of_its_places(tmp_path: Path) -> None:
    write(tmp_path, {"n": 1}, {"n": 2}, {"n": 1})
    sample = {"id": "n", "instruction": "q", "task": "open-vqa", "answer": {"text": "a"}}
    source = RecordsSource(str(tmp_path), read_mapping({"files": "t.jsonl", "sample": sample}, "t"))
    (problem,) = validate(source)
    assert str(problem).startswith("t.jsonl:3: sample 1: the id occurs again, first at t.jsonl:1;")
    assert validate(source, ImportOptions("x", number_repeats=True)) == []


def test_places_of_options_that_have_gaps_are_named(tmp_path: Path) -> None:
    row = {"o1": "mass", "o2": "", "o3": "cyst", "n": 3}
    sample = {**CHOICE, "choices": {"columns": ["o{1..3}"]}, "answer": {"index": "n", "base": 1}}
    assert one(tmp_path, sample, row).reference_text == "cyst"
    said = "'2' is no place of the 2 options, counted from 1 (`base`), which stand at 1, 3"
    assert said in fault(tmp_path, sample, {**row, "n": 2})


def test_what_an_item_lacks_is_told_by_its_column(tmp_path: Path) -> None:
    row = {"x": {"answers": [], "o": ["a", "b"]}}
    said = fault(tmp_path, {"answer": {"texts": "x.answers[].text"}}, row)
    assert said.startswith("no answer in column x.answers[].text;")
    choices = {**CHOICE, "choices": {"of": "x.options"}, "answer": {"text": "a"}}
    assert fault(tmp_path, choices, row) == "no options in 'x.options' (there is no such column)"


def test_another_delimiter_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("q;a\nIs it 1,5 mm?;yes\n")
    found = problems(tmp_path, "t.csv")
    assert "delimiter: ';'}` parts them" in found[0]
    assert problems(tmp_path, {"glob": "t.csv", "delimiter": ";"}) == []


def test_lines_above_a_header_are_skipped_and_rows_keep_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Export, 2024\n\nq,a\nWhat?,lung\nWhere?,\n")
    assert "column 'q' is in no row" in " ".join(problems(tmp_path, "t.csv"))
    (found,) = problems(tmp_path, {"glob": "t.csv", "skip": 2})
    assert found.startswith("t.csv:5: no answer in column a;")


def test_a_document_that_breaks_off_is_to_be_fetched_again(tmp_path: Path) -> None:
    document(tmp_path / "t.json", [{"q": "What?", "a": "lung"}] * 3)
    whole = (tmp_path / "t.json").read_bytes()
    for end in range(len(whole) // 2, len(whole) - 1):
        (tmp_path / "t.json").write_bytes(whole[:end])
        assert any("fetch it again" in what for what in problems(tmp_path, "t.json")), whole[:end]


def _tar(file: Path, count: int) -> list[int]:
    """A tar of some rows; where each of its members begins."""
    begins = []
    with tarfile.open(file, "w") as packed:
        for number in range(count):
            row = {"q": f"What is {number}?", "a": "lung", "picture": picture(number).hex()}
            data = json.dumps(row).encode()
            entry = tarfile.TarInfo(f"{number}.json")
            entry.size = len(data)
            begins.append(packed.offset)
            packed.addfile(entry, io.BytesIO(data))
    return begins


@pytest.mark.parametrize("behind", [0, 100, 512, 600])
def test_a_tar_that_breaks_off_anywhere_loses_no_row_in_silence(
    tmp_path: Path, behind: int
) -> None:
    begins = _tar(tmp_path / "t.tar", 3)
    files = {"glob": "*.json", "in": "t.tar"}
    assert problems(tmp_path, files) == []
    whole = (tmp_path / "t.tar").read_bytes()
    (tmp_path / "t.tar").write_bytes(whole[: begins[2] + behind])
    found = problems(tmp_path, files)
    assert any("'t.tar'" in what for what in found)


def test_a_tar_with_a_damaged_header_loses_no_row_in_silence(tmp_path: Path) -> None:
    begins = _tar(tmp_path / "t.tar", 3)
    whole = bytearray((tmp_path / "t.tar").read_bytes())
    whole[begins[1] + 150] ^= 1  # of the header's checksum
    (tmp_path / "t.tar").write_bytes(whole)
    (found, *_) = problems(tmp_path, {"glob": "*.json", "in": "t.tar"})
    assert f"behind {begins[1]:,} bytes, fetch it again" in found


def test_rows_that_are_sound_are_read_beside_those_that_are_not(tmp_path: Path) -> None:
    found = read(write(tmp_path, {"a": ""}, {"a": "liver"}), {})
    assert [isinstance(item, Problem) for item in found] == [True, False]


@pytest.mark.parametrize("packed", [False, True])
def test_a_name_is_found_in_either_spelling_of_its_marked_letters(
    tmp_path: Path, packed: bool
) -> None:
    """Some systems part a letter from its mark: the table's "é" and the file's look alike."""
    stored = normalize("NFD", "Röntgen/é.png")
    folder = tmp_path if not packed else tmp_path / "packed"
    (folder / stored).parent.mkdir(parents=True)
    (folder / stored).write_bytes(picture(1))
    if packed:
        with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
            archive.write(folder / stored, stored)
    images = [{"of": "i", **({"in": "p.zip"} if packed else {})}]
    found = one(tmp_path, {"images": images}, {"i": normalize("NFC", "Röntgen/é.png")})
    assert found.input_images[0].data == picture(1)


@pytest.mark.parametrize("name", ["A 1.PNG", "a 1.jpeg"])
def test_a_name_that_is_spelt_nearly_so_is_shown(tmp_path: Path, name: str) -> None:
    (tmp_path / "images").mkdir()
    for other in (f"{n}.png" for n in range(9)):
        (tmp_path / "images" / other).write_bytes(picture(1))
    (tmp_path / "images" / name).write_bytes(picture(1))
    found = fault(tmp_path, {"images": [{"of": "i", "below": "images"}]}, {"i": "a 1.png"})
    assert f"images holds '{name}' (`replace`?)" in found


def test_a_sign_that_nobody_sees_is_told_with_its_number(tmp_path: Path) -> None:
    row = {"i": "حالة-1\u200f"}
    said = "id 'حالة-1\\u200f' holds U+200F, which nobody sees: `cut: '\\x{200F}'` takes it away"
    assert fault(tmp_path, {"id": "i"}, row) == said
    assert one(tmp_path, {"id": {"of": "i", "cut": r"\x{200F}"}}, row).id == "حالة-1"


@pytest.mark.parametrize(
    ("cell", "advice"),
    [('["QUJD"]', "a list: `parse: literal-or-text`"), ("a/b.png", "a path? leave `as` out")],
)
def test_what_is_no_base64_is_told_for_what_it_looks_like(
    tmp_path: Path, cell: str, advice: str
) -> None:
    assert advice in fault(tmp_path, {"images": [{"of": "i", "as": "base64"}]}, {"i": cell})


def test_another_unit_is_told_with_the_way_to_keep_it(tmp_path: Path) -> None:
    sample = {"asks": "number", "answer": {"number": "a", "unit": {"is": "mm"}}}
    assert "without `unit` each number keeps" in fault(tmp_path, sample, {"a": "1.2 cm"})
    kept = one(tmp_path, {"asks": "number", "answer": {"number": "a"}}, {"a": "1.2 cm"})
    assert kept.reference_number == Number(1.2, "cm")
