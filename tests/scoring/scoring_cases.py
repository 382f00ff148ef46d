"""Pairs that metrics of each kind can score."""

from dataclasses import replace

from medgen.metrics.batch import Pair
from medgen.metrics.samples import choice_pair, image_pair, pattern, text_pair

REPORTS = (
    ("Clear lungs, no effusion.", "The lungs are clear. No pleural effusion."),
    ("A mass in the left kidney, 3.5 cm.", "There is a cyst in the right kidney."),
    ("The heart is enlarged. " * 30, "Cardiac silhouette enlarged with pulmonary edema."),
    ("Edema", "Edema"),
    ("CT shows a fracture of the rib.", "CT of the chest: rib fracture, no pneumothorax. " * 9),
)


def image_cases() -> list[Pair]:
    """Candidates of other sizes, shapes and contents, one of them equal to its reference."""
    pairs = []
    for i, (side, other) in enumerate([(184, 184), (200, 64), (257, 300), (192, 7)]):
        sample, prediction = image_pair(side, other)
        images = sample.reference_images if i == 0 else (pattern(other, other + i, i, i),)
        sample = replace(sample, id=f"image-{i}")
        pairs.append(Pair(sample, replace(prediction, sample_id=sample.id, images=images)))
    return pairs


def text_cases() -> list[Pair]:
    """Short, long, equal and unlike texts."""
    pairs = []
    for i, (text, reference) in enumerate(REPORTS):
        sample, prediction = text_pair(text, reference)
        sample = replace(sample, id=f"text-{i}")
        pairs.append(Pair(sample, replace(prediction, sample_id=sample.id)))
    return pairs


def choice_cases() -> list[Pair]:
    """Right, wrong and unparseable answers to a choice."""
    pairs = []
    for i, text in enumerate(["B", "The answer is C.", "I cannot tell", "pleural effusion"]):
        sample, prediction = choice_pair(text)
        sample = replace(sample, id=f"choice-{i}")
        pairs.append(Pair(sample, replace(prediction, sample_id=sample.id)))
    return pairs
