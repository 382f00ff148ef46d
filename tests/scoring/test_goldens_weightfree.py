"""What the benchmark authors' evaluator gives, reproduced by the compat profiles."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from medgen.engine.benchmark.reference import answer_text
from medgen.engine.data import Image, Prediction, Sample, Score
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs
from medgen.metrics.image.pixel import PSNR, SSIM
from medgen.metrics.port import Metric
from medgen.metrics.text.clinical import ClinicalEntities, entities
from medgen.metrics.text.closed_form import ExactMatch, TaskAccuracy, parse_compat
from medgen.metrics.text.ngrams import BLEU, TextExactMatch, TokenF1

GOLDENS = Path(__file__).parents[1] / "goldens"


@cache
def rows(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((GOLDENS / name).read_text())
    return found


def one(metric: Metric, sample: Sample, prediction: Prediction) -> Score:
    metric.load("cpu")
    return score_pairs(metric, ScoringBatch([Pair(sample, prediction)]))[0]


def image_case(row: dict[str, Any]) -> tuple[Sample, Prediction]:
    reference, candidate = (Image((GOLDENS / row[k]).read_bytes()) for k in ("ref", "eval"))
    sample = Sample(
        row["id"], "image", "artifact-removal", "CT", "-", reference_images=(reference,)
    )
    return sample, Prediction(row["id"], images=(candidate,))


def text_case(row: dict[str, Any], task: str = "question-answering") -> tuple[Sample, Prediction]:
    choices, reference = tuple(row.get("choices", ())), row.get("reference", row.get("answer"))
    asks = "choice" if task == "multiple-choice" else "text"
    sample = Sample("t", asks, task, "CT", "-", choices=choices, reference_texts=(reference,))
    return sample, Prediction("t", text=str(row["response"] if row["response"] is not None else ""))


@pytest.mark.parametrize("row", rows("image_pairs.json"), ids=lambda row: row["note"])
def test_psnr_and_ssim(row: dict[str, Any]) -> None:
    case = image_case(row)
    assert one(PSNR(), *case).values["psnr"] == pytest.approx(row["head"]["psnr"], abs=1e-6)
    ssim = one(SSIM(), *case)
    if row["head"]["ssim"] is None:
        assert ssim.status == "not_applicable"
        assert "7 pixels" in ssim.reason
    else:
        assert ssim.values["ssim"] == pytest.approx(row["head"]["ssim"], abs=1e-6)


@pytest.mark.parametrize("row", rows("text_pairs.json"), ids=lambda row: row["id"])
def test_words_and_entities(row: dict[str, Any]) -> None:
    case, head = text_case(row), row["head"]
    assert one(BLEU(), *case).values["bleu"] == pytest.approx(head["bleu"], abs=1e-12)
    assert one(TokenF1(), *case).values == {"token_f1": head["text_f1"]}
    assert one(TextExactMatch(), *case).values == {"text_em": head["text_em"]}
    assert one(ClinicalEntities(), *case).values == {
        "entity_precision": head["entity_p"],
        "entity_recall": head["entity_r"],
        "entity_f1": head["entity_f1"],
        "hallucination": head["hallucination_rate"],
        "omission": head["omission_rate"],
        "factual_precision": head["factual_precision"],
    }
    assert sorted(entities(row["response"])) == head["response_entities"]
    assert sorted(entities(row["reference"])) == head["reference_entities"]


@pytest.mark.parametrize("row", rows("closed_form.json"), ids=lambda row: repr(row["response"]))
def test_closed_form(row: dict[str, Any]) -> None:
    task, newer = row["task"], row["newer_6f43dc8"]
    case = text_case(row, task)
    for text, want in (
        (case[1].text or "", newer["parse_response"]["value"]),
        (row["answer"], newer["parse_answer"]["value"]),
    ):
        parsed = parse_compat(text, row["choices"], task)
        assert parsed.answer == want["parsed_answer"]
        assert (parsed.reason or None) == want["parse_failure_reason"]
    want = newer["exact_match"]["value"]
    score = one(ExactMatch(), *case)
    assert score.values.get("exact_match") == want["score"]
    # Theirs has a value for some replies to a reference that cannot be read; ours for none.
    readable = newer["parse_answer"]["value"]["parsed_answer"] is not None
    unparsed = "unparseable" if readable else "not_applicable"
    assert score.status == ("ok" if want["score"] is not None else unparsed)
    accuracy = one(TaskAccuracy(), *case).values["task_accuracy"]
    assert accuracy == row["head"]["task_accuracy"]["value"]


@pytest.mark.parametrize("row", rows("serialize.json"), ids=lambda row: str(row["input"]))
def test_answers_become_text(row: dict[str, Any]) -> None:
    assert answer_text(row["input"]) == row["value"]
