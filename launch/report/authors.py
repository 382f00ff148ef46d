"""The benchmark authors' result records: their field names, as their statistics script reads them.

Names and rules follow the later of the two states of their evaluator: a judge's result counts
only when every dimension and the overall score are numbers on the scale; it adds the failure
modes of the earlier state that rest on clinical entities, which the later one dropped. What the
evaluator does wrong is not repeated: a failed judge call has no record and no number.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any, TypeGuard

from medgen.engine.benchmark.canonical import own_choices
from medgen.engine.data import Form, Prediction, Sample, View

CATEGORIES: Mapping[str, str] = {
    "VQA": "VQA",
    "ImageEditing": "ImageEdit",
    "MultimodalGeneration": "MMGeneration",
}
FOLDERS: Mapping[str, str] = {
    "VQA": "vqa",
    "ImageEditing": "edit",
    "MultimodalGeneration": "gen",
}
FOLDERS_BY_FORM: Mapping[Form, str] = {"text": "vqa", "image": "edit", "image+text": "gen"}
# The values that their statistics script looks for, of both states. Each metric of ours says which
# of them its outputs are (`medgen.metrics.port.Output.authors`).
METRICS = (
    *("PSNR", "SSIM", "LPIPS", "Anatomical_Embedding_Similarity", "MedImageInsight_Similarity"),
    *("BLEU", "BERT_Score", "Text_EM", "Text_F1", "Task_Accuracy", "RadGraph_F1"),
    *("Clinical_Entity_P", "Clinical_Entity_R", "Clinical_Entity_F1"),
    *("Entity_Hallucination_Rate", "Entity_Omission_Rate", "Entity_Factual_Precision"),
)
SUFFIXES: Mapping[View, str] = {"reference_based": "W_GT", "reference_free": "WO_GT"}
RESULTS: Mapping[View, str] = {
    "reference_based": "vlm_judge_w_gt_result",
    "reference_free": "vlm_judge_wo_gt_result",
}
_CLINICAL = {
    "anatomical_accuracy": "VLM_Anatomical_Accuracy",
    "clinical_finding_accuracy": "VLM_Clinical_Finding_Accuracy",
    "instruction_compliance": "VLM_Instruction_Compliance",
    "cross_modal_consistency": "VLM_Cross_Modal_Consistency",
    "hallucination_omission_control": "VLM_Hallucination_Omission_Control",
}
_PAPER = {
    "content_accuracy": "VLM_Content_Accuracy",
    "relevance_and_responsiveness": "VLM_Relevance",
    "consistency": "VLM_Consistency",
}
_PAPER_GENERATION = {
    "coherence": "VLM_Coherence",
    "visual_textual_alignment": "VLM_Visual_Textual_Alignment",
}
# Our spelling of a dimension, theirs.
_DIMENSIONS = {"relevance_responsiveness": "relevance_and_responsiveness"}
OVERALL = "overall_score"
STATUSES = "value_status"  # why a value is not there, by its name
# The fields of a record that are no values of a metric.
FIELDS = (
    *("sample_id", "category", "paper_format", "paper_task", "paper_subtask", "sub-category"),
    *("modality", "instruction", "answer", "choice", "input_image", "input_images", "response"),
    *("raw_response", "prediction_status", "prediction_reason", "ground_truth_image"),
    *("ground_truth_images", "output_image", "output_images", *RESULTS.values(), STATUSES),
)
# Below this a judge's score on the scale of ten is a failure mode.
_LOW = 6


@dataclass(frozen=True, slots=True)
class Declared:
    """One value of a metric of a run, and what the metric says that the authors call it."""

    label: str  # the metric, as the plan calls it
    output: str
    authors: str = ""
    profile: str = ""


def value_names(declared: Sequence[Declared]) -> dict[tuple[str, str], str]:
    """The name in a record of every value, by label and output.

    It is the authors' own where they know the value; of two values with the same name the first
    of a compat profile has it, or the first. Any other keeps the name it has here, in letters that
    they allow, and never takes theirs nor that of another field.
    """
    named: dict[tuple[str, str], str] = {}
    for value in sorted(declared, key=lambda v: not v.profile.startswith("compat")):
        if value.authors in METRICS and value.authors not in named.values():
            named[value.label, value.output] = value.authors
    for value in declared:
        key = value.label, value.output
        if key not in named:
            named[key] = _own_name(value, {*METRICS, *FIELDS, *named.values()})
    return named


def _own_name(value: Declared, taken: Collection[str]) -> str:
    whole = value.label if value.label == value.output else f"{value.label}_{value.output}"
    plain = re.sub(r"[^A-Za-z0-9]+", "_", whole).strip("_") or "metric"
    tries = chain([plain, f"metric_{plain}"], (f"metric_{plain}_{n}" for n in count(2)))
    return next(name for name in tries if name not in taken and not name.startswith("VLM_"))


def record(sample: Sample, prediction: Prediction, images: Mapping[str, Sequence[str]]) -> Any:
    """What is known of a sample before scores: `images` names the files written beside it.

    Its keys are input, reference and output.
    """
    inputs, references = list(images["input"]), list(images["reference"])
    outputs = list(images["output"])
    made: dict[str, Any] = {
        "sample_id": sample.id,
        "category": CATEGORIES[sample.format],
        "paper_format": sample.format,
        "paper_task": sample.task,
        "paper_subtask": sample.subtask,
        "sub-category": _sub_category(sample),
        "modality": sample.modality,
        "instruction": sample.instruction,
        "answer": sample.raw.get("answer", sample.reference_text or ""),
        "input_image": inputs[0] if inputs else "",
        "input_images": inputs,
        "response": prediction.text or "",
        "raw_response": prediction.text or "",
        "prediction_status": prediction.status,
        "prediction_reason": prediction.reason,
    }
    if own := own_choices(sample):
        made["choice"] = list(own)
    if references:
        made |= {"ground_truth_image": references[0], "ground_truth_images": references}
    if outputs:
        made |= {"output_image": outputs[0], "output_images": outputs}
    return made


def _sub_category(sample: Sample) -> str:
    """As the record had it; the task stands in for one that had none."""
    given = sample.raw.get("sub-category") or sample.raw.get("sub_category")
    return str(given or sample.subtask or sample.task)


def judge_result(scores: Mapping[str, float], explanations: Mapping[str, str]) -> dict[str, Any]:
    """A verdict as they store it: dimensions with score and explanation, overall as a number."""
    found: dict[str, Any] = {}
    for name, score in scores.items():
        if name == OVERALL:
            found[OVERALL] = score
        else:
            explanation = explanations.get(name, "")
            found[_DIMENSIONS.get(name, name)] = {"score": score, "explanation": explanation}
    return found


def judge_metrics(judge: object, suffix: str) -> dict[str, float]:
    """The numbers of a judge's result, by their names; empty when it is not a valid one."""
    if not isinstance(judge, Mapping):
        return {}
    clinical = any(name in judge for name in _CLINICAL)
    needed = _CLINICAL if clinical else _PAPER
    names = dict(needed)
    if not clinical:
        names |= {k: v for k, v in _PAPER_GENERATION.items() if k in judge}
    scores = {name: _score(judge.get(name)) for name in names}
    overall: object = judge.get(OVERALL)
    valid = {name: score for name, score in scores.items() if _valid(score)}
    if not _valid(overall) or len(valid) < len(scores):
        return {}
    found = {f"{names[name]}_{suffix}": float(score) for name, score in valid.items()}
    return {**found, f"VLM_Overall_Score_{suffix}": float(overall)}


def _score(entry: object) -> object:
    return entry.get("score") if isinstance(entry, Mapping) else None


def _valid(score: object) -> TypeGuard[float]:
    return _is_number(score) and 1 <= score <= 10


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def record_metrics(made: Mapping[str, Any], own: Collection[str] = ()) -> dict[str, float]:
    """Every number of a record by name: metrics (`own` are ours alone), then the judge's views."""
    names = (*METRICS, *own)
    found = {name: float(made[name]) for name in names if _is_number(made.get(name))}
    for view, suffix in SUFFIXES.items():
        found |= judge_metrics(made.get(RESULTS[view]), suffix)
    return found


def failure_modes(made: Mapping[str, Any]) -> list[str]:
    """Interpretable failures of one record, from entities and from the judge with reference."""
    return list(_failures(made))


def _failures(made: Mapping[str, Any]) -> Iterator[str]:
    for name, mode in (
        ("Entity_Hallucination_Rate", "entity_hallucination"),
        ("Entity_Omission_Rate", "entity_omission"),
    ):
        if _is_number(made.get(name)) and made[name] > 0:
            yield mode
    judge = made.get(RESULTS["reference_based"])
    if not isinstance(judge, Mapping):
        return
    for name, mode in (
        ("clinical_finding_accuracy", "low_clinical_finding_accuracy"),
        ("hallucination_omission_control", "judge_detected_hallucination_or_omission"),
        ("instruction_compliance", "low_instruction_compliance"),
    ):
        score = _score(judge.get(name))
        if _is_number(score) and score < _LOW:
            yield mode
