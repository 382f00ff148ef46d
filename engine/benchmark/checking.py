"""Whether a sample holds what must be there: that follows from what it asks, and from nothing else.

A fault names the metric that would have to compare an answer with what is missing.
"""

import math
from collections.abc import Iterator, Mapping

from medgen.engine.data import ASKS, CHOOSING, Asks, Box, Sample

# What must be there for each kind of question, and the metrics that compare it.
_CHOICE = "reference_choices (metrics accuracy, exact_match)"
_NEEDS: Mapping[Asks, str] = {
    "text": "a reference text or sections (metrics bleu, token_f1 …) or a rubric (a judge)",
    "choice": _CHOICE,
    "choices": "reference_choices (metric choice_accuracy)",
    "number": "reference_number (metric number)",
    "boxes": "reference_boxes (metric boxes)",
    "image": "a reference image (metrics psnr, ssim, lpips …) or a rubric (a judge)",
    "image+text": "a reference image or text (metrics psnr, bleu …) or a rubric (a judge)",
    "preference": "reference_choices (metric vote)",
    "mask": "a reference image (metric masks)",
}


# The metric that compares answers of a kind, by the name that a protocol has for it.
METRICS: Mapping[Asks, str] = {
    "text": "token_f1",
    "choice": "accuracy",
    "choices": "choice_accuracy",
    "number": "number",
    "boxes": "boxes",
    "image": "ssim",
    "image+text": "ssim",
    "preference": "vote",
    "mask": "masks",
}


def sample_faults(sample: Sample) -> list[str]:
    """Everything that is wrong with a sample, in words; empty when it can be asked and scored."""
    if sample.asks not in ASKS:
        return [f"asks {sample.asks!r}, which is none of {', '.join(ASKS)}"]
    return [*_question_faults(sample), *_reference_faults(sample), *_place_faults(sample)]


def _question_faults(sample: Sample) -> Iterator[str]:
    if not sample.instruction.strip() and not sample.shown_images:
        yield "no instruction and no image: nothing is asked"
    if sample.asks in CHOOSING and len(sample.choices) == 1:
        yield f"asks {sample.asks} and lists one choice"
    if sample.asks in CHOOSING and not sample.choices and not sample.reference_texts:
        yield f"asks {sample.asks} and lists no choices"
    if sample.asks == "boxes" and not sample.input_images:
        yield "asks boxes and has no input image to mark them in"
    if sample.turns and sample.turns[-1].role != "assistant":
        yield "the last turn is a question without an answer; it belongs into the instruction"


def _reference_faults(sample: Sample) -> Iterator[str]:
    there = {
        "text": sample.reference_text or sample.rubric,
        "choice": sample.reference_choices or sample.reference_texts,
        "choices": sample.reference_choices,
        "number": sample.reference_number,
        "boxes": sample.reference_boxes,
        "image": sample.reference_images or sample.rubric,
        "image+text": sample.reference_images or sample.reference_text or sample.rubric,
        "preference": sample.reference_choices,
        "mask": sample.reference_images,
    }
    if not there[sample.asks]:
        yield f"asks {sample.asks} and has nothing to compare an answer with: {_NEEDS[sample.asks]}"


def _place_faults(sample: Sample) -> Iterator[str]:
    chosen, count = sample.reference_choices, len(sample.choices)
    if wrong := [index for index in chosen if not 0 <= index < count]:
        yield f"reference_choices {wrong} are none of the {count} choices, counted from 0"
    if list(chosen) != sorted(set(chosen)):
        yield f"reference_choices {list(chosen)} are not ascending, each once"
    if sample.asks in ("choice", "preference") and len(chosen) > 1:
        yield f"asks one choice and {len(chosen)} are right; `choices` asks for several"
    number = sample.reference_number
    if number is not None and not math.isfinite(number.value):
        yield f"reference_number is {number.value}"
    for at, box in enumerate(sample.reference_boxes):
        if why := _box_fault(box, len(sample.input_images)):
            yield f"reference_boxes[{at}] {why}"


def _box_fault(box: Box, images: int) -> str:
    if not 0 <= box.image < images:
        return f"is in image {box.image}; there are {images}, counted from 0"
    edges = (box.x0, box.y0, box.x1, box.y1)
    if not all(map(math.isfinite, edges)):
        return "has an edge that is no number"
    return "" if box.x0 < box.x1 and box.y0 < box.y1 else "is empty or turned: x0 < x1, y0 < y1"
