"""A sample as the mapping gives it; the fields are those of `sample/2`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Asks = Literal[
    "text", "choice", "choices", "number", "boxes", "image", "image+text", "preference", "mask"
]


@dataclass(frozen=True, slots=True)
class Image:
    data: bytes
    path: str = ""
    label: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    role: Literal["user", "assistant"]
    text: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    image: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Sample:
    id: str
    asks: Asks
    task: str
    modality: str
    instruction: str
    subtask: str | None = None
    context: str = ""
    turns: tuple[Turn, ...] = ()
    choices: tuple[str, ...] = ()
    context_images: tuple[Image, ...] = ()
    input_images: tuple[Image, ...] = ()
    reference_images: tuple[Image, ...] = ()
    region_images: tuple[Image, ...] = ()
    reference_texts: tuple[str, ...] = ()
    reference_sections: Mapping[str, str] = field(default_factory=dict)
    reference_choices: tuple[int, ...] = ()
    reference_number: Number | None = None
    reference_boxes: tuple[Box, ...] = ()
    rubric: str = ""
    bundle: str = ""
    source: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    language: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)
