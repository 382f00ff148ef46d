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
_RELATIONS = "<>\u2264\u2265\u00b1"
_SPELT = {"<=": "\u2264", ">=": "\u2265", "+/-": "\u00b1"}
_SIZE = re.compile(r"\.?[0-9]")
_NUMBER = re.compile("-?" + _SIZE.pattern)
_BEFORE_NUMBER = re.compile(rf"([{_RELATIONS}]) (?={_NUMBER.pattern})")
_BEFORE_PERCENT = re.compile("(?<=[0-9]) (?=%)")
_AFTER_WORD = frozenset(".,;:/)]")  # what ends a word, behind its minus


def unify(text: str) -> str:
    """The text in Unicode's compatibility form NFKC, without characters that nobody sees."""
    plain = text.translate(UNSEEN).replace("\u2019", "'").replace("\u2212", "-")
    # A power is no digit of its base: 10 to the fifth is not 105.
    return unicodedata.normalize("NFKC", _POWER.sub(r"^\g<0>", plain))


def fold(text: str) -> str:
    """The unified text without case, white space collapsed."""
    return unify(" ".join(unify(text).casefold().split()))


def tokens(text: str) -> list[str]:
    """The words of a text, without case; 3.5, 10^5, -5, <5, 5 %, HER2+ and don't are one each."""
    plain = _signs_beside_words(fold(text))
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
        elif joins and (_is_inner(plain, place) or _is_outer(plain, place)):
            found[-1] += character
        elif _is_sign(plain, place):
            goes_on = character in "-." and place and plain[place - 1] in "-" + _RELATIONS
            found.append(found.pop() + character if goes_on and found else character)
            joins, carries = True, False
        else:
            joins = carries = False
    return found or [character for character in plain if not character.isspace()]


def _signs_beside_words(text: str) -> str:
    for spelt, sign in _SPELT.items():
        text = text.replace(spelt, sign)
    return _BEFORE_PERCENT.sub("", _BEFORE_NUMBER.sub(r"\1", text))


def _is_sign(text: str, place: int) -> bool:
    """Whether it is a number's: "<" and the like, a hyphen that joins nothing, a first point."""
    if text[place] in _RELATIONS:
        return bool(_NUMBER.match(text, place + 1))
    free = not place or text[place - 1] in " ([=" + _RELATIONS
    if text[place] == "-":
        return free and bool(_SIZE.match(text, place + 1))
    pointed = free or (text[place - 1] == "-" and _is_sign(text, place - 1))
    return text[place] == "." and pointed and text[place + 1 : place + 2].isdigit()


def _is_outer(text: str, place: int) -> bool:
    """Whether a sign behind a word is a part of it: 5%, HER2+, Ca++, and Rh- where it ends."""
    before, following = text[place - 1], text[place + 1 : place + 2]
    if text[place] == "%":
        return before.isdigit()
    if text[place] == "+":
        return not following.isalnum()
    ends = not following or following in _AFTER_WORD
    return text[place] == "-" and ends and before.isalnum()


def _is_inner(text: str, place: int) -> bool:
    """Whether a sign belongs to the word around it."""
    wanted = _INNER.get(text[place])
    beside = text[place - 1], text[place + 1 : place + 2]
    return bool(wanted) and all(c and unicodedata.category(c)[0] == wanted for c in beside)


def space_apart(text: str) -> str:
    """The unified text with blanks around each character of a script without blanks."""
    return _SPACED_APART.sub(r" \1 ", unify(text))
