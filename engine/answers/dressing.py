"""What people and models put around an answer: Markdown, LaTeX, fences, JSON.

Taken off before an answer is looked for. Nothing of it says which answer is meant, except that a
box or a JSON field named `answer` states one.
"""

import json
import re
from typing import Any

from medgen.engine.answers.forms import one_spelling

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]*[ \t]*$", re.MULTILINE)
_FENCED = re.compile(r"(?:```|~~~)[\w+-]*[ \t]*\r?\n(.*?)\r?\n?[ \t]*(?:```|~~~)", re.DOTALL)
_EMPHASIS = re.compile(r"(?<!\d)\*{1,3}|\*{1,3}(?!\d)|_{2,3}|(?<!\w)_|_(?!\w)|`+")
_LINE_MARK = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+\u2022][ \t]+(?=\S))", re.MULTILINE)
_TEX_WORDS = re.compile(
    r"\\(?:text(?:bf|it|rm|sf)?|math(?:rm|bf|it|sf)|mbox|operatorname)\s?\{([^{}]*)\}"
)
_TEX_SIGNS = re.compile(r"\\[()\[\]]|\$|\\(?=[%{}_&#])|\\[,;! ]")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s?\{([^{}]*)\}")
_TAG = re.compile(r"<(b|i|u|em|strong|p|span|code|div)>([^<]*)</\1>|<br\s?/?>", re.IGNORECASE)
_STATING = ("answer", "final_answer", "finalanswer", "choice", "option", "response", "output_text")
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
    """
    bare = one_spelling(text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n"))
    stated = _from_json(_FENCE.sub("", bare).strip())
    if stated is not None:
        bare = stated
    bare = _TEX_WORDS.sub(r"\1", _TEX_WORDS.sub(r"\1", bare))
    bare = _BOXED.sub(r"\nanswer: \1\n", bare)
    bare = _LINE_MARK.sub("", _TAG.sub(r"\2", _TEX_SIGNS.sub("", _FENCE.sub("", bare))))
    return _LINE_MARK.sub("", _EMPHASIS.sub("", bare)).strip()


def _from_json(text: str) -> str | None:
    """What a JSON reply states, a line for each value; None when it is no JSON with an answer."""
    if not text.startswith(("{", "[", '"')) or len(text) > _MOST_JSON:
        return None
    try:
        found = json.loads(text, strict=False, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, str):
        return found
    if not isinstance(found, list) or not found:
        return None
    if all(isinstance(value, str | int | float) for value in found):
        return "\n".join(str(value) for value in found)
    pairs = [p for p in found if isinstance(p, tuple) and str(p[0]).casefold() in _STATING]
    values = [w for _, value in pairs for w in (value if isinstance(value, list) else [value])]
    words = [str(v) for v in values if isinstance(v, str | int | float)]
    return "\n".join(f"answer: {w}" for w in words) or None
