"""What a vision-language model is asked for a sample, and how its reply becomes a prediction.

Prompts are ours, have a version, and never change under it: `PROMPTS[version]` is part of the
recipe that addresses the answers.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from msgspec import Meta, structs

from medgen.engine.answers.closed import closed_task
from medgen.engine.answers.dressing import unique_keys, without_fence
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.answers.refusals import is_refusal
from medgen.engine.bounds import too_long
from medgen.engine.chat.messages import ChatReply, ChatRequest, Message, Sampling
from medgen.engine.chat.odds import option_odds
from medgen.engine.chat.official import OFFICIAL, official_messages
from medgen.engine.chat.questions import demonstrations, question
from medgen.engine.chat.quoting import shows, storable
from medgen.engine.data import Asks, Image, Prediction, PredictionStatus, Sample
from medgen.engine.settings import Settings, Unusable

# vqa: text for every sample. compositional: text, and for samples whose answer is a picture also
# the prompt for the image model that follows.
Mode = Literal["vqa", "compositional"]

_TEXT_CHARS = 6000
_PROMPT_CHARS = 1500
_THOUGHT_CHARS = 20_000  # of a model's thoughts, kept for the reader of a row
_Most = Annotated[int, Meta(ge=1)]


@dataclass(frozen=True, slots=True)
class AnswerPrompt:
    """The words of one version.

    `tasks` adds a line for the tasks of MedGEN-Bench whose answers are parsed, `asks` one for what
    any other sample asks. `edit`, `generate` and `draw` ask for an image model's prompt: for an
    image made of one that is given, for one beside a text, and for one from words alone.
    """

    system: str
    tasks: Mapping[str, str]
    asks: Mapping[Asks, str]
    edit: str
    generate: str
    draw: str


_ONE_CHOICE = (
    "Pick exactly one choice. Begin with its letter, then give one short sentence of reasons."
)
PROMPTS: Mapping[str, AnswerPrompt] = {
    "answer/1": AnswerPrompt(
        system=(
            "You are an experienced physician who reads medical images. Use what the images show. "
            "Do what the instruction asks, name only findings that you can support, and say so "
            "when something cannot be told from the images."
        ),
        tasks={
            "multiple-choice": _ONE_CHOICE,
            "blank-filling": "Give only the words that belong in the blank, in order.",
            "report-generation": (
                "Write the report in sections with headings; the last two are Findings and "
                "Impression."
            ),
            "question-answering": "Answer in a few full sentences.",
        },
        asks={
            "text": "Answer in a few words.",
            "choice": _ONE_CHOICE,
            "choices": (
                "Pick every choice that is right; there may be one or several. Begin with their "
                "letters, separated by commas, then give one short sentence of reasons."
            ),
            "number": "Give one number with its unit, and nothing else.",
            "boxes": (
                "Mark every place that is asked for by a box [x0, y0, x1, y1]: its left, upper, "
                "right and lower edge in pixels of the image as it is given, counted from its "
                "upper left corner. Give one box a line and nothing else; where several images "
                "are shown, begin the line with the number of the image and a colon."
            ),
            "preference": (
                "The choices are answers to one question. Pick the better one. Begin with its "
                "letter, then give one short sentence of reasons."
            ),
        },
        edit=(
            "The full answer to this instruction is a picture, made by editing the first image "
            "above with an image model that sees that image and your prompt, but not the "
            "instruction. Reply with one JSON object with two strings. "
            '"output_text": what the edited picture will show and why, for a physician. '
            '"edit_prompt": an order to the image model, in one paragraph: what to change and '
            "where, and which anatomy, orientation and modality must stay as they are."
        ),
        generate=(
            "The full answer to this instruction is a text and a picture, made by an image model "
            "that gets only your prompt. Reply with one JSON object with two strings. "
            '"output_text": the answer in words, for a physician. '
            '"generate_prompt": a complete description of the picture for the image model, in one '
            "paragraph: modality, view, anatomy, findings with their place and size, and style."
        ),
        draw=(
            "The full answer to this instruction is a picture, made by an image model that gets "
            "only your prompt. Reply with one JSON object with two strings. "
            '"output_text": what the picture will show, for a physician. '
            '"generate_prompt": a complete description of the picture for the image model, in one '
            "paragraph: modality, view, anatomy, findings with their place and size, and style."
        ),
    )
}

_STATUS: Mapping[str, PredictionStatus] = {
    "truncated": "truncated",
    "refused": "refused",
    "timeout": "timeout",
    "unreachable": "unreachable",
    "unsent": "missing",
    "unforeseen": "internal_error",
}


class AnswerStyle(Settings, frozen=True, kw_only=True):
    """How a system answers.

    Attributes:
        mode: "vqa" (words for every sample) or "compositional" (words and, for samples whose
            answer is a picture, the prompt of the image model that follows).
        prompt: version of our prompts, or `official:<name>` (`medgen.engine.chat.official`), which
            an image model's prompt is never asked by.
        sampling: how replies are drawn; its seed is mixed with each sample's id.
        constrained: hold replies to the JSON schema, where there is one.
        letters: the most that the schema allows for the text and for the image prompt; a model
            whose words mean nothing would never end them by itself.
        images: how many pictures one prompt may hold. A sample with more is shown as one contact
            sheet; with 0 pictures are left out, and the row says how many.

    Raises:
        ConfigError: an unknown prompt.
    """

    mode: Mode = "vqa"
    prompt: str = "answer/1"
    sampling: Sampling = Sampling()
    constrained: bool = True
    letters: tuple[_Most, _Most] = (_TEXT_CHARS, _PROMPT_CHARS)
    images: Annotated[int, Meta(ge=0)] = 8

    def __post_init__(self) -> None:
        if self.prompt not in PROMPTS and self.prompt not in OFFICIAL:
            known = [*sorted(PROMPTS), *sorted(OFFICIAL)]
            raise Unusable(f"no answer prompt {self.prompt!r}; there are {known}")


def prompt_hash(version: str) -> str:
    """16 hex digits of the words of a version and of the schemas that go with them."""
    if version in OFFICIAL:
        text = json.dumps(OFFICIAL[version].facts(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
    prompt = PROMPTS[version]
    words = [prompt.system, dict(prompt.tasks), dict(prompt.asks)]
    words += [prompt.edit, prompt.generate, prompt.draw]
    text = json.dumps([words, _schema("edit_prompt"), _schema("generate_prompt")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def answer_request(
    sample: Sample, images: Sequence[Image], style: AnswerStyle, seed: int
) -> ChatRequest:
    """The question for one sample.

    Args:
        sample: who is asked for; its turns come first.
        images: its shown images in order, or one contact sheet of them.
        style: how the system answers.
        seed: for this sample's draw.
    """
    key = prompt_field(sample, style)
    sampling = structs.replace(style.sampling, seed=seed)
    if style.prompt in OFFICIAL and key is None:
        messages = official_messages(OFFICIAL[style.prompt], sample, images)
        return ChatRequest(messages, sampling, None, sample.id)
    prompt = PROMPTS.get(style.prompt, PROMPTS["answer/1"])
    asked = question(sample, images, _order(prompt, sample, key))
    messages = (Message("system", (prompt.system,)), *demonstrations(sample), asked)
    schema = _schema(key, style.letters) if key and style.constrained else None
    return ChatRequest(messages, sampling, schema, sample.id)


def _order(prompt: AnswerPrompt, sample: Sample, key: str | None) -> str:
    """In which form the answer is wanted."""
    if key is None:
        return prompt.tasks.get(sample.task) or prompt.asks.get(sample.asks, "")
    if key == "edit_prompt":
        return prompt.edit
    return prompt.draw if sample.form == "image" else prompt.generate


def prompt_field(sample: Sample, style: AnswerStyle) -> str | None:
    """The JSON field that holds the image model's prompt; None when text alone is wanted."""
    if style.mode == "vqa" or sample.form == "text":
        return None
    edits = sample.form == "image" and sample.input_images
    return "edit_prompt" if edits else "generate_prompt"


def answer(sample: Sample, reply: ChatReply, style: AnswerStyle) -> Prediction:
    """The prediction that a reply makes.

    The text is kept whatever the status; what the model thought before it goes to the details.
    """
    details: dict[str, Any] = {"prompt": style.prompt, "prompt_hash": prompt_hash(style.prompt)}
    if not style.images and (unseen := sample.images_shown):
        details["pictures_left_out"] = str(unseen)
    details |= option_odds(sample, reply)
    key = prompt_field(sample, style)
    if why := too_long(reply.text) or too_long(reply.reasoning):
        kept, usage = reply.text[:_THOUGHT_CHARS], reply.usage
        return Prediction(sample.id, "model_error", why, kept, usage=usage, details=details)
    parted = part_thoughts(reply.text)
    text, image_prompt = parted.answer, None
    if thought := "\n".join(part for part in (reply.reasoning, parted.thought) if part.strip()):
        details["reasoning"] = storable(thought[:_THOUGHT_CHARS])
    status, reason = _status(sample, reply, text), reply.reason
    if status == "ok" and not shows(text):
        unsaid = "the model thought and said nothing" if thought else "the reply is empty"
        status, reason = "model_error", unsaid
    if status == "ok" and key is not None:
        found = _fields(reply.text, key)
        if isinstance(found, str):
            found = _fields(text, key)
        if isinstance(found, str):
            status, reason = "model_error", found
        else:
            text, image_prompt = found
    return Prediction(
        sample_id=sample.id,
        status=status,
        reason=reason,
        text=text or None,
        image_prompt=image_prompt,
        usage=reply.usage,
        details=details,
    )


def without_pictures(sample: Sample) -> Sample:
    """A sample as a model that reads no pictures is asked it: no demonstration shows one.

    Its own images stay, for they decide what is asked; `answer_request` is given none of them.
    """
    return replace(sample, turns=tuple(replace(turn, images=()) for turn in sample.turns))


def _status(sample: Sample, reply: ChatReply, text: str) -> PredictionStatus:
    if reply.status == "ok":
        return "refused" if is_refusal(text, closed_task(sample), sample.choices) else "ok"
    return _STATUS.get(reply.status, "model_error")


def _schema(key: str, letters: tuple[int, int] = (_TEXT_CHARS, _PROMPT_CHARS)) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "output_text": {"type": "string", "maxLength": letters[0]},
            key: {"type": "string", "maxLength": letters[1]},
        },
        "required": ["output_text", key],
        "additionalProperties": False,
    }


def _fields(text: str, key: str) -> tuple[str, str] | str:
    """Text and image prompt, or what is wrong with the reply."""
    try:
        found = json.loads(without_fence(text), strict=False, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as err:
        wanted = f"the JSON object with output_text and {key} that was asked for"
        return f"the reply is not {wanted}: {err}"[:200]
    if not isinstance(found, dict):
        return "the reply is JSON but not an object"
    values = [found.get("output_text"), found.get(key)]
    if not all(isinstance(v, str) and v.strip() for v in values):
        return f"the reply lacks output_text or {key}"
    return storable(str(values[0])), storable(str(values[1]))
