"""Replies of words and pictures: how they are asked for, and how they become a prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from msgspec import Meta

from medgen.adapters.images.contact_sheet import contact_sheet
from medgen.adapters.images.firewall import Firewall
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.answers.refusals import is_refusal
from medgen.engine.chat.answering import AnswerStyle, answer_request
from medgen.engine.chat.messages import ChatRequest, Message, Sampling, seed_for
from medgen.engine.chat.quoting import storable
from medgen.engine.data import Image, Prediction, PredictionStatus, Sample, Usage
from medgen.engine.settings import Settings, Unusable

# Added to the question of `medgen.engine.chat.answering`, by format. A version never changes its
# words.
ORDERS: Mapping[str, Mapping[str, str]] = {
    "unified/1": {
        "VQA": "",
        "ImageEditing": (
            "Return the edited picture itself. Change what the instruction asks for and keep "
            "everything else of the first image as it is: anatomy, orientation, modality, framing."
        ),
        "MultimodalGeneration": (
            "Return both: the answer in words, for a physician, and one picture that shows it. The "
            "picture must look like a medical image of the modality that the instruction is about."
        ),
    }
}


class UnifiedStyle(Settings, frozen=True, kw_only=True):
    """How a unified model is asked. `images` is how many pictures one prompt may hold."""

    prompt: str = "unified/1"
    images: Annotated[int, Meta(ge=1)] = 8
    sampling: Sampling = Sampling()

    def __post_init__(self) -> None:
        if self.prompt not in ORDERS:
            raise Unusable(f"no unified prompt {self.prompt!r}; there are {sorted(ORDERS)}")


@dataclass(frozen=True, slots=True)
class Interleaved:
    """What a model said: strings and encoded pictures, in its order."""

    parts: tuple[str | bytes, ...]
    usage: Usage = field(default_factory=Usage)
    status: PredictionStatus = "ok"
    reason: str = ""
    reasoning: str = ""  # that the server itself set apart from the parts


def question(sample: Sample, style: UnifiedStyle) -> ChatRequest:
    """The question for one sample, with its pictures.

    Raises:
        ImageError: its pictures cannot be laid out as one sheet.
    """
    images: Sequence[Image] = sample.input_images
    if len(images) > style.images:
        images = [contact_sheet(images)]
    seed = seed_for(style.sampling.seed, sample.id)
    asked = answer_request(sample, images, AnswerStyle(sampling=style.sampling), seed)
    order = ORDERS[style.prompt].get(sample.format, "")
    system, user = asked.messages
    parts = user.parts if not order else (*user.parts[:-1], f"{user.parts[-1]}\n\n{order}")
    return replace(asked, messages=(system, Message("user", parts)))


def prediction(
    sample: Sample, said: Interleaved, style: UnifiedStyle, wall: Firewall
) -> Prediction:
    """The prediction that a reply makes: all text joined, all pictures kept, the first scored."""
    words = [part.strip() for part in said.parts if isinstance(part, str) and part.strip()]
    pictures = [part for part in said.parts if isinstance(part, bytes)]
    spoken = part_thoughts("\n\n".join(words))
    thought = "\n\n".join(filter(None, (said.reasoning, spoken.thought)))
    text = storable(spoken.answer) or None
    status, reason = said.status, said.reason
    if status == "ok":
        status, reason = _complete(sample, text, bool(pictures))
    row = Prediction(
        sample.id,
        status,
        reason,
        text=text,
        images=tuple(Image(data, f"{sample.id}-{i}") for i, data in enumerate(pictures)),
        usage=said.usage,
        details={
            "prompt": style.prompt,
            "order": ["text" if isinstance(part, str) else "image" for part in said.parts],
            "image_count": len(pictures),
            **({"reasoning": storable(thought[:20_000])} if thought else {}),
        },
    )
    seen = wall.admit(row, sample)
    if sample.format == "VQA":
        # Nobody asked for a picture: what is wrong with one is recorded and changes nothing.
        return replace(seen, status=status, reason=reason)
    return seen


def _complete(sample: Sample, text: str | None, picture: bool) -> tuple[PredictionStatus, str]:
    """Whether the halves that the format asks for are there."""
    if text and not picture and is_refusal(text, sample.task, sample.choices):
        return "refused", "the reply declines"
    if sample.format != "VQA" and not picture:
        return "invalid_image", "the reply holds no picture"
    if sample.format != "ImageEditing" and not text:
        return "model_error", "the reply holds no words"
    return "ok", ""
