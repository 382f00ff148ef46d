"""An evaluation of 60 records of each format whose every number has a closed form."""

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from scoring.evaluations import FOLDERS, Exported, evaluate

EACH = 60
C1 = (0.01 * 255) ** 2  # the first constant of SSIM at a range of 255
MODALITIES = ("CT", "MRI", "Ultrasound", "Pathology")
EDITS = ("style-transfer", "artifact-removal", "contrast-enhancement")
GENERATIONS = ("disease-prediction", "organic-removal", "3d-to-2d-projection")
WORDS = [f"w{n:02d}" for n in range(40)]  # none is an entity
FINDINGS = ("mass", "nodule", "cyst", "edema")
OPTIONS = ("A. one two three four", "B. five six seven", "C. eight nine", "D. ten")
THRESHOLDS = {"psnr": {"pass_when": ">=", "value": 28.0}, "bleu": {"pass_when": ">=", "value": 0.5}}
PROTOCOL = {
    "name": "closed",
    "metrics": {
        **{name: {} for name in ("psnr", "ssim", "bleu", "token_f1", "exact_match")},
        "clinical_entities": {},
    },
    "thresholds": THRESHOLDS,
}


def flat(path: Path, grey: int) -> str:
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        Pillow.new("RGB", (24, 16), (grey, grey, grey)).save(path)
    return f"{path.parent.name}/{path.name}"


def image_values(one: int, other: int) -> dict[str, float]:
    """PSNR and SSIM of two pictures of one grey each: no variance, so SSIM is its first factor."""
    psnr = 20 * math.log10(255 / abs(one - other)) if one != other else 100.0
    return {"PSNR": psnr, "SSIM": (2 * one * other + C1) / (one**2 + other**2 + C1)}


def with_pictures(folder: Path, number: int, record: dict[str, Any]) -> dict[str, float]:
    reference, distance = 40 + 3 * (number % 50), (number * 7) % 60
    one, other = (folder / f"images/{g}.png" for g in (reference, reference + distance))
    record |= {
        "ground_truth_image": flat(one, reference),
        "output_image": flat(other, reference + distance),
    }
    return image_values(reference, reference + distance)


def prefix(length: int, whole: int) -> dict[str, float]:
    """A text that is the first words of its reference, all words distinct and four at least."""
    return {
        "BLEU": math.exp(1 - whole / length),
        "Text_F1": 2 * length / (whole + length),
    }


def entities(ours: int, theirs: int) -> dict[str, float]:
    """The first `ours` and the first `theirs` findings: one set holds the other."""
    both = min(ours, theirs)
    agree = float(not ours and not theirs)
    precision = both / ours if ours else agree
    recall = both / theirs if theirs else agree
    return {
        "Clinical_Entity_P": precision,
        "Clinical_Entity_R": recall,
        "Clinical_Entity_F1": 2 * precision * recall / (precision + recall) if both else agree,
        "Entity_Hallucination_Rate": (ours - both) / ours if ours else 0.0,
        "Entity_Omission_Rate": (theirs - both) / theirs if theirs else 0.0,
        "Entity_Factual_Precision": precision,
    }


def free_text(number: int, record: dict[str, Any]) -> dict[str, float]:
    """Words then findings on both sides, each the first of a list; white space of many kinds."""
    whole, named, said = 20 + number % 9, number % 5, (number // 2) % 5
    length, found = 4 + number % (whole - 4), min(number % 5, (number // 2) % 5)
    record["answer"] = " \n".join([*WORDS[:whole], *FINDINGS[:named]])
    record["response"] = "\t ".join([*WORDS[:length], *FINDINGS[:said]]) + "\n"
    ours, theirs = length + said, whole + named
    # Of the runs of n words those within the words and those within the findings are shared.
    runs = [(length - n + 1 + max(0, found - n + 1)) / (ours - n + 1) for n in (1, 2, 3, 4)]
    short = math.exp(min(0.0, 1 - theirs / ours))
    bag = {"Text_F1": 2 * (length + found) / (ours + theirs)}
    return {"BLEU": short * math.prod(runs) ** 0.25} | bag | entities(said, named)


def sections(number: int, record: dict[str, Any]) -> dict[str, float]:
    """A report in sections, answered by the beginning of its serialised text."""
    findings, impression = WORDS[: 5 + number % 6], WORDS[20 : 22 + number % 4]
    record["answer"] = {"IMPRESSION": " ".join(impression), "FINDINGS": " ".join(findings)}
    serialised = ["FINDINGS:", *findings, "IMPRESSION:", *impression]
    length = 4 + number % (len(serialised) - 3)
    record["response"] = "  ".join(serialised[:length])
    return prefix(length, len(serialised)) | entities(0, 0)


def choice(number: int, record: dict[str, Any]) -> dict[str, float]:
    """A letter for a letter: three words alike, or none; a sentence is compared as it is."""
    right, given = number % 4, (number // 3) % 4
    record |= {"choice": list(OPTIONS), "answer": "ABCD"[right]}
    words = [len(o.split()) for o in OPTIONS]
    if number % 5 == 4:
        record["response"] = "perhaps"
        return {"BLEU": 0.0, "Text_F1": 0.0} | entities(0, 0)
    record["response"] = ("{}", "{}.", " {}) ", "{}:")[number % 4].format("ABCD"[given].lower())
    if right != given:
        return {"BLEU": 0.0, "Text_F1": 0.0, "Text_EM": 0.0} | entities(0, 0)
    missing = max(0, 4 - words[right])  # orders of n-grams of which there is none count 0.1
    bleu = (0.1**missing) ** 0.25
    return {"BLEU": bleu, "Text_F1": 1.0, "Text_EM": 1.0} | entities(0, 0)


def blank(number: int, record: dict[str, Any]) -> dict[str, float]:
    """A blank of four to eight words, in another case, or with a word that is another."""
    whole = WORDS[: 4 + number % 5]
    record["answer"] = " ".join(whole).upper()
    if number % 2:
        record["response"] = "  ".join(whole)
        return prefix(len(whole), len(whole)) | {"Text_EM": 1.0} | entities(0, 0)
    record["response"] = " ".join(WORDS[20 : 20 + len(whole)])
    return {"BLEU": 0.0, "Text_F1": 0.0, "Text_EM": 0.0} | entities(0, 0)


Maker = Callable[[int, dict[str, Any]], dict[str, float]]
QUESTIONS: dict[str, Maker] = {
    "multiple-choice": choice,
    "blank-filling": blank,
    "question-answering": free_text,
    "report-generation": sections,
}


def made(folder: Path, category: str, number: int) -> tuple[dict[str, Any], dict[str, float]]:
    """One record in the authors' fields, and the values it must get."""
    record: dict[str, Any] = {
        "sample_id": f"{category}-{number}",
        "category": category,
        "modality": MODALITIES[number % 4],
        "instruction": f"{category} {number}",
        "input_image": flat(folder / "images/input.png", 7),
        "answer": "",
        "response": "done",
    }
    if category == "VQA":
        task = list(QUESTIONS)[number % 4]
        values = QUESTIONS[task](number, record)
        return record | {"paper_task": task}, values
    values = with_pictures(folder, number, record)
    if category == "MMGeneration":
        values |= free_text(number, record)
    tasks = EDITS if category == "ImageEdit" else GENERATIONS
    return record | {"paper_task": tasks[number % 3]}, values


@pytest.fixture(scope="module")
def evaluation(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, tuple[dict[str, Any], dict[str, float]]], Exported]:
    folder = tmp_path_factory.mktemp("whole")
    cases: dict[str, Any] = {}
    for category in FOLDERS:
        for number in range(EACH):
            record, values = made(folder, category, number)
            cases[record["sample_id"]] = (record, values)
    # Spellings of a task that stand in the sub-category, and subtasks, as old files have them.
    cases["VQA-2"][0].update({"paper_task": "", "sub-category": "question_answer"})
    cases["ImageEdit-1"][0].update({"paper_task": None, "sub-category": "artifact-removal"})
    cases["MMGeneration-2"][0].update({"sub-category": "lung window"})
    cases["MMGeneration-4"][0].update({"sub-category": None, "paper_subtask": "apex"})
    evaluated = evaluate(folder, [record for record, _ in cases.values()], PROTOCOL)
    cases["VQA-2"][0]["paper_task"] = "question-answering"
    cases["ImageEdit-1"][0]["paper_task"] = "artifact-removal"
    return cases, evaluated


def numbers(values: dict[str, Any]) -> dict[str, float]:
    return {k: v for k, v in values.items() if k in NAMES and v is not None}


NAMES = ("PSNR", "SSIM", "BLEU", "Text_F1", "Text_EM", *entities(1, 1))
CLOSE = {"abs": 1e-12, "rel": 1e-12}
LOOSE = {"PSNR": {"abs": 1e-6}, "SSIM": {"abs": 1e-5}}


@pytest.mark.parametrize("category", FOLDERS)
def test_rows(category: str, evaluation: Any) -> None:
    cases, exported = evaluation
    for name, (record, values) in cases.items():
        if record["category"] == category:
            want = {k: pytest.approx(v, **LOOSE.get(k, CLOSE)) for k, v in values.items()}
            assert numbers(exported.records[name]) == want, name


@pytest.mark.parametrize("category", FOLDERS)
def test_aggregates(category: str, evaluation: Any) -> None:
    cases, exported = evaluation
    found = exported.aggregates[category]
    # In the order of the file, which is that in which their script would read it.
    order = [name for name, made in exported.records.items() if made["category"] == category]
    assert found["Sample_Count"] == len(order) == EACH
    present = {k for name in order for k in cases[name][1]}
    for metric in present:
        values = [cases[name][1][metric] for name in order if metric in cases[name][1]]
        assert found[f"Count_{metric}"] == len(values)
        check(found, metric, values)
        low, high = interval(values)
        assert found[f"CI_Low_{metric}"] == pytest.approx(low, abs=1e-5)
        assert found[f"CI_High_{metric}"] == pytest.approx(high, abs=1e-5)
    for kind, field in (("by_modality", "modality"), ("by_paper_task", "paper_task")):
        groups = {cases[name][0][field] for name in order}
        assert set(found[kind]) == groups
        for group in groups:
            members = [n for n in order if cases[n][0][field] == group]
            assert found[kind][group]["Sample_Count"] == len(members)
            for metric in {k for n in members for k in cases[n][1]}:
                values = [cases[n][1][metric] for n in members if metric in cases[n][1]]
                check(found[kind][group], metric, values)
    for metric, least in (("PSNR", 28.0), ("BLEU", 0.5)):
        if metric in present:
            values = [cases[n][1][metric] for n in order if metric in cases[n][1]]
            assert found[f"{metric}_Accuracy_Rate"] == sum(v >= least for v in values) / len(values)


def check(found: dict[str, Any], metric: str, values: Sequence[float]) -> None:
    assert found[f"Average_{metric}"] == pytest.approx(float(np.mean(values)), abs=1e-6)
    assert found[f"Std_{metric}"] == pytest.approx(float(np.std(values)), abs=1e-6)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Percentile bootstrap of the mean: 1,000 draws with the seed that the authors fixed."""
    generator, known = np.random.default_rng(42), np.asarray(values)
    means = [generator.choice(known, size=len(known)).mean() for _ in range(1000)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def test_what_cannot_be_parsed_is_null_and_said(evaluation: Any) -> None:
    cases, exported = evaluation
    lacking = [
        name
        for name, (record, values) in cases.items()
        if record.get("choice") and "Text_EM" not in values
    ]
    assert len(lacking) == 3
    for name in lacking:
        made = exported.records[name]
        assert made["Text_EM"] is None
        assert made["value_status"]["Text_EM"]["status"] == "unparseable"
    assert exported.aggregates["VQA"]["value_status"]["Text_EM"]["unparseable"] == 3
    assert json.dumps(exported.aggregates, allow_nan=False)


def test_a_sub_category_is_what_the_record_had(evaluation: Any) -> None:
    _, exported = evaluation
    names = ("VQA-2", "ImageEdit-1", "MMGeneration-2", "MMGeneration-4", "VQA-3")
    fields = ("paper_task", "sub-category", "paper_subtask")
    assert [tuple(exported.records[n][f] for f in fields) for n in names] == [
        ("question-answering", "question_answer", None),
        ("artifact-removal", "artifact-removal", None),
        ("3d-to-2d-projection", "lung window", "lung window"),
        ("organic-removal", "apex", "apex"),
        ("report-generation", "report-generation", None),
    ]


def test_an_export_is_a_benchmark_with_predictions_again(
    evaluation: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _, exported = evaluation
    folder = tmp_path_factory.mktemp("again")
    shutil.copytree(exported.folder, folder, dirs_exist_ok=True)
    again = evaluate(folder, list(exported.records.values()), PROTOCOL)
    files = {"input_image", "input_images", "ground_truth_image", "ground_truth_images"}
    for name, made in exported.records.items():
        same = {k: v for k, v in made.items() if k not in files}
        assert same == {k: v for k, v in again.records[name].items() if k not in files}
