"""The options of a multiple-choice item: their labels, their words, and where they are listed.

The prompt that shows options and the reader that finds one in a reply take their labels from
here. Options that come with labels keep them; others get capital letters in their order.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from medgen.engine.answers.forms import canonical, one_spelling

# What labels can be, in order. The Latin letters come last, since a lone "I" is one of both.
_ORDERS = (
    ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"),
    tuple(str(n) for n in range(1, 27)),
    tuple("\u0623\u0628\u062c\u062f\u0647\u0648"),  # Arabic, as options are lettered
    tuple("\u0627\u0628\u062c\u062f\u0647\u0648"),
    tuple("\u05d0\u05d1\u05d2\u05d3\u05d4\u05d5"),  # Hebrew
    tuple("\u0430\u0431\u0432\u0433\u0434\u0435"),  # Cyrillic
    tuple("\u03b1\u03b2\u03b3\u03b4\u03b5"),  # Greek
    tuple("\u7532\u4e59\u4e19\u4e01\u620a"),  # the heavenly stems
    tuple("abcdefghijklmnopqrstuvwxyz"),
)
_LABELLED = re.compile(r"\s*[(\[]?([^\W_]{1,4})(?:\s?[.):\]\u3001]|\s-)(?:\s*)(.*)", re.DOTALL)
_LISTED = re.compile(r"(?<![\w.])[(\[]?([A-Z]|[a-z]|\d{1,2})[.):\]\u3001](?=\s?[^\s.)])")
_LONGEST = 400  # characters of an option that stands in the middle of a line
_LINKS = re.compile(r"(?:[\s,;/|]|(?<![^\W_])(?:or|and)(?=\s*$))+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its label ("B") and its words ("Pleural effusion"), which may be empty."""

    label: str
    words: str

    @property
    def key(self) -> str:
        """The label in the form in which labels are compared."""
        return one_spelling(self.label).casefold()


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
                found.setdefault(canonical(option.words), []).append(option)
        return found

    def by_label(self, label: str) -> Option | None:
        """The option with this label, however it is spelt."""
        return self._labels.get(one_spelling(label).casefold())

    def by_words(self, words: str) -> Option | None:
        """The option whose words these are, in canonical form; None also when two have them."""
        found = self._words.get(canonical(words), [])
        return found[0] if len(found) == 1 else None


def options_of(choices: Sequence[str]) -> Options:
    """The options of a list of choices, labelled ("B) mass", "(2) mass", "B") or bare ("mass")."""
    parted = [_label_and_words(choice) for choice in choices]
    for order in _ORDERS:
        if len(choices) > 1 and tuple(p[0].casefold() for p in parted) == order[: len(parted)]:
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
    marks = [(m.start(), m.end(), m[1]) for m in _LISTED.finditer(text)]
    best: list[tuple[int, int, str]] = []
    for kind in range(3):
        rows = [m for m in marks if _kind(m[2]) == kind and (kind < 2 or _opens_line(text, m[0]))]
        best = max((best, *_runs(rows)), key=lambda run: (len(run), run and run[0][0]))
    options = tuple(_cut(text, best)) if len(best) > 1 else ()
    return options if all(_label_and_words(option)[1] for option in options) else ()


def _opens_line(text: str, place: int) -> bool:
    return not text[:place].rpartition("\n")[2].strip()


def _kind(label: str) -> int:
    return 0 if label.isupper() else 1 if label.isalpha() else 2


def _runs(marks: Sequence[tuple[int, int, str]]) -> Iterator[list[tuple[int, int, str]]]:
    """Marks that follow each other in the alphabet, each run from its first letter on.

    At most two runs are followed at a time, the longest and the newest: an "A." may stand among
    an option's words.
    """
    open_runs: list[list[tuple[int, int, str]]] = []
    for mark in marks:
        for run in open_runs:
            if _place(mark[2]) == len(run):
                run.append(mark)
        if _place(mark[2]) == 0:
            yield from open_runs
            kept = sorted(open_runs, key=len)[-1:]
            open_runs = [*kept, [mark]]
    yield from open_runs


def _place(label: str) -> int:
    return int(label) - 1 if label.isdigit() else ord(label.casefold()) - 97


def _cut(text: str, run: Sequence[tuple[int, int, str]]) -> Iterator[str]:
    """Each option as it stands, without what only links it to the next."""
    for (start, _, _), following in zip(run, [*run[1:], None], strict=True):
        rest = text[start : following[0] if following else len(text)]
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
    return found[1], (raw or found)[2].strip()
