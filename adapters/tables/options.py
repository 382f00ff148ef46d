"""The options of an item and which of them is right."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.paths import Missing, as_text, expand, fill
from medgen.adapters.tables.settings import Choices
from medgen.adapters.tables.values import Row, is_empty, list_of, text_of, work

MAX_OPTIONS = 26  # as many as there are letters
_LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ARABIC = "أبجدهوزحطي"
_GREEK = "ΑΒΓΔΕΖΗΘΙΚ"
_CYRILLIC = "АБВГДЕЖЗИК"
_JAPANESE = "アイウエオカキクケコ"
_KOREAN = "가나다라마바사아자차"
_SCRIPTS = (_ARABIC, _GREEK, _CYRILLIC, _JAPANESE, _KOREAN)
_LONGEST = 100  # characters
_LETTER = re.compile(r"\W*(?:option|choice|answer)?\W*(\w)\W*", re.IGNORECASE)
_LEADING = re.compile(r"\W{0,2}(\w)\s*[).:,\uff1a\u3001]")
_COLUMN_LETTER = re.compile(r"(?:^|[^A-Za-z])([A-Za-z])$")
# Letters, small letters or numbers with a mark behind them, in the order in which they are tried.
_INLINE = tuple(
    (re.compile(rf"(?:(?<=^)|(?<=[\s;,(\[|/]))({sign})\s?[{marks}]"), names)
    for sign, marks, names in (
        ("[A-Z]", r".:)\]\u3001\uff1a\uff0e", [*_LATIN]),
        ("[a-z]", r".:)\]\u3001\uff1a\uff0e", [*_LATIN.lower()]),
        (r"\d{1,2}", r".:)\]\u3001\uff0e", [str(number) for number in range(1, MAX_OPTIONS + 1)]),
    )
)


@dataclass(frozen=True, slots=True)
class Options:
    """The texts of the options; `letters` and `positions` are those of the source."""

    texts: tuple[str, ...]
    letters: tuple[str, ...]
    positions: tuple[int, ...]  # 0-based, before empty cells were dropped

    def of_letter(self, given: str) -> int:
        """The option that a letter or a digit names.

        Raises:
            FaultyContent: none has it.
        """
        sign = letter_in(given)
        if sign in self.letters:
            self._refuse_other_words(given, self.letters.index(sign))
            return self.letters.index(sign)
        advice = "; `index` takes places from 0" if given.strip() == "0" else ""
        what = f"answer {given[:60]!r} is none of the letters {self._by_name()}{advice}"
        raise FaultyContent(what)

    def _refuse_other_words(self, given: str, place: int) -> None:
        """Refuse "A. liver" where that is the text of B."""
        found = _LEADING.match(given) if len(given) <= _LONGEST else None
        words = _fold(given[found.end() :]) if found else ""
        texts = [_fold(text) for text in self.texts]
        if words in texts and texts[place] != words:
            other = self.letters[texts.index(words)]
            what = f"answer {given[:60]!r} says {self.letters[place]}, and its words are those of"
            raise FaultyContent(f"{what} {other}")

    def of_index(self, given: object, base: int) -> int:
        """The option at a place in the source.

        Raises:
            FaultyContent: there is none.
        """
        words = as_text(given, "answer").strip()
        if words.isascii() and words.isdigit() and int(words) - base in self.positions:
            return self.positions.index(int(words) - base)
        places = f"{len(self.positions)} options, counted from {base} (`base`)"
        if self.positions != tuple(range(len(self.positions))):
            places += f", which stand at {', '.join(str(at + base) for at in self.positions)}"
        raise FaultyContent(f"answer {words[:60]!r} is no place of the {places}")

    def of_text(self, given: str) -> int:
        """The option of this text: exactly, else without case, blanks and final stop.

        Raises:
            FaultyContent: none is, or several are.
        """
        for change in (str.strip, _fold):
            found = [n for n, text in enumerate(self.texts) if change(text) == change(given)]
            if len(found) == 1:
                return found[0]
            if found:
                raise FaultyContent(f"answer {given[:60]!r} is several of the options")
        listed = ", ".join(repr(text[:40]) for text in self.texts[:8])
        raise FaultyContent(f"answer {given[:60]!r} is none of the options {listed}")

    def _by_name(self) -> str:
        return ", ".join(self.letters)


def options(settings: Choices, row: Row, item_id: str) -> Options:
    """The options of a row.

    Raises:
        FaultyContent: there are fewer than two, too many, or they are not of the form.
    """
    found = _options(settings, row, item_id)
    if not 2 <= len(found.texts) <= MAX_OPTIONS:
        count = len(found.texts)
        raise FaultyContent(f"{count} option(s); a choice has 2 to {MAX_OPTIONS}")
    return found


def _options(settings: Choices, row: Row, item_id: str) -> Options:
    if settings.columns:
        return _of_columns(settings, row)
    if settings.answer:
        return _of_answer(settings, row, item_id)
    if isinstance(settings.constant, list):
        return _letter([as_text(text, "option") for text in settings.constant])
    return _of_cell(settings, row)


def _of_cell(settings: Choices, row: Row) -> Options:
    value = work(fill(settings.of, row), settings)
    if isinstance(value, Missing):
        raise FaultyContent(f"no options in {settings.of!r} (there is no such column)")
    if settings.form == "inline":
        return _keep([*inline_options(as_text(value, settings.of))])
    if settings.form == "keys":
        if not isinstance(value, Mapping):
            raise FaultyContent(f"{settings.of!r} is no object, whose keys are options")
        return _letter([str(key) for key in value])
    if isinstance(value, Mapping):
        return _keep([(str(key), text) for key, text in value.items()])
    if settings.form == "letters":
        raise FaultyContent(f"{settings.of!r} is no object of letters and options")
    if not isinstance(value, list):
        raise FaultyContent(f"{settings.of!r} is no list of options; `parse` reads one from text")
    return _of_list(settings, value, row)


def _of_list(settings: Choices, value: list[object], row: Row) -> Options:
    if any(isinstance(text, Mapping) for text in value):
        first = next(text for text in value if isinstance(text, Mapping))
        keys = ", ".join(map(str, first))
        raise FaultyContent(
            f"an option in {settings.of!r} is an object of {keys[:80]}; "
            f"`of: {settings.of}[].key` takes one of these from each"
        )
    if settings.names:
        names = [as_text(name, "a name") for name in list_of(settings.names, row)]
        if len(names) != len(value) or len(set(names)) < len(names):
            raise FaultyContent(f"{len(set(names))} `names` of {len(value)} options")
        return _keep(list(zip(names, value, strict=True)))
    return _letter([as_text(text, "option") for text in value])


def _of_columns(settings: Choices, row: Row) -> Options:
    names = [name for column in settings.columns for name, _ in expand(column)]
    cells = [work(fill(name, row), settings) for name in names]
    letters = [_letter_of_column(name, place) for place, name in enumerate(names)]
    if len(set(letters)) < len(letters):
        letters = [*_LATIN[: len(names)]]
    return _keep(list(zip(letters, cells, strict=True)))


def _of_answer(settings: Choices, row: Row, item_id: str) -> Options:
    answer = text_of(settings.answer, row)
    others = [as_text(text, "distractor") for text in list_of(settings.distractors, row)]
    if settings.at:
        letters = [text_of(settings.at, row), *map(str, list_of(settings.others, row))]
        if len(letters) != 1 + len(others):
            raise FaultyContent(f"{len(others)} distractors and {len(letters) - 1} letters of them")
        pairs = zip(letters, (answer, *others), strict=True)
        return _keep(sorted((letter_in(letter), text) for letter, text in pairs))
    whole = [answer, *others]
    order = sorted(
        range(len(whole)), key=lambda n: hashlib.sha256(f"{item_id}/{n}".encode()).digest()
    )
    return _letter([whole[place] for place in order])


def _letter(texts: Sequence[str]) -> Options:
    names = _LATIN if len(texts) <= len(_LATIN) else [str(n) for n in range(1, len(texts) + 1)]
    return _keep(list(zip(names, texts, strict=False)))


def _keep(pairs: Sequence[tuple[str, object]]) -> Options:
    kept = [
        (letter_in(letter), as_text(text, "option").strip(), place)
        for place, (letter, text) in enumerate(pairs)
        if not is_empty(text)
    ]
    texts = tuple(text for _, text, _ in kept)
    folded = [text for text in texts if texts.count(text) > 1]
    if folded:
        raise FaultyContent(f"option {folded[0][:60]!r} stands twice")
    return Options(texts, tuple(sign for sign, _, _ in kept), tuple(place for _, _, place in kept))


def letter_in(text: str) -> str:
    """The letter that a text is or begins with: "(b)", "B.", "B: Lung", "Option B" give "B".

    A digit 1 to 9 and a letter of another script's list become the Latin letter of their place.
    """
    short = len(text) <= _LONGEST  # nothing longer is a letter with marks, and marks are gone over
    found = (_LETTER.fullmatch(text) if short else None) or _LEADING.match(text)
    sign = (found[1] if found else text.strip()).upper()
    for script in _SCRIPTS:
        if len(sign) == 1 and sign in script:
            return _LATIN[script.index(sign)]
    if len(sign) == 1 and sign in "123456789":
        return _LATIN[int(sign) - 1]
    return sign


def _letter_of_column(name: str, place: int) -> str:
    if found := _COLUMN_LETTER.search(name):
        return found[1].upper()
    return _LATIN[place] if place < len(_LATIN) else str(place + 1)


def inline_options(text: str) -> list[tuple[str, str]]:
    """Options that stand in one text behind their letters, in order from A, a or 1."""
    for pattern, names in _INLINE:
        marks: list[re.Match[str]] = []
        for found in pattern.finditer(text):
            if len(marks) < len(names) and found[1] == names[len(marks)]:
                marks.append(found)
        if len(marks) > 1:
            ends = [*(mark.start() for mark in marks[1:]), len(text)]
            spans = zip(marks, ends, strict=True)
            return [(m[1], text[m.end() : end].strip(" \t\r\n;,|/([")) for m, end in spans]
    return []


def _fold(text: str) -> str:
    return " ".join(normalize("NFC", text).split()).casefold().rstrip(".")
