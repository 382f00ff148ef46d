"""Files for further layouts of docs/layouts.md: archives, columns, lists side by side."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tables.laying import document, lay, picture, table


def in_zip(root: Path) -> None:
    rows = [
        {"qid": n, "image": f"images/{n}.png", "question": "Is there a mass?", "answer": word}
        for n, word in enumerate(("no", "yes"))
    ]
    with zipfile.ZipFile(root / "bench.zip", "w") as packed:
        packed.writestr("bench/test.json", json.dumps(rows))
        for number in range(2):
            packed.writestr(f"bench/images/{number}.png", picture(number))


def shards(root: Path) -> None:
    for number, organ in enumerate(("lung", "liver")):
        asked = {"question": "Which organ?", "options": ["lung", "liver"], "answer": organ}
        with tarfile.open(root / f"shard-{number}.tar", "w") as packed:
            for ending, data in (("json", json.dumps(asked).encode()), ("png", picture(number))):
                entry = tarfile.TarInfo(f"000000.{ending}")
                entry.size = len(data)
                packed.addfile(entry, io.BytesIO(data))


def columns(root: Path) -> None:
    lay(root, "x/p0.png", "x/p1.png")
    words = {"img": "p{}", "q": "Is it {}?"}
    table_ = {name: {n: text.format(n) for n in "01"} for name, text in words.items()}
    document(root / "ann.json", {**table_, "a": {"0": "no", "1": "yes"}})


def side_by_side(root: Path) -> None:
    lay(root, "0.png")
    asked = {"questions": ["Which organ?", "Which side?"], "answers": "['lung', 'left']"}
    document(root / "train.json", [{"n": 0, "image": "0.png", **asked}])


def by_line(root: Path) -> None:
    lay(root, "img/0.png", "img/1.png")
    (root / "questions.txt").write_text("Is it 0?\nIs it 1?\n")
    (root / "answers.txt").write_text("YES\nNO\n")


def keys(root: Path) -> None:
    lay(root, "a.png")
    found = {"edema": "yes", "mass": "no", "cyst": ""}
    document(root / "d.json", {"P1": {"S1": {"img": "a.png", "findings": found}}})


def scores(root: Path) -> None:
    lay(root, "0.png", "1.png")
    rows = [
        {"id": n, "input": "Which is it?", "picture": f"{n}.png", "target_scores": given}
        for n, given in enumerate(({"mass": 0, "cyst": 1}, {"mass": 0.9, "cyst": 0.1}))
    ]
    document(root / "task.json", {"name": "x", "examples": rows})


def slices(root: Path) -> None:
    lay(root, "slices/c0/s10.png", "slices/c0/s2.png", "slices/c1/s0.png")
    (root / "slices" / "c0" / "notes.md").write_text("none of the pictures")
    asked = [["c0", "Which organ?", "lung"], ["c0", "Ill?", "no"], ["c1", "Ill?", "yes"]]
    table(root / "qa.csv", [["case", "question", "answer"], *asked])


def thousandths(root: Path) -> None:
    lay(root, "0.png")
    row = {"im": "0.png", "phrase": "nodule", "gt": "<box>(100,200),(500,600)</box>"}
    document(root / "refer.json", [row])


def findings(root: Path) -> None:
    lay(root, "patient0/a.png", "patient0/b.png")
    said = [["patient0/a.png", "1.0", "-1.0"], ["patient0/b.png", "0.0", ""]]
    table(root / "valid.csv", [["Path", "Edema", "Mass"], *said])


def turns(root: Path) -> None:
    lay(root, "img/0.png")
    said = [
        ["d0", 10, "doctor", "Bronchitis.", ""], ["d0", 1, "patient", "I cough.", "0.png"],
        ["d0", 2, "doctor", "Since when?", ""], ["d0", 3, "patient", "For days.", ""],
        ["d0", 9, "patient", "What is it?", ""],
    ]  # fmt: skip
    table(root / "turns.csv", [["dialog", "turn", "speaker", "text", "image"], *said])


def xml(root: Path) -> None:
    lay(root, "images/CXR7_1.png", "images/CXR7_2.png", "images/CXR70_1.png")
    parts = {"FINDINGS": "Heart &amp; lungs are normal.", "IMPRESSION": "No disease."}
    texts = "".join(f'<AbstractText Label="{k}">{v}</AbstractText>' for k, v in parts.items())
    (root / "reports").mkdir()
    (root / "reports" / "7.xml").write_text(f"<eCitation>\n{texts}\n</eCitation>")


def marked_or_not(root: Path) -> None:
    lay(root, "val/a.png", "val/b.png")
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    marks = [{"id": n, "image_id": 1, "category_id": kind} for n, kind in enumerate((2, 1, 2))]
    marks.append({"id": 9, "image_id": 77, "category_id": 1})
    document(root / "val.json", {"images": images, "annotations": marks})


def classes(root: Path) -> None:
    for number in range(2):
        site = json.dumps({"site": f"S{number}"}).encode()
        parts = {"json": site, "png": picture(number), "cls": f"{1 - number}\n".encode()}
        with tarfile.open(root / f"shard-{number}.tar", "w") as packed:
            for ending, data in parts.items():
                entry = tarfile.TarInfo(f"000000.{ending}")
                entry.size = len(data)
                packed.addfile(entry, io.BytesIO(data))


def frames(root: Path) -> None:
    lay(root, *(f"v0/frame_{n:05}.png" for n in (1, 2, 11, 12)))
    asked = {"film": "v0", "frames": [1, 12], "question": "Which tool?"}
    row = {**asked, "answer_1": "a hook", "answer_2": "", "answer_3": "the hook"}
    (root / "qa.jsonl").write_text(json.dumps(row) + "\n")


MORE: Mapping[str, Callable[[Path], None]] = {
    "in-zip": in_zip, "shards": shards, "columns": columns, "side-by-side": side_by_side,
    "by-line": by_line, "keys": keys, "scores": scores, "slices": slices,
    "thousandths": thousandths, "findings": findings, "turns": turns, "xml": xml,
    "marked-or-not": marked_or_not, "classes": classes, "frames": frames,
}  # fmt: skip
