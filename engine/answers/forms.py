"""One form for words that mean the same whatever keyboard they came from.

Both sides of a comparison go through the same function, so a curly apostrophe, a full-width
letter, a Unicode minus or a superscript never decides whether an answer is right; a sign, an
exponent and a unit always do.
"""

import re
import unicodedata
from decimal import Decimal

_FOLDED = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\uff07\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d\ufe58", "-"),
        **dict.fromkeys("\u00b7\u22c5\u00d7\u2715\u2a2f", "\u00d7"),
        **dict.fromkeys("\u2264\u2a7d", "<="),
        **dict.fromkeys("\u2265\u2a7e", ">="),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f", ""),
    }
)
_SUPERSCRIPT = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207a\u207b]+")
_PLAIN_DIGITS = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b", "0123456789+-"
)
_POWER = re.compile(r"(?<=[^\W\d_])\s?(?:\^|\*\*)\s?\{?([+-]?\d{1,3})\}?")
_BRACED = re.compile(r"(?:\^|\*\*)\s?\{?\s?([+-]?\d{1,3})\s?\}?")
_NUMBER = re.compile(
    r"(?<![\w.^])(\d{1,3}(?:,\d{3}){1,4}(?![\d,])|\d{1,30})?(\.\d{1,30})?"
    r"(?:e([+-]?\d{1,3})|\s?[x\u00d7*]\s?10\^([+-]?\d{1,3}))?(?!\d*\s?\^)"
)
_TEN = re.compile(r"(?<![\w.^])10\^([+-]?\d{1,3})(?!\w)")
_SIGN = re.compile(r"(?<![\w)\]%])([+-])\s?(?=\.?\d)")
_TIMES = re.compile(r"(?<=\d)\s?[x\u00d7*]\s?(?=\d)")
_RELATION = re.compile(r"([<>=~\u00b1])\s(?=[\d-])")
_POINT = re.compile(r"\.\d")
_UNIT_GAP = re.compile(r"(?<=\d)\s(?=%|°|[µμ]?[a-z]{1,4}\d?(?:/[a-z]{1,4}\d?)?(?![\w]))")
_UNITS = (
    (re.compile(r"(?<=\d)\s?milli(?:meters?|metres?)\b"), "mm"),
    (re.compile(r"(?<=\d)\s?centi(?:meters?|metres?)\b"), "cm"),
    (re.compile(r"(?<=\d)\s?milli(?:liters?|litres?)\b"), "ml"),
    (re.compile(r"(?<=\d)\s?(?:percent|per cent)\b"), "%"),
    (re.compile(r"(?<=\d)\s?(?:degrees?|deg)\b(?:\s?(?=[cf]\b))?"), "°"),
    (re.compile(r"(?<=\d)\s?(?:u|mc|µ|μ)(?=(?:m|g|l|mol|gy|s)\b)"), "μ"),
)
_EDGES = "[](){}.,:;!?*_'\" \t\u3002\u3001\uff0c\uff1b\uff1a"


def one_spelling(text: str) -> str:
    """The text with one spelling for each sign: NFKC, straight quotes, one hyphen, `^` for powers.

    Capitals, line ends and words stay.
    """
    powers = _SUPERSCRIPT.sub(lambda m: "^" + m[0].translate(_PLAIN_DIGITS), text)
    return unicodedata.normalize("NFKC", powers.translate(_FOLDED)).translate(_FOLDED)


def canonical(text: str) -> str:
    """One answer in the form in which it is compared.

    Case, marks at the ends and white space go; numbers are written in one way (`1,200`, `1.2e3`
    and `1.2 x 10\u00b3` are 1200); a unit stands at its number.
    """
    words = _without_edges(" ".join(one_spelling(text).casefold().split()))
    for pattern, unit in _UNITS:
        words = pattern.sub(unit, words)
    words = _POWER.sub(r"\1", words)
    words = _SIGN.sub(lambda m: "-" if m[1] == "-" else "", _BRACED.sub(r"^\1", words))
    words = _TEN.sub(lambda m: _number_of("1", m[1]), _NUMBER.sub(_number, words))
    words = _UNIT_GAP.sub("", _RELATION.sub(r"\1", _TIMES.sub("\u00d7", words)))
    return _without_edges(words)


def _without_edges(words: str) -> str:
    """Without the marks at both ends, but for the point of `.5`."""
    bare = words.rstrip(_EDGES)
    return bare.lstrip(_EDGES) if not _POINT.match(bare) else bare


def _number(found: re.Match[str]) -> str:
    whole, part, exponent = found[1] or "", found[2] or "", found[3] or found[4] or "0"
    if not (whole or part):
        return found[0]
    return _number_of(f"{whole.replace(',', '') or '0'}{part}", exponent)


def _number_of(digits: str, exponent: str) -> str:
    """A decimal number; one that nobody would write out keeps its exponent."""
    value = Decimal(f"{digits}e{exponent}").normalize()
    return format(value, "f") if -40 < value.adjusted() < 40 else f"{value:e}"
