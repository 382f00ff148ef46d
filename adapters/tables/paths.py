"""Columns: `question`, `LABEL.Modality[0]`, `images[].data`, and texts with columns in braces."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from medgen.adapters.sources.folder import FaultyContent
from medgen.engine.bounds import RECORD

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d*)\]")
_BRACES = re.compile(r"\{([^{}]+)\}")
_PADDED = re.compile(r"(.+):0(\d{1,2})")  # {n:05}: at least five characters, zeros before
_RANGE = re.compile(r"(-?\d+|[A-Za-z])\.\.(-?\d+|[A-Za-z])")
_MOST_OF_A_RANGE = 100
_MOST_TEXTS = 10_000  # that one text becomes, of columns that hold lists


class Missing:
    """What stands for a column that a row does not have."""


MISSING = Missing()


class Collected(list[object]):
    """One column of several rows: a text that names it is made for each of them."""


def at(row: Mapping[str, object], path: str) -> object:
    """The value at a path; `MISSING` where the row has no such column or key."""
    if path in row:
        return row[path]
    return _follow(row, list(steps(path)))


def root_of(path: str, names: Mapping[str, object] | frozenset[str]) -> str:
    """The column that a path begins with, given the columns that there are."""
    if path in names:
        return path
    for end in range(len(path) - 1, 0, -1):
        if path[end] in ".[" and path[:end] in names:
            return path[:end]
    found = _STEP.match(path)
    return found[1] if found and found[1] else path


def columns_of(text: str) -> list[str]:
    """The columns that a column path or a text with braces reads."""
    return [_width_in(name)[0] for name in _BRACES.findall(text)] if "{" in text else [text]


def fill(text: str, row: Mapping[str, object]) -> object:
    """A column's value, or a text with every `{column}` filled in; None when one is empty.

    Of columns that hold lists of one length, a list of such texts; `{column:05}` puts zeros before.

    Raises:
        FaultyContent: a column in braces holds an object, or lists are of different lengths.
    """
    if "{" not in text:
        return at(row, text)
    named = {name: at(row, name) for name in columns_of(text)}
    if any(isinstance(value, list) for value in named.values()):
        return _fill_each(text, named)
    parts: list[str] = []
    end = 0
    for found in _BRACES.finditer(text):
        name, width = _width_in(found[1])
        value = named[name]
        if isinstance(value, Missing):
            return MISSING
        words = as_text(value, name)
        if not words:
            return None
        words = words.zfill(width)
        parts += [text[end : found.start()], words]
        end = found.end()
    return "".join((*parts, text[end:]))


def _fill_each(text: str, named: Mapping[str, object]) -> Collected:
    """The text for every element of the lists that its columns hold."""
    lists = {name: value for name, value in named.items() if isinstance(value, list)}
    lengths = {name: len(values) for name, values in lists.items()}
    count = max(lengths.values())
    if min(lengths.values()) != count or count > _MOST_TEXTS:
        told = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
        what = f"{text!r} needs lists of one length, at most {_MOST_TEXTS:,}"
        raise FaultyContent(f"{what}, and {told}")
    made, characters = Collected(), 0
    for place in range(count):
        one = fill(text, {**named, **{name: values[place] for name, values in lists.items()}})
        characters += len(one) if isinstance(one, str) else 0
        if characters > RECORD.bytes:
            raise FaultyContent(f"{text!r} makes texts of more than {RECORD.bytes:,} characters")
        made.append(one)
    return made


def _width_in(name: str) -> tuple[str, int]:
    """The column that stands in braces, and how wide it is made."""
    found = _PADDED.fullmatch(name)
    return (found[1], int(found[2])) if found else (name, 0)


def as_text(value: object, what: str) -> str:
    """A plain value as text: whole numbers without a point, nothing as the empty text.

    Raises:
        FaultyContent: it is a list, an object or bytes.
    """
    if value is None or isinstance(value, Missing):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if value != value:
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, list | tuple | Mapping | bytes | bytearray):
        kind = {"list": "a list", "tuple": "a list", "dict": "an object"}
        found = kind.get(type(value).__name__, "bytes")
        advice = "; `join` puts a list together" if found == "a list" else ""
        raise FaultyContent(f"{what} is {found}, not a text{advice}")
    return str(value)


def expand(text: str) -> list[tuple[str, str]]:
    """Every column that a text with a range names, with the place in the range: `image_{1..3}`."""
    for found in _BRACES.finditer(text):
        if _RANGE.fullmatch(found[1]):
            return [
                (f"{text[: found.start()]}{name}{text[found.end() :]}", name)
                for name in range_names(found[1])
            ]
    return [(text, "")]


def range_names(text: str) -> list[str]:
    """`1..4` or `A..E` written out.

    Raises:
        FaultyContent: it is none, or a long one.
    """
    found = _RANGE.fullmatch(text)
    first, last = (found[1], found[2]) if found else ("", "")
    letters = first.isalpha() and last.isalpha()
    if not found or first.isalpha() != last.isalpha():
        raise FaultyContent(f"{text!r} is no range such as 1..4 or A..E")
    low, high = (ord(first), ord(last)) if letters else (int(first), int(last))
    if not 0 <= high - low < _MOST_OF_A_RANGE:
        raise FaultyContent(f"range {text!r} is empty or has more than {_MOST_OF_A_RANGE} names")
    return [chr(n) if letters else str(n) for n in range(low, high + 1)]


@lru_cache(maxsize=4096)
def steps(path: str) -> tuple[str, ...]:
    """The parts of a path: names, indices and `` for every element of a list."""
    return tuple(_split(path))


def _split(path: str) -> Iterator[str]:
    for found in _STEP.finditer(path):
        yield found[1] if found[1] is not None else f"[{found[2]}]"


def _follow(value: object, path: list[str]) -> object:
    for number, step in enumerate(path):
        if step == "[]":
            if not isinstance(value, list):
                return None if value is None else MISSING
            return _of_each(value, path[number + 1 :])
        if step.startswith("["):
            place = int(step[1:-1])
            if not isinstance(value, list):
                return None if value is None else MISSING
            value = value[place] if place < len(value) else None
        elif isinstance(value, Mapping):
            rest = _longest(value, path[number:])
            if rest is not None:
                name, used = rest
                return _follow(value[name], path[number + used :])
            return MISSING
        else:
            return None if value is None else MISSING
    return value


def _of_each(values: list[object], path: list[str]) -> list[object]:
    """What a path leads to in every element; lists of lists become one list."""
    inner = [item for value in values if not isinstance(item := _follow(value, path), Missing)]
    if "[]" not in path:
        return inner
    return [item for one in inner if isinstance(one, list) for item in one]


def _longest(value: Mapping[str, object], path: list[str]) -> tuple[str, int] | None:
    """The longest beginning of a path that is a key: names may hold points."""
    for used in range(len(path), 0, -1):
        name = "".join(
            step if step.startswith("[") or not at_ else f".{step}"
            for at_, step in enumerate(path[:used])
        )
        if name in value:
            return name, used
    return None
