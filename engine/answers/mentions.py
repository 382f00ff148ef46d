"""Where the options' own words stand in a reply."""

import re
from collections.abc import Iterator

from medgen.engine.answers.forms import without_hyphens
from medgen.engine.answers.naming import as_written, own_words
from medgen.engine.answers.options import Option, Options
from medgen.engine.answers.phrases import NEAR, PAREN, PLURAL
from medgen.engine.answers.shortened import other_numerals

_IN_NUMBER = re.compile(
    r"\d[.,/]$|[+<>=~\u00b1]\s?$|(?:minus|negative|plus|than)\s$"
)  # what stands before a part of a number

# What may be joined to a thing without making it another: "T2-weighted", "right-sided".
_IT_IS = re.compile(r"\s(?:it|there|this|that|i)\b")  # "yes it is", "no there is none"
_HOW = re.compile(r"-(?:weighted|sided|side|plane|view|type)\b")


class Mentions:
    """One reply, and the places at which the words of its options stand."""

    def __init__(self, words: str, options: Options) -> None:
        self.words = words
        self.lower = words.casefold() if len(words.casefold()) == len(words) else words.lower()
        self._options = options
        spellings = {
            own_words(o): o
            for o in options.each
            if o.wording and options.by_words(o.wording) is o  # what two options say names neither
        }
        in_digits = other_numerals({option: words for words, option in spellings.items()})
        spellings = {**in_digits, **options.yes_and_no, **spellings}
        spellings = {without_hyphens(words): o for words, o in spellings.items()}
        self._even = without_hyphens(self.lower)
        self._written = {words: as_written(o) for words, o in spellings.items()}
        self._spellings = sorted(spellings.items(), key=lambda kv: -len(kv[0]))

    def words_at(self, place: int) -> tuple[Option, int] | None:
        """The option whose words stand at a place, the longest, and where they end."""
        for words, option in self._spellings:
            if self._even.startswith(words, place):
                end = self._plural(words, place + len(words))
                if self._is_apart(place, end):
                    return option, end
        return None

    def _plural(self, words: str, end: int) -> int:
        """Where words end that may stand in the plural."""
        return end + 1 if PLURAL.search(words) and self.lower.startswith("s", end) else end

    def _is_apart(self, start: int, end: int) -> bool:
        """Whether what stands there is no part of a longer word or number."""
        first, last = self.words[start : start + 1], self.words[end - 1 : end]
        near = re.compile(NEAR)
        before = self.words[start - 1 : start] if start else ""
        after = self.words[end : end + 1]
        if near.match(first or " ") and before and (near.match(before) or before == "-"):
            return False
        if first.isdigit() and _IN_NUMBER.search(self.lower[max(0, start - 6) : start]):
            return False
        beyond = self.words[end + 1 : end + 2]
        if first.isdigit() and after and (after in "%/°" or (after in ".," and beyond.isdigit())):
            return False
        joined = after == "-" and near.match(beyond or " ") and not _HOW.match(self.lower, end)
        return not (near.match(last or " ") and after and (near.match(after) or joined))

    def ends(self, end: int) -> bool:
        """Whether a statement may end here: at a stop, a comma, a bracket or the line's end."""
        if self.lower[max(0, end - 3) : end].endswith(("yes", "no")) and _IT_IS.match(
            self.lower, end
        ):
            return True
        return bool(
            re.compile(
                r"\s*(?:[.,;:!?)\]\"'\u3002\uff0c]|$|\(|\n|-\s(?!(?:or|and|oder|und)\b)|\s-|because\b|since\b)"
            ).match(self.words, end)
        )

    def spans(self) -> list[tuple[int, int, Option]]:
        """Where options' words stand, in order; none inside a longer one."""
        taken: list[tuple[int, int, Option]] = []
        for words, option in self._spellings:
            for start, end in self._places(words) if self._tellable(words) else ():
                if not any(a <= start and end <= b for a, b, _ in taken[:200]):
                    taken.append((start, self.beyond_label(end), option))
        return sorted(taken, key=lambda span: span[0])

    def _places(self, words: str) -> Iterator[tuple[int, int]]:
        starts = (found.start() for found in re.finditer(re.escape(words), self._even))
        spans = ((a, self._plural(words, a + len(words))) for a in starts)
        # Of two letters is said what is written as the option is: "CT", not "ct".
        short = len(words) < 3 and words.isascii()
        written = self._written.get(words, "")
        return (
            (a, b)
            for a, b in spans
            if self._is_apart(a, b) and (not short or self.words[a:b] == written)
        )

    def beyond_label(self, end: int) -> int:
        """Where words end together with their label, as in "pneumothorax (A)"."""
        label = re.compile(rf"\s?{PAREN.pattern}").match(self.words, end)
        return label.end() if label and self._options.by_label(label["label"]) else end

    def _tellable(self, words: str) -> bool:
        """Whether words are long enough to mean the option wherever they stand in a sentence."""
        if words in ("yes", "no", "none", "true", "false"):
            return False
        if re.fullmatch(r"[\d.,%-]+", words):
            return len(re.findall(r"\d+(?:[.,]\d+)*", self.words)) == 1
        latin = bool(re.search(NEAR, words))
        short = len(words) == 2 and not self._written[words].islower()
        return len(words) > 2 or short if latin else len(words) > 1
