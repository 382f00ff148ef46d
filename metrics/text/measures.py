"""Numbers with units, and boxes in pictures."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from medgen.engine.answers.dressing import plain_words
from medgen.engine.answers.forms import canonical
from medgen.engine.data import Box, Number, Prediction, Sample, Score
from medgen.metrics.port import AnswerMetric, Golden, Output
from medgen.metrics.profiles import Profile, choose_profile
from medgen.metrics.text.short import answer_in
from medgen.metrics.text.units import PATTERN, UNITS, unit_of

_NUMBER = re.compile(
    r"(?<![^\W\u3040-\u9fff\uac00-\ud7af])(?<![.<>/])(?<![<>]=)([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?!\d|/\d)"
    rf"\s*({PATTERN})?"
)
_SHARE = re.compile(r"(?<![\d/.])([1-9])/([2-9]|10)(?![\d/])")  # a half, and the like
# What is not said to be it.
_OTHER = re.compile(
    r"(?:\b(?:not|nicht|pas|n\u00e3o|\u043d\u0435|rather than|instead of|if)\s|\u4e0d\u662f)"
    r"(?:(?!\b(?:but|sondern|sino|mais|mas|\u0430)\b|\u800c\u662f)[^,.;\uff0c\u3002]|[.,](?=\d))*"
)
_WARMTH = re.compile(
    r"(?<=\d)\s*(?:\u00b0|deg(?:ree)?s?|grados?|grad|degr\u00e9s?|gradi?)\s?(c|f)(?:elsius|ahrenheit)?\b"
)
# What makes of a bare number and the one beside it two sizes, or ends, of one thing.
_JOINT = re.compile(r"\s*(?:x|\u00d7|\*|/|by|and|or|to|,|\u00b1|\+-)?\s*")
_SUMMED = re.compile(r"\s*(?:(?P<and>and|und|y|et|e)\s+)?")
_RANGE = re.compile(
    r"(?<![\w.])\d[\d.]{0,20}(?:[a-z%\u00b0\u03bc]{1,5})?-\d[\d.]{0,20}\s?[a-z%\u00b0\u03bc]{0,5}"
)
_INTRO = re.compile(r"(?:answer|result|it|value)\s*(?:is|:|=)", re.IGNORECASE)
_SIDES = r"\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*"
# `[x0, y0, x1, y1]`, or two corners as Qwen's models write them: `(x0,y0),(x1,y1)`.
_BOX = re.compile(rf"[\[(]{_SIDES}(?:,|\)\s*,\s*\(){_SIDES}[\])]")
_BEFORE_BOX = re.compile(r"\s*(?:image\s*)?(\d{1,2})\s*:[^\[]*")  # at the beginning of a line
_HIT = 0.5  # the overlap from which a box counts as found (PASCAL VOC)
_MOST_BOXES = 1000


class NumberError(AnswerMetric):
    """How far a measured value is from the reference.

    `score` is max(0, 1 - relative error); `within_5` and so on say whether the relative error is
    at most so many percent. A unit that measures something else, and several different numbers
    without "the answer is", cannot be read. Against a reference of 0 only the absolute error and
    equality say anything.
    """

    name = "number"
    outputs = (
        Output("absolute_error", False, high=None), Output("relative_error", False, high=None),
        Output("score"), Output("within_5"), Output("within_10"), Output("within_25"),
    )  # fmt: skip

    def __init__(self, profile: str = "strict") -> None:
        """`profile` can only be strict."""
        self.profile: Profile = choose_profile(self.name, profile, "strict")

    def applies(self, sample: Sample) -> str:
        """Where a number is asked for and known."""
        if sample.asks != "number":
            return f"{self.name} does not apply to samples that ask for {sample.asks}"
        return "" if sample.reference_number else "the sample has no reference number"

    def one(self, sample: Sample, text: str) -> Score:
        """See `AnswerMetric`."""
        reference = sample.reference_number
        if reference is None:
            raise ValueError("a sample without a number was scored")
        value = read_number(answer_in(text), reference.unit)
        if isinstance(value, str):
            return Score(sample.id, "unparseable", value)
        error = abs(value - reference.value)
        values = {"absolute_error": error}
        if reference.value:
            share = error / abs(reference.value)
            values |= {"relative_error": share, "score": max(0.0, 1 - share)}
            values |= {f"within_{n}": float(share <= n / 100 + 1e-12) for n in (5, 10, 25)}
        return Score(sample.id, values=values)

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        sample = Sample(
            "n", "number", "measurement", "CT", "How long?", reference_number=Number(20.0, "mm")
        )
        near = {"absolute_error": 1.0, "relative_error": 0.05, "score": 0.95, "within_5": 1.0}
        near |= {"within_10": 1.0, "within_25": 1.0}
        return (Golden(sample, Prediction("n", text="About 2.1 cm."), near),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {"profile": self.profile, "units": sorted(UNITS)}


def read_number(text: str, unit: str) -> float | str:
    """The number that a reply gives, in a unit; or why nobody can tell.

    Dressing comes off, and numbers and units are brought to one form first
    (`medgen.engine.answers.forms.canonical`). A bound ("< 5 mm") and a range are no measurement.
    """
    text = _OTHER.sub("", _SHARE.sub(_share, canonical(plain_words(text[:20_000]))))
    text = _RANGE.sub("", _WARMTH.sub("\u00b0\\1", text))
    stated = list(_INTRO.finditer(text))
    for part in (text[stated[-1].end() :] if stated else "", text):
        found = _quantities(part, unit)
        values = {value for value in found if value is not None}
        if len(values) == 1:
            return values.pop()
        if part and stated and part is not text and found:
            return "several different numbers" if len(values) > 1 else "another unit"
    if len(values) > 1:
        return "several different numbers"
    return "another unit" if found else "no number"


def _quantities(text: str, unit: str) -> list[float | None]:
    """What the text measures, in the unit; None of what is in a unit that measures another thing.

    "2 years 3 months" is one. Beside a number with a unit of the kind that is wanted, one without
    ("segment 6") counts another thing, unless the two stand as one ("5 x 7 mm").
    """
    numbers = list(_NUMBER.finditer(text))
    measured = [_is_measured(number, unit) for number in numbers]
    if any(measured):
        numbers = [
            number
            for at, number in enumerate(numbers)
            if measured[at]
            or _kind(number) is not None
            or any(
                measured[other] and _stand_together(text, number, numbers[other])
                for other in (at - 1, at + 1)
                if 0 <= other < len(numbers)
            )
        ]
    found: list[float | None] = []
    for at, number in enumerate(numbers):
        value = _in_unit(number[1], number[2] or "", unit)
        if at and value is not None and _goes_on(text, numbers[at - 1], number):
            found[-1] = (found[-1] or 0.0) + value
        else:
            found.append(value)
    return found


def _is_measured(number: re.Match[str], unit: str) -> bool:
    """Whether a number stands in the unit that is wanted, or in one of its kind."""
    wanted = unit_of(unit)
    if wanted is None:
        return bool(unit) and number[2] == unit.casefold()
    return _kind(number) == wanted[0]


def _kind(number: re.Match[str]) -> str | None:
    known = unit_of(number[2] or "")
    return known[0] if known else None


def _stand_together(text: str, one: re.Match[str], other: re.Match[str]) -> bool:
    first, second = sorted((one, other), key=lambda number: number.start())
    end = first.end() if first[2] and _kind(first) else first.end(1)
    return bool(_JOINT.fullmatch(text, end, second.start()))


def _goes_on(text: str, one: re.Match[str], other: re.Match[str]) -> bool:
    """Whether a number goes on with the one before it, in a smaller unit of one kind."""
    between = _SUMMED.fullmatch(text, one.end(), other.start())
    large, small = unit_of(one[2] or ""), unit_of(other[2] or "")
    if not between or not large or not small or large[0] != small[0]:
        return False
    if between["and"] and large[0] not in ("time", "age"):  # "2 cm and 5 mm" are two things
        return False
    return 0 <= float(other[1]) * small[1] < large[1]


def _in_unit(digits: str, given: str, wanted: str) -> float | None:
    try:
        value = float(digits)
    except ValueError:
        return None
    ours, theirs = unit_of(given), unit_of(wanted)
    if ours is not None and theirs is not None:
        value, ours = _as_warm(value, ours, theirs)
        value = value * ours[1] / theirs[1] if ours[0] == theirs[0] else math.nan
    elif ours is not None and wanted:
        return None
    return value if math.isfinite(value) else None


def _as_warm(
    value: float, ours: tuple[str, float], theirs: tuple[str, float]
) -> tuple[float, tuple[str, float]]:
    """A temperature in the scale that is wanted: the only units without a common zero."""
    kinds = ours[0], theirs[0]
    if kinds == ("warmth in Fahrenheit", "warmth"):
        return (value - 32) / 1.8, theirs
    if kinds == ("warmth", "warmth in Fahrenheit"):
        return value * 1.8 + 32, theirs
    return value, ours


def _share(found: re.Match[str]) -> str:
    return str(int(found[1]) / int(found[2])) if int(found[1]) < int(found[2]) else found[0]


class Boxes(AnswerMetric):
    """How well the boxes of an answer cover those of the reference.

    Each reference is matched with the box of the answer that overlaps it most, best first, each
    box once. `iou` is the mean overlap (intersection over union), `hit` the share of references
    with at least 0.5, `missed` and `extra` are counts of boxes.
    """

    name = "boxes"
    outputs = (
        Output("iou"), Output("hit"),
        Output("missed", False, high=None), Output("extra", False, high=None),
    )  # fmt: skip

    def __init__(self, profile: str = "strict") -> None:
        """`profile` can only be strict."""
        self.profile: Profile = choose_profile(self.name, profile, "strict")

    def applies(self, sample: Sample) -> str:
        """Where boxes are asked for and known."""
        if sample.asks != "boxes":
            return f"{self.name} does not apply to samples that ask for {sample.asks}"
        return "" if sample.reference_boxes else "the sample has no reference box"

    def one(self, sample: Sample, text: str) -> Score:
        """See `AnswerMetric`."""
        only = {box.image for box in sample.reference_boxes}
        found = read_boxes(answer_in(text), only.pop() if len(only) == 1 else 0)
        if not found:
            return Score(sample.id, "unparseable", "no box [x0, y0, x1, y1]")
        overlaps = _match(sample.reference_boxes, found)
        hits = sum(overlap >= _HIT for overlap in overlaps)
        count = len(sample.reference_boxes)
        values = {
            "iou": sum(overlaps) / count, "hit": hits / count,
            "missed": float(count - hits), "extra": float(max(0, len(found) - hits)),
        }  # fmt: skip
        return Score(sample.id, values=values)

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        sample = Sample(
            "b", "boxes", "grounding", "CT", "Where?", reference_boxes=(Box(0, 0, 0, 10, 10),)
        )
        half = {"iou": 0.5, "hit": 1.0, "missed": 0.0, "extra": 0.0}
        return (Golden(sample, Prediction("b", text="[0, 0, 10, 5]"), half),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {"profile": self.profile, "hit": _HIT}


def read_boxes(text: str, image: int) -> list[Box]:
    """The boxes that a reply gives; `image` is that of boxes without a number (from 1) before."""
    boxes: list[Box] = []
    end = 0
    for found in _BOX.finditer(text[:200_000]):
        line = text.rfind("\n", end, found.start()) + 1
        begins = line > end or not end  # else another box stands before it in its line
        before = _BEFORE_BOX.fullmatch(text[line : found.start()]) if begins else None
        end = found.end()
        try:
            sides = [float(found[n]) for n in range(1, 5)]
        except ValueError:
            continue
        if sides[0] < sides[2] and sides[1] < sides[3] and all(map(math.isfinite, sides)):
            boxes.append(Box(int(before[1]) - 1 if before else image, *sides))
    return boxes[:_MOST_BOXES]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0 to 1; 0 for boxes of different pictures."""
    if one.image != other.image:
        return 0.0
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(one) + _area(other) - shared)


def _area(box: Box) -> float:
    return (box.x1 - box.x0) * (box.y1 - box.y0)


def _match(wanted: Sequence[Box], found: Sequence[Box]) -> list[float]:
    """The overlap of every wanted box with its own best one, the best pairs first."""
    pairs = sorted(
        ((overlap(a, b), i, k) for i, a in enumerate(wanted) for k, b in enumerate(found)),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    best, taken = [0.0] * len(wanted), set[int]()
    done: set[int] = set()
    for value, i, k in pairs:
        if i not in done and k not in taken:
            best[i] = value
            done.add(i)
            taken.add(k)
    return best
