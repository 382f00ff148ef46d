"""What people and models put around an answer: Markdown, LaTeX, fences, JSON, ticks and crosses.

Taken off before an answer is looked for. Nothing of it says which answer is meant, except that a
box, a JSON field named `answer` or a ticked line states one, and that what is crossed out or
struck through is denied.
"""

import ast
import html
import json
import re
from typing import Any

from medgen.engine.answers.forms import one_spelling

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]*[ \t]*$", re.MULTILINE)
_FENCED = re.compile(r"(?:```|~~~)[\w+-]*[ \t]*\r?\n(.*?)\r?\n?[ \t]*(?:```|~~~)", re.DOTALL)
# Stars in pairs, or that stand at no word's end: T2* keeps its own.
_STARRED = re.compile(r"(\*{1,3})(?=[^\s*])([^*\n]{1,2000}?)(?<=[^\s*])\1(?!\*)")
_EMPHASIS = re.compile(r"(?<![\w*])\*{1,3}(?!\*)|\*{2,3}(?![\d*])|_{2,3}|(?<!\w)_|_(?!\w)|`+")
# A quote's mark, but not the relation of "> 5 cm"; a bullet; a heading; an arrow.
_TICK_OF_OWNER = re.compile(r"(?<=[a-zA-Z])`(?=s\b)")  # Crohn`s
_LINE_MARK = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+|>(?![ \t]?[\d=])[ \t]?|[-*+\u2022\u25aa\u25cf][ \t]+(?=\S)"
    r"|[-=]>[ \t]?)",
    re.MULTILINE,
)
_TEX_MARKS = re.compile(r"\\[()\[\]]|\\(?=[%_&#])|\\[{}]|\$|\\[,;! ]")
_BOXED = re.compile(r"\\(?:boxed|fbox|framebox)\s?\{([^{}]*)\}")
_OPEN_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s?\{([^{}\n]{1,200})\Z")
_TAG = re.compile(r"<(b|i|u|em|strong|p|span|code|div|center|h[1-6])>([^<]*)</\1>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s?/?>", re.IGNORECASE)
_STRUCK = re.compile(r"~~[^~\n]{1,200}~~|<(s|del|strike)>[^<\n]{1,200}</\1>", re.IGNORECASE)
_RULE_OF_TABLE = re.compile(
    r"^[ \t]*\|?(?:[ \t]*:?-{2,}:?[ \t]*\|)+[ \t]*:?-*:?[ \t]*$", re.MULTILINE
)
_ANSWERS_OF_TABLE = re.compile(
    r"^[ \t]*\|(?P<head>[^\n]*\|)[ \t]*\n[ \t]*\|[ \t:|-]+\|[ \t]*"
    r"(?P<rows>(?:\n[ \t]*\|[^\n]*\|[ \t]*)+)$",
    re.MULTILINE,
)
_ROW_OF_TABLE = re.compile(r"^[ \t]*\|(.*)\|[ \t]*$", re.MULTILINE)
# Boxes and buttons before a line, and several marks within one.
_TICKED = re.compile(
    r"^[ \t]*(?:[-*+][ \t]+)?(?:[\[(][xX*\u2022\u25cf\u2713\u2714][\])]"
    r"|[\u2611\u25c9\u29bf\u25cf\U0001f518]\ufe0f?)"
    r"[ \t]+(?=\S)",
    re.MULTILINE,
)
_UNTICKED = re.compile(
    r"^[ \t]*(?:[-*+][ \t]+)?(?:\[ ?\]|\( ?\)|[\u2610\u25a1\u25cb\u25ef\u26aa]\ufe0f?)[ \t]+.*$",
    re.MULTILINE,
)
_MARKS = "\u2705\u2713\u2714\u274c\u2717\u2718"
_VERDICTS = re.compile(
    rf"^[ \t]*\w[^\n{_MARKS}]{{0,80}}[{_MARKS}][^\n]{{0,400}}[{_MARKS}][^\n]*$",
    re.MULTILINE,
)
_TICK = re.compile("[\u2705\u2713\u2714\u2611]\ufe0f?")
_CROSS = re.compile("[\u274c\u2717\u2718\u274e\U0001f6ab]\ufe0f?")
# Pictures among the words; the signs of sex and of degrees are words.
_PICTURES = re.compile("[\u2600-\u263f\u2643-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")
# Readers go back over blanks; what a reply says is not in how many there are.
_BLANKS, _EMPTY_LINES = re.compile(r"[^\S\n]{9,}"), re.compile(r"(?:[^\S\n]{0,9}\n){3,}")
_STATING = re.compile(
    r"(?:(?:my|the|your|model|final|correct|best|selected|chosen|predicted|right)[_ -]?)*"
    r"(?:answers?|choice|option|response|output_?text|prediction|result|selection|letter)"
    r"(?:[_ -]?(?:letter|choice|option|text|label|key))?"
)
_OBJECT = re.compile(r"\{[^{}]{1,4000}\}")
_FIELD = re.compile(r"[\"']([\w -]{1,40})[\"']\s?:\s?\"((?:[^\"\\]|\\.){1,400})\"")
_NAMING = ("letter", "option", "choice", "label", "key", "id", "answer", "value", "text")
_MOST_JSON = 20_000


def without_fence(text: str) -> str:
    """What one code fence around a whole reply holds; the reply itself without one."""
    found = _FENCED.fullmatch(text.strip())
    return found[1] if found else text.strip()


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, for `object_pairs_hook`.

    Raises:
        ValueError: a key stands twice, so that nobody can say which value was meant.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def plain_words(text: str) -> str:
    """The words of a reply, with one spelling for each sign and its lines kept.

    A box becomes a line of its own, `answer: ...`; so does the answer field of a JSON object.
    Many blanks, or empty lines, become one.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n")
    lines = _EMPTY_LINES.sub("\n\n", _BLANKS.sub(" ", lines))
    bare = one_spelling(_without_pictures(html.unescape(lines) if "&" in lines else lines))
    bare = _without_json(_TICK_OF_OWNER.sub("'", bare))
    bare = _BOXED.sub(r"\nanswer: \1\n", bare.replace("\\{", "").replace("\\}", ""))
    bare = _OPEN_BOX.sub(r"\nanswer: \1\n", _BOXED.sub(r"\nanswer: \1\n", bare))
    bare = _TEX_MARKS.sub("", _FENCE.sub("", bare))
    if "<" in bare:
        bare = _TAG.sub(r"\2", _TAG.sub(r"\2", _BREAK.sub("\n", _STRUCK.sub("", bare))))
    if "|" in bare:
        bare = _ANSWERS_OF_TABLE.sub(_column, bare)
        bare = _ROW_OF_TABLE.sub(_cells, _RULE_OF_TABLE.sub("", bare))
    bare = _LINE_MARK.sub("", _STRUCK.sub("", _LINE_MARK.sub("", bare)))
    return _LINE_MARK.sub("", _EMPHASIS.sub("", _STARRED.sub(r"\2", bare))).strip()


def _without_pictures(text: str) -> str:
    """Without emoji; of lines that are ticked or not the ticked ones; a cross is a denial."""
    if _TICKED.search(text):
        text = _TICKED.sub("", _UNTICKED.sub("", text))
    text = _VERDICTS.sub(_verdicts, text)
    return _PICTURES.sub("", _CROSS.sub(" incorrect ", _TICK.sub("", text)))


def _verdicts(line: re.Match[str]) -> str:
    """A line of options, each with its mark behind it."""
    return _CROSS.sub(" is incorrect; ", _TICK.sub(" is correct; ", line[0]))


def _column(table: re.Match[str]) -> str:
    """The answers of a table whose head has a column of them, a line each; else the table."""
    heads = [head.strip(" *").casefold() for head in table["head"].split("|")]
    at = [n for n, head in enumerate(heads) if "answer" in head and _is_stating(head)]
    if len(at) != 1:
        return table[0]
    rows = [row.strip().strip("|").split("|") for row in table["rows"].strip().split("\n")]
    return "\n".join(f"answer: {row[at[0]].strip()}" for row in rows if len(row) > at[0])


def _cells(row: re.Match[str]) -> str:
    return ": ".join(cell.strip() for cell in row[1].split("|") if cell.strip())


def _without_json(text: str) -> str:
    """The text with each JSON object that states an answer put into words.

    The object may be the whole reply, or stand in a fence among other words.
    """
    whole = _stated_by(_FENCE.sub("", text).strip())
    if whole is not None:
        return whole
    if "{" not in text:
        return text
    if "```" in text or "~~~" in text:
        text = _FENCED.sub(lambda m: _stated_by(m[1].strip()) or m[0], text)
    if text.lstrip().startswith("{"):
        return _broken_off(text)
    return _OBJECT.sub(_answer_of, text)


def _answer_of(found: re.Match[str]) -> str:
    """An object among other words, when it states an answer."""
    stated = _stated_by(found[0]) or ""
    return f"\n{stated}\n" if stated.startswith("answer: ") else found[0]


def _broken_off(text: str) -> str:
    """The whole fields of an object that breaks off, when they state an answer; else the text."""
    fields = [(key.casefold(), value) for key, value in _FIELD.findall(text[:_MOST_JSON])]
    stated = [f"answer: {value}" for key, value in fields if _is_stating(key)]
    return "\n".join(stated) or text


def _is_stating(key: str) -> bool:
    return bool(_STATING.fullmatch(key.casefold()))


def _stated_by(text: str) -> str | None:
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
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return [*found.items()] if isinstance(found, dict) else found


def _in_words(pairs: list[tuple[Any, Any]]) -> str | None:
    """The fields that state an answer, else all of them, a line each."""
    stated = [value for key, value in pairs if _is_stating(str(key))]
    if stated:
        words = [word for value in stated for word in _values(value)]
        return "\n".join(f"answer: {word}" for word in words) or None
    inner = [value for _, value in pairs if isinstance(value, list)]
    said = _in_words(_pairs(inner[0])) if len(inner) == 1 else None
    if said and said.startswith("answer: "):
        return said
    if pairs and all(isinstance(value, bool) for _, value in pairs):
        return "\n".join(str(key) for key, value in pairs if value)
    plain = [(k, v) for k, v in pairs if isinstance(v, str | int | float)]
    return "\n".join(f"{key}: {value}" for key, value in plain) or None


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
