"""What a vision-language model is asked for a sample, and how its reply becomes a prediction.

Prompts are ours, have a version, and never change under it: `PROMPTS[version]` is part of the
recipe that addresses the answers.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from medgen.engine.answers.dressing import unique_keys, without_fence
from medgen.engine.answers.forms import canonical
from medgen.engine.answers.options import options_in, options_of
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.answers.refusals import is_refusal
from medgen.engine.benchmark.vocabulary import TASKS
from medgen.engine.chat.messages import ChatReply, ChatRequest, Message, Sampling
from medgen.engine.chat.quoting import defang, storable
from medgen.engine.data import Image, Prediction, PredictionStatus, Sample
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
    """The words of one version. `tasks` adds a line for tasks whose answers are parsed."""

    system: str
    tasks: Mapping[str, str]
    edit: str
    generate: str


PROMPTS: Mapping[str, AnswerPrompt] = {
    "answer/1": AnswerPrompt(
        system=(
            "You are an experienced physician who reads medical images. Use what the images show. "
            "Do what the instruction asks, name only findings that you can support, and say so "
            "when something cannot be told from the images."
        ),
        tasks={
            "multiple-choice": (
                "Pick exactly one choice. Begin with its letter, then give one short sentence of "
                "reasons."
            ),
            "blank-filling": "Give only the words that belong in the blank, in order.",
            "report-generation": (
                "Write the report in sections with headings; the last two are Findings and "
                "Impression."
            ),
            "question-answering": "Answer in a few full sentences.",
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
        prompt: version of our prompts.
        sampling: how replies are drawn; its seed is mixed with each sample's id.
        constrained: hold replies to the JSON schema, where there is one.
        letters: the most that the schema allows for the text and for the image prompt; a model
            whose words mean nothing would never end them by itself.
        images: how many pictures one prompt may hold. A sample with more is shown as one contact
            sheet.

    Raises:
        ConfigError: an unknown prompt.
    """

    mode: Mode = "vqa"
    prompt: str = "answer/1"
    sampling: Sampling = Sampling()
    constrained: bool = True
    letters: tuple[_Most, _Most] = (_TEXT_CHARS, _PROMPT_CHARS)
    images: Annotated[int, Meta(ge=1)] = 8

    def __post_init__(self) -> None:
        if self.prompt not in PROMPTS:
            raise Unusable(f"no answer prompt {self.prompt!r}; there are {sorted(PROMPTS)}")


def prompt_hash(version: str) -> str:
    """16 hex digits of the words of a version and of the schemas that go with them."""
    prompt = PROMPTS[version]
    words = [prompt.system, dict(prompt.tasks), prompt.edit, prompt.generate]
    text = json.dumps([words, _schema("edit_prompt"), _schema("generate_prompt")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def answer_request(
    sample: Sample, images: Sequence[Image], style: AnswerStyle, seed: int
) -> ChatRequest:
    """The question for one sample.

    Args:
        sample: whose instruction, task and choices are put.
        images: its input pictures in order, or one contact sheet of them.
        style: how the system answers.
        seed: for this sample's draw.
    """
    prompt = PROMPTS[style.prompt]
    key = prompt_field(sample, style)
    orders = {None: prompt.tasks.get(sample.task, ""), "edit_prompt": prompt.edit}
    order = orders.get(key, prompt.generate)
    text = "\n\n".join(part for part in (_instruction(sample), order) if part)
    drawn = style.sampling
    sampling = Sampling(
        max_tokens=drawn.max_tokens, temperature=drawn.temperature, top_p=drawn.top_p, seed=seed
    )
    messages = (Message("system", (prompt.system,)), Message("user", (*images, text)))
    schema = _schema(key, style.letters) if key and style.constrained else None
    return ChatRequest(messages, sampling, schema, sample.id)


def prompt_field(sample: Sample, style: AnswerStyle) -> str | None:
    """The JSON field that holds the image model's prompt; None when text alone is wanted."""
    if style.mode == "vqa" or sample.format == "VQA":
        return None
    by_task = TASKS.get(sample.task, sample.format)
    return "edit_prompt" if by_task == "ImageEditing" else "generate_prompt"


def answer(sample: Sample, reply: ChatReply, style: AnswerStyle) -> Prediction:
    """The prediction that a reply makes.

    The text is kept whatever the status; what the model thought before it goes to the details.
    """
    details = {"prompt": style.prompt, "prompt_hash": prompt_hash(style.prompt)}
    key = prompt_field(sample, style)
    parted = part_thoughts(reply.text)
    text, image_prompt = parted.answer, None
    if thought := "\n".join(part for part in (reply.reasoning, parted.thought) if part.strip()):
        details["reasoning"] = storable(thought[:_THOUGHT_CHARS])
    status, reason = _status(sample, reply, text), reply.reason
    if status == "ok" and not text:
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


def _status(sample: Sample, reply: ChatReply, text: str) -> PredictionStatus:
    if reply.status == "ok":
        return "refused" if is_refusal(text, sample.task, sample.choices) else "ok"
    return _STATUS.get(reply.status, "model_error")


def _instruction(sample: Sample) -> str:
    choices = [] if _lists(sample) else options_of(sample.choices).lines()
    listed = ["Choices:", *map(defang, choices)] if choices else []
    return "\n".join([f"Instruction: {defang(sample.instruction)}", *listed])


def _lists(sample: Sample) -> bool:
    """Whether the instruction shows the options already, with the labels they are read by."""
    shown = options_of(options_in(sample.instruction))
    return bool(sample.choices) and [(o.key, canonical(o.words)) for o in shown.each] == [
        (o.key, canonical(o.words)) for o in options_of(sample.choices).each
    ]


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
