"""What a model is asked for a sample, and what becomes of its reply."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.attacks import CONTROL_TOKENS, HIDDEN
from judging.cases import EDIT, GENERATION, SAMPLES, VQA, ScriptedChat, picture, said, words

from medgen.adapters.models.answering import Answers
from medgen.engine.answers.refusals import is_refusal
from medgen.engine.chat.answering import AnswerStyle, answer, prompt_hash
from medgen.engine.chat.messages import ChatReply, Message
from medgen.engine.data import Image, Request, Turn
from medgen.engine.errors import ConfigError
from medgen.engine.settings import read

TEXT = {"output_text": "An effusion.", "edit_prompt": "Remove it.", "generate_prompt": "A chest."}
COMPOSITIONAL = AnswerStyle(mode="compositional")


def asked(sample: Any, **style: Any) -> tuple[Message, ...]:
    chat = ScriptedChat(lambda _: said("yes"))
    Answers(chat, style=AnswerStyle(**style)).predict([Request(sample)])
    ((request,),) = chat.chains
    return request.messages


def pictures(messages: tuple[Message, ...]) -> list[Any]:
    return [p for m in messages for p in m.parts if not isinstance(p, str)]


def test_words_change_only_with_their_version() -> None:
    """This digest addresses stored answers. New words need a new version, not a new digest."""
    assert prompt_hash("answer/1") == "b2d4fd45e9318af9"


def test_every_request_gives_one_prediction_in_order_whatever_the_batch() -> None:
    answers = Answers(ScriptedChat(lambda r: said(words(r)[-40:])))
    requests = [Request(s) for s in SAMPLES]
    whole = list(answers.predict(requests))
    assert [p.sample_id for p in whole] == [s.id for s in SAMPLES]
    assert whole == [p for r in requests for p in answers.predict([r])]
    assert list(answers.predict([])) == []


def test_pictures_go_in_order_and_before_the_words() -> None:
    messages = asked(VQA, images=2)
    assert pictures(messages) == list(VQA.input_images)
    assert isinstance(messages[1].parts[-1], str)
    assert "Which organ is enlarged?" in messages[1].parts[-1]
    assert "A. liver\nB. spleen" in messages[1].parts[-1]


def test_choices_that_the_instruction_lists_are_not_listed_twice() -> None:
    listed = replace(VQA, instruction="Enlarged: (A) liver (B) spleen?")
    assert "Choices:" not in str(asked(listed))


def test_too_many_pictures_become_one_contact_sheet() -> None:
    (sheet,) = pictures(asked(VQA, images=1))
    assert sheet.path == "contact-sheet.jpg"
    assert pictures(asked(EDIT, images=1)) == list(EDIT.input_images)


def test_a_model_that_reads_no_pictures_is_asked_in_words_and_the_row_says_how_many() -> None:
    shown = replace(VQA, turns=(Turn("user", "An example", (picture(),)),))
    assert pictures(asked(shown, images=0)) == []
    assert "An example" in str(asked(shown, images=0))
    chat = ScriptedChat(lambda _: said("yes"))
    (row,) = Answers(chat, style={"images": 0}).predict([Request(shown)])
    assert row.details["pictures_left_out"] == str(len(VQA.shown_images) + 1)
    (row,) = Answers(chat, style={"images": 8}).predict([Request(shown)])
    assert "pictures_left_out" not in row.details


def test_a_blind_model_s_order_to_an_editor_is_read_as_an_edit() -> None:
    chat = ScriptedChat(lambda _: said(json.dumps(TEXT)))
    style = {"images": 0, "mode": "compositional"}
    (row,) = Answers(chat, style=style).predict([Request(EDIT)])
    assert (row.status, row.image_prompt) == ("ok", "Remove it.")


def test_a_picture_that_cannot_be_laid_out_is_its_rows_failure_alone() -> None:
    broken = replace(VQA, id="broken", input_images=(picture(), Image(b"no picture")))
    chat = ScriptedChat(lambda _: said("yes"))
    first, second = Answers(chat, style=AnswerStyle(images=1)).predict(
        [Request(broken), Request(EDIT)]
    )
    assert (first.sample_id, first.status) == ("broken", "model_error")
    assert "contact sheet" in first.reason
    assert (second.sample_id, second.status) == ("edit-1", "ok")


@pytest.mark.parametrize("attack", [*CONTROL_TOKENS, *HIDDEN])
def test_an_instruction_brings_no_control_tokens(attack: str) -> None:
    text = words_of(asked(replace(VQA, instruction=attack, choices=(attack,))))
    assert "<|" not in text
    assert "[INST]" not in text
    assert "\u200b" not in text


def words_of(messages: tuple[Message, ...]) -> str:
    return "\n".join(p for m in messages for p in m.parts if isinstance(p, str))


@pytest.mark.parametrize(
    ("sample", "key"), [(VQA, None), (EDIT, "edit_prompt"), (GENERATION, "generate_prompt")]
)
def test_a_compositional_system_is_asked_for_the_prompt_its_task_needs(
    sample: Any, key: str | None
) -> None:
    chat = ScriptedChat(lambda _: said(TEXT))
    Answers(chat, style=COMPOSITIONAL).predict([Request(sample)])
    ((request,),) = chat.chains
    if key is None:
        assert request.schema is None
        return
    assert request.schema is not None
    assert list(request.schema["properties"]) == ["output_text", key]
    assert all("maxLength" in p for p in request.schema["properties"].values())
    assert f'"{key}"' in words(request)


def test_vqa_is_asked_alike_in_both_modes() -> None:
    """So that one answer stage serves every pairing with a model."""
    assert asked(VQA, mode="vqa") == asked(VQA, mode="compositional")


@pytest.mark.parametrize("thought", ["", "<think>{B?} hm\n</think>\n", " <think></think>"])
def test_reasoning_before_the_answer_is_left_out(thought: str) -> None:
    assert answer(VQA, said(f"{thought}B. spleen"), AnswerStyle()).text == "B. spleen"
    made = answer(EDIT, said(f"{thought}{json.dumps(TEXT)}"), COMPOSITIONAL)
    assert (made.status, made.image_prompt) == ("ok", "Remove it.")


def test_reasoning_that_never_ends_is_kept_and_is_no_answer() -> None:
    made = answer(VQA, ChatReply("truncated", "cut", "<think>B or"), AnswerStyle())
    assert (made.status, made.text, made.details["reasoning"]) == ("truncated", None, "B or")
    for only in ("<think>B</think>", "<think>B or C"):
        row = answer(VQA, said(only), AnswerStyle())
        assert (row.status, row.reason) == ("model_error", "the model thought and said nothing")


def test_thoughts_that_a_server_gives_apart_are_no_answer() -> None:
    row = answer(VQA, ChatReply(text="", reasoning="It is B."), AnswerStyle())
    assert (row.status, row.text) == ("model_error", None)
    row = answer(VQA, ChatReply(text="A", reasoning="It is B."), AnswerStyle())
    assert (row.status, row.text, row.details["reasoning"]) == ("ok", "A", "It is B.")


def test_marks_of_a_thought_inside_the_object_are_words() -> None:
    reply = json.dumps({"output_text": "so </think> it is", "edit_prompt": "Remove it."})
    assert answer(EDIT, said(reply), COMPOSITIONAL).text == "so </think> it is"


def test_an_object_with_a_key_twice_is_no_answer() -> None:
    reply = '{"output_text": "a", "edit_prompt": "b", "output_text": "c"}'
    row = answer(EDIT, said(reply), COMPOSITIONAL)
    assert row.status == "model_error"
    assert "a key stands twice" in row.reason


@pytest.mark.parametrize("wrap", ["{}", "```json\n{}\n```", " {}\n"])
def test_text_and_image_prompt_are_taken_from_the_object(wrap: str) -> None:
    reply = said(wrap.replace("{}", json.dumps(TEXT)))
    made = answer(EDIT, reply, COMPOSITIONAL)
    assert (made.status, made.text, made.image_prompt) == ("ok", "An effusion.", "Remove it.")
    assert answer(GENERATION, reply, COMPOSITIONAL).image_prompt == "A chest."
    assert answer(VQA, said("B"), COMPOSITIONAL).text == "B"


@pytest.mark.parametrize(
    "text",
    ["Here: {}", "[]", '"x"', '{"output_text": "a"}', '{"output_text": 1, "edit_prompt": "b"}',
     '{"output_text": "a", "edit_prompt": "  "}', "[" * 50_000, "Remove the artifact."],
)  # fmt: skip
def test_a_reply_without_the_prompt_is_a_failure_that_keeps_its_words(text: str) -> None:
    made = answer(EDIT, said(text), COMPOSITIONAL)
    assert made.status == "model_error"
    assert made.reason
    assert made.text == text
    assert made.image_prompt is None


def test_words_that_no_file_can_hold_are_replaced() -> None:
    reply = said('{"output_text": "a\\ud800b", "edit_prompt": "c\\udfffd"}')
    made = answer(EDIT, reply, COMPOSITIONAL)
    assert (made.text, made.image_prompt) == ("a?b", "c?d")


@pytest.mark.parametrize(
    ("status", "want"),
    [
        ("truncated", "truncated"),
        ("refused", "refused"),
        ("timeout", "timeout"),
        ("rejected", "model_error"),
        ("unreachable", "unreachable"),
        ("unsent", "missing"),
    ],
)
@pytest.mark.parametrize("mode", ["vqa", "compositional"])
def test_every_way_to_fail_has_its_status(status: Any, want: str, mode: Any) -> None:
    made = answer(EDIT, ChatReply(status, "why", "half an ans"), AnswerStyle(mode=mode))
    assert (made.status, made.reason, made.text) == (want, "why", "half an ans")
    assert made.image_prompt is None


def test_an_empty_reply_is_no_answer() -> None:
    made = answer(VQA, said(" \n"), AnswerStyle())
    assert (made.status, made.reason) == ("model_error", "the reply is empty")


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "I\u2019m sorry, I cannot provide a medical diagnosis.",
        "I cannot interpret medical images.",
        "I am very sorry but I am unable to help.",
        "As an AI language model, I cannot diagnose.",
    ],
)
def test_a_refusal_is_no_answer(text: str) -> None:
    assert is_refusal(text)
    assert answer(VQA, said(text), AnswerStyle()).status == "refused"


@pytest.mark.parametrize(
    "text",
    [
        "B. I cannot see a fracture.",
        "The patient is sorry that she cannot come.",
        "I can see consolidation.",
        "I cannot help noticing " + "the effusion, which is large " * 20,
        "No.",
    ],
)
def test_an_answer_that_hedges_is_an_answer(text: str) -> None:
    assert answer(VQA, said(text), AnswerStyle()).status == "ok"


def test_each_sample_has_a_seed_of_its_own_that_stays() -> None:
    def seeds(seed: int) -> list[int]:
        chat = ScriptedChat(lambda _: said("yes"))
        style = read(AnswerStyle, {"sampling": {"seed": seed}}, "style")
        Answers(chat, style=style).predict([Request(s) for s in SAMPLES])
        return [request.sampling.seed for (request,) in chat.chains]

    assert seeds(1) == seeds(1)
    assert len(set(seeds(1) + seeds(2))) == 6
    assert all(0 <= s < 2**31 for s in seeds(1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "both"},
        {"prompt": "answer/0"},
        {"sampling": {"heat": 2}},
        {"tone": "kind"},
        {"letters": [100]},
        {"images": -1},
    ],
)
def test_a_misspelt_setting_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        read(AnswerStyle, wrong, "style")


@given(st.text())
def test_no_reply_breaks_the_reader(text: str) -> None:
    for sample in SAMPLES:
        made = answer(sample, said(text), COMPOSITIONAL)
        assert made.status in ("ok", "model_error", "refused")


def test_the_passport_names_the_words() -> None:
    passport = Answers(ScriptedChat(lambda _: said(""))).passport()
    assert passport["prompt"] == "answer/1"
    assert passport["prompt_hash"] == prompt_hash("answer/1")
    assert passport["model"] == "scripted"


def test_a_limit_may_be_as_small_as_one_letter() -> None:
    assert read(AnswerStyle, {"letters": [1, 1]}, "style").letters == (1, 1)
    assert read(AnswerStyle, {}, "style").sampling.logprobs == 0, "and asks for nothing besides"
    with pytest.raises(ConfigError):
        read(AnswerStyle, {"letters": [0, 1]}, "style")


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("max_tokens", 1, None), ("temperature", 0, None), ("top_k", 0, None), ("min_p", 0, 1),
        ("presence_penalty", -2, 2), ("frequency_penalty", -2, 2), ("logprobs", 0, None),
    ],
)  # fmt: skip
def test_sampling_is_taken_up_to_its_ends_and_no_further(
    name: str, least: float, most: float | None
) -> None:
    for edge, beyond in ((least, -1), (most, 1)):
        if edge is not None:
            made = read(AnswerStyle, {"sampling": {name: edge}}, "style")
            assert getattr(made.sampling, name) == edge
            with pytest.raises(ConfigError):
                read(AnswerStyle, {"sampling": {name: edge + beyond}}, "style")
