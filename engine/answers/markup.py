"""Tags of HTML and of XML around an answer, and the entities within it.

A tag is what HTML knows, what is closed again somewhere, or is named as an answer; every other
sign `<` is a relation, a bracket or a word. A tag that is named as an answer ("choice",
"final_option") states what it holds.
"""

import html
import re
from collections.abc import Iterator

from medgen.engine.answers.fields import is_stating

_RAISED = re.compile(r"<sup(?:\s[^<>]{0,99})?>\s?([+-]?\d{0,3}[+-]?)\s?</sup\s?>", re.IGNORECASE)
_INLINE = re.compile(
    r"</?(?:sup|sub|em|strong|span|font|mark|small|big|code|kbd|var|cite|ins|tt|abbr|wbr)"
    r"(?:\s[^<>]{0,300})?\s?/?>"
    r"|</?(?P<short>[abiqu])(?:\s[^<>]{0,300})?>",
    re.IGNORECASE,
)
_SHORT_CLOSED = re.compile(r"</([abiqu])\s?>", re.IGNORECASE)
_AMPERSANDS = re.compile(r"&(?:amp;)+", re.IGNORECASE)
_TAG = re.compile(r"<(?P<close>/?)\s?(?P<name>[a-z][\w:-]{0,40})(?:\s[^<>]{0,300})?\s?/?>", re.I)
_NO_WORDS = re.compile(r"<!--[^<>]{0,2000}-->|<[!?][^<>]{0,300}>")
_STRUCK = re.compile(r"<(s|del|strike)(?:\s[^<>]{0,99})?>[^<\n]{1,200}</\1\s?>", re.IGNORECASE)
_BETWEEN_ROWS = re.compile(r"(?<=\|)\n{2,}(?=\|)")
_CELLS, _ROW = ("td", "th"), "tr"
_TABLE = frozenset((*_CELLS, _ROW, "table", "thead", "tbody", "tfoot"))
_HTML = _TABLE | frozenset(
    (
        *("br", "hr", "p", "div", "li", "ul", "ol", "dl", "dt", "dd", "pre", "form", "center"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "html", "head", "body", "section", "article", "main"),
        *("blockquote", "img", "input", "label", "details", "summary", "button"),
    )
)


def without_inline(text: str) -> str:
    """A text without the tags that stand within a line and without entities.

    A raised number is a power.
    """
    if "&" in text:
        text = html.unescape(_AMPERSANDS.sub("&", text))
    if "</" not in text:
        return text
    closed = {letter.casefold() for letter in _SHORT_CLOSED.findall(text)}
    return _INLINE.sub(
        lambda tag: tag[0] if tag["short"] and tag["short"].casefold() not in closed else "",
        _RAISED.sub(_power, text),
    )


def _power(found: re.Match[str]) -> str:
    return f"^{found[1]}" if found[1].strip("+-") else found[1]


def without_tags(text: str) -> str:
    """A text without tags: a line each for what they hold, a table's rows as Markdown has them."""
    if "<" not in text:
        return text
    text = _NO_WORDS.sub("", _STRUCK.sub("", text))
    return _BETWEEN_ROWS.sub("\n", "".join(_pieces(text)))


def _pieces(text: str) -> Iterator[str]:
    closed = {tag["name"].casefold() for tag in _TAG.finditer(text) if tag["close"]}
    place = cells = heads = 0
    in_row = False
    for tag in _TAG.finditer(text):
        name, opens = tag["name"].casefold(), not tag["close"]
        if name not in closed and name not in _HTML and not is_stating(name):
            continue
        between, place = text[place : tag.start()], tag.end()
        yield "" if name in _TABLE and not between.strip() else between
        if name == _ROW:
            yield " |" if cells else ""
            yield f"\n{'|---' * heads}|\n" if heads else "\n"
            in_row, cells, heads = opens, 0, 0
        elif name in _CELLS and in_row:
            yield "" if not opens else " | " if cells else "| "
            cells, heads = cells + opens, heads + (opens and name == "th")
        else:
            yield "\nanswer: " if opens and is_stating(name) else "\n"
    yield text[place:]
