"""Rows, values, pictures and answers of tables, sound ones and hostile ones."""

import io
import json
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
from tables.fixtures import encode, picture
from tables.reading import TEXT, fault, one, read, write

from medgen.adapters.tables.json_rows import JsonReader, rows
from medgen.adapters.tables.mapping import read_mapping
from medgen.adapters.tables.options import letter_in
from medgen.adapters.tables.source import RecordsSource
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Sample
from medgen.engine.errors import ConfigError
from medgen.engine.results.coded import Coded
from medgen.engine.results.columns import Column, Context

# ---- values --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "row", "expected"),
    [
        ("x.y[1]", {"x": {"y": [1, 2]}}, "2"),
        ("x.y", {"x.y": "whole", "x": {"y": "part"}}, "whole"),
        ("a {x}-{y.z}", {"x": 3.0, "y": {"z": True}}, "a 3-true"),
        ({"of": "x", "default": "none"}, {"x": ""}, "none"),
        ({"of": "x", "default": "none"}, {}, "none"),
        ({"of": "x", "parse": "literal", "join": "+"}, {"x": "['a', nan, 'b']"}, "a+b"),
        ({"of": "x", "parse": "split:;", "join": "|"}, {"x": "a; b;"}, "a|b"),
        ({"of": "x", "strip": True, "cut": "^b+", "replace": {"c": "d"}}, {"x": " bbc "}, "d"),
        ({"of": "x", "match": r"(\d+)-"}, {"x": "no 12-3"}, "12"),
        ({"of": "x", "map": {1: "one", 0: "none"}}, {"x": 1.0}, "one"),
        ({"of": "x", "keys_with": 1, "join": ","}, {"x": {"a": 1, "b": 0, "c": "1.0"}}, "a,c"),
        ({"of": "x[].y", "join": " "}, {"x": [{"y": 1}, {}, {"y": 2}]}, "1 2"),
        ({"of": "x", "map": {1: "one", 0: "none"}}, {"x": "1.0"}, "one"),
        ("{x:03}-{x:02}-{y:04}", {"x": 7, "y": "12345"}, "007-07-12345"),
        ({"of": "x_{1..4}", "join": "+"}, {"x_1": "a", "x_2": "", "x_4": "b"}, "a+b"),
        ({"of": "{x}{y}{z}", "join": "+"}, {"x": [1, 2], "y": "-", "z": ["a", "b"]}, "1-a+2-b"),
    ],
)
def test_a_value_is_what_its_operators_make_of_it(
    tmp_path: Path, value: object, row: dict[str, Any], expected: str
) -> None:
    assert one(tmp_path, {"context": value}, row).context == expected


@pytest.mark.parametrize(
    ("value", "row", "said"),
    [
        ("x", {"x": [1]}, "`join` puts a list together"),
        ({"of": "x", "map": {"a": "b"}}, {"x": "c"}, "is not in `map`"),
        ({"of": "x", "parse": "json"}, {"x": "{"}, "is no JSON"),
        ({"of": "x", "parse": "literal"}, {"x": "__import__('os')"}, "only lists"),
        ({"of": "x", "parse": "literal"}, {"x": "[" * 5000}, "no list, text or number"),
        ("x", {"x": "\ud800"}, "half a character"),
        ("{x}{y}", {"x": [1, 2], "y": [3]}, "lists of one length, at most 10,000, and x has 2, y"),
        ("{x}", {"x": [0] * 10_001}, "at most 10,000"),
        ("x_{1..2}", {"x_1": "a", "x_2": "b"}, "`join` puts a list together"),
    ],
)
def test_a_value_that_does_not_fit_is_a_fault_of_its_row(
    tmp_path: Path, value: object, row: dict[str, Any], said: str
) -> None:
    assert said in fault(tmp_path, {"context": value}, row)


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ({"instrucion": "q"}, r"t\.sample has no field 'instrucion'\. Did you mean 'instruction'"),
        ({"context": {"of": "x", "cut": "(?=a)"}}, r"t, sample\.context\.cut: .*look-ahead"),
        ({"context": {"of": "x", "match": "(a"}}, r"t, sample\.context\.match"),
        ({"context": {"of": "x", "parse": "eval"}}, r"t, sample\.context\.parse: 'eval'"),
        ({"images": [{"of": "x_{1..9999}"}]}, r"t, sample\.images\[0\]: range"),
        ({"choices": {"is": [True, False]}}, r"t\.sample\.choices\.is\[0\]: YAML"),
        ({"context": {"of": "x", "map": {True: "a"}}}, r"t\.sample\.context\.map: True: YAML"),
        ({"task": "Two Words"}, "is no slug"),
        ({"choices": {"of": "x", "as": "letter"}}, r"\.choices\.as: 'list' or 'letters' or"),
        ({"images": [{"of": "x", "inn": "y"}]}, r"no field 'inn'\. Did you mean 'in'"),
        ({"choices": {"of": {"of": "x", "match": "a"}}}, r"\.choices\.of: .*beside its `of`"),
        ({"asks": "choise"}, r"t\.sample\.asks: 'text' or"),
        ({"variants": [{"when": {"x": 1}, "asks": 7}]}, r"t\.sample\.variants\[0\]\.asks"),
    ],
)
def test_a_mapping_is_refused_by_the_place_of_what_is_wrong(
    sample: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        read_mapping({"files": "t.jsonl", "sample": {**TEXT, **sample}}, "t")


@pytest.mark.parametrize(
    "files", ["../t.csv", "/etc/passwd", "https://x/t.csv", {"glob": "a/../../b"}]
)
def test_files_outside_the_source_are_refused(files: Any) -> None:
    with pytest.raises(ConfigError, match="t, files"):
        read_mapping({"files": files, "sample": TEXT}, "t")


def test_a_column_that_no_row_has_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    found = read(write(tmp_path, {"x": "1"}, {"x": "2"}), {"context": "y"})
    assert [p.what for p in found if isinstance(p, Problem)] == [
        "column 'y' is in no row; there are a, q, x (words that stand for themselves are {is: …})"
    ]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_columns_that_are_not_read_are_named_as_well(tmp_path: Path, kind: str) -> None:
    """The one that was meant was not among those that there are."""
    rows = pa.Table.from_pylist([{"question": "What?", "a": "lung"}])
    file = tmp_path / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(rows, file)
    else:
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
    sample = {**TEXT, "instruction": "quetsion"}
    mapping = read_mapping({"files": file.name, "sample": sample}, "t")
    found = [str(one) for one in RecordsSource(str(tmp_path), mapping)]
    assert any("'quetsion' is in no row; there are a, question" in one for one in found)


def test_equal_faults_are_told_once_with_their_count(tmp_path: Path) -> None:
    found = read(write(tmp_path, *({"a": ""} for _ in range(50))), {})
    assert [(p.row, p.what) for p in found if isinstance(p, Problem)] == [
        (1, "no answer in column a; an item is compared with one"),
        (None, "49 more row(s): no answer in column a; an item is compared with one"),
    ]


def test_equal_rows_get_ids_of_their_own(tmp_path: Path) -> None:
    first, second = read(write(tmp_path, {}, {}), {})
    assert isinstance(first, Sample)
    assert isinstance(second, Sample)
    assert second.id == f"{first.id}-2"


# ---- rows ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        ("[1, 2]", "", [((), 1), ((), 2)]),
        ('{"a": {"x": 1}, "b": {"x": 2}}', "*", [(("a",), {"x": 1}), (("b",), {"x": 2})]),
        ('{"a": {"t": [1], "v": [9]}, "b": {"t": [2]}}', "*.t", [(("a",), 1), (("b",), 2)]),
        ('{"v": {"big": [[1], {"y": "]"}]}, "samples": [3]}', "samples", [((), 3)]),
        ('{"t": {"0": ["x"], "1": ["y"]}}', "t.*", [(("0",), "x"), (("1",), "y")]),
        ('{"a": {"s": {"x": [1]}}}', "*.*.x", [(("a", "s"), 1)]),
        ("[]", "", []),
        ('\ufeff {"a": NaN}', "", [((), {"a": None})]),
    ],
)
def test_rows_are_found_at_their_path(document: str, path: str, expected: object) -> None:
    assert list(rows(io.BytesIO(document.encode()), path, 1000, JsonReader())) == expected


@pytest.mark.parametrize(
    ("document", "path", "said"),
    [
        ('{"a": 1}', "b", "nothing under 'b'"), ("[1", "", "not JSON"), ("[1}", "", "not JSON"),
        ("[1] 2", "", "behind the document"), ('{"a":1,"a":2}', "a", "stands twice"),
        ("[" * 100 + "]" * 100, "", "deep"), ('["' + "x" * 3000 + '"]', "", "more than 1,000"),
        (b"[\xff]", "", "not UTF-8"), ("", "", "ends too early"), ('[{"a":1,}]', "", "not JSON"),
    ],
)  # fmt: skip
def test_a_broken_document_says_why(document: str | bytes, path: str, said: str) -> None:
    data = document if isinstance(document, bytes) else document.encode()
    with pytest.raises(Exception, match=said):
        list(rows(io.BytesIO(data), path, 1000, JsonReader()))


class Endless(io.RawIOBase):
    """A JSON list of many rows that nobody holds."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.row = json.dumps({"image": "x" * 10_000}).encode()

    def read(self, size: int = -1) -> bytes:
        self.left, before = max(0, self.left - 100), self.left
        if not before:
            return b""
        end = b"1]" if not self.left else b""
        return (b"[" if before == 20_000 else b"") + (self.row + b",") * 100 + end


def test_a_list_of_any_length_is_read_in_bounded_memory() -> None:
    tracemalloc.start()
    count = sum(1 for _ in rows(Endless(20_000), "", 10**6, JsonReader()))  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_001
    assert peak < 32 * 2**20


def test_every_kind_of_table_gives_the_same_rows(tmp_path: Path) -> None:
    made = [{"q": "What, ä?", "a": "one\ntwo"}, {"q": 'Who "x"?', "a": "3"}]
    table = pa.Table.from_pylist(made)
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    for kind, new in (("file.arrow", ipc.new_file), ("stream.arrow", ipc.new_stream)):
        with (tmp_path / kind).open("wb") as sink, new(sink, table.schema) as writer:
            writer.write_table(table)
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in made))
    (tmp_path / "t.json").write_text(json.dumps({"rows": made}))
    (tmp_path / "t.csv").write_text('\ufeffq,a\n"What, ä?","one\ntwo"\n"Who ""x""?",3\n')
    (tmp_path / "t.tsv").write_text('q\ta\n"What, ä?"\t"one\ntwo"\n"Who ""x""?"\t3\n')
    (tmp_path / "t.txt").write_text('"What, ä?";"one\ntwo"\n"Who ""x""?";3\n')
    lines = {"glob": "t.txt", "delimiter": ";", "header": ["q", "a"]}
    names = [
        "t.parquet",
        "file.arrow",
        "stream.arrow",
        "t.jsonl",
        "t.json",
        "t.csv",
        "t.tsv",
        lines,
    ]
    for files in names:
        found = read(tmp_path, {}, files=files)
        texts = [(s.instruction, s.reference_texts) for s in found if isinstance(s, Sample)]
        assert texts == [("What, ä?", ("one\ntwo",)), ('Who "x"?', ("3",))], files


@pytest.mark.parametrize(
    ("content", "row", "said"),
    [
        ("q,a\nx\n", 2, "1 cells in a table of 2 columns"), ("q,q\n1,2\n", 1, "stands twice"),
        ("", 1, "the file is empty"), ("q,a\n1,2\n3,\xff\n", 3, "not UTF-8"),
    ],
)  # fmt: skip
def test_a_broken_table_of_text_is_told_by_its_line(
    tmp_path: Path, content: str, row: int, said: str
) -> None:
    (tmp_path / "t.csv").write_bytes(content.encode("latin-1"))
    problems = [p for p in read(tmp_path, {}, files="t.csv") if isinstance(p, Problem)]
    assert any(said in p.what and (p.row or 1) <= row for p in problems), problems


def test_no_file_at_all_is_a_fault(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, {}, files="{a,b}/*.csv")
    assert "no file fits" in str(problem)


# ---- pictures ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference",
    ["../out.png", "/etc/passwd", "a/../../out.png", "http://x/y.png", "link.png", "..\\out.png",
     "file:///etc/passwd", "none.png", "t.jsonl", "~/x.png"],
)  # fmt: skip
def test_a_path_leads_nowhere_but_below_the_source(tmp_path: Path, reference: str) -> None:
    (tmp_path / "out.png").write_bytes(picture(1))
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.png").symlink_to(tmp_path / "out.png")
    assert fault(root, {"images": [{"of": "i"}]}, {"i": reference})


@pytest.mark.parametrize(
    ("settings", "cell", "said"),
    [
        ({"as": "base64"}, "%%%", "no base64"), ({"as": "base64"}, encode(1)[:60], "picture"),
        ({}, {"bytes": None, "path": "x.png"}, "holds no bytes"), ({}, 7, "no picture or path"),
        ({}, "", "no picture in 'i'"), ({"as": "volume"}, "x.npy", "volumes are not read"),
        ({"as": "base64"}, [encode(1)] * 65, "more than 64 pictures"), ({}, "x" * 2000, "base64?"),
    ],
)  # fmt: skip
def test_a_cell_that_is_no_picture_is_a_fault(
    tmp_path: Path, settings: dict[str, Any], cell: object, said: str
) -> None:
    assert said in fault(tmp_path, {"images": [{"of": "i", **settings}]}, {"i": cell})


def test_members_of_archives_are_read_and_nothing_else_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("./in/1.png", picture(1))
        packed.writestr("../out.png", picture(2))
        packed.writestr("in/bomb.png", b"\0" * (2 * 2**20))
    images = [{"of": "i", "in": "z.zip", "below": "in"}]
    assert one(tmp_path, {"images": images}, {"i": "1.png"}).input_images[0].data == picture(1)
    assert "leaves its folder" in fault(tmp_path, {"images": images}, {"i": "../../out.png"})
    assert "has no member" in fault(tmp_path, {"images": images}, {"i": "2.png"})
    (found,) = read(write(tmp_path, {"i": "bomb.png"}), {"images": images}, most_bytes_a_cell=2**20)
    assert "has more than 1,048,576 bytes" in str(found)


def test_links_in_a_tar_do_not_exist(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar.gz", "w:gz") as packed:
        entry = tarfile.TarInfo("1.png")
        entry.size = len(picture(1))
        packed.addfile(entry, io.BytesIO(picture(1)))
        link = tarfile.TarInfo("2.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
    images = {"images": [{"of": "i", "in": "t.tar.gz"}]}
    assert one(tmp_path, images, {"i": "1.png"}).input_images[0].data == picture(1)
    assert "has no member" in fault(tmp_path, images, {"i": "2.png"})
    (tmp_path / "t.tar.gz").write_bytes(b"\x1f\x8b broken")
    assert "is damaged" in fault(tmp_path, images, {"i": "1.png"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"7z\xbc\xaf'\x1c" + bytes(100), "a 7z archive"),
        (b"Rar!\x1a\x07\x00" + bytes(100), "a rar archive"),
        (b"\xfd7zXZ\x00" + bytes(100), "packed with xz"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a pointer of Git LFS"),
        (b"<html>Log in</html>", "a web page"),
        (b"", "damaged (empty file)"),
        (bytes(100), "damaged"),
    ],
)
def test_what_is_no_archive_is_told_for_what_it_is(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "t.zip").write_bytes(content)
    found = fault(tmp_path, {"images": [{"of": "i", "in": "t.zip"}]}, {"i": "1.png"})
    assert f"archive 't.zip' is {said}" in found


def test_a_sparse_member_of_a_tar_is_refused(tmp_path: Path) -> None:
    """It claims a hundred tebibytes, which would be unpacked onto the disk."""
    fields = {"major": "1", "minor": "0", "name": "r.jsonl", "realsize": str(100 * 2**40)}
    entry = tarfile.TarInfo("r.jsonl")
    entry.pax_headers = {f"GNU.sparse.{name}": value for name, value in fields.items()}
    held = b"1\n0\n8\n".ljust(512, b"\0") + b"12345678"
    entry.size = len(held)
    with tarfile.open(tmp_path / "t.tar", "w", format=tarfile.PAX_FORMAT) as packed:
        packed.addfile(entry, io.BytesIO(held))
    images = {"images": [{"of": "i", "in": "t.tar"}]}
    assert "is sparse" in fault(tmp_path, images, {"i": "r.jsonl"})
    found = read(tmp_path, {}, files={"glob": "*.jsonl", "in": "t.tar"})
    assert any("is sparse" in str(problem) for problem in found)


@pytest.mark.parametrize("how", ["pax", "longname"])
def test_a_header_of_a_tar_has_bounds(tmp_path: Path, how: str) -> None:
    entry = tarfile.TarInfo("1.png" if how == "pax" else "x" * 2_000_000)
    entry.pax_headers = {"comment": "x" * 2_000_000} if how == "pax" else {}
    form = tarfile.PAX_FORMAT if how == "pax" else tarfile.GNU_FORMAT
    with tarfile.open(tmp_path / "t.tar", "w", format=form) as packed:
        packed.addfile(entry)
    images = {"images": [{"of": "i", "in": "t.tar"}]}
    assert "is damaged (a header of 2,000," in fault(tmp_path, images, {"i": "1.png"})


@pytest.mark.parametrize("file", ["t.jsonl", "t.csv"])
def test_a_file_of_blank_lines_is_refused(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(b"i\n"[: 2 * (file == "t.csv")] + b"\n\r\n" * 600_000)
    found = read(tmp_path, {}, files=file)
    assert any("more than 1,000,000 lines have nothing in them" in str(f) for f in found)


def test_a_picture_above_the_limit_is_refused_or_made_smaller(tmp_path: Path) -> None:
    images = {"images": [{"of": "i", "as": "base64"}]}
    row = {"i": encode(1)}
    (found,) = read(write(tmp_path, row), images, most_pixels=200)
    assert "more than the 200 allowed" in str(found)
    (small,) = read(write(tmp_path, row), images, most_pixels=200, shrink=12)
    assert isinstance(small, Sample)
    assert len(small.input_images[0].data) != len(picture(1))


def test_labels_and_places_go_with_their_pictures(tmp_path: Path) -> None:
    images = [
        {"of": "i_{1..3}", "as": "base64", "place": "<image {n}>", "labels": "l"},
        {"of": "m", "as": "base64", "role": "region"},
    ]
    row = {
        "i_1": encode(1),
        "i_2": None,
        "i_3": encode(3),
        "l": ["Before:", "After:"],
        "m": encode(5),  # bright enough for a mask
    }
    asked = {"asks": "image", "answer": None, "rubric": {"is": "The lung is brighter."}}
    sample = one(tmp_path, {"images": images, **asked}, row)
    assert [(i.place, i.label) for i in sample.input_images] == [
        ("<image 1>", "Before:"), ("<image 3>", "After:")
    ]  # fmt: skip
    assert sample.region_images[0].data == picture(5)


# ---- answers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "letter"),
    [
        ("b", "B"), ("(B)", "B"), ("B.", "B"), ("B: lung", "B"), ("Option B", "B"), ("2", "B"),
        ("ب", "B"), ("Β", "B"), ("Б", "B"), ("나", "B"), (" b) ", "B"),
    ],
)  # fmt: skip
def test_a_letter_is_known_in_all_its_dresses(given: str, letter: str) -> None:
    assert letter_in(given) == letter


@pytest.mark.parametrize(
    ("choices", "answer", "row", "right"),
    [
        (
            {"columns": ["A", "B", "C"]},
            {"letter": "k"},
            {"A": "x", "B": "", "C": "z", "k": "C"},
            "z",
        ),
        (
            {"columns": ["option_{0..2}"]},
            {"index": "k"},
            {"option_0": "x", "option_2": "z", "k": 2},
            "z",
        ),
        ({"columns": ["op1", "op2"]}, {"letter": "k"}, {"op1": "x", "op2": "y", "k": "B"}, "y"),
        ({"of": "o"}, {"text": "k"}, {"o": ["Lung.", "Liver"], "k": " lung "}, "Lung."),
        ({"of": "o", "as": "inline"}, {"letter": "k"}, {"o": "A.1; B.2; C.A. x", "k": "b"}, "2"),
        ({"of": "o", "as": "inline"}, {"letter": "k"}, {"o": "a) 1 b) 2", "k": "b"}, "2"),
        ({"of": "o", "as": "inline"}, {"letter": "k"}, {"o": "1. x 2. 5.5", "k": 2}, "5.5"),
        ({"of": "o", "as": "keys"}, {"best": "o"}, {"o": {"1": 0.2, "2": 0.8}}, "2"),
        ({"of": "o"}, {"best": "k"}, {"o": ["1", "2"], "k": ["3", 3.5]}, "2"),
        ({"of": "o"}, {"best": "k", "none": "z"}, {"o": ["x", "y", "z"], "k": [3, 3]}, "z"),
        ({"of": "o", "as": "letters"}, {"letter": "k"}, {"o": {"B": "x", "A": "y"}, "k": "A"}, "y"),
        ({"answer": "k", "distractors": "d"}, {"text": "k"}, {"k": "x", "d": ["y", "z"]}, "x"),
        ({"is": ["no", "yes"]}, {"flags": "k"}, {"k": [0, 1]}, "yes"),
    ],
)
def test_the_right_option_is_found(
    tmp_path: Path, choices: dict[str, Any], answer: Any, row: dict[str, Any], right: str
) -> None:
    sample = one(tmp_path, {"choices": choices, "answer": answer}, row)
    assert sample.asks == "choice"
    assert [sample.choices[n] for n in sample.reference_choices] == [right]


@pytest.mark.parametrize(
    ("answer", "value", "said"),
    [
        ({"letter": "k"}, "C", "none of the letters"), ({"text": "k"}, "z", "none of the options"),
        ({"index": "k"}, 2, "no place of the 2 options"), ({"letter": "k"}, "", "no answer"),
        ({"texts": "k"}, ["x", "y"], "`asks: choices`"), ({"flags": "k"}, [1], "1 flags for 2"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_option_is_a_fault(
    tmp_path: Path, answer: Any, value: object, said: str
) -> None:
    sample = {"choices": {"is": ["x", "y"]}, "answer": answer}
    assert said in fault(tmp_path, sample, {"k": value})


@pytest.mark.parametrize(
    ("answer", "row", "field", "expected"),
    [
        ({"number": "k", "unit": {"is": "mm"}}, {"k": "1,200.5"}, "reference_text", "1200.5 mm"),
        ({"boxes": "k", "form": "xywh"}, {"k": [1, 2, 3, 4]}, "reference_text", "[1, 2, 4, 6]"),
        ({"boxes": "k", "form": "relative"}, {"k": [[0, 0, 0.5, 0.5]]},
         "reference_text", "[0, 0, 12, 8]"),
        ({"sections": {"findings": "k", "impression": "m"}}, {"k": "clear", "m": None},
         "reference_sections", {"findings": "clear"}),
        ({"text": "k", "aliases": "m"}, {"k": "x", "m": ["y", "x"]}, "reference_texts", ("x", "y")),
    ],
)  # fmt: skip
def test_answers_of_every_form_are_read(
    tmp_path: Path, answer: Any, row: dict[str, Any], field: str, expected: object
) -> None:
    images = [{"of": "i", "as": "base64"}]
    sample = one(tmp_path, {"answer": answer, "images": images}, {**row, "i": encode(1)})
    assert getattr(sample, field) == expected


def test_a_task_may_have_a_mark_of_its_own() -> None:
    tasks = Coded(("edit", "draw"), np.asarray([0, 0, 1], np.int64))
    same = Coded(("x",), np.zeros(3, np.int64))
    values = np.asarray([0.5, 0.9, 0.5])
    context = Context(same, tasks, same, same, np.arange(3, dtype=np.int32))
    column = Column("s", "score", "ssim", "ssim", "ssim", values, same, context)
    marks = {
        "ssim": {"pass_when": ">=", "value": 0.4},
        "ssim@edit": {"pass_when": ">=", "value": 0.8},
    }
    hits = column.passing(marks)
    assert hits is not None
    assert hits.tolist() == [False, True, True]
    assert column.threshold(marks, "edit").value == 0.8
    assert column.threshold(marks, "draw").value == 0.4
