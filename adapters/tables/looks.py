"""What cells look like, to who guesses a mapping: pictures, lists in one text, letters, paths."""

import re
from collections.abc import Iterable, Mapping, Sequence

from medgen.adapters.tables.globs import PICTURES
from medgen.adapters.tables.literals import parse

# How PNG, JPEG, GIF, WebP, BMP and TIFF begin once they are base64.
BASE64 = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk", "SUkq", "TU0A")
_SIGNS = (";", "|", ",")
_BETWEEN_LETTERS = str.maketrans(",;/&+|", " " * 6)
_NUMBERED = re.compile(r"(.*?)(\d{1,6})")  # columns are counted to thousands at most
_LONG = 1024  # a text that is no path any more


def is_picture(cell: object) -> bool:
    """Whether a cell holds a picture, or names a file of one."""
    if isinstance(cell, list):
        return bool(cell) and is_picture(cell[0])
    if isinstance(cell, Mapping):
        return isinstance(cell.get("bytes"), bytes)
    if isinstance(cell, bytes):
        return True
    if not isinstance(cell, str):
        return False
    return is_name(cell) or (len(cell) > _LONG and cell.startswith(BASE64))


def is_name(text: str) -> bool:
    """Whether a text is the name of a picture."""
    words = text.strip().lower()
    return words.endswith((*PICTURES,)) and "\n" not in words and len(words) <= _LONG


def sign_between(cells: Sequence[str], *, pictures: bool = False) -> str:
    """The sign that parts each of these texts into two or more, or into names of pictures."""
    for sign in _SIGNS:
        parts = [parse(f"split:{sign}", cell) for cell in cells]
        lists = [part for part in parts if isinstance(part, list)]
        if pictures:
            named = all(is_name(str(one)) for part in lists for one in part)
            if named and any(len(part) > 1 for part in lists):
                return sign
        elif lists and all(len(part) > 1 for part in lists):
            return sign
    return ""


def are_several(answers: Sequence[str], letters: Sequence[str]) -> bool:
    """Whether answers are letters of options, of some several: "A, C", "BD"."""
    found = [_letters_of(answer) for answer in answers]
    known = all(set(signs) <= set(letters) and len(set(signs)) == len(signs) for signs in found)
    return known and all(found) and any(len(signs) > 1 for signs in found)


def _letters_of(answer: str) -> str:
    """What is left without blanks, signs and "and" between letters."""
    words = answer.translate(_BETWEEN_LETTERS).split()
    return "".join(word.upper() for word in words if word != "and")


def as_range(names: Iterable[str]) -> str:
    """Columns that are called alike and counted as one text: `distractor_{1..3}`; else empty."""
    found = [_NUMBERED.fullmatch(name) for name in names]
    marks = [mark for mark in found if mark]
    numbers = [int(mark[2]) for mark in marks]
    if len(marks) < len(found) or len({mark[1] for mark in marks}) != 1 or len(marks) < 2:
        return ""
    plain = all(str(number) == mark[2] for number, mark in zip(numbers, marks, strict=True))
    if not plain or numbers != [*range(numbers[0], numbers[-1] + 1)]:
        return ""
    return f"{marks[0][1]}{{{numbers[0]}..{numbers[-1]}}}"


def tails(path: str) -> list[tuple[str, str]]:
    """A path of another machine without its first folders, one by one; and what was taken away."""
    turned = path.replace("\\", "/")
    ends = [found.end() for found in re.finditer("/", turned)]
    return [(path[:end], turned[end:]) for end in ends if turned[end:]]
