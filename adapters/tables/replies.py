"""What answers of a table look like, to who guesses a mapping: lists, boxes, numbers, places."""

import re
from collections.abc import Iterator, Mapping, Sequence

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.boxes import read_boxes
from medgen.adapters.tables.literals import parse
from medgen.adapters.tables.options import inline_options, letter_in

TRUTHS = (("1", "0"), ("true", "false"), ("y", "n"), ("t", "f"))
_PLACE = re.compile(r"\d{1,2}(?:\.0+)?")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
_QUANTITY = re.compile(r"[+-]?\d+(?:\.\d+)?\s*([^\W\d_]\S*|[%°]\S*)")
_LENGTHS = ("mm", "cm", "m", "um", "\u00b5m", "\u03bcm", "mm2", "cm2", "mm3", "cm3", "mm²", "cm²")
_OTHERS = ("mm³", "cm³", "ml", "l", "cc", "%", "°", "hu", "bpm", "kg", "g", "mg", "mmhg")
_UNITS = frozenset((*_LENGTHS, *_OTHERS))


def list_kind(cells: Sequence[object]) -> str | None:
    """How every cell becomes a list: `json`, `literal`, or empty where it is one; None: not all."""
    if cells and all(isinstance(cell, list) for cell in cells):
        return ""
    for kind in ("json", "literal"):
        try:
            if cells and all(
                isinstance(cell, str)
                and cell.lstrip().startswith("[")
                and isinstance(parse(kind, cell), list)
                for cell in cells
            ):
                return kind
        except FaultyContent:
            continue
    return None


def of_list(column: str, kind: str) -> object:
    """A column, or what parses it to a list."""
    return {"of": column, "parse": kind} if kind else column


def elements(cells: Sequence[object], kind: str) -> Iterator[list[str]]:
    """The texts of every list."""
    for cell in cells:
        value = parse(kind, cell) if kind else cell
        yield [str(one).strip() for one in (value if isinstance(value, list) else [value])]


def are_places(values: Sequence[str]) -> bool:
    """Whether all are small whole numbers, also as 1.0."""
    return bool(values) and all(map(_PLACE.fullmatch, values))


def box_form(cells: Sequence[object]) -> str:
    """What four numbers in every cell seem to be: `xyxy`, `xywh`, `relative` …; empty: no boxes."""
    for form in ("xyxy", "xywh"):
        try:
            found = [[*read_boxes(_one(c), form, (1, 1))] for c in cells]
        except FaultyContent:
            continue
        if not cells or not all(found):
            return ""
        shares = all(0 <= side <= 1 for boxes in found for box in boxes for side in box)
        return {"xyxy": "relative", "xywh": "relative-xywh"}[form] if shares else form
    return ""


def _one(cell: object) -> object:
    if isinstance(cell, str) and not cell.lstrip().startswith(("[", "(")):
        raise FaultyContent("four numbers without brackets may be anything")
    return cell


def numbers_of(column: str, values: Sequence[str], unit: str) -> tuple[dict[str, object], str]:
    """The `answer` of numbers, and what a person should look at; empty where they are none."""
    if unit and values and all(map(_NUMBER.fullmatch, values)):
        return {"number": column, "unit": unit}, ""
    if unit and values and all(map(_COMMA.fullmatch, values)):
        if any("," in v and not _THOUSANDS.fullmatch(v) for v in values):
            some = next(v for v in values if "," in v)
            cell = {"of": column, "replace": {",": "."}}
            return {"number": cell, "unit": unit}, f"{some} is read as {some.replace(',', '.')}"
        return {"number": column, "unit": unit}, "commas are taken for those between thousands"
    found = [_QUANTITY.fullmatch(value) for value in values]
    if values and all(one and one[1].casefold() in _UNITS for one in found):
        return {"number": column}, "answers are taken for numbers with their unit: `answer`"
    return {}, ""


def listed_in(questions: Sequence[str], answers: Sequence[str]) -> bool:
    """Whether every question lists options by letters, one of which is its answer."""
    if len(questions) != len(answers):
        return False
    for question, answer in zip(questions, answers, strict=True):
        letters = [letter_in(letter) for letter, _ in inline_options(question)]
        if len(answer) > 3 or letter_in(answer) not in letters:
            return False
    return bool(answers)


def keys_of_options(option: Mapping[str, object]) -> tuple[str, str]:
    """Which keys of an option's object hold its words and its name."""
    words = next((k for k in ("text", "option", "content", "value", "answer") if k in option), "")
    name = next((k for k in ("key", "id", "letter", "label", "name") if k in option), "")
    return words, name
