"""Replies of words and pictures: how they are asked for, and how they become a prediction."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from msgspec import Meta

from medgen.adapters.images.contact_sheet import fit_images
from medgen.adapters.images.firewall import Firewall
from medgen.engine.answers.closed import closed_task
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.answers.refusals import is_refusal
from medgen.engine.bounds import too_long
from medgen.engine.chat.answering import AnswerStyle, answer_request
from medgen.engine.chat.messages import ChatRequest, Message, Sampling, seed_for
from medgen.engine.chat.quoting import shows, storable
from medgen.engine.data import (
    Form,
    Image,
    Prediction,
    PredictionStatus,
    Request,
    Sample,
    Usage,
)
from medgen.engine.settings import Settings, Unusable

# Added to the question of `medgen.engine.chat.answering`, by what the answer is made of. A version
# never changes its words.
ORDERS: Mapping[str, Mapping[Form | Literal["drawn"], str]] = {
    "unified/1": {
        "text": "",
        "image": (
            "Return the edited picture itself. Change what the instruction asks for and keep "
            "everything else of the first image as it is: anatomy, orientation, modality, framing."
        ),
        "image+text": (
            "Return both: the answer in words, for a physician, and one picture that shows it. The "
            "picture must look like a medical image of the modality that the instruction is about."
        ),
        "drawn": (
            "Return the picture itself, and no words. It must look like a medical image of the "
            "modality that the instruction is about."
        ),
    }
}


def _order_for(sample: Sample) -> Form | Literal["drawn"]:
    """A picture is drawn from words alone where none is given to be changed."""
    return "drawn" if sample.form == "image" and not sample.input_images else sample.form


class UnifiedStyle(Settings, frozen=True, kw_only=True):
    """How a unified model is asked.

    Attributes:
        prompt: version of the orders that say what the answer is made of.
        images: how many pictures one prompt may hold.
        sampling: how replies are drawn.
        modalities: what a request says may come back: "both" whatever is asked, or "asked", what
            the sample's answer is made of, for servers that write or draw as they are told.
    """

    prompt: str = "unified/1"
    images: Annotated[int, Meta(ge=1)] = 8
    sampling: Sampling = Sampling()
    modalities: Literal["both", "asked"] = "both"

    def __post_init__(self) -> None:
        if self.prompt not in ORDERS:
            raise Unusable(f"no unified prompt {self.prompt!r}; there are {sorted(ORDERS)}")


def modalities(sample: Sample, style: UnifiedStyle) -> list[str]:
    """What may come back for a sample, as chat completions name it: `text`, `image` or both."""
    return ["text", "image"] if style.modalities == "both" else sample.form.split("+")[::-1]


@dataclass(frozen=True, slots=True)
class Interleaved:
    """What a model said: strings and encoded pictures, in its order."""

    parts: tuple[str | bytes, ...]
    usage: Usage = field(default_factory=Usage)
    status: PredictionStatus = "ok"
    reason: str = ""
    reasoning: str = ""  # that the server itself set apart from the parts


def question(request: Request, style: UnifiedStyle) -> ChatRequest:
    """The question for one request's sample, with its pictures.

    Raises:
        ImageError: its pictures cannot be laid out as one sheet.
    """
    sample = request.sample
    fitted = fit_images(sample, style.images)
    seed = seed_for(style.sampling.seed, *request.draw)
    words = AnswerStyle(sampling=style.sampling)
    asked = answer_request(fitted, fitted.shown_images, words, seed)
    order = ORDERS[style.prompt][_order_for(sample)]
    *before, user = asked.messages
    parts = user.parts
    if order:
        *shown, last = parts
        parts = (*shown, f"{last}\n\n{order}") if isinstance(last, str) else (*parts, order)
    return replace(asked, messages=(*before, Message("user", parts)))


def prediction(
    sample: Sample, said: Interleaved, style: UnifiedStyle, wall: Firewall
) -> Prediction:
    """The prediction that a reply makes: all text joined, all pictures kept, the first scored."""
    words = [part.strip() for part in said.parts if isinstance(part, str) and part.strip()]
    pictures = [part for part in said.parts if isinstance(part, bytes)]
    joined = "\n\n".join(words)
    if why := too_long(joined) or too_long(said.reasoning):
        return Prediction(sample.id, "model_error", why, joined[:20_000], usage=said.usage)
    spoken = part_thoughts(joined)
    thought = "\n\n".join(filter(None, (said.reasoning, spoken.thought)))
    text = storable(spoken.answer) if shows(spoken.answer) else None
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
    if sample.form == "text":
        # Nobody asked for a picture: what is wrong with one is recorded and changes nothing.
        return replace(seen, status=status, reason=reason)
    return seen


def _complete(sample: Sample, text: str | None, picture: bool) -> tuple[PredictionStatus, str]:
    """Whether the halves that were asked for are there."""
    if text and not picture and is_refusal(text, closed_task(sample), sample.choices):
        return "refused", "the reply declines"
    if sample.form != "text" and not picture:
        return "invalid_image", "the reply holds no picture"
    if sample.form != "image" and not text:
        return "model_error", "the reply holds no words"
    return "ok", ""
