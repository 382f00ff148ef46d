"""What must be in a sample follows from what it asks, and a fault names the metric."""

from dataclasses import replace

import pytest

from medgen.engine.benchmark.checking import sample_faults
from medgen.engine.data import ASKS, Asks, Box, Image, Number, Sample, Turn, Values

GIVEN = Image(b"x")
PAIR = ("CT", "MRI")


def sample(asks: Asks, **fields: object) -> Sample:
    return Sample("s", asks, "any-slug", "CT", "Which?", input_images=(GIVEN,), **fields)  # type: ignore[arg-type]


SOUND = {
    "text": sample("text", reference_texts=("a cyst",)),
    "choice": sample("choice", choices=PAIR, reference_choices=(1,)),
    "choices": sample("choices", choices=PAIR, reference_choices=(0, 1)),
    "number": sample("number", reference_number=Number(0.0, "mm")),
    "boxes": sample("boxes", reference_boxes=(Box(0, 1, 1, 2, 2),)),
    "image": sample("image", reference_images=(GIVEN,)),
    "image+text": sample("image+text", reference_texts=("a cyst",), reference_images=(GIVEN,)),
    "preference": sample("preference", choices=PAIR, reference_choices=(0,)),
    "mask": sample("mask", reference_images=(GIVEN,)),
}
BARE = {
    "text": "bleu",
    "choice": "accuracy",
    "choices": "choice_accuracy",
    "number": "metric number",
    "boxes": "metric boxes",
    "image": "psnr",
    "image+text": "psnr",
    "preference": "metric vote",
    "mask": "metric masks",
}


@pytest.mark.parametrize("asks", ASKS)
def test_a_sound_sample_has_no_fault_and_a_bare_one_names_the_metric(asks: Asks) -> None:
    assert sample_faults(SOUND[asks]) == []
    bare = sample(asks, choices=PAIR)
    assert any(
        BARE[asks] in fault and "nothing to compare" in fault for fault in sample_faults(bare)
    )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (sample("choice", choices=PAIR, reference_choices=(2,)), "none of the 2 choices"),
        (sample("choice", choices=PAIR, reference_choices=(0, 1)), "several"),
        (sample("choices", choices=PAIR, reference_choices=(1, 0)), "not ascending"),
        (sample("choice", choices=("CT",), reference_choices=(0,)), "one choice"),
        (sample("choice", reference_choices=(0,)), "no choices"),
        (sample("number", reference_number=Number(float("nan"))), "nan"),
        (sample("boxes", reference_boxes=(Box(1, 0, 0, 1, 1),)), "in image 1"),
        (sample("boxes", reference_boxes=(Box(0, 2, 0, 1, 1),)), "turned"),
        (sample("boxes", reference_boxes=(Box(0, 0, 0, float("inf"), 1),)), "no number"),
        (replace(SOUND["boxes"], input_images=()), "no input image"),
        (replace(SOUND["text"], instruction=" ", input_images=()), "nothing is asked"),
        (replace(SOUND["text"], turns=(Turn("user", "and?"),)), "without an answer"),
        (sample("verse"), "asks 'verse'"),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_is_said(wrong: Sample, words: str) -> None:
    assert any(words in fault for fault in sample_faults(wrong)), sample_faults(wrong)


FORMATS = [
    (SOUND["text"], "VQA"),
    (SOUND["choice"], "VQA"),
    (SOUND["choices"], "VQA"),
    (replace(SOUND["text"], input_images=()), "TextOnly"),
    (replace(SOUND["text"], input_images=(), context_images=(GIVEN,)), "VQA"),
    (
        replace(
            SOUND["text"],
            input_images=(),
            turns=(Turn("user", "a", (GIVEN,)), Turn("assistant", "b")),
        ),
        "VQA",
    ),
    (replace(SOUND["choice"], input_images=()), "TextOnly"),
    (SOUND["image"], "ImageEditing"),
    (replace(SOUND["image"], input_images=()), "TextToImage"),
    (
        replace(SOUND["image"], reference_images=(Image(b"x", values=Values(unit="HU")),)),
        "Translation",
    ),
    (SOUND["image+text"], "MultimodalGeneration"),
    (replace(SOUND["image+text"], input_images=()), "MultimodalGeneration"),
    (SOUND["number"], "Measurement"),
    (SOUND["boxes"], "Grounding"),
    (SOUND["preference"], "Preference"),
    (SOUND["mask"], "Segmentation"),
]


@pytest.mark.parametrize(("of", "name"), FORMATS)
def test_a_format_is_the_name_of_a_combination(of: Sample, name: str) -> None:
    assert of.format == name


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reference_texts": ("a", "b")}, "a"),
        ({"choices": PAIR, "reference_choices": (1,)}, "MRI"),
        ({"choices": PAIR, "reference_choices": (0, 1)}, "CT\nMRI"),
        (
            {"reference_sections": {"FINDINGS": "clear", "IMPRESSION": "none"}},
            "FINDINGS: clear\nIMPRESSION: none",
        ),
        ({"reference_number": Number(12.5, "mm")}, "12.5 mm"),
        ({"reference_number": Number(3.0)}, "3"),
        (
            {"reference_boxes": (Box(0, 1, 2, 3, 4.5), Box(0, 5, 6, 7, 8))},
            "[1, 2, 3, 4.5]\n[5, 6, 7, 8]",
        ),
        ({}, None),
    ],
)
def test_a_reference_in_words_is_what_is_compared(fields: dict[str, object], words: str) -> None:
    assert sample("text", **fields).reference_text == words
