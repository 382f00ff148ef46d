"""What is left of options' words when what they all share is not said."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

_Option = TypeVar("_Option")
_PLAIN = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
_MEASURED = re.compile(rf"({_PLAIN.pattern})(?:[μa-z]{{1,4}}\d?)(?:/[a-z]{{1,4}})?")
_NUMERALS = (
    *(("i", "1", "one"), ("ii", "2", "two"), ("iii", "3", "three"), ("iv", "4", "four")),
    *(("v", "5", "five"), ("vi", "6", "six"), ("vii", "7", "seven"), ("viii", "8", "eight")),
    *(("ix", "9", "nine"), ("x", "10", "ten")),
)
_NUMBERED = {spelt: place for place, each in enumerate(_NUMERALS) for spelt in each}
_MOST_WORDS = 20  # of an option that may be named by another numeral
# What must not be left out: "No mass" is not "mass".
_DENIES = frozenset(("no", "not", "without", "non", "never", "absent", "absence", "un", "neither"))


def short_names(words: Mapping[_Option, str]) -> dict[str, list[_Option]]:
    """Options by what is their own in their words, which begin or end alike.

    "II" is "grade II" where all are grades, "left" is "left lung" where all are lungs. Empty where
    an option has no words of its own, and where what they share denies, or may be the unit of a
    number.

    Args:
        words: each option's words in canonical form.
    """
    found: dict[str, list[_Option]] = {}
    for option, part in _own_parts(words).items() if all(words.values()) else ():
        found.setdefault(part, []).append(option)
    return found


def other_numerals(words: Mapping[_Option, str]) -> dict[str, _Option]:
    """Options that differ in a numeral and are alike in other words, by those with other numerals.

    "Grade 3" and "grade three" are "grade III" where another option is "grade II". What two options
    could be named by, or one is, is left out.

    Args:
        words: each option's words, in lower case.
    """
    alike: dict[tuple[str, ...], list[tuple[_Option, int]]] = {}
    for option, each in words.items():
        for rest, numeral in _parted_at_numerals(each):
            alike.setdefault(rest, []).append((option, numeral))
    found: dict[str, list[_Option]] = {}
    for rest, named in alike.items():
        for option, numeral in named if len({id(o) for o, _ in named}) > 1 else ():
            for spelt in _NUMERALS[numeral]:
                found.setdefault(" ".join(rest).replace("#", spelt), []).append(option)
    taken = set(words.values())
    return {w: each[0] for w, each in found.items() if len(each) == 1 and w not in taken}


def _parted_at_numerals(words: str) -> list[tuple[tuple[str, ...], int]]:
    """Words with "#" for one numeral, and which it is; nothing where there are no others."""
    each = words.split(" ")
    few = 1 < len(each) <= _MOST_WORDS and "#" not in words
    places = [n for n, word in enumerate(each) if word in _NUMBERED] if few else []
    return [((*each[:n], "#", *each[n + 1 :]), _NUMBERED[each[n]]) for n in places]


def is_number(words: str) -> bool:
    """Whether words in canonical form are a number and nothing else."""
    return bool(_PLAIN.fullmatch(words))


def number_of(words: str) -> str:
    """The number of a measurement ("3mm"), in canonical form; other words as they are."""
    found = _MEASURED.fullmatch(words)
    return found[1] if found else words


def other_share(words: str) -> str:
    """A share of one (canonical, 0 to 1) as a percentage, a percentage as a share; else empty."""
    number, sign = words.removesuffix("%"), words.endswith("%")
    if not _PLAIN.fullmatch(number) or not (sign or 0 <= Decimal(number) <= 1):
        return ""
    other = (Decimal(number) * (Decimal("0.01") if sign else 100)).normalize()
    return f"{other:f}" if sign else f"{other:f}%"


def _own_parts(words: Mapping[_Option, str]) -> dict[_Option, str]:
    if len(words) < 2:
        return {}
    parted = {option: each.split(" ") for option, each in words.items()}
    first = _alike(list(parted.values()))
    last = _alike([each[first:][::-1] for each in parted.values()])
    some = next(iter(parted.values()))
    shared = some[:first] + some[len(some) - last :]
    own = {option: " ".join(each[first : len(each) - last]) for option, each in parted.items()}
    counted = last and any(re.search(r"\d", part) for part in own.values())
    if not shared or _DENIES & set(shared) or not all(own.values()) or counted:
        return {}
    return own


def _alike(each: Sequence[Sequence[str]]) -> int:
    """With how many equal words all of these begin."""
    count = 0
    for column in zip(*each, strict=False):
        if len(set(column)) > 1:
            break
        count += 1
    return count
