"""Everything that must keep outside data from becoming a benchmark, and what is said about it."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources.outside import (
    HUB_SCHEMA,
    RECORDS,
    bomb,
    hub_rows,
    picture,
    write_directory,
    write_hub,
    write_lines,
    write_view,
)

from medgen.adapters.sources.folder import (
    FaultyContent,
    safe_path,
    strict_json,
)
from medgen.adapters.sources.layouts import open_source
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark, validate
from medgen.engine.bounds import RECORD
from medgen.engine.data import Sample
from medgen.engine.errors import BenchmarkError
from medgen.engine.store.connect import connect

Record = dict[str, Any]


def _lines(file: Path) -> list[Record]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def _set(**fields: object) -> Callable[[Record], object]:
    return lambda record: record.update(fields)


def _drop(name: str) -> Callable[[Record], object]:
    return lambda record: record.pop(name)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_set(input_image=["/etc/hostname"]), "absolute"),
        (_set(input_image=["~/x.png"]), "absolute"),
        (_set(input_image=["file:///etc/hostname"]), "absolute"),
        (_set(input_image=["C:\\x.png"]), "absolute"),
        (_set(input_image=["s3://bucket/x.png"]), "absolute"),
        (_set(input_image=["images/../../../x.png"]), "'..'"),
        (_set(ground_truth_image=["../out2.png"]), "'..'"),
        (_set(input_image=["images\\..\\x.png"]), "backslash"),
        (_set(input_image=["zip::images/in2.png"]), "backslash|absolute"),
        (_set(input_image=["images/none.png"]), "missing"),
        (_set(input_image=["images"]), "not an ordinary file"),
        (_set(input_image=[7]), "not a file name"),
        (_set(input_image={"path": "x"}), "not a file name"),
        (_set(input_image=[]), "no input image"),
        (_set(input_image=["images/in2.png"] * 129), "at most 128"),
        (_drop("ground_truth_image"), "no ground-truth image"),
        (_set(instruction=7), "instruction is int"),
        (_set(instruction=" "), "instruction is empty"),
        (_drop("instruction"), "instruction is NoneType"),
        (_drop("modality"), "modality is NoneType"),
        (_set(choice="A or B"), "not a list"),
        (_set(choice=["A", 2]), "not a list"),
        (_set(answer=7), "answer is int"),
        (_set(answer=[1]), "answer is list"),
    ],
)
def test_a_bad_record_is_named_with_its_place(
    lines_layout: tuple[Path, Path], spoil: Callable[[Record], object], said: str
) -> None:
    folder, file = lines_layout
    records = _lines(file)
    spoil(records[2])
    write_lines(file, records)
    problems = [p for p in validate(open_source(str(folder))) if p.row is not None]
    assert {(p.file, p.row) for p in problems} == {(str(file.relative_to(folder)), 3)}
    assert len(problems) == 1
    assert any(word in problems[0].what for word in said.split("|"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (picture()[:60], "truncated"),
        (b"<html>", "not a picture"),
        (b"", "it is empty"),
        (bomb(), "pixels"),
    ],
    ids=["truncated", "html", "empty", "bomb"],
)
def test_a_bad_picture_is_named(lines_layout: tuple[Path, Path], content: bytes, said: str) -> None:
    folder, file = lines_layout
    (file.parent / "images/out1.png").write_bytes(content)
    (problem,) = [p for p in validate(open_source(str(folder))) if p.row is not None]
    assert problem.row == 2
    assert "images/out1.png" in problem.what
    assert said in problem.what


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"\xef\xbb\xbf{}", "byte-order mark"),
        (b'{"modality": NaN}', "NaN"),
        (b'{"modality": -Infinity}', "-Infinity"),
        (b'{"modality": 1e999}', "too large"),
        (b'{"modality": "CT", "modality": "MRI"}', "'modality' stands twice"),
        (b'{"raw": {"a": 1, "a": 1}}', "'a' stands twice"),
        (b'{"modality": ', "not JSON"),
        (b"[1, 2]", "this is list"),
        (b'{"modality": "\xff"}', "not UTF-8"),
        (b'{"modality": "\\ud800"}', "not UTF-8"),
        (b'{"a":' + b"[" * 100_000, "not JSON"),
        (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"x" * (RECORD.line_bytes + 1), "more than 4,194,304 bytes"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_is_read(
    lines_layout: tuple[Path, Path], line: bytes, said: str
) -> None:
    folder, file = lines_layout
    good = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join([good[0], line, *good[1:]]) + b"\n")
    items = list(open_source(str(folder)))
    problems = [item for item in items if item not in _samples(items)]
    assert [(p.row, said in p.what) for p in problems] == [(2, True)]
    assert len(_samples(items)) == 4


def _samples(items: list[Any]) -> list[Any]:
    return [item for item in items if isinstance(item, Sample)]


def test_every_problem_is_listed_and_nothing_is_written(tmp_path: Path) -> None:
    records = json.loads(json.dumps(RECORDS))
    records[0]["input_image"] = ["/etc/hostname"]
    records[1]["instruction"], records[1]["modality"] = 1, 2
    records[3]["ground_truth_image"] = ["images/none.png"]
    write_view(tmp_path / "in", records)
    source = open_source(str(tmp_path / "in"))
    assert [p.row for p in validate(source)] == [1, 2, 2, 4]
    with pytest.raises(BenchmarkError) as caught:
        import_benchmark(source, connect(str(tmp_path / "store")), ImportOptions("bad"))
    message = str(caught.value)
    assert message.startswith("4 problem(s), nothing was written")
    for part in (
        "edit.jsonl:1: sample e0: ",
        "edit.jsonl:2: sample e1: ",
        "edit.jsonl:4: sample e3",
    ):
        assert part in message
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("task", "said"),
    [("tooth-counting", "unknown task 'tooth-counting'"), ("blank-filling", "belongs to VQA")],
)
def test_an_unknown_or_misplaced_task_is_refused(tmp_path: Path, task: str, said: str) -> None:
    records = json.loads(json.dumps(RECORDS))
    records[0]["paper_task"] = task
    write_view(tmp_path, records)
    problem = validate(open_source(str(tmp_path)))[0]
    assert (problem.row, problem.sample_id) == (1, "e0")
    assert said in problem.what


@pytest.mark.parametrize("bad", ["", " ", 3, None, "x\n", "y" * 300])
def test_a_bad_sample_id_is_refused(tmp_path: Path, bad: object) -> None:
    records = json.loads(json.dumps(RECORDS))
    records[0]["sample_id"] = bad
    write_view(tmp_path, records)
    (problem,) = validate(open_source(str(tmp_path)))
    assert problem.row == 1
    assert "sample_id" in problem.what


def test_a_repeated_id_is_refused_or_numbered(tmp_path: Path) -> None:
    records = json.loads(json.dumps(RECORDS))
    records[3]["sample_id"] = "e0"
    write_view(tmp_path, records)
    source = open_source(str(tmp_path))
    (problem,) = validate(source)
    assert (problem.sample_id, "occurs again" in problem.what) == ("e0", True)
    assert validate(source, ImportOptions("x", number_repeats=True)) == []


def test_links_that_leave_the_folder_are_refused(lines_layout: tuple[Path, Path]) -> None:
    folder, file = lines_layout
    outside = folder.parent / f"{folder.name}-secret.png"
    outside.write_bytes(picture())
    inner = file.parent / "images/in0.png"
    inner.unlink()
    inner.symlink_to(outside)
    beside = file.parent / "images/in1.png"
    beside.rename(file.parent / "images/real.png")
    beside.symlink_to("real.png")  # a link that stays inside is fine
    problems = [p for p in validate(open_source(str(folder))) if p.row is not None]
    assert [(p.row, "leaves the benchmark" in p.what) for p in problems] == [(1, True)]


def test_a_linked_folder_that_leaves_is_refused(tmp_path: Path) -> None:
    write_view(tmp_path / "in", RECORDS)
    (tmp_path / "in/images").rename(tmp_path / "images")
    (tmp_path / "in/images").symlink_to(tmp_path / "images")
    problems = validate(open_source(str(tmp_path / "in")))
    assert sum("leaves the benchmark" in p.what for p in problems) == 8
    assert "there is no sample in it" in problems[-1].what


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write_view(tmp_path, RECORDS)
    (tmp_path / "images/in0.png").unlink()
    os.mkfifo(tmp_path / "images/in0.png")
    (problem,) = validate(open_source(str(tmp_path)))
    assert "not an ordinary file" in problem.what


# ---- the manifest of the canonical directory -------------------------------------------------


def _manifest(folder: Path, change: Callable[[Record], object]) -> list[str]:
    write_directory(folder, RECORDS)
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return [str(problem) for problem in validate(open_source(str(folder)))]


PLACE = "ImageEditing/noise-reconstruction"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m["tasks"][PLACE].update(record_count=5), "promises 5 records, 4 are good"),
        (
            lambda m: m["validation"].update(actual_record_count=9),
            "is 9, but the tasks add up",
        ),
        (lambda m: m["tasks"][PLACE].update(record_count="4"), "not a whole number"),
        (lambda m: m["tasks"][PLACE].update(record_count=True), "not a whole number"),
        (lambda m: m.update(tasks=[]), "'tasks' is not an object"),
        (lambda m: m.update(table_iv=["x"]), "'table_iv' is not an object"),
        (lambda m: m["table_iv"].update(VQA=["blank-filling"]), "stands in 'table_iv' only"),
        (lambda m: m["tasks"].update({"VQA/teeth": {"record_count": 0}}), "unknown task"),
        (lambda m: m["tasks"].update({"../x": {"record_count": 0}}), "'..'"),
        (lambda m: m["tasks"].update({"VQA/blank-filling": {"record_count": 1}}), "is missing"),
    ],
)
def test_a_manifest_that_lies_is_refused(
    tmp_path: Path, change: Callable[[Record], object], said: str
) -> None:
    assert any(said in problem for problem in _manifest(tmp_path, change))


def test_a_folder_that_no_manifest_names_is_refused(tmp_path: Path) -> None:
    write_directory(tmp_path, RECORDS)
    (tmp_path / "VQA/blank-filling").mkdir(parents=True)
    (tmp_path / "VQA/blank-filling/data.jsonl").write_text("")
    (problem,) = validate(open_source(str(tmp_path)))
    assert problem.file == "VQA/blank-filling/data.jsonl"
    assert "does not name this task" in problem.what


def test_a_record_in_the_folder_of_another_task_is_refused(tmp_path: Path) -> None:
    records = json.loads(json.dumps(RECORDS))
    records[1]["paper_task"] = "style-transfer"
    write_directory(tmp_path, records)
    problems = validate(open_source(str(tmp_path)))
    assert "in the folder of 'noise-reconstruction'" in problems[0].what
    assert problems[0].row == 2


# ---- tables ------------------------------------------------------------------------------------


def _with_type(column: str, kind: pa.DataType) -> pa.Schema:
    at = HUB_SCHEMA.get_field_index(column)
    return HUB_SCHEMA.set(at, pa.field(column, kind))


@pytest.mark.parametrize(
    ("column", "kind", "value"),
    [
        ("instruction", pa.int64(), 1),
        ("task", pa.list_(pa.string()), ["a"]),
        ("modality", pa.binary(), b"CT"),
        ("input_images", pa.list_(pa.binary()), [b"x"]),
        ("input_images", pa.string(), "x.png"),
        ("output_images", pa.list_(pa.struct([("bytes", pa.string()), ("path", pa.string())])), []),
        ("input_images", pa.list_(pa.struct([("bytez", pa.binary()), ("path", pa.string())])), []),
        ("input_images", pa.list_(pa.struct([("bytes", pa.binary()), ("file", pa.string())])), []),
        ("input_images", pa.list_(pa.struct([("path", pa.string())])), []),
        ("input_images", pa.list_(pa.struct([("image", pa.binary())])), []),
        (
            "output_images",
            pa.list_(pa.struct([("bytes", pa.binary())] * 2 + [("path", pa.string())])),
            None,
        ),
    ],
)
def test_a_wrong_column_type_is_refused(
    tmp_path: Path, column: str, kind: pa.DataType, value: object
) -> None:
    rows = [row | {column: value} for row in hub_rows()]
    write_hub(tmp_path, rows, _with_type(column, kind))
    problems = validate(open_source(str(tmp_path)))
    assert "wrong schema" in problems[0].what
    assert repr(column) in problems[0].what


@pytest.mark.parametrize("column", ["instruction", "task", "modality", "input_images"])
def test_a_missing_column_is_refused(hub_layout: Path, column: str) -> None:
    at = HUB_SCHEMA.get_field_index(column)
    write_hub(hub_layout, None, HUB_SCHEMA.remove(at))
    problems = validate(open_source(str(hub_layout)))
    assert f"column {column!r} is missing" in problems[0].what


def test_a_cell_is_named_by_its_row(hub_layout: Path) -> None:
    rows = hub_rows()
    rows[1]["input_images"] = [{"bytes": None, "path": "/etc/hostname"}]
    rows[2]["output_images"] = None
    rows[3]["output_images"][0]["bytes"] = picture()[:50]
    write_hub(hub_layout, rows)
    problems = validate(open_source(str(hub_layout)))
    assert [p.row for p in problems] == [2, 3, 4]
    assert "only embedded images" in problems[0].what
    assert "no ground-truth image" in problems[1].what
    assert "truncated" in problems[2].what


def test_a_cell_that_is_far_too_large_is_refused(hub_layout: Path) -> None:
    rows = hub_rows()
    rows[1]["input_images"][0]["bytes"] = bytes(RECORD.file_bytes + 1)
    write_hub(hub_layout, rows)
    (problem,) = validate(open_source(str(hub_layout)))
    assert (problem.row, "more than 67,108,864 bytes" in problem.what) == (2, True)


def test_a_file_that_is_far_too_large_is_refused(tmp_path: Path) -> None:
    write_view(tmp_path, RECORDS)
    with (tmp_path / "images/in1.png").open("r+b") as file:
        file.truncate(RECORD.file_bytes + 1)
    (problem,) = validate(open_source(str(tmp_path)))
    assert (problem.row, "more than 67,108,864 bytes" in problem.what) == (2, True)


@pytest.mark.parametrize("keep", [0, 4, 100, -50])
def test_a_damaged_table_is_refused(hub_layout: Path, keep: int) -> None:
    file = write_hub(hub_layout)
    file.write_bytes(file.read_bytes()[:keep])
    problems = validate(open_source(str(hub_layout)))
    assert "damaged or not Parquet" in problems[0].what


def test_a_flipped_bit_in_a_table_is_refused(tmp_path: Path) -> None:
    file = write_hub(tmp_path)
    data = bytearray(file.read_bytes())
    at = data.index(b"\x89PNG") + 40
    data[at] ^= 0xFF
    file.write_bytes(data)
    assert validate(open_source(str(tmp_path)))


def test_a_missing_part_is_noticed(tmp_path: Path) -> None:
    write_hub(tmp_path, name="train-00001-of-00003.parquet")
    (problem,) = validate(open_source(str(tmp_path)))
    assert "part 0 of 3 is missing (2 in all)" in problem.what


def test_the_same_row_twice_is_refused(hub_layout: Path) -> None:
    rows = hub_rows()
    write_hub(hub_layout, [*rows, rows[0]])
    (problem,) = validate(open_source(str(hub_layout)))
    assert "occurs again" in problem.what


# ---- places --------------------------------------------------------------------------------------


def test_a_place_without_a_known_layout_is_explained(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="none of the known layouts"):
        open_source(str(tmp_path))
    with pytest.raises(BenchmarkError, match="nothing at"):
        open_source(str(tmp_path / "nowhere"))
    with pytest.raises(BenchmarkError, match="not one of directory, hub, view"):
        open_source(str(tmp_path), "tables")
    with pytest.raises(BenchmarkError, match="gopher"):
        open_source("gopher://example/x")


def test_two_layouts_in_one_place_need_a_word(tmp_path: Path) -> None:
    write_directory(tmp_path, RECORDS)
    write_view(tmp_path, RECORDS)
    with pytest.raises(BenchmarkError, match="directory and view"):
        open_source(str(tmp_path))
    assert validate(open_source(str(tmp_path), "view")) == []


def test_credentials_of_a_url_are_not_kept() -> None:
    from medgen.adapters.sources.folder import public_url

    assert public_url("https://me:secret@host/data?token=abc#x") == "https://host/data"


@given(st.text(max_size=40) | st.lists(st.sampled_from(["..", ".", "a", "", "/"])).map("/".join))
def test_an_accepted_path_stays_below_its_folder(reference: str) -> None:
    try:
        path = safe_path(reference)
    except FaultyContent:
        return
    assert os.path.normpath(f"/root/{path}") == f"/root/{path}"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_strict_json_reads_what_json_is(value: object) -> None:
    try:
        line = json.dumps({"value": value}, allow_nan=False).encode()
        line.decode()
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, UnicodeEncodeError):
        return
    assert strict_json(line) == {"value": value}


@given(st.binary(max_size=60))
def test_strict_json_raises_one_error_only(line: bytes) -> None:
    with contextlib.suppress(FaultyContent):
        strict_json(line)
