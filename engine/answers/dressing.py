"""What people and models put around an answer: Markdown, LaTeX, fences, JSON, ticks and crosses.

Taken off before an answer is looked for. Nothing of it says which answer is meant, except that a
box, a JSON field named `answer` or a ticked line states one, and that what is crossed out or
struck through is denied.
"""

import re
from typing import Any

from medgen.engine.answers.fields import broken_off, is_stating, stated_by
from medgen.engine.answers.forms import one_spelling
from medgen.engine.answers.markup import without_tags

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]*[ \t]*$", re.MULTILINE)
_FENCED = re.compile(
    r"(?:`{3,8}|~{3,8})[ \t]?[\w+-]*[ \t]*(?:\r\n?|\n)(.*?)(?:\r\n?|\n)?[ \t]*(?:`{3,8}|~{3,8})",
    re.DOTALL,
)
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
_STRUCK = re.compile(r"~~[^~\n]{1,200}~~")
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
_OBJECT = re.compile(r"\{[^{}]{1,4000}\}")


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
    bare = one_spelling(_without_pictures(lines))
    bare = without_tags(_without_json(_TICK_OF_OWNER.sub("'", bare)))
    bare = _BOXED.sub(r"\nanswer: \1\n", bare.replace("\\{", "").replace("\\}", ""))
    bare = _OPEN_BOX.sub(r"\nanswer: \1\n", _BOXED.sub(r"\nanswer: \1\n", bare))
    bare = _TEX_MARKS.sub("", _FENCE.sub("", bare))
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
    at = [n for n, head in enumerate(heads) if "answer" in head and is_stating(head)]
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
    whole = stated_by(_FENCE.sub("", text).strip())
    if whole is not None:
        return whole
    if "{" not in text and not text.lstrip().startswith('"'):
        return text
    if "```" in text or "~~~" in text:
        text = _FENCED.sub(lambda m: stated_by(m[1].strip()) or m[0], text)
    if text.lstrip().startswith(("{", '"')):
        return broken_off(text)
    return _OBJECT.sub(_answer_of, text)


def _answer_of(found: re.Match[str]) -> str:
    """An object among other words, when it states an answer."""
    stated = stated_by(found[0]) or ""
    return f"\n{stated}\n" if stated.startswith("answer: ") else found[0]
