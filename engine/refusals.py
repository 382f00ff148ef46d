"""What msgspec refuses, as sentences that begin with the place in the YAML."""

import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from medgen.engine.names import hint

# msgspec's words for types, in ours.
WORDS = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "str": "a text",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_MAPPINGS = (dict, Mapping)
_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\[(?P<index>\d*|\.\.\.)\]|\.?(?P<name>[^.\[\]]+)")
_EXPECTED = re.compile(r"Expected `(?P<kinds>[^`]*)`(?P<rest>.*)", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)


def refusal(said: str, kind: object, values: object, where: str) -> str:
    """What msgspec said of values, as a sentence.

    Args:
        said: its message.
        kind: the type that it read.
        values: what it read, as plain JSON.
        where: they stand.
    """
    found = _PLACE.fullmatch(said)
    what, path = (found["what"], found["path"] or "") if found else (said, "")
    place, value = where, values
    for step in _STEP.finditer(path):
        word, kind, value = _step(kind, value, step)
        place += word
    if unknown := _UNKNOWN.fullmatch(what):
        meant = hint(unknown["name"], _fields(kind), "It takes")
        return f"{place} has no field {unknown['name']!r}. {meant}"
    if missing := _MISSING.fullmatch(what):
        return f"{place} needs the field {missing['name']!r}"
    if what.startswith("Invalid enum value"):
        return f"{place}: {_choices(kind)} is expected, not {value!r:.100}"
    if expected := _EXPECTED.fullmatch(what):
        return f"{place}: {_expectation(expected)}, not {value!r:.100}"
    return f"{place}: {what}"


def _expectation(expected: re.Match[str]) -> str:
    kinds = [kind.strip() for kind in expected["kinds"].split("|")]
    words = " or ".join(WORDS.get(kind, kind) for kind in kinds)
    rest = expected["rest"].partition(", got")[0].strip()
    return f"{words} {rest} is expected" if rest else f"{words} is expected"


def _step(kind: object, value: Any, step: re.Match[str]) -> tuple[str, object, object]:
    """One step down the path: the words for it, the type and the value there."""
    if name := step["name"]:
        hints = next((_hints(k) for k in _alternatives(kind) if name in _hints(k)), {})
        return f".{name}", hints.get(name, Any), value[name]
    if step["index"] == "...":
        inner: object = next(
            get_args(k)[1] for k in _alternatives(kind) if get_origin(k) in _MAPPINGS
        )
        key: str = next(key for key, item in value.items() if not _fits(item, inner))
        return f".{key}", inner, value[key]
    index = int(step["index"])
    items: tuple[object, ...] = next(
        get_args(k) for k in _alternatives(kind) if get_origin(k) in (tuple, list)
    )
    inner = items[0] if len(items) == 1 or items[1] is Ellipsis else items[index]
    return f"[{index}]", inner, value[index]


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _alternatives(kind: object) -> Iterator[object]:
    """The types that a value may have, without what is annotated to them."""
    if get_origin(kind) is Annotated:
        yield from _alternatives(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for one in get_args(kind):
            yield from _alternatives(one)
    else:
        yield kind


def _hints(kind: object) -> dict[str, object]:
    """The fields of a type, by the names that who wrote the values knows them by."""
    if not isinstance(kind, type):
        return {}
    hints: dict[str, object] = get_type_hints(kind, include_extras=True)
    if not issubclass(kind, msgspec.Struct):
        return hints
    outside = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
    return {outside.get(name, name): hint for name, hint in hints.items()}


def _fields(kind: object) -> list[str]:
    return [name for k in _alternatives(kind) for name in _hints(k)]


def _choices(kind: object) -> str:
    literals = (k for k in _alternatives(kind) if get_origin(k) is Literal)
    return " or ".join(repr(choice) for k in literals for choice in get_args(k))
