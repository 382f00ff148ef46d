"""Every control answers every kind of question, and the oracle is right on all closed ones."""

from dataclasses import replace
from typing import get_args

import pytest

from medgen.adapters.controls.systems import Blank, Classical, CopyInput, Oracle
from medgen.engine.answers.closed import answers_right
from medgen.engine.data import ASKS, Asks, Box, Image, Number, PredictionStatus, Request, Sample
from medgen.engine.images import open_image
from medgen.metrics.samples import pattern
from medgen.metrics.text.closed_form import Accuracy

OPTIONS = [
    ("CT", "MRI"),
    ("yes", "no"),
    ("A. CT", "B. MRI", "C. PET"),
    ("B", "A"),
    ("1", "2", "3", "4", "5"),
    ("\u0623. yes", "\u0628. no"),
    ("2 mm", "4 mm", "B or C", "none of A"),
    ("one", "one"),
]


@pytest.mark.parametrize("choices", OPTIONS)
def test_the_oracle_is_right_whatever_the_options_look_like(choices: tuple[str, ...]) -> None:
    metric = Accuracy()
    for index in range(len(choices)):
        of = Sample(
            "s", "choice", "any-slug", "CT", "?", choices=choices, reference_choices=(index,)
        )
        (said,) = Oracle().predict([Request(of)])
        assert metric.applies(of) == ""
        assert answers_right(of, said.text or "") is True, (said.text, choices[index])


def test_a_closed_question_is_compared_where_one_answer_is_known() -> None:
    words = Sample("s", "text", "report-generation", "CT", "?", reference_texts=("a",))
    blank, metric = replace(words, task="blank-filling"), Accuracy()
    several = Sample("s", "choices", "x", "CT", "?", choices=("a", "b"), reference_choices=(0, 1))
    assert [metric.applies(s) for s in (words, several)] == [
        "accuracy does not apply to report-generation",
        "accuracy compares one choice, and several are asked",
    ]
    assert metric.applies(blank) == ""
    assert metric.applies(replace(blank, reference_texts=())) == "the sample has no reference text"


def of_kind(asks: Asks, images: tuple[Image, ...]) -> Sample:
    return Sample(
        "s",
        asks,
        "any-slug",
        "CT",
        "What is it?",
        choices=("CT", "MRI"),
        input_images=images,
        reference_texts=() if asks in ("number", "boxes", "choices") else ("CT",),
        reference_images=(pattern(24, 16),),
        reference_choices=(0, 1) if asks == "choices" else (),
        reference_number=Number(2.5, "mm") if asks == "number" else None,
        reference_boxes=(Box(0, 1, 2, 3, 4),) if asks == "boxes" else (),
    )


@pytest.mark.parametrize("asks", ASKS)
@pytest.mark.parametrize("images", [(pattern(32, 24),), ()], ids=["given", "none"])
@pytest.mark.parametrize("make", [Oracle, CopyInput, Blank, Classical])
def test_a_control_gives_what_is_asked_or_says_why_not(
    make: type[Oracle], images: tuple[Image, ...], asks: Asks
) -> None:
    of = of_kind(asks, images)
    (said,) = make().predict([Request(of)])
    assert said.status in get_args(PredictionStatus)
    assert (said.text is not None) == (of.form != "image")
    if said.status == "ok" and (images or make is not CopyInput):
        assert bool(said.images) == (of.form != "text")
    assert said.status == "ok" or (make is Classical and not images and said.reason)


def test_what_the_oracle_says_of_numbers_boxes_and_several_choices() -> None:
    said = {a: Oracle().predict([Request(of_kind(a, ()))])[0].text for a in ASKS}
    assert said["number"] == "2.5 mm"
    assert said["boxes"] == "[1, 2, 3, 4]"
    assert said["choices"] == "A. CT\nB. MRI"


def test_a_blank_of_nothing_has_a_size_of_its_own() -> None:
    (said,) = Blank().predict([Request(of_kind("image", ()))])
    assert open_image(said.images[0].data).size == (512, 512)
