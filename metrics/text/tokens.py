"""Words of any script, for the strict profiles: one form of each character, one rule for words.

A word is a run of letters, digits and the marks on them. Scripts that are written without blanks
between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan and their kin) have no such
runs, so each of their characters, with its marks, is a word, as in the multilingual practice of
machine translation. A text without any word is its signs, so that "+" and "-" are told apart.
"""

import re
import unicodedata

from medgen.engine.answers.forms import UNSEEN

_WITHOUT_BLANKS = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1980-\u19ff\u1a20-\u1aaf"
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaadf\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
_SPACED_APART = re.compile(f"((?:{_WITHOUT_BLANKS.pattern}|[\u3000-\u3020]))")
_POWER = re.compile("(?<=[0-9])[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207a\u207b]+")
_INNER = {
    "'": "L",
    ".": "N",
    ",": "N",
    "^": "N",
}  # signs within a word, and what stands on both sides


def unify(text: str) -> str:
    """The text in Unicode's compatibility form NFKC, without characters that nobody sees."""
    plain = text.translate(UNSEEN).replace("\u2019", "'").replace("\u2212", "-")
    # A power is no digit of its base: 10 to the fifth is not 105.
    return unicodedata.normalize("NFKC", _POWER.sub(r"^\g<0>", plain))


def fold(text: str) -> str:
    """The unified text without case, white space collapsed."""
    return unify(" ".join(unify(text).casefold().split()))


def tokens(text: str) -> list[str]:
    """The words of a text, without case; 3.5, 10^5, -5 and don't are one word each."""
    plain = fold(text)
    found: list[str] = []
    joins = carries = False  # whether the next letter, or the next mark, belongs to the last word
    for place, character in enumerate(plain):
        kind = unicodedata.category(character)[0]
        if kind == "M":
            if carries:
                found[-1] += character
        elif kind in "LN":
            alone = kind == "L" and bool(_WITHOUT_BLANKS.match(character))
            if joins and not alone:
                found[-1] += character
            else:
                found.append(character)
            joins, carries = not alone, True
        elif joins and _is_inner(plain, place):
            found[-1] += character
        elif character == "-" and _is_sign(plain, place):
            found.append(character)
            joins, carries = True, False
        else:
            joins = carries = False
    return found or [character for character in plain if not character.isspace()]


def _is_sign(text: str, place: int) -> bool:
    """Whether a hyphen is a number's sign: before a digit, and after nothing that goes on."""
    return text[place + 1 : place + 2].isdigit() and (not place or text[place - 1] in " ([=<>")


def _is_inner(text: str, place: int) -> bool:
    """Whether a sign belongs to the word around it."""
    wanted = _INNER.get(text[place])
    beside = text[place - 1], text[place + 1 : place + 2]
    return bool(wanted) and all(c and unicodedata.category(c)[0] == wanted for c in beside)


def space_apart(text: str) -> str:
    """The unified text with blanks around each character of a script without blanks."""
    return _SPACED_APART.sub(r" \1 ", unify(text))
