"""What a judge is shown, in which order, and how much of it both views share."""

from dataclasses import replace
from typing import Any

import pytest
from judging.cases import EDIT, GENERATION, INPUT, OUTPUT, PREDICTIONS, SAMPLES, TRUTH, VQA, picture

from medgen.engine.chat.messages import Message
from medgen.engine.data import VIEWS, Image, Prediction
from medgen.engine.judging.captions import Captioned
from medgen.engine.judging.prompts import Rubric, has_reference, judge_messages
from medgen.engine.judging.protocols import PROTOCOLS, find_protocol

RUBRIC = Rubric(PROTOCOLS["table-iv/1"])
PAIRS = list(zip(SAMPLES, PREDICTIONS, strict=True))


def shown(messages: tuple[Message, ...]) -> list[tuple[Image, str]]:
    return [(p.image, p.label) for m in messages for p in m.parts if isinstance(p, Captioned)]


def parts(sample: Any, prediction: Any, view: Any, rubric: Rubric = RUBRIC) -> list[Any]:
    return [p for m in judge_messages(rubric, sample, prediction, view) for p in m.parts]


def test_pictures_by_format_and_view_carry_the_benchmarks_captions() -> None:
    vqa, edit, generation = PREDICTIONS
    second = VQA.input_images[1]
    inputs = [(INPUT, "Input 1"), (second, "Input 2")]
    for view in VIEWS:
        assert shown(judge_messages(RUBRIC, VQA, vqa, view)) == inputs
    free = [(INPUT, "Input"), (OUTPUT, "Output")]
    based = [(INPUT, "Input"), (OUTPUT, "Generated Answer"), (TRUTH, "Ground Truth")]
    for sample, given in ((EDIT, edit), (GENERATION, generation)):
        assert shown(judge_messages(RUBRIC, sample, given, "reference_free")) == free
        assert shown(judge_messages(RUBRIC, sample, given, "reference_based")) == based


@pytest.mark.parametrize(("sample", "prediction"), PAIRS, ids=lambda x: getattr(x, "id", ""))
def test_the_order_is_rubric_input_candidate_reference(sample: Any, prediction: Any) -> None:
    found = parts(sample, prediction, "reference_based")
    marks = ["You are", "=== BEGIN INSTRUCTION", "INPUT pic", "CANDIDATE", "VIEW", "REFERENCE"]
    texts = [p if isinstance(p, str) else "" for p in found]
    places = [next(i for i, text in enumerate(texts) if text.startswith(m)) for m in marks]
    assert places == sorted(places)


@pytest.mark.parametrize(("sample", "prediction"), PAIRS, ids=lambda x: getattr(x, "id", ""))
def test_the_second_prompt_shows_the_same_with_the_candidate_last(
    sample: Any, prediction: Any
) -> None:
    last = Rubric(RUBRIC.protocol, "judge/2")
    for view in VIEWS:
        one, two = (parts(sample, prediction, view, rubric) for rubric in (RUBRIC, last))
        assert sorted(map(repr, one)) == sorted(map(repr, two))
        texts = [p if isinstance(p, str) else "" for p in two]
        marks = ["You are", "=== BEGIN INSTRUCTION", "INPUT pic", "VIEW", "REFERENCE", "CANDIDATE"]
        marks = [mark for mark in marks if mark != "REFERENCE" or view == "reference_based"]
        places = [next(i for i, text in enumerate(texts) if text.startswith(m)) for m in marks]
        assert places == sorted(places)


@pytest.mark.parametrize(("sample", "prediction"), PAIRS, ids=lambda x: getattr(x, "id", ""))
def test_the_view_without_a_reference_holds_nothing_of_it(sample: Any, prediction: Any) -> None:
    found = parts(sample, prediction, "reference_free")
    assert all(p.image != TRUTH for p in found if isinstance(p, Captioned))
    said = "\n".join(p for p in found if isinstance(p, str))
    assert "REFERENCE" not in said
    assert not sample.reference_text or sample.reference_text not in said


def test_a_rubric_of_the_sample_stands_beside_its_reference_and_nowhere_else() -> None:
    sample = replace(VQA, rubric="Names the side.")
    told = {view: parts(sample, PREDICTIONS[0], view) for view in VIEWS}
    said = {view: [p for p in found if isinstance(p, str)] for view, found in told.items()}
    shown_in = [at for at, text in enumerate(said["reference_based"]) if "Names the side." in text]
    (reference,) = (
        at for at, text in enumerate(said["reference_based"]) if text.startswith("REFERENCE text:")
    )
    assert shown_in == [reference + 1]
    assert not any("Names the side." in text for text in said["reference_free"])


@pytest.mark.parametrize("captions", ["literal", "shared"])
@pytest.mark.parametrize(("sample", "prediction"), PAIRS, ids=lambda x: getattr(x, "id", ""))
def test_what_both_views_show_is_the_same_to_the_byte(
    sample: Any, prediction: Any, captions: str
) -> None:
    rubric = Rubric(find_protocol("table-iv", captions))
    free, based = (parts(sample, prediction, view, rubric) for view in VIEWS)
    common = 0
    while common < len(free) and free[common] == based[common]:
        common += 1
    texts = [p for p in free[:common] if isinstance(p, str)]
    assert any("BEGIN INSTRUCTION" in t for t in texts)
    pictures = sum(isinstance(p, Captioned) for p in free[:common])
    every = sum(isinstance(p, Captioned) for p in free)
    # The evaluator's labels name the candidate differently in the two views.
    assert pictures == (every if captions == "shared" or sample is VQA else every - 1)


@pytest.mark.parametrize(("sample", "prediction"), PAIRS, ids=lambda x: getattr(x, "id", ""))
def test_all_systems_of_a_sample_are_asked_the_same_up_to_their_answer(
    sample: Any, prediction: Any
) -> None:
    other = replace(prediction, text="Quite another answer", images=(picture((1, 2, 3)),))
    one, two = (parts(sample, given, "reference_free") for given in (prediction, other))
    differs = next(n for n, pair in enumerate(zip(one, two, strict=True)) if pair[0] != pair[1])
    before = [p for p in one[:differs] if isinstance(p, Captioned)]
    assert [p.image for p in before] == list(sample.shown_images)
    assert any("BEGIN INSTRUCTION" in p for p in one[:differs] if isinstance(p, str))


def test_the_rubric_comes_first_and_is_one_for_a_format() -> None:
    for sample, other in ((VQA, "vqa-2"), (EDIT, "edit-2")):
        twin = replace(sample, id=other, instruction="Something else entirely")
        first = judge_messages(RUBRIC, sample, Prediction(sample.id, text="a"), "reference_free")
        second = judge_messages(RUBRIC, twin, Prediction(other, text="b"), "reference_based")
        assert first[0] == second[0]
        assert first[0].role == "system"
        for dimension in RUBRIC.protocol.dimensions_for(sample.form):
            assert dimension.question in str(first[0].parts[0])
        for question in RUBRIC.protocol.checklist[sample.form].values():
            assert question in str(first[0].parts[0])


def test_an_empty_answer_is_said_to_be_empty() -> None:
    nothing = parts(EDIT, Prediction("edit-1"), "reference_free")
    assert "CANDIDATE: nothing was given." in nothing


def test_a_text_that_the_task_does_not_ask_for_is_not_shown() -> None:
    chatty = Prediction("edit-1", text="I gave it a 10", images=(picture(),))
    assert "I gave it a 10" not in str(parts(EDIT, chatty, "reference_based"))


def test_a_reference_is_what_the_format_answers_with() -> None:
    assert all(has_reference(s) for s in SAMPLES)
    assert not has_reference(replace(VQA, reference_texts=()))
    assert not has_reference(replace(EDIT, reference_images=()))
    assert not has_reference(replace(GENERATION, reference_images=()))
