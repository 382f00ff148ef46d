"""The presets of docs/layouts.md, each as it stands, read against files of the shape it is for."""

import base64
import gzip
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tables.laying import document, lay, picture, table
from tables.more_layouts import MORE

from medgen.conf.loading import benchmark_file
from medgen.engine.data import Box, Number, Sample
from medgen.launch.compose import source_of

PAGE = Path(__file__).parents[2] / "docs" / "layouts.md"
EXAMPLE = re.compile(r"```yaml\n# layout: ([\w-]+)\n(.*?)```", re.DOTALL)
PRESETS = dict(EXAMPLE.findall(PAGE.read_text(encoding="utf-8")))


def folders(root: Path) -> None:
    lay(root, "test/covid/a.png", "test/normal/a.png", "test/viral pneumonia/c.png")
    lay(root, "train/covid/z.png")


def nested(root: Path) -> None:
    lay(root, "pics/p0.png", "pics/p1.png")
    imaging = [{"file": "p0.png", "modality": "CT"}, {"file": "p1.png", "modality": "CT"}]
    asked = {"q": "What is it?", "options": {"A": "mass", "B": "cyst"}, "answer_idx": 1}
    case = {"patient": {"id": "P1", "age": 61}, "imaging": imaging, "qa": asked}
    document(root / "data.json", {"meta": {"version": 2}, "cases": [case]})


def split(root: Path) -> None:
    with zipfile.ZipFile(root / "images.zip", "w") as packed:
        for name in ("a", "b"):
            packed.writestr(f"set1/{name}.png", picture(ord(name)))
    row = ["7", "set1/a.png; set1/b.png", 'Is it "normal"?', "Yes", "MRI"]
    table(
        root / "questions.tsv",
        [["qid", "images", "question", "answer", "modality"], row],
        delimiter="\t",
    )


def labels(root: Path) -> None:
    (root / "data").mkdir()
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = [{"bytes": picture(n), "path": None} for n in range(3)]
    columns = {
        "image": pa.array(images, kind),
        "labels": pa.array([[0, 2], [1], []], pa.list_(pa.int64())),
        "patient_id": pa.array([4, 4, 5]),
    }
    pq.write_table(pa.table(columns), root / "data" / "test-00000-of-00001.parquet")


def flags(root: Path) -> None:
    lay(root, "im/0.png", "im/1.png")
    head = ["Path", "Sex", "Edema", "Mass", "Effusion"]
    one = ["DS-v1.0/im/0.png", "F", "1.0", "0.0", "1.0"]
    table(root / "valid.csv", [head, one, ["DS-v1.0/im/1.png", "M", "", "0.0", ""]])


def conversation(root: Path) -> None:
    lay(root, "img/0.png")
    said = [
        {"from": "human", "value": "<image>\nWhich organ?"},
        {"from": "gpt", "value": "The lung."},
        {"from": "human", "value": "Is there a mass?"},
        {"from": "gpt", "value": "Yes."},
    ]
    row = {"id": "c0", "image": "img/0.png", "conversations": said}
    (root / "conv.jsonl").write_text(json.dumps(row) + "\n")


def boxes(root: Path) -> None:
    lay(root, "test/00.png", "test/01.png")
    rows = [
        ["image_id", "class_name", "x_min", "y_min", "x_max", "y_max"],
        ["00", "nodule", 1, 2, 11, 12], ["01", "nodule", 3, 4, 13, 14],
        ["00", "nodule", 5.5, 6, 15, 16], ["00", "scar", 0, 0, 9, 9],
    ]  # fmt: skip
    table(root / "annotations.csv", rows)


def study(root: Path) -> None:
    lay(root, "pictures/0a.png", "pictures/0b.png", "pictures/1a.png")
    rows = [[0, "PA", "0a.png", "Normal."], [0, "LAT", "0b.png", "Normal."]]
    rows.append([1, "AP", "1a.png", "A mass."])
    table(root / "studies.csv", [["study", "view", "file", "report"], *rows])


def split_files(root: Path) -> None:
    lay(root, "files/0.png", "files/1.png")
    head = ["PatientID", "ImageFile", "Question", "Label", "Age", "Hospital"]
    table(
        root / "test.csv",
        [head, ["p1", "0.png", "Ill?", 1, 39, "A"], ["p1", "1.png", "Ill?", 0, 61, "B"]],
    )
    table(root / "train.csv", [head])


def several(root: Path) -> None:
    options = [
        {"key": f"opt_{k}", "text": t}
        for k, t in zip("abc", ("mass", "cyst", "edema"), strict=True)
    ]
    row = {"uid": 1, "stem": "Which apply?", "choices": options, "answer": ["opt_a", "opt_c"]}
    document(root / "multi.json", [{**row, "image_base64": base64.b64encode(picture(3)).decode()}])


def cases(root: Path) -> None:
    lay(
        root,
        "case_001/frontal.png",
        "case_001/lateral.png",
        "case_002/frontal.png",
    )
    for case, impression in (("case_001", "No disease."), ("case_002", None)):
        report = {"findings": "Heart normal.", "impression": impression, "indication": "cough"}
        document(root / case / "report.json", report)


def numbers(root: Path) -> None:
    lay(root, "x/s0.png")
    rows = [["study", "q", "value"], ["s0", "Größe?", "1,012.5 mm"]]
    table(root / "sizes.csv", rows, delimiter=";", encoding="cp1252")


def edits(root: Path) -> None:
    (root / "index.csv.gz").write_bytes(gzip.compress(b"n,edit\n4,Remove the wire.\n"))
    with tarfile.open(root / "pairs.tar.gz", "w:gz") as packed:
        for grey, kind in ((0, "before"), (1, "after"), (255, "mask")):
            member = tarfile.TarInfo(f"pairs/{kind}/4.png")
            member.size = len(picture(grey))
            packed.addfile(member, io.BytesIO(picture(grey)))


def organs(root: Path) -> None:
    one = {"q": "Which?", "o": ["x", "y"], "a": "y"}
    document(root / "q.json", {"chest": [one], "brain": [{**one, "q": "What?", "a": "x"}]})


def coco(root: Path) -> None:
    lay(root, "images/a.png", "images/b.png")
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    marks = [
        {"id": 11, "image_id": 1, "category_id": 5, "bbox": [1, 2, 10, 20]},
        {"id": 12, "image_id": 1, "category_id": 5, "bbox": [5, 2, 10, 20]},
    ]
    kinds = [{"id": 5, "name": "polyp"}, {"id": 6, "name": "ulcer"}]
    document(root / "instances.json", {"images": images, "annotations": marks, "categories": kinds})


def captions(root: Path) -> None:
    lay(root, "pairs/x.png", "pairs/y.png")
    for name, words in (("x", "A cyst.\n"), ("y", "A mass.")):
        (root / "pairs" / f"{name}.txt").write_text(words)


def patients(root: Path) -> None:
    lay(root, "pictures/s1.png")
    asked = [{"q": "Which organ?", "a": "lung"}, {"q": "Ill?", "a": "no"}]
    studies = [{"sid": "S1", "image": "s1.png", "questions": asked}]
    people = [{"id": "P1", "studies": studies}, {"id": "P2", "studies": studies}]
    document(root / "data.json", {"patients": people})
    (root / "test.txt").write_text("P1\n")


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "folders": folders, "nested": nested, "split": split, "labels": labels, "flags": flags,
    "conversation": conversation, "boxes": boxes, "study": study, "split-files": split_files,
    "several": several, "cases": cases, "numbers": numbers, "edits": edits, "organs": organs,
    "coco": coco, "captions": captions, "patients": patients, **MORE,
}  # fmt: skip


def items(root: Path, name: str) -> list[Sample]:
    LAYOUTS[name](root)
    (root / f"{name}.yaml").write_text(PRESETS[name], encoding="utf-8")
    found = list(source_of(benchmark_file(str(root / f"{name}.yaml"))))
    assert all(isinstance(item, Sample) for item in found), found
    return [item for item in found if isinstance(item, Sample)]


def test_every_example_has_its_files() -> None:
    assert set(PRESETS) == set(LAYOUTS)


def test_a_folder_of_classes(tmp_path: Path) -> None:
    found = items(tmp_path, "folders")
    assert [s.id for s in found] == ["covid-a", "normal-a", "viral pneumonia-c"]
    assert [s.reference_text for s in found] == ["covid", "normal", "viral pneumonia"]
    assert [len(s.input_images) for s in found] == [1, 1, 1]


def test_answers_that_are_places_letters_and_flags(tmp_path: Path) -> None:
    (one,) = items(tmp_path, "nested")
    assert (one.reference_text, one.source, dict(one.groups)) == ("cyst", "P1", {"age": "40-64"})
    assert [i.path for i in one.input_images] == ["p0.png", "p1.png"]
    found = items(tmp_path, "labels")
    assert [s.reference_choices for s in found] == [(0, 2), (1,), (3,)]
    assert [s.source for s in found] == ["4", "4", "5"]
    assert [s.reference_choices for s in items(tmp_path, "flags")] == [(0, 2), (3,)]
    (one,) = items(tmp_path, "several")
    assert one.reference_choices == (0, 2)
    assert [s.reference_text for s in items(tmp_path, "split-files")] == ["yes", "no"]


def test_several_pictures_of_a_cell_and_of_a_study(tmp_path: Path) -> None:
    (one,) = items(tmp_path, "split")
    assert [i.path for i in one.input_images] == ["set1/a.png", "set1/b.png"]
    assert (one.id, one.instruction, one.reference_text) == ("7", 'Is it "normal"?', "yes")
    first, second = items(tmp_path, "study")
    assert [(i.path, i.label) for i in first.input_images] == [("0a.png", "PA"), ("0b.png", "LAT")]
    assert [(i.path, i.label) for i in second.input_images] == [("1a.png", "AP")]
    assert (second.id, second.reference_text) == ("study-1", "A mass.")


def test_the_questions_of_a_conversation(tmp_path: Path) -> None:
    first, second = items(tmp_path, "conversation")
    assert (first.id, first.instruction, first.reference_text) == (
        "c0-0",
        "Which organ?",
        "The lung.",
    )
    assert first.turns == ()
    assert (second.instruction, second.reference_text) == ("Is there a mass?", "Yes.")
    assert [(t.role, t.text, t.images) for t in second.turns] == [
        ("user", "Which organ?", ()), ("assistant", "The lung.", ()),
    ]  # fmt: skip
    assert len(second.input_images) == 1


def test_boxes_of_several_rows(tmp_path: Path) -> None:
    first, second = items(tmp_path, "boxes")
    assert first.reference_boxes == (Box(0, 1, 2, 11, 12), Box(0, 5.5, 6, 15, 16))
    assert second.reference_boxes == (Box(0, 3, 4, 13, 14),)


def test_reports_measurements_edits_and_questions_by_organ(tmp_path: Path) -> None:
    one, two = items(tmp_path, "cases")
    assert (one.id, one.context) == ("case_001", "cough")
    assert dict(one.reference_sections) == {
        "findings": "Heart normal.",
        "impression": "No disease.",
    }
    assert (len(one.input_images), len(two.input_images)) == (2, 1)
    assert dict(two.reference_sections) == {"findings": "Heart normal."}
    (one,) = items(tmp_path, "numbers")
    assert (one.instruction, one.reference_number) == ("Größe?", Number(1012.5, "mm"))
    (one,) = items(tmp_path, "edits")
    kinds = (one.input_images, one.reference_images, one.region_images)
    assert [i.path.split("/")[1] for (i,) in kinds] == ["before", "after", "mask"]
    assert [dict(s.groups) for s in items(tmp_path, "organs")] == [
        {"organ": "chest"},
        {"organ": "brain"},
    ]


def test_tables_that_belong_together(tmp_path: Path) -> None:
    (one,) = items(tmp_path, "coco")
    assert (one.id, one.instruction) == ("1", "Mark every polyp.")
    assert one.reference_boxes == (Box(0, 1, 2, 11, 22), Box(0, 5, 2, 15, 22))
    found = items(tmp_path, "captions")
    assert [(s.id, s.reference_text) for s in found] == [("x", "A cyst."), ("y", "A mass.")]
    found = items(tmp_path, "patients")
    assert [(s.id, s.source, s.reference_text) for s in found] == [
        ("S1-0", "P1", "lung"), ("S1-1", "P1", "no"),
    ]  # fmt: skip


def test_tables_and_pictures_in_archives(tmp_path: Path) -> None:
    found = items(tmp_path, "in-zip")
    assert [(s.reference_text, s.input_images[0].path) for s in found] == [
        ("no", "images/0.png"), ("yes", "images/1.png"),
    ]  # fmt: skip
    found = items(tmp_path, "shards")
    assert [(s.id, s.reference_text) for s in found] == [
        ("shard-0.tar-000000", "lung"), ("shard-1.tar-000000", "liver"),
    ]  # fmt: skip
    assert found[0].input_images[0].data != found[1].input_images[0].data


def test_rows_that_are_columns_and_lists_side_by_side(tmp_path: Path) -> None:
    found = items(tmp_path, "columns")
    assert [(s.id, s.instruction, s.reference_text) for s in found] == [
        ("0", "Is it 0?", "no"), ("1", "Is it 1?", "yes"),
    ]  # fmt: skip
    found = items(tmp_path, "side-by-side")
    assert [(s.id, s.instruction, s.reference_text) for s in found] == [
        ("0-0", "Which organ?", "lung"), ("0-1", "Which side?", "left"),
    ]  # fmt: skip
    found = items(tmp_path, "by-line")
    assert [(s.instruction, s.reference_text) for s in found] == [
        ("Is it 0?", "yes"), ("Is it 1?", "no"),
    ]  # fmt: skip


def test_keys_that_say_what_their_values_are(tmp_path: Path) -> None:
    found = items(tmp_path, "keys")
    assert [(s.id, s.source, s.instruction, s.reference_text) for s in found] == [
        ("S1-edema", "P1", "Is there edema?", "yes"), ("S1-mass", "P1", "Is there mass?", "no"),
    ]  # fmt: skip
    first, second = items(tmp_path, "scores")
    assert (first.choices, first.reference_choices) == (("mass", "cyst"), (1,))
    assert second.reference_choices == (0,)


def test_as_many_pictures_as_a_folder_holds(tmp_path: Path) -> None:
    found = items(tmp_path, "slices")
    assert [i.path for i in found[0].input_images] == [
        "slices/c0/s2.png", "slices/c0/s10.png",
    ]  # fmt: skip
    assert [len(s.input_images) for s in found] == [2, 2, 1]
    (one,) = items(tmp_path, "thousandths")
    assert one.reference_boxes == (Box(0, 10, 16, 50, 48),)


def test_one_question_for_each_finding_that_was_looked_for(tmp_path: Path) -> None:
    found = items(tmp_path, "findings")
    assert [(s.id, s.instruction, s.reference_text, s.source) for s in found] == [
        ("patient0/a.png-0", "Is there edema?", "yes", "patient0"),
        ("patient0/b.png-0", "Is there edema?", "no", "patient0"),
    ]


def test_a_dialogue_of_a_row_each_turn(tmp_path: Path) -> None:
    (one,) = items(tmp_path, "turns")
    assert [(t.role, t.text) for t in one.turns] == [
        ("user", "I cough."), ("assistant", "Since when?"),
    ]  # fmt: skip
    assert (one.instruction, one.reference_text) == ("For days.\nWhat is it?", "Bronchitis.")
    assert [i.path for i in one.input_images] == ["0.png"]


def test_reports_in_files_of_another_kind(tmp_path: Path) -> None:
    (one,) = items(tmp_path, "xml")
    assert dict(one.reference_sections) == {
        "findings": "Heart & lungs are normal.",
        "impression": "No disease.",
    }
    assert [i.path for i in one.input_images] == ["images/CXR7_1.png", "images/CXR7_2.png"]


def test_several_rows_of_a_second_table_or_none(tmp_path: Path) -> None:
    found = items(tmp_path, "marked-or-not")
    assert [(s.id, s.reference_choices) for s in found] == [("a.png", (0, 1)), ("b.png", (2,))]
    found = items(tmp_path, "classes")
    assert [(s.id, s.reference_text, dict(s.groups)) for s in found] == [
        ("shard-0.tar-000000", "liver", {"site": "S0"}),
        ("shard-1.tar-000000", "lung", {"site": "S1"}),
    ]


def test_frames_by_number_and_answers_in_several_columns(tmp_path: Path) -> None:
    (one,) = items(tmp_path, "frames")
    assert [i.path for i in one.input_images] == ["v0/frame_00001.png", "v0/frame_00012.png"]
    assert one.reference_texts == ("a hook", "the hook")
