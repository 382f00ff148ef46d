"""Samples, predictions and chats with known content, shared by the tests of judges and answers."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image as Pillow

from medgen.engine.chat.messages import ChatReply, ChatRequest
from medgen.engine.data import Image, Prediction, Sample, Usage
from medgen.engine.judging.prompts import Rubric


def picture(colour: tuple[int, int, int] = (90, 120, 30), side: int = 48) -> Image:
    sink = io.BytesIO()
    Pillow.new("RGB", (side, side), colour).save(sink, "PNG")
    return Image(sink.getvalue(), f"{colour}.png")


INPUT, OUTPUT, TRUTH = picture((200, 10, 10)), picture((10, 200, 10)), picture((10, 10, 200))

VQA = Sample(
    id="vqa-1",
    asks="choice",
    task="multiple-choice",
    modality="CT",
    instruction="Which organ is enlarged?",
    choices=("liver", "spleen"),
    input_images=(INPUT, picture((180, 10, 10))),
    reference_texts=("B. spleen, 14 cm",),
)
EDIT = Sample(
    id="edit-1",
    asks="image",
    task="artifact-removal",
    modality="MRI",
    instruction="Remove the motion artifact.",
    input_images=(INPUT,),
    reference_images=(TRUTH,),
)
GENERATION = Sample(
    id="gen-1",
    asks="image+text",
    task="disease-prediction",
    modality="X-ray",
    instruction="Show the film in six weeks.",
    input_images=(INPUT,),
    reference_texts=("The effusion has gone.",),
    reference_images=(TRUTH,),
)
SAMPLES = (VQA, EDIT, GENERATION)
PREDICTIONS = (
    Prediction("vqa-1", text="B, because the spleen is large."),
    Prediction("edit-1", images=(OUTPUT,)),
    Prediction("gen-1", text="No effusion is left.", images=(OUTPUT,)),
)


def valid_reply(rubric: Rubric, form: Any, score: int = 4) -> dict[str, Any]:
    """A reply that fits the schema, every dimension at one score."""
    protocol = rubric.protocol
    names = [d.name for d in protocol.dimensions_for(form)]
    reply: dict[str, Any] = {
        "analysis": "The input shows a spleen.",
        "explanations": {name: f"about {name}" for name in names},
    }
    if checks := protocol.checklist.get(form):
        reply["checklist"] = dict.fromkeys(checks, "yes")
    reply["scores"] = dict.fromkeys(names, score)
    return reply


@dataclass
class ScriptedChat:
    """A chat whose replies a function makes; it keeps what it was asked, chain by chain."""

    answer: Callable[[ChatRequest], ChatReply]
    chains: list[list[ChatRequest]] = field(default_factory=list)

    def chat(self, chains: Sequence[Sequence[ChatRequest]]) -> list[list[ChatReply]]:
        self.chains += [list(chain) for chain in chains]
        return [[self.answer(request) for request in chain] for chain in chains]

    def passport(self) -> Mapping[str, Any]:
        return {"model": "scripted"}


def said(text: str | Mapping[str, Any], **usage: Any) -> ChatReply:
    """A whole reply."""
    body = text if isinstance(text, str) else json.dumps(text)
    return ChatReply(text=body, usage=Usage(finish_reason="stop", **usage))


def words(request: ChatRequest) -> str:
    """All text of a request, in order."""
    return "\n".join(p for m in request.messages for p in m.parts if isinstance(p, str))
