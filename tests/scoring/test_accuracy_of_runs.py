"""Accuracy through the commands: what a user sees for replies that are hard to read."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from scoring.evaluations import Exported, evaluate

IMAGES = Path(__file__).parents[1] / "goldens" / "images"
FINDINGS = ["A. Cyst", "B. Pleural effusion", "C. Mass"]
BARE = ["Pneumothorax", "Pleural effusion", "Mass"]
# Id, question, options, reference, reply, accuracy (None: unparseable).
CLOSED: list[tuple[str, str, list[str], str, str, float | None]] = [
    ("letter-then-reason", "Which?", FINDINGS, "B", "B. Fluid; option C would be round.", 1.0),
    ("bare-options", "Which?", BARE, "Pleural effusion", "B", 1.0),
    ("bare-wrong-letter", "Which?", BARE, "Pleural effusion", "C", 0.0),
    ("in-one-line", "Which? A. cyst B. mass C. stone", [], "B", "The answer is B.", 1.0),
    ("after-a-word", "Which?\nOptions: A. cyst\nB. mass", [], "A", "cyst", 1.0),
    ("blood-groups", "Group?", ["A. O", "B. A", "C. B", "D. AB"], "B", "C", 0.0),
    ("blood-group-right", "Group?", ["A. O", "B. A", "C. B", "D. AB"], "A. O", "A", 1.0),
    ("yes-no", "Enlarged?", ["A. Yes", "B. No"], "B", "No, it is not enlarged.", 1.0),
    ("thought", "Which?", FINDINGS, "B", "A? No.\n</think>\n\nB", 1.0),
    ("two", "Which?", FINDINGS, "A", "The answer is A or B.", None),
    ("denied", "Which?", FINDINGS, "A", "Option A is incorrect.", None),
    ("name", "Which?", FINDINGS, "B", "This looks like hepatitis B.", None),
    ("Chinese", "Which?", FINDINGS, "B", "答案是B", 1.0),
]
BLANKS: list[tuple[str, str, str, float | None]] = [
    ("two-blanks", "lung\nheart", "liver\nheart", 0.0),
    ("two-right", "lung\nheart", "1. lung 2. heart", 1.0),
    ("reasons", "pneumonia", "pneumonia\n\nThe left lobe is very dense.", 1.0),
    ("sign", "-5", "5", 0.0),
    ("exponent", "10⁵", "105", 0.0),
    ("label", "pneumonia", "**Answer:** pneumonia", 1.0),
]


def record(sample_id: str, task: str, question: str, answer: str, reply: str) -> dict[str, Any]:
    return {
        "sample_id": sample_id,
        "category": "VQA",
        "paper_task": task,
        "modality": "CT",
        "instruction": question,
        "answer": answer,
        "response": reply,
        "input_image": f"images/{sorted(p.name for p in IMAGES.iterdir())[0]}",
    }


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("closed")
    shutil.copytree(IMAGES, folder / "images")
    rows = [
        record(name, "multiple-choice", question, answer, reply) | {"choice": options}
        for name, question, options, answer, reply, _ in CLOSED
    ]
    rows += [record(n, "blank-filling", "___?", answer, reply) for n, answer, reply, _ in BLANKS]
    return evaluate(folder, rows, {"name": "closed", "metrics": {"accuracy": {}}})


@pytest.mark.parametrize(
    ("sample_id", "want"), [(c[0], c[-1]) for c in CLOSED] + [(b[0], b[-1]) for b in BLANKS]
)
def test_a_reply_has_its_accuracy(exported: Exported, sample_id: str, want: float | None) -> None:
    row = exported.records[sample_id]
    assert row["accuracy"] == want
    if want is None:
        assert "unparseable" in str(row["value_status"]["accuracy"])
