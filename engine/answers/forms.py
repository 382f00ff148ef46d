"""One form for words that mean the same whatever keyboard they came from.

Both sides of a comparison go through the same function, so a curly apostrophe, a full-width
letter, a Unicode minus or a superscript never decides whether an answer is right; a sign, an
exponent and a unit always do.
"""

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

from medgen.engine.answers.markup import without_inline

# Characters that nobody sees, Unicode's default ignorable ones: soft hyphens, blanks without width,
# joiners, marks of direction, variation selectors, tags.
_UNSEEN = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5)),
    *((0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164)),
    *((0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xE0000, 0xE0FFF)),
)
UNSEEN = {n: "" for first, last in _UNSEEN for n in range(first, last + 1)}  # for `str.translate`
_FOLDED = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\uff07\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02", '"'),
        **dict.fromkeys("\u300a\u300b\u3008\u3009\u300c\u300d\u300e\u300f", '"'),
        **dict.fromkeys("\u3010\u3014\u3016", "["),
        **dict.fromkeys("\u3011\u3015\u3017", "]"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d\ufe58", "-"),
        **dict.fromkeys("\u00b7\u22c5\u00d7\u2715\u2a2f", "\u00d7"),
        **dict.fromkeys("\u2264\u2a7d", "<="),
        **dict.fromkeys("\u2265\u2a7e", ">="),
        **dict.fromkeys("\u2192\u21d2\u279c\u27a1\u27f6", "->"),
        **dict.fromkeys("\u2044\u2215", "/"),
        # What is circled stands in brackets, and apart from what follows.
        **{chr(0x2460 + n): f"({n + 1}) " for n in range(20)},
        **{chr(0x24B6 + n): f"({chr(65 + n)}) " for n in range(26)},
        **{chr(0x24D0 + n): f"({chr(97 + n)}) " for n in range(26)},
        **{chr(n): "" for n in UNSEEN},
    }
)
_CHARGE = str.maketrans("\u207a\u207b", "+-")
_CHARGED = re.compile("(?<=[A-Za-z])[\u207a\u207b](?![\u2070\u00b9\u00b2\u00b3\u2074-\u2079])")
_SUPERSCRIPT = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207a\u207b]+")
_PLAIN_DIGITS = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b", "0123456789+-"
)
_THOUSANDS = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_MIXED = re.compile(r"(?<=\d)(?=[\u00bc-\u00be\u2150-\u215e])")  # 1½ is one and a half
_TEX_WORDS = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|it|sf|tt)|bf|mbox|operatorname)\s?\{([^{}]*)\}"
)
_TEX_FRACTION = re.compile(r"\\[dt]?frac\s?\{([^{}]{1,20})\}\s?\{([^{}]{1,20})\}")
_TEX_DEGREES = re.compile(r"\^?\s?\{?\\(?:circ|degree)\}?")
_TEX_SIGNS = {
    **dict.fromkeys(("times", "cdot"), "\u00d7"),
    **dict.fromkeys(("leq", "le", "leqslant"), "<="),
    **dict.fromkeys(("geq", "ge", "geqslant"), ">="),
    **{"pm": "\u00b1", "mu": "\u03bc", "alpha": "\u03b1", "beta": "\u03b2", "gamma": "\u03b3"},
    **{"delta": "\u03b4", "sim": "~", "approx": "~", "rightarrow": "->", "to": "->", "%": "%"},
}
_TEX_SIGN = re.compile(rf"\\({'|'.join(_TEX_SIGNS)})(?![a-zA-Z])")
_TEX_MATHS = re.compile(r"\$([^$\n]{1,200})\$")
_POWER = re.compile(r"(?<=[^\W\d_])\s?(?:\^|\*\*)\s?\{?([+-]?\d{1,3})\}?")
_BRACED = re.compile(r"(?:\^|\*\*)\s?\{?\s?([+-]?\d{1,3})(?:\s?\})?")
_LOST_POWER = re.compile(
    r"(?<=[x\u00d7*]10)(-\d{1,2})(?![\d.])|(?<=[x\u00d7*] 10)(-\d{1,2})(?![\d.])"
)
_DECIMAL_COMMA = re.compile(
    r"(?<![\w,.])(\d{1,3}(?:\.\d{3}){1,4}|0|\d+(?=,\d{1,2}(?!\d))),(\d+)(?![\d,]|\.\d)"
)
_NUMBER = re.compile(
    r"(?<![\w.^])(\d{1,3}(?:,\d{3}){1,4}(?![\d,])|\d{1,30})?(\.\d{1,30})?"
    r"(?:e([+-]?\d{1,3})|\s?[x\u00d7*]\s?10\^([+-]?\d{1,3}))?(?!\d*\s?\^)"
)
_TEN = re.compile(r"(?<![\w.^])10\^([+-]?\d{1,3})(?!\w)")
_SIGN = re.compile(r"(?<![\w)\]%])([+-])\s?(?=\.?\d)")
_TIMES = re.compile(r"(?<=\d)\s?[x\u00d7*]\s?(?=\d)")
_RANGE = re.compile(r"(?<=\d)(\s?(?:%|[a-z]{1,3}))?\s(?:-|to)\s(?=\d)")
_AMOUNT = r"(?<!\w)(\d[\d.,]{0,20}(?:\s?[a-zμ%]{1,4})?)"
_WORDED = (
    (re.compile(r"(?<!\w)(?:at least|no less than|not less than|no fewer than)\s(?=\d)"), ">="),
    (re.compile(r"(?<!\w)(?:at most|no more than|not more than|up to)\s(?=\d)"), "<="),
    (re.compile(r"(?<!\w)(?:less|fewer|smaller|lower) than\s(?=\d)"), "<"),
    (re.compile(r"(?<!\w)(?:more|greater|larger|higher|bigger) than\s(?=\d)"), ">"),
    (re.compile(r"(?<!\w)(?:minus|negative)\s(?=\d)"), "-"),
    (re.compile(r"(?<=\d)\s:\s(?=\d)"), ":"),
    (re.compile(rf"{_AMOUNT} or (?:more|greater|higher|above|over)(?!\w)"), r">=\1"),
    (re.compile(rf"{_AMOUNT} or (?:less|fewer|lower|below|under)(?!\w)"), r"<=\1"),
    (re.compile(r"(?<=10)\sto the (?:power of\s)?(?=[+-]?\d)"), "^"),
    (re.compile(r"^([<>=~+-]{0,2}\d{1,3})[ '](\d{3})(?!\d)(?=\s?[^\W\d]*$)"), r"\1\2"),
)
_RELATION = re.compile(r"([<>=~])\s(?=[\d-])|\s?(\u00b1)\s?")
_AT = r"(?:\s?(?:%|°|[a-zμ]{1,5}))?"  # a unit
_SPAN = re.compile(
    rf"(?<!\w)(?:between|from|entre|de|zwischen|von|tra|fra|da|от|van|tussen)\s"
    rf"([+-]?\d[\d.,]{{0,20}}{_AT})\s"
    r"(?:and|to|through|up to|y|et|e|a|à|und|bis|до|и|en|tot)\s(?=[+-]?\d)",
    re.IGNORECASE,
)
_THROUGH = re.compile(
    rf"(?<=\d)({_AT})(?:\s(?:to|through|thru|bis|до)\s|\s?(?:[至到~\u301c]|から|에서)\s?)(?=\d)",
    re.IGNORECASE,
)
_POINT = re.compile(r"\.\d")
_SIGN_GAP = re.compile(r"(?<=\d)\s(?=[%°])")
_HYPHEN = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])")
_UNIT_GAP = re.compile(r"(?<=\d)\s(?=%|°|[µμ]?[a-z]{1,4}\d?(?:/[a-z]{1,4}\d?)?(?![\w]))")


def _short(unit: str) -> Callable[[re.Match[str]], str]:
    """A unit that is written out, as its sign with that of its prefix."""
    return lambda found: f"{_PREFIXES.get(found[1], '')}{unit}"


def _square_unit(found: re.Match[str]) -> str:
    return f"{found[1] or _PREFIXES.get(found[2], '')}m2"


_PREFIXES = {"nano": "n", "micro": "\u03bc", "milli": "m", "centi": "c", "deci": "d", "kilo": "k"}
_COUNTS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)
# "One" is a pronoun too, unless it is all that is said.
_COUNTED = re.compile(
    rf"(?<![\w-])(?:{'|'.join(_COUNTS[2:])})(?![\w-])|^(?:zero|one)$"
    r"|(?<=between\s)one(?=\sand\s)|(?<=from\s)one(?=\sto\s)"
)
_SAME_UNIT = re.compile(
    r"(?<![\w.])(\d[\d.]{0,20})\s?([a-zμ°%]{1,4})\s?(?:-|to)\s?(\d[\d.]{0,20})\s?(?=\2(?!\w))"
)
_UNITS = (
    (re.compile(r"(?<=\d)\s?(milli|centi|kilo)?(?:meters?|metres?)\b"), _short("m")),
    (re.compile(r"(?<=\d)\s?(milli|deci|micro)?(?:liters?|litres?)\b"), _short("l")),
    (re.compile(r"(?<=\d)\s?(milli|kilo|micro|nano)?grams?\b"), _short("g")),
    (re.compile(r"(?<=\d)\s?(kg|mg|cm|mm|ml)s\b"), r"\1"),
    (
        re.compile(r"(?<=\d)\s?(?:sq\.?|square)\s?(?:(m|c|k)m|(milli|centi)?met(?:er|re)s?)\b"),
        _square_unit,
    ),
    (re.compile(r"(?<=\d)\s?(?:°|degrees?|deg)\s?(c)elsius\b"), r"°\1"),
    (re.compile(r"\bmm\shg\b"), "mmhg"),
    (re.compile(r"(?<=\d)\s?°\s(?=[cf]\b)"), "°"),
    (re.compile(r"(?<=\d)\s?(?:percent|per cent)\b"), "%"),
    (re.compile(r"(?<=\d)\s?(?:degrees?|deg)\b(?:\s?(?=[cf]\b))?"), "°"),
    (re.compile(r"(?<=\d)\s?(?:u|mc|µ|μ)(?=(?:m|g|l|mol|gy|s)\b)"), "μ"),
)
_SIGNS = (
    r"[munkcd\u03bc]?m|[munk\u03bc]g|[mud\u03bc]?l|m?s|min"  # what is measured most
    r"|[km]?hz|kvp?|mas?|[mc]?gy|bpm|mmhg|kpa|iu|hu"
)
_JOINED = re.compile(rf"(?<=\d)(?=(?:{_SIGNS})(?!\w))", re.IGNORECASE)
_SHORT = 200  # characters of what is remembered
_KEPT = 4096  # so many texts
_EDGES = "[](){}.,:;!?*_'\" \t\\\u3002\u3001\uff0c\uff1b\uff1a"


def one_spelling(text: str) -> str:
    """The text with one spelling for each sign: NFKC, straight quotes, one hyphen, `^` for powers.

    TeX and HTML are written out, what nobody sees is left out. Capitals, line ends and words stay.
    """
    return _spelt(text) if len(text) <= _SHORT else _spell(text)


def _spell(text: str) -> str:
    text = without_inline(text) if "<" in text or "&" in text else text
    parted = _MIXED.sub(" ", _THOUSANDS.sub("", text))
    parted = _CHARGED.sub(lambda m: m[0].translate(_CHARGE), parted)
    powers = _SUPERSCRIPT.sub(lambda m: "^" + m[0].translate(_PLAIN_DIGITS), parted)
    plain = unicodedata.normalize("NFKC", powers.translate(_FOLDED)).translate(_FOLDED)
    return _without_tex(plain) if "\\" in plain or "$" in plain else plain


def _without_tex(text: str) -> str:
    for _ in range(2):  # one inside another
        text = _TEX_WORDS.sub(r"\1", text)
    text = _TEX_DEGREES.sub("°", _TEX_FRACTION.sub(r"\1/\2", text))
    text = text.replace("\\mu ", "\u03bc")  # whose blank is none
    return _TEX_MATHS.sub(r"\1", _TEX_SIGN.sub(lambda m: _TEX_SIGNS[m[1]], text))


def with_ranges(text: str) -> str:
    """A text whose ranges in words are written with a hyphen: `between 3 and 5 cm` is `3-5 cm`."""
    spans = _THROUGH.sub(r"\1-", _SPAN.sub(r"\1-", text))
    return _SAME_UNIT.sub(r"\1-\3 ", spans)


def with_units(text: str) -> str:
    """A text whose units are signs, each a blank after its number: `18 millimeters` is `18 mm`."""
    for pattern, unit in _UNITS:
        text = pattern.sub(unit, text)
    return _JOINED.sub(" ", _SIGN_GAP.sub("", text))


def without_hyphens(text: str) -> str:
    """A text of the same length, in lower case: `x-ray` is `x ray`."""
    return _HYPHEN.sub(" ", text)


def canonical(text: str) -> str:
    """One answer in the form in which it is compared.

    Case, marks at the ends and white space go; numbers are written in one way (`1,200`, `1.2e3`
    and `1.2 x 10\u00b3` are 1200, `1,5` is 1.5, `2 to 3` and `between 2 and 3` are 2-3, `less than
    5` is <5); a unit stands at its number.
    """
    return _compared(text) if len(text) <= _SHORT else _make_canonical(text)


def _digits_of(found: re.Match[str]) -> str:
    return str(_COUNTS.index(found[0]))


def _make_canonical(text: str) -> str:
    words = _without_edges(" ".join(one_spelling(text).casefold().split()))
    words = _COUNTED.sub(_digits_of, words)
    for pattern, unit in (*_UNITS, *_WORDED):
        words = pattern.sub(unit, words)
    words = with_ranges(words)
    words = _DECIMAL_COMMA.sub(lambda m: f"{m[1].replace('.', '')}.{m[2]}", words)
    words = _RANGE.sub(r"\1-", _LOST_POWER.sub(lambda m: f"^{m[1] or m[2]}", words))
    words = _POWER.sub(r"\1", words)
    words = _SIGN.sub(lambda m: "-" if m[1] == "-" else "", _BRACED.sub(r"^\1", words))
    words = _TEN.sub(lambda m: _number_of("1", m[1]), _NUMBER.sub(_number, words))
    words = _RELATION.sub(lambda m: m[1] or m[2], _TIMES.sub("\u00d7", words))
    return without_hyphens(_without_edges(_UNIT_GAP.sub("", words)))


# Options are read again for every reply, and a short answer is the same one for many samples.
_spelt = lru_cache(_KEPT)(_spell)
_compared = lru_cache(_KEPT)(_make_canonical)


def _without_edges(words: str) -> str:
    """Without the marks at both ends, but for the point of `.5`."""
    bare = words.rstrip(_EDGES.replace("*", ""))  # T2* is not T2
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
