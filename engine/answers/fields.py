"""The fields of JSON, and which of them state an answer."""

import ast
import json
import re
from typing import Any

from medgen.engine.syntax import parse_expression

_STATING = re.compile(
    r"(?:(?:my|the|your|model|final|correct|best|selected|chosen|predicted|right|multiple|choice)"
    r"[_ -]?)*"
    r"(?:answers?|choice|option|response|output_?text|prediction|result|selection|letter)"
    r"(?:[_ -]?(?:letter|choice|option|text|label|key))?"
)
# Names of what was chosen, or of all that could be: they state only where nothing above does.
_CHOOSING = re.compile(
    r"(?:(?:my|final|correct|best|selected|chosen|predicted|right)[_ -]?)?"
    r"(?:choices|options|letters|labels|selections|selected|chosen|picked|decision|blanks)"
    r"|(?:final|correct|selected|chosen|predicted)[_ -]?(?:label|class|key|id)"
)
_SAYING = ("text", "content", "message", "reply")
_FIELD = re.compile(
    r"[\"']([\w -]{1,40})[\"']\s?:\s?"
    r"(?:\"((?:[^\"\\]|\\.){1,400})\"|([A-Za-z0-9]{1,3})(?=\s?[,}\n]))"
)
_NAMING = ("letter", "option", "choice", "label", "key", "id", "answer", "value", "text")
_MOST_JSON = 20_000


def broken_off(text: str) -> str:
    """The whole fields of an object that breaks off, when they state an answer; else the text."""
    fields = _FIELD.findall(text[:_MOST_JSON])
    stated = [f"answer: {quoted or bare}" for key, quoted, bare in fields if is_stating(key)]
    return "\n".join(stated) or text


def is_stating(key: str) -> bool:
    """Whether a field, a tag or a column of this name holds the answer."""
    return bool(_STATING.fullmatch(key.casefold()))


def stated_by(text: str) -> str | None:
    """What a JSON reply states, a line for each value; None when it is no JSON with an answer."""
    if not text.startswith(("{", "[", '"')) or len(text) > _MOST_JSON:
        return None
    try:
        found = json.loads(text, strict=False, object_pairs_hook=list)
    except (ValueError, RecursionError):
        found = _python_of(text)
    if isinstance(found, str):
        return found
    if not isinstance(found, list) or not found:
        return None
    if all(isinstance(value, str | int | float) for value in found):
        return "\n".join(str(value) for value in found)
    objects = [value for value in found if isinstance(value, list)]
    if objects and len(objects) == len(found):
        return "\n".join(filter(None, map(_in_words, map(_pairs, objects)))) or None
    return _in_words(_pairs(found))


def _pairs(found: list[Any]) -> list[tuple[Any, Any]]:
    return [pair for pair in found if isinstance(pair, tuple)]


def _python_of(text: str) -> Any:
    """An object as Python writes it, in pairs as JSON's are; None when it is none."""
    try:
        found = ast.literal_eval(parse_expression(text.lstrip(" \t")))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return [*found.items()] if isinstance(found, dict) else found


def _in_words(pairs: list[tuple[Any, Any]]) -> str | None:
    """The fields that state an answer, else all of them, a line each."""
    for names in (_STATING, _CHOOSING):
        stated = [value for key, value in pairs if names.fullmatch(str(key).casefold())]
        words = [word for value in stated for word in _values(value)]
        beside = [value for key, value in pairs if key == "text" and isinstance(value, str)]
        if len(words) == len(beside) == 1 and len(words[0]) == 1:
            return f"answer: {words[0]}. {beside[0]}"  # which may contradict it
        if words or (stated and names is _STATING):
            return "\n".join(f"answer: {word}" for word in words) or None
    spoken = [value for key, value in pairs if key in _SAYING]
    if len(spoken) == 1 and not any(key in _NAMING for key, _ in pairs if key not in _SAYING):
        return _in_words(_pairs(spoken[0])) if isinstance(spoken[0], list) else _plain(spoken[0])
    inner = [value for _, value in pairs if isinstance(value, list)]
    said = _in_words(_pairs(inner[0])) if len(inner) == 1 else None
    if said and said.startswith("answer: "):
        return said
    if len(pairs) > 1 and all(value in (0, 1) for _, value in pairs):
        return "\n".join(str(key) for key, value in pairs if value)
    plain = [(k, v) for k, v in pairs if isinstance(v, str | int | float)]
    return "\n".join(f"{key}: {value}" for key, value in plain) or None


def _plain(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int | float) else None


def _values(value: Any) -> list[str]:
    """The plain values of a field: itself, those of a list, that which names of an object."""
    if isinstance(value, dict):
        value = [*value.items()]
    if isinstance(value, list):
        pairs = [p for p in value if isinstance(p, tuple)]
        named = [v for k, v in pairs if str(k).casefold() in _NAMING]
        value = named[:1] or [v for _, v in pairs] if pairs else value
        return [str(v) for v in value if isinstance(v, str | int | float)]
    return [str(value)] if isinstance(value, str | int | float) else []
