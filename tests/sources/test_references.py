"""A closed item whose own answer cannot be read is a fault of the benchmark, told at its import."""

import json
from pathlib import Path
from typing import Any

import pytest
from sources.outside import picture

from medgen.adapters.sources.records import Checker, Draft
from medgen.adapters.sources.view import ViewSource
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark, validate
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Image, Prediction, Sample
from medgen.engine.errors import BenchmarkError
from medgen.engine.store.connect import connect
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs
from medgen.metrics.text.closed_form import ExactMatch

LETTERED = ["A. Pneumothorax", "B. Pleural effusion", "C. Mass"]
BARE = ["Pneumothorax", "Pleural effusion", "Mass"]
YES = ["Yes", "No"]
NUMBERS = ["2", "3", "4"]
LONG = " ".join(["word"] * 60)

REFERENCES = [
    # answer, options, can it be read
    ("B", LETTERED, True),
    ("b.", LETTERED, True),
    ("(C)", LETTERED, True),
    ("B. Pleural effusion", LETTERED, True),
    ("Pleural effusion", LETTERED, True),
    ("pleural  EFFUSION.", LETTERED, True),
    ("A", BARE, True),
    ("Mass", BARE, True),
    ("yes", YES, True),
    ("3", NUMBERS, True),
    ("E", LETTERED, False),
    ("E. Fracture", LETTERED, False),
    ("Fracture", LETTERED, False),
    ("D", BARE, False),
    ("maybe", YES, False),
    ("7", NUMBERS, False),
    ("?", LETTERED, False),
    ("none of these", LETTERED, False),
    ("nan", LETTERED, False),
    ("null", BARE, False),
]
BLANKS = [
    ("edema", True),
    ("pleural effusion", True),
    ("2.5 cm", True),
    (LONG, False),
    ("...", False),
]


def results(answer: str, task: str, choices: Any = None) -> list[Sample | Problem]:
    draft = Draft(
        task=task,
        modality="CT",
        instruction="Which?",
        input_images=[Image(picture((1, 2, 3)), "a.png")],
        answer=answer,
        choices=choices,
        sample_id="x",
    )
    return list(Checker().results(draft, "vqa.jsonl", 7))


@pytest.mark.parametrize(("answer", "options", "readable"), REFERENCES)
def test_an_answer_is_one_of_the_options(answer: str, options: list[str], readable: bool) -> None:
    (found,) = results(answer, "multiple-choice", options)
    check(found, answer, readable)


@pytest.mark.parametrize(("answer", "readable"), BLANKS)
def test_a_blank_has_a_short_answer(answer: str, readable: bool) -> None:
    (found,) = results(answer, "blank-filling")
    check(found, answer, readable)


def check(found: Sample | Problem, answer: str, readable: bool) -> None:
    if readable:
        assert isinstance(found, Sample), found
        return
    assert isinstance(found, Problem)
    assert (found.file, found.row, found.sample_id) == ("vqa.jsonl", 7, "x")
    assert answer[:20] in found.what
    assert len(found.what) < 600


@pytest.mark.parametrize("task", ["question-answering", "report-generation"])
def test_open_answers_are_free(task: str) -> None:
    assert isinstance(results("E. Fracture", task, LETTERED)[0], Sample)


@pytest.mark.parametrize("profile", ["compat", "strict"])
def test_a_reference_that_cannot_be_read_has_one_status_for_every_system(profile: str) -> None:
    sample = Sample(
        *("s", "choice", "multiple-choice", "CT", "Which?"),
        choices=tuple(LETTERED),
        reference_texts=("Fracture",),
    )
    answers = ("B", "Fracture", "no idea", "", "E", "The answer is C.", "A or B", LONG)
    pairs = [Pair(sample, Prediction("s", text=text)) for text in answers]
    pairs.append(Pair(sample, Prediction("s", "timeout", "60 s")))
    scores = score_pairs(ExactMatch(profile), ScoringBatch(pairs))
    assert {score.status for score in scores} == {"not_applicable"}
    assert len({score.reason for score in scores}) == 1


def test_import_and_validate_tell_file_line_and_id(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture((1, 2, 3)))
    common = {"category": "VQA", "paper_task": "multiple-choice", "modality": "CT"}
    records = [
        {**common, "sample_id": f"s{n}", "instruction": f"{n}?", "input_image": "a.png"}
        | {"choice": LETTERED, "answer": answer}
        for n, answer in enumerate(("A", "E", "B"))
    ]
    (tmp_path / "vqa.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    (problem,) = validate(ViewSource(str(tmp_path)))
    assert str(problem).startswith("vqa.jsonl:2: sample s1: answer 'E'")
    store = connect(str(tmp_path / "store"))
    with pytest.raises(BenchmarkError, match="sample s1: answer 'E'"):
        import_benchmark(ViewSource(str(tmp_path)), store, ImportOptions("x"))
