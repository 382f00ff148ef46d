"""The options of a multiple-choice item: their labels, their words, and where they are listed.

The prompt that shows options and the reader that finds one in a reply take their labels from
here. Options that come with labels keep them; others get capital letters in their order.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from medgen.engine.answers.forms import canonical, one_spelling
from medgen.engine.answers.shortened import (
    is_number,
    number_of,
    other_numerals,
    other_share,
    short_names,
)

# What labels can be, in order. The Latin letters come last, since a lone "I" is one of both.
_ORDERS = (
    ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"),
    tuple(str(n) for n in range(1, 27)),
    tuple(str(n) for n in range(26)),
    tuple("\u0623\u0628\u062c\u062f\u0647\u0648"),  # Arabic, as options are lettered
    tuple("\u0627\u0628\u062c\u062f\u0647\u0648"),
    ("\u0627\u0644\u0641", *"\u0628\u062c\u062f"),  # Persian
    tuple("\u05d0\u05d1\u05d2\u05d3\u05d4\u05d5"),  # Hebrew
    tuple("\u0430\u0431\u0432\u0433\u0434\u0435\u0436\u0437"),  # Cyrillic
    tuple("\u03b1\u03b2\u03b3\u03b4\u03b5\u03b6"),  # Greek
    tuple("\u7532\u4e59\u4e19\u4e01\u620a"),  # the heavenly stems
    tuple("\u30a2\u30a4\u30a6\u30a8\u30aa"),  # Japanese, in three orders
    tuple("\u3042\u3044\u3046\u3048\u304a"),
    tuple("\u30a4\u30ed\u30cf\u30cb\u30db"),
    tuple("\uac00\ub098\ub2e4\ub77c\ub9c8\ubc14"),  # Korean, in two
    tuple("\u1100\u1102\u1103\u1105\u1106"),
    tuple("\u0915\u0916\u0917\u0918\u0919"),  # Hindi
    tuple("\u0995\u0996\u0997\u0998\u0999"),  # Bengali
    tuple("\u0e01\u0e02\u0e04\u0e07\u0e08"),  # Thai
    tuple("\u10d0\u10d1\u10d2\u10d3\u10d4"),  # Georgian
    tuple("abcdefghijklmnopqrstuvwxyz"),
)
_DIGITS = (1, 2)  # places of the orders that only count where they cannot be part of a sentence
_ROMAN = 0
# Letters of one shape in Latin, Cyrillic and Greek; which of them was typed, nobody can see.
_SHAPES = str.maketrans(
    {
        **dict(
            zip(
                "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0445",
                "abekmhopctx",
                strict=True,
            )
        ),
        **dict(
            zip(
                "\u03b1\u03b2\u03b5\u03b6\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7",
                "abezhikmnoptyx",
                strict=True,
            )
        ),
    }
)
_MARK = r"[.):\]\u3001\uff0e\uff09]"
_NO_PART = r"(?!(?<=\d[.:])\d)"  # 1.5 and 1:2 are numbers
_LABELLED = re.compile(
    rf"\s*(?:\*\*)?(?:(?:option|choice)\s)?[(\[]?([^\W_]{{1,4}})(?:\s?{_MARK}{_NO_PART}|\*\*\s?{_MARK}|\s?[=|]|\s-)(?:\*\*)?(?:\s*)(.*)",
    re.DOTALL | re.IGNORECASE,
)
_LISTED = re.compile(
    rf"(?<![\w.])(?:\*\*)?([(\[]?)([^\W\d_]|[ivxIVX]{{1,4}}|\d{{1,2}})({_MARK}){_NO_PART}(?:\*\*)?(?=\s?[^\s.)])"
)
_OF_THESE = re.compile(
    r"(?<!\w)(none|all|neither|both) of (?:the (?:above|listed|given|options?|choices?|others?|"
    r"answers?)(?: (?:above|options?|choices?|answers?))?|these(?: options| choices)?|them)(?!\w)"
)
_FIRST_WORD = re.compile(r"\W+")
_KEPT = 256  # items whose options are remembered: a prompt, and each system's reply, ask for them
_LONGEST = 400  # characters of an option that stands in the middle of a line
_LINKS = re.compile(
    r"(?:[\s,;/|(\[\uff08]|\s[-*\u2022]|\*\*|<br\s?/?>|(?<![^\W_])(?:or|and)(?=\s*$))+$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its label ("B") and its words ("Pleural effusion"), which may be empty."""

    label: str
    words: str

    @property
    def key(self) -> str:
        """The label in the form in which labels are compared."""
        return one_spelling(self.label).casefold()

    @property
    def wording(self) -> str:
        """What a reply may say for the label: the words, or the number that is all it has."""
        return self.words or (self.label if self.label.isdecimal() else "")


@dataclass(frozen=True)
class Options:
    """The options of one item. `labelled` says whether the labels came with them."""

    each: tuple[Option, ...]
    labelled: bool

    def lines(self) -> list[str]:
        """One line an option, as the prompt shows it: `B. Pleural effusion`."""
        return [f"{o.label}. {o.words}" if o.words else o.label for o in self.each]

    @cached_property
    def _labels(self) -> dict[str, Option]:
        return {option.key: option for option in self.each}

    @cached_property
    def _words(self) -> dict[str, list[Option]]:
        found: dict[str, list[Option]] = {}
        for option in self.each:
            if option.words:
                found.setdefault(_comparable(option.words), []).append(option)
        return found

    @cached_property
    def _shapes(self) -> dict[str, list[Option]]:
        found: dict[str, list[Option]] = {}
        for option in self.each:
            found.setdefault(option.key.translate(_SHAPES), []).append(option)
        return found

    def by_label(self, label: str) -> Option | None:
        """The option with this label, however it is spelt.

        A letter of another script is that of its shape: nobody sees which of them was typed.
        """
        key = one_spelling(label).casefold().strip("() ")
        if found := self._labels.get(key):
            return found
        alike = self._shapes.get(key.translate(_SHAPES), [])
        return alike[0] if len(alike) == 1 and len(key) == 1 else None

    @cached_property
    def _short(self) -> dict[str, list[Option]]:
        """Options by what is their own, where all begin or end alike: "II" of "grade II"."""
        return short_names({option: _comparable(option.words) for option in self.each})

    @cached_property
    def _numerals(self) -> dict[str, Option]:
        """Options that differ in a numeral, by their words with another: "grade 2"."""
        return other_numerals({option: _comparable(option.words) for option in self.each})

    @cached_property
    def yes_and_no(self) -> dict[str, Option]:
        """The two options that begin with yes and with no, by that word; else nothing."""
        first = {_FIRST_WORD.split(o.words.casefold(), maxsplit=1)[0]: o for o in self.each}
        return first if first.keys() == {"yes", "no"} and len(self.each) == 2 else {}

    @cached_property
    def _truths(self) -> dict[str, list[Option]]:
        """Yes and no by "true" and "false", and these by those, where they are all there is."""
        by_word = {_comparable(option.words): option for option in self.each}
        for said, meant in ((("true", "false"), ("yes", "no")), (("yes", "no"), ("true", "false"))):
            if by_word.keys() == set(meant):
                return {a: [by_word[b]] for a, b in zip(said, meant, strict=True)}
        return {}

    @cached_property
    def _counts(self) -> dict[str, list[Option]]:
        """Options by their number, where all are numbers without a unit."""
        numbers = {_comparable(option.words or option.label): [option] for option in self.each}
        return numbers if all(map(is_number, numbers)) else {}

    @property
    def numbers(self) -> tuple[str, ...]:
        """The options' numbers in canonical form, where all are numbers without a unit."""
        return tuple(self._counts)

    @cached_property
    def _shares(self) -> dict[str, list[Option]]:
        """Shares of one by their percentage, and percentages by their share of one."""
        words = {_comparable(option.wording): [option] for option in self.each}
        other = {other_share(each): option for each, option in words.items()}
        return {each: option for each, option in other.items() if each} if all(other) else {}

    def by_words(self, words: str) -> Option | None:
        """The option whose words these are, in canonical form; None also when two have them."""
        same = _comparable(words)
        if same in self._numerals:
            return self._numerals[same]
        found = self._words.get(same) or self._short.get(same)
        found = found or self._counts.get(number_of(same), []) or self._truths.get(same, [])
        found = found or self._shares.get(same, [])
        return found[0] if len(found) == 1 else None


def _comparable(words: str) -> str:
    """Words in canonical form; whatever "none" and "all" are said to be of is the same."""
    return _OF_THESE.sub(r"\1 of these", canonical(words))


def options_of(choices: Sequence[str]) -> Options:
    """The options of a list of choices, labelled ("B) mass", "(2) mass", "B") or bare ("mass")."""
    return _read_options(tuple(choices))


@lru_cache(_KEPT)
def _read_options(choices: tuple[str, ...]) -> Options:
    parted = [_label_and_words(choice) for choice in choices]
    again = [_label_and_words(words) for _, words in parted]
    if all(words for _, words in again) and [x for x, _ in again] == [x for x, _ in parted]:
        parted = again  # lettered twice
    labels = tuple(one_spelling(label).casefold() for label, _ in parted)
    for place, order in enumerate(_ORDERS):
        # 0, 1, 2 … alone are counts, not labels.
        counted = place == _DIGITS[1] and not any(words for _, words in parted)
        if len(choices) > 1 and labels == order[: len(parted)] and not counted:
            return Options(tuple(Option(*p) for p in parted), labelled=True)
    return Options(
        tuple(Option(chr(65 + i), choice.strip()) for i, choice in enumerate(choices[:26])),
        labelled=False,
    )


def options_in(text: str) -> tuple[str, ...]:
    """The options that a question's own words list, in lines or in one line.

    Labels are A, B, C … (or a, b, c …, or 1, 2, 3 … each at the beginning of a line) without a
    gap, at least two; the longest such list is taken, the last of several.
    """
    text = text.translate(_UNCIRCLED)
    marks = [_Mark(m.start(), one_spelling(m[2]), m) for m in _LISTED.finditer(text)]
    best: list[_Mark] = []
    for place, order in enumerate(_ORDERS):
        for capital in (True, False):
            rows = [
                mark
                for mark in marks
                if mark.label.isupper() is capital and _may_open(text, mark, place)
            ]
            best = max((best, *_runs(rows, order)), key=lambda r: (len(r), r and r[0].start))
    options = tuple(_cut(text, best)) if len(best) > 1 else ()
    return options if all(_label_and_words(option)[1] for option in options) else ()


_UNCIRCLED = str.maketrans({chr(0x2460 + n): f"({n + 1})" for n in range(20)})


@dataclass(frozen=True, slots=True)
class _Mark:
    """A label that may open an option, and where."""

    start: int
    label: str
    found: re.Match[str]


def _may_open(text: str, mark: _Mark, order: int) -> bool:
    """Whether a label of this order opens an option there: a number only where it stands out."""
    if order not in (*_DIGITS, _ROMAN):
        return True
    opens = not text[: mark.start].rpartition("\n")[2].strip(" \t-*\u2022")
    return opens or mark.found[3] in ")]\uff09"


def _runs(marks: Sequence[_Mark], order: Sequence[str]) -> Iterator[list[_Mark]]:
    """Marks that follow each other in an order, each run from its first label on.

    At most two runs are followed at a time, the longest and the newest: an "A." may stand among
    an option's words.
    """
    places = {label: place for place, label in enumerate(order)}
    open_runs: list[list[_Mark]] = []
    for mark in marks:
        place = places.get(mark.label.casefold())
        if place is None:
            continue
        for run in open_runs:
            if place == len(run):
                run.append(mark)
        if place == 0:
            yield from open_runs
            kept = sorted(open_runs, key=len)[-1:]
            open_runs = [*kept, [mark]]
    yield from open_runs


def _cut(text: str, run: Sequence[_Mark]) -> Iterator[str]:
    """Each option as it stands, without what only links it to the next."""
    for mark, following in zip(run, [*run[1:], None], strict=True):
        rest = text[mark.start : following.start if following else len(text)]
        rest = rest.replace("**", "") if mark.found[0].startswith("**") else rest
        if following:
            yield _LINKS.sub("", " ".join(rest[:_LONGEST].split()))
        else:
            yield rest.strip().split("\n")[0].strip()


def _label_and_words(choice: str) -> tuple[str, str]:
    """Label and words of a choice; ("", words) when it has no label."""
    bare = choice.strip()
    if len(bare) == 1 and bare.isalnum():
        return bare, ""
    found = _LABELLED.match(one_spelling(choice)) if bare else None
    if found is None:
        return "", bare
    raw = _LABELLED.match(choice)
    label, words = found[1], (raw or found)[2]
    # What was bold from its beginning on ends with the marks of bold.
    return label, (words.replace("**", "") if choice.strip().startswith("**") else words).strip()
