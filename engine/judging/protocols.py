"""The judge's side of a protocol: dimensions, scale, checklists, what is shown and how.

Dimensions, scales, views and caption strips are facts of the benchmark (arXiv 2511.13135, its
public evaluator and the later manuscript page); the wording is ours. A protocol never changes
under its version.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from medgen.engine import registry
from medgen.engine.codec import plain
from medgen.engine.data import FORMS, VIEWS, Form, View
from medgen.engine.errors import ConfigError

Role = Literal["input", "candidate", "reference"]
Captions = Mapping[View, Mapping[Role, str]]

# As the benchmark's evaluator labels them. A candidate is drawn anew for its second view.
LITERAL_CAPTIONS: Captions = {
    "reference_free": {"input": "Input", "candidate": "Output"},
    "reference_based": {
        "input": "Input",
        "candidate": "Generated Answer",
        "reference": "Ground Truth",
    },
}
# One label a role: the second view finds the candidate's picture in the server's cache.
SHARED_CAPTIONS: Captions = {
    "reference_free": {"input": "Input", "candidate": "Generated Answer"},
    "reference_based": LITERAL_CAPTIONS["reference_based"],
}
_CAPTIONS: Mapping[str, Captions] = {"literal": LITERAL_CAPTIONS, "shared": SHARED_CAPTIONS}

# The input stands before the candidate and the reference last: what both views show comes first.
_SHOWN: Mapping[Form, Mapping[View, tuple[Role, ...]]] = {
    f: {
        "reference_free": ("input", "candidate"),
        "reference_based": ("input", "candidate", "reference"),
    }
    for f in FORMS
}

OVERALL = "overall_score"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing that is scored, in words for the judge. `forms`: of which answers."""

    name: str
    question: str
    forms: tuple[Form, ...] = FORMS


@dataclass(frozen=True, slots=True)
class JudgeProtocol:
    """What a judge is asked, for every form of answer and view.

    `overall` says where the overall score comes from: asked of the judge, or the mean of the
    dimensions. `anchors` puts words to points of the scale. `checklist` are yes/no questions.
    `caption_floor` is the least height of a caption strip in pixels.
    """

    name: str
    version: int
    low: int
    high: int
    dimensions: tuple[Dimension, ...]
    overall: Literal["asked", "mean"]
    anchors: Mapping[str, str]
    checklist: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shown: Mapping[Form, Mapping[View, tuple[Role, ...]]] = field(default_factory=lambda: _SHOWN)
    captions: Captions = field(default_factory=lambda: LITERAL_CAPTIONS)
    caption_floor: int = 0

    @property
    def id(self) -> str:
        """`name/version`, as it stands in recipes."""
        return f"{self.name}/{self.version}"

    def dimensions_for(self, form: Form) -> tuple[Dimension, ...]:
        """What the judge scores of such an answer, `overall` last when it is asked."""
        own = tuple(d for d in self.dimensions if form in d.forms)
        return (*own, _OVERALL) if self.overall == "asked" else own

    def to_plain(self) -> dict[str, Any]:
        """The whole protocol as JSON, to stand in a recipe."""
        found: dict[str, Any] = plain(self)
        return found

    def fingerprint(self) -> str:
        """16 hex digits over everything in it."""
        text = json.dumps(self.to_plain(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_OVERALL = Dimension(
    OVERALL,
    "Taking everything together, how good is the candidate as an answer to the instruction? Not an "
    "average: one grave clinical error outweighs many small virtues.",
)

_TEN = {
    "1": "wrong, empty or harmful",
    "3": "grave errors; little can be used",
    "5": "half right; a physician would have to redo much of it",
    "7": "mostly right; errors that do not change the clinical meaning",
    "9": "right; only cosmetic flaws",
    "10": "nothing to criticise",
}
_FIVE = {
    "1": "wrong, empty or harmful",
    "2": "grave errors; little can be used",
    "3": "half right; a physician would have to redo much of it",
    "4": "right but for flaws that do not change the clinical meaning",
    "5": "nothing to criticise",
}

_BOTH: tuple[Form, ...] = ("image+text",)

_CLINICAL = (
    Dimension(
        "anatomical_accuracy",
        "Are the anatomical structures that the candidate shows or names the right ones, in the "
        "right place, with plausible shape, size and side?",
    ),
    Dimension(
        "clinical_finding_accuracy",
        "Are the findings (lesions, signs, measurements, diagnoses) correct in kind, place, extent "
        "and severity?",
    ),
    Dimension(
        "instruction_compliance",
        "Does the candidate do all that the instruction asks, and nothing that it does not ask?",
    ),
    Dimension(
        "cross_modal_consistency",
        "Do text and pictures agree with each other, and the candidate with the modality and "
        "orientation of the input?",
    ),
    Dimension(
        "hallucination_omission_control",
        "Is the candidate free of findings that nothing supports, and complete in those that "
        "matter? High when nothing is invented and nothing that matters is missing.",
    ),
)

_PAPER = (
    Dimension(
        "coherence",
        "Do text and picture read as one answer, in a clear order, without contradictions?",
        _BOTH,
    ),
    Dimension(
        "content_accuracy",
        "Is what the candidate says and shows medically correct?",
    ),
    Dimension(
        "relevance_responsiveness",
        "Does the candidate answer this instruction about this input, rather than some other one?",
    ),
    Dimension(
        "visual_textual_alignment",
        "Does the picture show what the text describes, and the text describe what it shows?",
        _BOTH,
    ),
    Dimension(
        "consistency",
        "Is the candidate consistent with the input in modality, anatomy, orientation and style "
        "wherever the instruction asks for no change?",
    ),
)

_CHECKLIST: Mapping[str, Mapping[str, str]] = {
    "text": {
        "answers_the_question": "The candidate answers the question that is asked.",
        "form_as_asked": "It has the form asked for: a choice, a word, sentences or a report.",
        "supported_by_input": "Every finding that it names can be seen in the input.",
        "side_and_place_right": "Sides, levels and places are right.",
        "nothing_vital_missing": "No finding that changes the care of the patient is missing.",
    },
    "image": {
        "is_an_edit_of_input": "The candidate is the input with changes, not another picture.",
        "edit_was_made": "The change that the instruction asks for can be seen.",
        "rest_untouched": "What the instruction does not mention is unchanged.",
        "no_new_artifacts": "The edit left no artifacts, seams or lost detail.",
        "still_diagnostic": "The picture can still be read by a physician.",
    },
    "image+text": {
        "picture_fits_instruction": "The picture shows what the instruction asks for.",
        "text_fits_picture": "The text describes the picture that is shown.",
        "modality_kept": "The modality and view are the ones asked for.",
        "anatomy_plausible": "The anatomy could be that of a patient.",
        "nothing_invented": "No finding is invented in the text or in the picture.",
    },
}

PROTOCOLS: Mapping[str, JudgeProtocol] = {
    "paper-v1/1": JudgeProtocol(
        name="paper-v1",
        version=1,
        low=1,
        high=10,
        dimensions=_PAPER,
        overall="asked",
        anchors=_TEN,
    ),
    "table-iv/1": JudgeProtocol(
        name="table-iv",
        version=1,
        low=1,
        high=10,
        dimensions=_CLINICAL,
        overall="asked",
        anchors=_TEN,
        checklist=_CHECKLIST,
    ),
    "manuscript/1": JudgeProtocol(
        name="manuscript",
        version=1,
        low=1,
        high=5,
        dimensions=_CLINICAL,
        overall="mean",
        anchors=_FIVE,
    ),
}


def find_protocol(name: str, captions: str = "literal") -> JudgeProtocol:
    """A protocol by `name/version`, or by name when it has one version.

    Args:
        name: "table-iv/1" or "table-iv".
        captions: "literal" as the benchmark's evaluator labels pictures, or "shared": the same
            label for the candidate in both views, so that its picture is encoded once.

    Raises:
        ConfigError: there is no such protocol, or several versions of it, or no such captions.
    """
    known = _known()
    matches = [p for key, p in known.items() if name in (key, p.name)]
    if len(matches) != 1:
        raise ConfigError(f"judge protocol {name!r} is not one of {', '.join(known)}")
    if captions not in _CAPTIONS:
        raise ConfigError(f"captions are one of {', '.join(_CAPTIONS)}, not {captions!r}")
    return replace(matches[0], captions=_CAPTIONS[captions])


def _known() -> Mapping[str, JudgeProtocol]:
    """Ours by `name/version`, then those that other packages' entry points lead to.

    Raises:
        ConfigError: an entry point leads to what is no judge protocol, or to one that is there.
    """
    known = dict(PROTOCOLS)
    for component in registry.components("protocols").values():
        protocol = component.load()
        if not isinstance(protocol, JudgeProtocol):
            raise ConfigError(f"judge protocol {component.name!r}: not what {component.target} is")
        _check(protocol)
        if (key := f"{protocol.name}/{protocol.version}") in known:
            raise ConfigError(f"{component.target}: there is a judge protocol {key!r} already")
        known[key] = protocol
    return known


def protocol_of(given: str | Mapping[str, Any], captions: str) -> JudgeProtocol:
    """The protocol that a recipe names ("table-iv/1", or {"id": "table-iv/1"}) or spells out.

    `captions` beside an `id` win over the argument.

    Raises:
        ConfigError: there is no such protocol, or it is none.
    """
    if isinstance(given, str):
        return find_protocol(given, captions)
    if "id" in given:
        if unknown := sorted(set(given) - {"id", "captions"}):
            raise ConfigError(f"beside a protocol's id stand captions only, not {unknown}")
        return find_protocol(str(given["id"]), str(given.get("captions", captions)))
    return protocol_from_plain(given)


def protocol_from_plain(given: Mapping[str, Any]) -> JudgeProtocol:
    """A protocol of one's own, from JSON such as `JudgeProtocol.to_plain` gives.

    Raises:
        ConfigError: unknown or missing fields, an empty scale, or an unknown role or view.
    """
    unknown = sorted(set(given) - {f.name for f in fields(JudgeProtocol)})
    if unknown:
        raise ConfigError(f"a judge protocol does not know {', '.join(unknown)}")
    try:
        dimensions = tuple(
            Dimension(d["name"], d["question"], tuple(d.get("forms", FORMS)))
            for d in given["dimensions"]
        )
        made = JudgeProtocol(**{**given, "dimensions": dimensions})
    except (TypeError, KeyError) as err:
        raise ConfigError(f"not a judge protocol: {err!r}") from err
    _check(made)
    return made


def _check(protocol: JudgeProtocol) -> None:
    if not 0 <= protocol.low < protocol.high <= 100:
        raise ConfigError(f"a scale from {protocol.low} to {protocol.high} is none")
    if protocol.overall not in ("asked", "mean") or not protocol.dimensions:
        raise ConfigError("overall is asked or mean, over at least one dimension")
    roles = {r for views in protocol.shown.values() for shown in views.values() for r in shown}
    if set(protocol.shown) != set(FORMS) or not roles <= set(get_args(Role)):
        raise ConfigError(f"shown names roles of {get_args(Role)} for each of {FORMS}")
    if any(set(views) != set(VIEWS) for views in protocol.shown.values()):
        raise ConfigError(f"shown has an entry for each of {VIEWS}")
