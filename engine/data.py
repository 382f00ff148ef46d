"""Sample, prediction, score, verdict: what flows through a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

# What a sample asks for. `image+text` is one answer of two halves; a `preference` is the better of
# the choices, as people voted.
Asks = Literal[
    "text", "choice", "choices", "number", "boxes", "image", "image+text", "preference", "mask"
]
ASKS: tuple[Asks, ...] = get_args(Asks)
CHOOSING: frozenset[Asks] = frozenset({"choice", "choices", "preference"})  # among `choices`
# What an answer is made of, whatever was asked.
Form = Literal["text", "image", "image+text"]
FORMS: tuple[Form, ...] = get_args(Form)
_FORMS: Mapping[Asks, Form] = {"image": "image", "mask": "image", "image+text": "image+text"}

PredictionStatus = Literal[
    "ok",
    "model_error",
    "refused",
    "truncated",
    "invalid_image",
    "timeout",
    "unreachable",
    "out_of_memory",
    "quarantined",
    "missing",
    "internal_error",
    "not_applicable",
]
# Those that are no failure: a condition leaves some samples as they are, and asks nothing of them.
FINE: tuple[PredictionStatus, ...] = ("ok", "not_applicable")
ScoreStatus = Literal[
    "ok",
    "not_applicable",
    "unparseable",
    "missing_weights",
    "out_of_memory",
    "error",
    "internal_error",
]
VerdictStatus = Literal[
    "ok",
    "parse_error",
    "schema_error",
    "rejected",
    "transport_error",
    "refused",
    "skipped",
    "internal_error",
]
View = Literal["reference_based", "reference_free"]
VIEWS: tuple[View, ...] = ("reference_free", "reference_based")


@dataclass(frozen=True, slots=True)
class Values:
    """What the numbers of a 16-bit image stand for: number x `slope` + `intercept`, in `unit`.

    `window`, in that unit, is the range that a model is shown.
    """

    slope: float = 1.0
    intercept: float = 0.0
    unit: str = ""
    window: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded picture (PNG, JPEG …) and the name under which it came; never a path to open.

    One of a sample may have a `label` that stands before it ("Current visit image:"), and a
    `place`: the mark in the instruction where it belongs. `values` say what its numbers stand for.
    """

    data: bytes
    path: str = ""
    label: str = ""
    place: str = ""
    values: Values | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said before the question: a demonstration, its question or its answer."""

    role: Literal["user", "assistant"]
    text: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A measured value and its unit."""

    value: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of one of the input images: left, upper, right and lower edge."""

    image: int  # from 0
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of a benchmark: what is given, what is asked, what an answer is compared with.

    Given, all but the instruction optional: `context` (a record, a history), `turns`, `choices`,
    and context and input images, shown in this order. Compared, and shown to no system:
    `reference_…`, `region_images` (white is where the change belongs) and `rubric`. Samples of one
    `bundle` are scored together; `source` names what makes samples dependent, for clustered
    statistics: patient, else study, else image.
    """

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
    reference_texts: tuple[str, ...] = ()  # the answer, then other words for it
    reference_sections: Mapping[str, str] = field(default_factory=dict)  # in a report's order
    reference_choices: tuple[int, ...] = ()  # from 0, ascending
    reference_number: Number | None = None
    reference_boxes: tuple[Box, ...] = ()
    rubric: str = ""
    bundle: str = ""
    source: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)  # age, sex, site …
    language: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)  # task, modality, answer as they came

    @property
    def form(self) -> Form:
        """What the answer is made of."""
        return form_of(self.asks)

    @property
    def shown_images(self) -> tuple[Image, ...]:
        """What a system may see, in order."""
        return self.context_images + self.input_images

    @property
    def images_shown(self) -> int:
        """How many images a request has: these and those of the turns before it."""
        return len(self.shown_images) + sum(len(turn.images) for turn in self.turns)

    @property
    def reference_text(self) -> str | None:
        """The reference in words; None when an answer in words is compared with nothing."""
        return self.reference_texts[0] if self.reference_texts else _reference_in_words(self)

    @property
    def format(self) -> str:
        """The name of the combination, for tables (`FORMATS`)."""
        return _format(self)


def form_of(asks: Asks) -> Form:
    """What an answer to it is made of."""
    return _FORMS.get(asks, "text")


# The names of combinations in the order of tables: the three of MedGEN-Bench, then the others.
FORMATS = (
    *("VQA", "ImageEditing", "MultimodalGeneration"),
    *("TextOnly", "TextToImage", "Translation", "Grounding", "Measurement", "Preference"),
    "Segmentation",
)
_NAMED_BY_ASKS: Mapping[Asks, str] = {
    "image+text": "MultimodalGeneration",
    "boxes": "Grounding",
    "number": "Measurement",
    "preference": "Preference",
    "mask": "Segmentation",
}


def _format(sample: Sample) -> str:
    if named := _NAMED_BY_ASKS.get(sample.asks):
        return named
    if sample.asks != "image":
        seen = sample.shown_images or any(turn.images for turn in sample.turns)
        return "VQA" if seen else "TextOnly"
    if not sample.input_images:
        return "TextToImage"
    measured = any(image.values for image in sample.reference_images)
    return "Translation" if measured else "ImageEditing"


def _reference_in_words(sample: Sample) -> str | None:
    if right := [c for at, c in enumerate(sample.choices) if at in sample.reference_choices]:
        return "\n".join(right)
    if sample.reference_sections:
        return "\n".join(f"{name}: {text}" for name, text in sample.reference_sections.items())
    if number := sample.reference_number:
        return f"{number.value:.15g} {number.unit}".rstrip()
    boxes = (
        f"[{b.x0:.15g}, {b.y0:.15g}, {b.x1:.15g}, {b.y1:.15g}]" for b in sample.reference_boxes
    )
    return "\n".join(boxes) or None


@dataclass(frozen=True, slots=True)
class Usage:
    """What one row cost: tokens, wall seconds, US dollars, and why the model stopped."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0
    cost_usd: float = 0.0
    finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a system gave for one sample. `images[0]` is scored, the others are kept."""

    sample_id: str
    status: PredictionStatus = "ok"
    reason: str = ""
    text: str | None = None
    image_prompt: str | None = None
    images: tuple[Image, ...] = ()
    usage: Usage = field(default_factory=Usage)
    details: Mapping[str, Any] = field(default_factory=dict)  # JSON; what the firewall saw …


@dataclass(frozen=True, slots=True)
class Request:
    """A sample put to a model, with the upstream answer when the stage has one."""

    sample: Sample
    answer: Prediction | None = None
    repeat: int = 0  # how often the system was asked before, on purpose

    @property
    def draw(self) -> tuple[str, ...]:
        """What a seed is mixed with, so that each sample and each repeat is a draw of its own."""
        return (self.sample.id, f"repeat {self.repeat}") if self.repeat else (self.sample.id,)


# No value of a metric is larger: its square, and sums of many, still fit a float.
LARGEST_VALUE = 1e100


@dataclass(frozen=True, slots=True)
class Score:
    """One metric on one prediction. `values` is empty unless `status` is ok."""

    sample_id: str
    status: ScoreStatus = "ok"
    reason: str = ""
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's scores for one prediction in one view. `scores` is empty unless status is ok."""

    sample_id: str
    view: View
    judge: str
    repeat: int = 0
    status: VerdictStatus = "ok"
    reason: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)  # dimension -> score
    expected: Mapping[str, float] = field(default_factory=dict)  # dimension -> expected score
    explanations: Mapping[str, str] = field(default_factory=dict)
    raw: str = ""  # the reply as it came
    usage: Usage = field(default_factory=Usage)
