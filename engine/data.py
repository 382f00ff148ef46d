"""Sample, prediction, score, verdict: what flows through a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Format = Literal["VQA", "ImageEditing", "MultimodalGeneration"]
FORMATS: tuple[Format, ...] = ("VQA", "ImageEditing", "MultimodalGeneration")

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
]
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
class Image:
    """An encoded picture (PNG, JPEG …) and the name under which it came; never a path to open."""

    data: bytes
    path: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of a benchmark. `source` names the source image, for clustered statistics."""

    id: str
    format: Format
    task: str
    modality: str
    instruction: str
    subtask: str | None = None
    choices: tuple[str, ...] = ()
    input_images: tuple[Image, ...] = ()
    reference_text: str | None = None
    reference_images: tuple[Image, ...] = ()
    source: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)  # task, modality, answer as they came


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
