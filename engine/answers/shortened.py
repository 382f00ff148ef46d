"""What is left of options' words when what they all share is not said."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

_Option = TypeVar("_Option")
_PLAIN = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
_MEASURED = re.compile(rf"({_PLAIN.pattern})(?:[μa-z]{{1,4}}\d?)(?:/[a-z]{{1,4}})?")
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
