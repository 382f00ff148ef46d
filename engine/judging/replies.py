"""A judge's reply, read once and strictly: numbers are taken as given or not at all."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Literal, Never

from medgen.engine.answers.dressing import unique_keys, without_fence
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.chat.quoting import storable
from medgen.engine.data import Form
from medgen.engine.judging.prompts import Rubric
from medgen.engine.judging.protocols import OVERALL

_LONGEST = 200_000  # characters; no honest reply comes near
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CHECKS = ("yes", "no", "not_applicable")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply says. `scores` is empty unless `status` is ok."""

    status: Literal["ok", "parse_error", "schema_error"] = "ok"
    reason: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    explanations: Mapping[str, str] = field(default_factory=dict)


def read_reply(text: str, rubric: Rubric, form: Form) -> Reading:
    """Read a reply.

    The reply is one JSON object. Around it only white space, one code fence, and the judge's
    thoughts (see `said`) are allowed. Double keys, NaN and infinity are no JSON; control
    characters in strings are let through as blanks. Strings that are longer than agreed are cut;
    everything else must fit the schema. Scores are whole numbers on the scale: never read from a
    string, never rounded, never filled in. A mean overall score is made from the dimensions.

    Returns:
        A reading with status ok; parse_error when it is not such an object; schema_error when it
        is, but a field is missing, unknown, of the wrong kind or off the scale.
    """
    try:
        found = _parse(text)
    except (ValueError, RecursionError) as err:
        return Reading("parse_error", f"not one JSON object: {err}"[:200])
    try:
        return _read(found, rubric, form)
    except ValueError as err:
        return Reading("schema_error", str(err)[:200])


def _parse(text: str) -> dict[str, Any]:
    if len(text) > _LONGEST:
        raise ValueError(f"{len(text)} characters")
    try:
        return _object(text)
    except ValueError:
        # Marks of a thought inside a string are words; only what is no JSON is parted.
        spoken = part_thoughts(text).answer
        if spoken == text.strip():
            raise
        return _object(spoken)


def _object(text: str) -> dict[str, Any]:
    found = json.loads(
        without_fence(text),
        # Decoders held to a schema let control characters into strings; they harm no number.
        strict=False,
        object_pairs_hook=unique_keys,
        parse_constant=_no_constant,
    )
    if not isinstance(found, dict):
        raise ValueError(f"a {type(found).__name__}, not an object")
    return found


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON")


def _read(found: dict[str, Any], rubric: Rubric, form: Form) -> Reading:
    protocol = rubric.protocol
    names = [d.name for d in protocol.dimensions_for(form)]
    checks = list(protocol.checklist.get(form, {}))
    tops = ["analysis", "explanations", *(["checklist"] if checks else []), "scores"]
    _same_keys(found, tops, "the reply")
    words = _section(found, "explanations", names)
    explanations = {"analysis": _string(found["analysis"], "analysis", rubric.bounds.analysis)}
    for name in names:
        explanations[name] = _string(words[name], name, rubric.bounds.explanation)
    if checks:
        for name, mark in _section(found, "checklist", checks).items():
            if mark not in _CHECKS:
                raise ValueError(f"checklist {name} is {mark!r}, not one of {', '.join(_CHECKS)}")
            explanations[f"checklist.{name}"] = mark
    given = _section(found, "scores", names)
    scores = {n: _score(given[n], n, protocol.low, protocol.high) for n in names}
    return Reading("ok", "", with_overall(scores, rubric), explanations)


def with_overall(scores: Mapping[str, float], rubric: Rubric) -> dict[str, float]:
    """The scores, with the mean as `overall` where the protocol makes it so."""
    if rubric.protocol.overall == "asked" or not scores:
        return dict(scores)
    return {**scores, OVERALL: fmean(scores.values())}


def _section(found: dict[str, Any], name: str, keys: list[str]) -> dict[str, Any]:
    section = found[name]
    if not isinstance(section, dict):
        raise ValueError(f"{name} is not an object")
    _same_keys(section, keys, name)
    return {key: section[key] for key in keys}


def _same_keys(found: Iterable[str], keys: list[str], where: str) -> None:
    have = set(found)
    if missing := [k for k in keys if k not in have]:
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    if unknown := sorted(have - set(keys)):
        raise ValueError(f"{where} has unknown fields: {', '.join(unknown)}")


def _string(value: object, name: str, longest: int) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a string")
    return _CONTROLS.sub(" ", storable(value))[:longest]


def _score(value: object, name: str, low: int, high: int) -> float:
    # bool is an int in Python, and `true` is no score.
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"score {name} is {value!r}, not a whole number")
    if not low <= value <= high:
        raise ValueError(f"score {name} is {value}, outside {low}..{high}")
    return float(value)
