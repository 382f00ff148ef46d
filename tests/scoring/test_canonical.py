"""The texts that compat compares: those of the benchmark authors' evaluator, record by record."""

import json
from pathlib import Path
from typing import Any

import pytest

from medgen.adapters.sources.records import Checker, Draft
from medgen.conf import load
from medgen.engine.benchmark.canonical import canonical_reference, canonical_response
from medgen.engine.benchmark.reference import answer_text
from medgen.engine.data import Prediction, Sample
from medgen.engine.judging.prompts import Rubric, judge_messages
from medgen.engine.judging.protocols import PROTOCOLS
from medgen.launch.compose import recipe
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs
from medgen.metrics.samples import pattern
from medgen.metrics.text.closed_form import ExactMatch
from medgen.metrics.text.ngrams import BLEU, TextExactMatch

GOLDENS = Path(__file__).parents[1] / "goldens"
RECORDS: list[dict[str, Any]] = json.loads((GOLDENS / "records.json").read_text())
WITH_TEXT = [r["input"] | r["head"] for r in RECORDS if "normalized_answer_text" in r["head"]]
OPTIONS = ("A. Pneumothorax", "B) Pleural effusion", "C: Mass", "D- Normal", "E")
BARE = ("Yes", "No", "2.5 cm")


def sample_of(answer: Any, task: str = "multiple-choice", choices: tuple[str, ...] = ()) -> Sample:
    text = answer if isinstance(answer, str) else answer_text(answer)
    return Sample(
        "s",
        "choice" if task == "multiple-choice" else "text",
        task,
        "CT",
        "-",
        choices=choices,
        reference_texts=(text,),
        raw={"answer": answer},
    )


@pytest.mark.parametrize("row", WITH_TEXT, ids=lambda row: row["sample_id"])
def test_texts_of_whole_records(row: dict[str, Any]) -> None:
    sample = sample_of(row["answer"], row["paper_task"], tuple(row.get("choice", ())))
    assert canonical_reference(sample) == row["normalized_answer_text"]
    assert canonical_response(sample, row["response"]) == row["normalized_response_text"]


CASES = [
    # text, choices, what is compared
    ("B", OPTIONS, "b. pleural effusion"),
    ("b.", OPTIONS, "b. pleural effusion"),
    ("  B )  pleural   EFFUSION ", OPTIONS, "b ) pleural effusion"),
    ("B]", OPTIONS, "b. pleural effusion"),
    ("Pleural\neffusion", OPTIONS, "b. pleural effusion"),
    ("pleural effusion.", OPTIONS, "pleural effusion."),
    ("(B)", OPTIONS, "(b)"),
    ("**B**", OPTIONS, "**b**"),
    ("The answer is B.", OPTIONS, "the answer is b."),
    ("A. Mass", OPTIONS, "a. mass"),
    ("a mass", OPTIONS, "a mass"),
    ("e", OPTIONS, "e"),
    ("F", OPTIONS, "f"),
    ("F: a new one", OPTIONS, "f. a new one"),
    ("", OPTIONS, ""),
    (" \t\n", OPTIONS, ""),
    ("A", (), "a"),
    ("YES", BARE, "yes"),
    ("yes.", BARE, "yes."),
    ("2.5  CM", BARE, "2.5 cm"),
    ("\uff22", OPTIONS, "\uff42"),
    ("\u00b5", ("A. \u03bc",), "a. \u03bc"),
    ("A. \u00b5m", (), "a. \u03bcm"),
    ("B-Pleural effusion", OPTIONS, "b. pleural effusion"),
]


@pytest.mark.parametrize(("text", "choices", "want"), CASES)
@pytest.mark.parametrize("task", ["multiple-choice", "blank-filling"])
def test_closed_answers(text: str, choices: tuple[str, ...], want: str, task: str) -> None:
    if text == "\u00b5":  # a micro sign alone is no labelled option: it stays
        want = text
    sample = sample_of(text, task, choices)
    assert canonical_response(sample, text) == want
    assert canonical_reference(sample) == want


@pytest.mark.parametrize("task", ["question-answering", "report-generation", "disease-prediction"])
def test_other_answers_keep_their_case_and_lose_white_space(task: str) -> None:
    sample = sample_of(" A \n\n Mass\u00a0here. ", task, OPTIONS)
    assert canonical_reference(sample) == "A Mass here."
    assert canonical_response(sample, "B\r\n") == "B"


def test_report_sections_keep_their_lines_and_the_answer_to_them_does_not() -> None:
    sample = sample_of({"IMPRESSION": "Mass.", "FINDINGS": "A  nodule."}, "report-generation")
    assert canonical_reference(sample) == "FINDINGS: A nodule.\nIMPRESSION: Mass."
    assert canonical_response(sample, "FINDINGS: x\nIMPRESSION: y") == "FINDINGS: x IMPRESSION: y"


def test_compat_compares_canonical_texts_and_strict_the_raw_ones() -> None:
    sample = sample_of("B", "multiple-choice", OPTIONS)
    batch = ScoringBatch([Pair(sample, Prediction("s", text="b) pleural effusion"))])
    assert TextExactMatch().score(batch)[0].values == {"text_em": 1.0}
    values = {}
    for profile in ("compat", "strict"):
        metric = BLEU(profile)
        metric.load("cpu")
        values[profile] = metric.score(batch)[0].values["bleu"]
    # Three of three words, no four-word run: smoothed to 0.1 of one.
    assert values["compat"] == pytest.approx((1 * 1 * 1 * 0.1) ** 0.25)
    assert values["strict"] < 0.5


@pytest.mark.parametrize(("texts", "shown"), [("canonical", True), ("given", False)])
def test_the_judge_of_a_compat_protocol_sees_canonical_texts(texts: Any, shown: bool) -> None:
    sample = sample_of("B", "multiple-choice", OPTIONS)
    rubric = Rubric(PROTOCOLS["table-iv/1"], texts=texts)
    _, user = judge_messages(rubric, sample, Prediction("s", text="B."), "reference_based")
    said = "".join(part for part in user.parts if isinstance(part, str))
    assert said.count("| b. pleural effusion") == (2 if shown else 0)
    assert (rubric.fingerprint() != Rubric(PROTOCOLS["table-iv/1"]).fingerprint()) == shown


@pytest.mark.parametrize(("profile", "texts"), [("compat", "canonical"), ("strict", None)])
def test_a_protocol_s_profile_decides_what_its_judges_see(profile: str, texts: Any) -> None:
    words = ["store=memory://x", "benchmark=mini", "systems=[oracle]", "protocol=table-iv"]
    words += ["judges=[qwen3-vl-8b,rule]", f"protocol.profile={profile}", "cluster=in-process"]
    judges = recipe(load(None, words)).judges
    assert judges["qwen3-vl-8b"].spec.kwargs.get("texts") == texts
    assert "texts" not in judges["rule"].spec.kwargs


@pytest.mark.parametrize(
    ("own", "want"),
    [
        (["A. Mass", "B. Cyst"], "b. cyst"),
        ([], "b"),  # as theirs: no list, no option
        (None, "b. cyst"),  # a layout that cannot hold a list
    ],
)
def test_options_found_in_an_instruction_are_not_the_record_s_list(own: Any, want: str) -> None:
    picture = pattern(16, 16)
    draft = Draft(
        task="multiple-choice",
        modality="CT",
        instruction="Which?\nA. Mass\nB. Cyst",
        input_images=[picture],
        answer="B",
        choices=own,
    )
    (sample,) = Checker().results(draft, "vqa.jsonl", 1)
    assert isinstance(sample, Sample)
    assert sample.choices == ("A. Mass", "B. Cyst")  # what a model is shown
    assert canonical_reference(sample) == want
    assert canonical_response(sample, "b)") == want
    batch = ScoringBatch([Pair(sample, Prediction(sample.id, text="B"))])
    read = {profile: score_pairs(ExactMatch(profile), batch)[0] for profile in ("compat", "strict")}
    assert read["compat"].status == ("not_applicable" if own == [] else "ok")
    assert read["strict"].values == {"exact_match": 1.0}
