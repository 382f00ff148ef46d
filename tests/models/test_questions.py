"""What is asked of a sample of any kind: our words by `asks`, images where they belong."""

from dataclasses import replace

import pytest

from medgen.adapters.images.contact_sheet import fit_images
from medgen.engine.chat.answering import PROMPTS, AnswerStyle, answer_request, prompt_hash
from medgen.engine.chat.messages import Message
from medgen.engine.chat.official import OFFICIAL
from medgen.engine.data import ASKS, Asks, Image, Sample, Turn
from medgen.engine.errors import ImageError

ONE, TWO = Image(b"one", label="Before:", place="<image 1>"), Image(b"two", place="<image 2>")
STYLES = {mode: AnswerStyle(mode=mode) for mode in ("vqa", "compositional")}


def sample(asks: Asks = "text", **fields: object) -> Sample:
    body = {"instruction": "What is it?", "input_images": (Image(b"x"),), **fields}
    return Sample("s", asks, "any-slug", "CT", **body)  # type: ignore[arg-type]


def asked(of: Sample, mode: str = "vqa") -> tuple[Message, ...]:
    return answer_request(of, of.shown_images, STYLES[mode], 0).messages


def words(of: Sample, mode: str = "vqa") -> str:
    return "".join(part for part in asked(of, mode)[-1].parts if isinstance(part, str))


@pytest.mark.parametrize("asks", ASKS)
def test_every_kind_of_question_says_the_form_of_its_answer(asks: Asks) -> None:
    prompt = PROMPTS["answer/1"]
    wanted = prompt.asks.get(asks, "")
    assert words(sample(asks)) == "\n\n".join(filter(None, ["Instruction: What is it?", wanted]))
    assert bool(wanted) == (asks not in ("image", "image+text", "mask"))


@pytest.mark.parametrize(
    ("of", "order"),
    [
        (sample("image"), PROMPTS["answer/1"].edit),
        (sample("image", input_images=()), PROMPTS["answer/1"].draw),
        (sample("image+text"), PROMPTS["answer/1"].generate),
        (sample("image+text", input_images=()), PROMPTS["answer/1"].generate),
        (sample("number"), PROMPTS["answer/1"].asks["number"]),
    ],
)
def test_an_image_is_asked_for_by_what_is_given(of: Sample, order: str) -> None:
    assert words(of, "compositional").endswith(f"\n\n{order}")


def test_a_task_of_the_benchmark_keeps_its_own_words() -> None:
    of = replace(sample(), task="report-generation")
    assert words(of).endswith(PROMPTS["answer/1"].tasks["report-generation"])
    assert PROMPTS["answer/1"].tasks["multiple-choice"] == PROMPTS["answer/1"].asks["choice"]


def test_images_stand_at_their_marks_after_their_labels_or_before_the_text() -> None:
    of = sample(
        instruction="Compare <image 2> with the first.",
        input_images=(ONE, TWO),
        context_images=(Image(b"old"),),
        context="smoker",
    )
    assert asked(of)[-1].parts == (
        of.context_images[0],
        "Before:",
        ONE,
        "Context: smoker\n\nInstruction: Compare",
        TWO,
        f"with the first.\n\n{PROMPTS['answer/1'].asks['text']}",
    )


def test_each_of_equal_marks_takes_one_image_in_their_order() -> None:
    three = tuple(Image(name, place="<image>") for name in (b"one", b"two", b"three"))
    of = sample(instruction="Then <image> and now <image>: worse?", input_images=three)
    assert asked(of)[-1].parts == (
        three[2], "Instruction: Then", three[0], "and now", three[1],
        f": worse?\n\n{PROMPTS['answer/1'].asks['text']}",
    )  # fmt: skip


def test_no_mark_is_broken_by_another_that_it_begins_with() -> None:
    ten = Image(b"ten", place="<image 10>")
    of = sample(instruction="<image 10>, <image 1>", input_images=(replace(ONE, label=""), ten))
    assert asked(of)[-1].parts[:4] == ("Instruction:", ten, ",", replace(ONE, label=""))


def test_demonstrations_are_turns() -> None:
    shown = (Turn("user", "And this?", (Image(b"d", label="Film:"),)), Turn("assistant", "A cyst"))
    system, *turns, question = asked(sample(turns=shown))
    assert system.role == "system"
    assert [(turn.role, turn.parts) for turn in turns] == [
        ("user", ("Film:", shown[0].images[0], "Instruction: And this?")),
        ("assistant", ("A cyst",)),
    ]
    assert question.role == "user"


@pytest.mark.parametrize("text", ["<|im_end|>", "<image>", "a\u200bb"])
def test_nothing_from_outside_is_a_control_token(text: str) -> None:
    of = sample(
        context=text,
        instruction=f"{text}<image 1>{text}",
        input_images=(replace(ONE, label=text),),
        turns=(Turn("user", text), Turn("assistant", text)),
    )
    said = [part for message in asked(of) for part in message.parts if isinstance(part, str)]
    assert not any(text in part for part in said)


def test_more_images_than_fit_become_sheets(noise) -> None:  # type: ignore[no-untyped-def]
    images = tuple(Image(noise(n), label=f"Slice {n}") for n in range(4))
    turn = Turn("user", "a", images[:2])
    of = sample(input_images=images, turns=(turn, Turn("assistant", "b")))
    assert fit_images(of, 6) is of
    fitted = fit_images(of, 5)
    assert len(fitted.input_images) == len(fitted.turns[0].images) == 1
    assert "Image 4: Slice 3" in fitted.input_images[0].label
    with pytest.raises(ImageError, match="1 are the most"):
        fit_images(of, 1)


LUNG = {"choices": ("lung", "liver")}
YES = {"choices": ("yes", "no")}


LETTER = "Answer with the option's letter from the given choices directly."
PHRASE = "Answer the question using a single word or phrase."
ZH = "\u8bf7\u7528\u4e00\u4e2a\u8bcd\u6216\u77ed\u8bed\u56de\u7b54\u95ee\u9898\u3002"


@pytest.mark.parametrize(
    ("prompt", "of", "put"),
    [
        ("mmmu", sample("choice", **LUNG), ["What is it?", "(A) lung", "(B) liver", LETTER]),
        ("mmmu", sample(), ["What is it?", PHRASE]),
        (
            "vlmevalkit", sample("choice", **LUNG),
            ["Question: What is it?", "Options:", "A. lung", "B. liver",
             "Please select the correct answer from the options above."],
        ),
        (
            "medevalkit", sample("choice", **YES),
            ["What is it?", "Please output 'yes' or 'no'(no extra output)."],
        ),
        (
            "medevalkit", sample(context="A scar."),
            ["A scar.", "What is it?", "Please answer the question concisely."],
        ),
        ("slake", sample("choice", **YES), ["What is it?", PHRASE]),
        ("slake", sample(language="zh"), ["What is it?", ZH]),
    ],
)  # fmt: skip
def test_official_prompts_put_a_question_as_their_authors_do(
    prompt: str, of: Sample, put: list[str]
) -> None:
    style = AnswerStyle(prompt=f"official:{prompt}")
    (only,) = answer_request(of, of.shown_images, style, 0).messages
    assert only.role == "user"
    assert only.parts == (of.shown_images[0], "\n".join(put))


def test_official_prompts_are_told_apart_and_ask_for_no_image_prompt() -> None:
    names = [*PROMPTS, *OFFICIAL]
    assert len({prompt_hash(name) for name in names}) == len(names)
    of = sample("image")
    style = AnswerStyle(prompt="official:mmmu", mode="compositional")
    ours = AnswerStyle(mode="compositional")
    assert answer_request(of, of.shown_images, style, 0) == answer_request(
        of, of.shown_images, ours, 0
    )
