"""Which option a reply chose.

The stated answer wins. Stated is: what the reply begins with (a label and a mark, or an option's
words and a mark), what follows "the answer is" in the languages that benchmarks come in, a line or
a last sentence that is an option and nothing else. Only where nothing is stated, weaker words
("I think it is"), and then the one option whose words occur and are not denied, are taken. Two
different stated answers are no answer; a letter that belongs to a word or a name is none either.
"""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial

from medgen.engine.answers.dressing import plain_words
from medgen.engine.answers.forms import with_ranges, with_units
from medgen.engine.answers.mentions import Mentions
from medgen.engine.answers.naming import (
    alone,
    letters,
    named_by_place,
    neither_of,
    own_words,
    union_of,
    without_scale,
)
from medgen.engine.answers.negation import is_denied
from medgen.engine.answers.options import Option, Options, options_of
from medgen.engine.answers.phrases import (
    ABBREVIATED,
    AFFIRMED,
    ALL_BUT,
    AND_ANOTHER,
    ANOTHER,
    ANSWER_IS,
    ARTICLE,
    CALLED_RIGHT,
    CLAUSE,
    CORRECTED,
    DENIAL,
    INSTEAD,
    INTRO,
    IS_ANSWER,
    IS_ANSWER_HAN,
    IT_IS,
    JOINED,
    LABEL,
    LEAD,
    LINK,
    LISTED,
    MARKED,
    NAMED,
    NO_STATEMENT,
    NOT_THIS,
    ONLY_ANSWER,
    PAREN,
    PERHAPS,
    REASON,
    WEAKLY,
    YES,
    is_part_of_a_name,
)
from medgen.engine.answers.supposed import is_supposed

_BRACKET = re.compile(r"\s?[(\[]\s?([^()\[\]\n]{1,120})[)\]]")
_LONGEST = 20_000  # characters of a reply that are read, from its beginning and from its end


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: the answer in the form in which answers are compared, or None and why."""

    answer: str | None
    reason: str = ""


def read_choice(text: str, choices: tuple[str, ...]) -> Reading:
    """The option that a reply chose, as its key (its label in lower case).

    Args:
        text: the reply, without its thoughts.
        choices: the options as the benchmark has them; empty when it names none: then only a
            stated Latin letter is an answer.
    """
    words = with_units(with_ranges(plain_words(text)))
    if not words:
        return Reading(None, "empty")
    if len(words) > 2 * _LONGEST:
        words = f"{words[:_LONGEST]}\n{words[-_LONGEST:]}"
    options = options_of(choices) if choices else letters()
    words = without_scale(words, options)
    if placed := named_by_place(words, options):
        return Reading(placed.key)
    return _Finder(words, options).reading()


def stated_options(text: str, choices: tuple[str, ...]) -> frozenset[str]:
    """The keys of all options that a reply states, where several may be; empty when it states none.

    Of lines that begin with options those count that are called right, else those that stand alone.
    """
    finder = _Finder(plain_words(text)[:_LONGEST], options_of(choices))
    leads = list(finder.leads())
    right = frozenset(key for keys in finder.called_right() for key in keys)
    for chosen in ([x for x in leads if x.affirmed], [x for x in leads if x.whole]):
        if chosen:
            return right.union(*(lead.keys for lead in chosen))
    return frozenset(key for keys in finder.statements() for key in keys)


def states_answer(text: str, choices: tuple[str, ...]) -> bool:
    """Whether a reply begins with an option, or says "the answer is" one."""
    finder = _Finder(plain_words(text)[:_LONGEST], options_of(choices))
    return finder.introduces() or any(len(lead.keys) == 1 for lead in finder.leads())


def read_reference(reference: str, choices: tuple[str, ...]) -> Reading:
    """The option that a benchmark's own answer names: its words, its label, or both.

    Words come before labels where the options came without labels.
    """
    words = INTRO.sub("", plain_words(reference), count=1)
    if not choices:
        letter = alone(words, letters())
        return Reading(letter.key) if letter else Reading(None, "no options and no letter")
    options = options_of(choices)
    named = None if options.labelled else options.by_words(words)
    found = named or alone(words, options)
    return Reading(found.key) if found else Reading(None, "it is none of the options")


@dataclass(frozen=True, slots=True)
class _Lead:
    """What a line begins with: options, whether one is the whole line, or is called right."""

    keys: frozenset[str]
    whole: bool
    affirmed: bool


class _Finder:
    """One reply and the options it may name."""

    def __init__(self, words: str, options: Options) -> None:
        self._words = words
        self._options = options
        self._mentions = Mentions(words, options)
        self._lower = self._mentions.lower

    def reading(self) -> Reading:
        neither = partial(neither_of, self._words, self._options)
        for tier in (self.statements, self._weakly, neither, self._by_mention):
            found = list(tier())
            keys = {key for keys in found for key in keys}
            if len(keys) == 1:
                return Reading(keys.pop())
            if keys:
                both = union_of(keys, self._options, self._lower)
                return Reading(both.key) if both else Reading(None, "ambiguous")
        return Reading(None, "no_option_detected")

    # Strong statements -------------------------------------------------------------------------

    def statements(self) -> Iterator[AbstractSet[str]]:
        yield from self._lines()
        yield from self._introductions()
        for again in CORRECTED.finditer(self._words):
            yield self._object(again.end(), strict=False, floor=again.end())
        for line in NOT_THIS.finditer(self._words):
            yield self._object(line.end(), strict=True, floor=line.end())
        yield from self.called_right()

    def called_right(self) -> Iterator[AbstractSet[str]]:
        """Options that are called right, wherever that stands: "B is correct", "all but B are"."""
        for pattern in (IS_ANSWER, IS_ANSWER_HAN, ONLY_ANSWER, CALLED_RIGHT, ALL_BUT, IT_IS):
            for found in pattern.finditer(self._words):
                option = self._options.by_label(found["label"])
                before = self._lower[max(0, found.start() - 40) : found.start()]
                if (
                    option
                    and found["label"] not in "ai"
                    and not NO_STATEMENT.search(before)
                    and not is_denied(self._lower, *found.span(), found.start())
                    and not is_supposed(self._lower, *found.span())
                ):
                    yield {option.key} | self._partner(found.start())

    def _introductions(self) -> Iterator[AbstractSet[str]]:
        """What follows "the answer is"; "the wrong answer is B", "if it is B" state nothing."""
        for intro in ANSWER_IS.finditer(self._words):
            before = self._lower[max(0, intro.start() - 40) : intro.start()]
            if not NO_STATEMENT.search(before) and not is_supposed(self._lower, *intro.span()):
                keys = self._object(intro.end(), strict=True, floor=intro.end())
                if not 2 < len(keys) == len(self._options.each):  # "the options are A, B and C"
                    yield keys

    def introduces(self) -> bool:
        """Whether an option follows "the answer is"."""
        return any(self._introductions())

    def _partner(self, start: int) -> set[str]:
        """The option that an "and" or "or" before a place joins to what stands there."""
        first = JOINED.search(self._words[max(0, start - 20) : start])
        option = self._options.by_label(first["label"]) if first else None
        return {option.key} if option else set()

    def _lines(self) -> Iterator[AbstractSet[str]]:
        """Lines that begin with, or are, an option; several that do so are a list of options."""
        leads = list(self.leads())
        last = self._last_sentence()
        named = {key for lead in leads for key in lead.keys}
        if len(leads) > 1 and len(named) > 1:
            yield from self._of_list(leads, last)
            return
        yield from (lead.keys for lead in leads)
        if last and not (leads and leads[-1].whole):
            yield {last.key}

    def leads(self) -> Iterator["_Lead"]:
        """The options that lines begin with."""
        first = True
        place = 0
        for line in self._words.split("\n"):
            start, end = place, place + len(line)
            place = end + 1
            if not line.strip():
                continue
            whole = alone(line, self._options)
            led = {whole.key} if whole else self._lead(start, end)
            if led and (whole or first or self._begins_with_label(start, end)):
                yield _Lead(frozenset(led), whole is not None, self._affirms(start, end, led))
            first = False

    def _affirms(self, start: int, end: int, keys: set[str]) -> bool:
        """Whether a line calls the option right that it begins with."""
        line = self._words[start:end]
        found = LEAD.match(line)
        if len(keys) != 1 or found is None:
            return False
        rest = line[found.end() :].lstrip(" .):]")
        option = self._options.by_label(found["label"])
        own = own_words(option) if option else ""
        if own and rest.casefold().startswith(own):
            rest = rest[len(own) :]
        closed = not own.startswith("yes") and YES.match(rest)
        return bool(closed or AFFIRMED.match(rest) or AFFIRMED.match(line[found.end() :]))

    def _of_list(self, leads: Sequence["_Lead"], last: Option | None) -> Iterator[frozenset[str]]:
        """What a list or a discussion of the options states.

        The one that is called right; else the one that stands alone in its line where the others
        do not, before the discussion or after it.
        """
        affirmed = {lead.keys for lead in leads if lead.affirmed}
        if len(affirmed) == 1:
            yield from affirmed
            return
        whole = [lead.whole for lead in leads]
        quoted = [frozenset({option.key}) for option in self._options.each]
        keys = [lead.keys for lead in leads]
        if len(leads) == len(quoted) + 1 and quoted in (keys[1:], keys[:-1]):
            yield keys[0] if keys[1:] == quoted else keys[-1]  # beside the list as it was asked
        elif whole[-1] and not whole[-2]:
            yield leads[-1].keys
        elif whole[0] and not any(whole[1:]):
            yield leads[0].keys
        elif last and not whole[-1]:
            yield frozenset({last.key})

    def _begins_with_label(self, start: int, end: int) -> bool:
        """Whether a line begins with a label, so that several such lines may be a list."""
        found = re.match(
            rf"\s*(?:option|choice)?\s?{LABEL}\s?[.):\]\u3001-]",
            self._words[start:end],
            re.IGNORECASE,
        )
        return bool(found and self._options.by_label(found["label"]))

    def _last_sentence(self) -> Option | None:
        words = self._words.strip()
        last = re.split(r"(?<=[.!?;])\s+|\n+|(?<=[\u3002\uff01])", words)[-1]
        before = words[: len(words) - len(last)]
        found = alone(last, self._options)
        # "(not A. Pneumothorax)": the sentence begins before its label.
        label = re.search(r"[\s(]([A-Za-z])\.\s*$", before)
        inside = label and found and self._options.by_label(label[1]) is found
        return None if not before or inside or ABBREVIATED.search(before) else found

    def _lead(self, start: int, end: int) -> set[str]:
        """The options that a line begins with: a label and a mark, or words and a mark."""
        line = self._words[start:end]
        begin = start + len(line) - len(line.lstrip(" \t'\"(["))
        found = LEAD.match(line)
        option = self._options.by_label(found["label"]) if found else None
        named = self._mentions.words_at(begin)
        if (
            named
            and self._mentions.ends(named[1])
            and not (option and found and named[1] <= start + found.end())
        ):
            taken_back = is_denied(self._lower, begin, self._mentions.beyond_label(named[1]), begin)
            if taken_back:
                return set()
            aside = self._aside(named[1], named[0])
            return {named[0].key} | self._and_others(named[1]) | aside
        if found is None or option is None:
            return set()
        return self._at_label(start + found.end(), start + found.start("label"), option)

    def _at_label(self, end: int, start: int, option: Option, floor: int = 0) -> set[str]:
        """What a label says that stands at `start` and ends at `end`; empty when it is no label."""
        rest = self._words[end : end + 300]
        others, ended = self._chain(end)
        if others - {option.key}:
            taken_back = is_denied(self._lower, start, ended, floor)
            return set() if taken_back else {option.key, *others}
        if is_denied(self._lower, start, end, floor):
            return set()
        if aside := self._aside(end, option):
            return aside
        own = own_words(option)
        marked = MARKED.match(rest)
        after = rest[marked.end() :].lstrip() if marked else rest.lstrip()
        inner = after.lstrip("(")
        if own and inner.casefold().startswith(own):
            ended = end + len(rest) - len(inner) + len(own)
            if is_denied(self._lower, start, ended, start):
                return set()
            return {option.key} | self._and_so_on(ended)
        closed = self._words[end - 1] in ")]"
        if not (marked or closed or REASON.match(rest)):
            return set()
        if is_part_of_a_name(rest) or (
            marked
            and marked[0].startswith(",")
            and option.key in "ia"
            and self._words[start : start + 1] == "I"
        ):
            return set()
        other = self._contradiction(after, option)
        return {option.key, other.key} if other else {option.key}

    def _chain(self, end: int) -> tuple[set[str], int]:
        """The options joined to a label that ends at a place ("A, B or C"), and where they end."""
        keys: set[str] = set()
        while another := ANOTHER.match(self._words, end):
            option = self._options.by_label(another["label"])
            if option is None or len(keys) > len(self._options.each):
                break
            keys.add(option.key)
            end = another.end()
        return keys, end

    def _aside(self, end: int, option: Option) -> set[str]:
        """What a bracket right behind an option names, when that is another: "C (mass)"."""
        bracket = _BRACKET.match(self._words, end)
        other = bracket and (
            self._options.by_label(bracket[1]) or self._options.by_words(bracket[1])
        )
        return {option.key, other.key} if other and other is not option else set()

    def _and_so_on(self, end: int) -> set[str]:
        """The options of a list in one line that goes on there: "A. cyst, B. mass and C. stone"."""
        keys: set[str] = set()
        for _ in self._options.each:
            listed = LISTED.match(self._words, end)
            option = self._options.by_label(listed["label"]) if listed else None
            own = own_words(option) if option else ""
            if not (listed and option and own and self._lower.startswith(own, listed.end())):
                break
            keys.add(option.key)
            end = listed.end() + len(own)
        return keys

    def _contradiction(self, after: str, option: Option) -> Option | None:
        """Another option whose words alone follow the label: "B. Pneumothorax"."""
        sentence = re.split(r"[.;\n]", after, maxsplit=1)[0]
        other = self._options.by_words(sentence) if sentence.strip() else None
        return other if other is not option else None

    # What follows an introduction --------------------------------------------------------------

    def _object(self, place: int, strict: bool, floor: int) -> set[str]:
        """The option that a statement names right after its introduction.

        What stands before `floor` denies nothing of it.
        """
        rest = self._words[place : place + 300]
        direct = self._mentions.words_at(place + len(rest) - len(rest.lstrip(" \"'(")))
        if direct and re.match(rf"\W*(?:both|either)\b|\W*{DENIAL.pattern}", rest, re.IGNORECASE):
            return {direct[0].key} | self._second_words(direct[1])
        if denial := DENIAL.match(rest):
            clause = re.split(r"[.;\n]", rest[denial.end() :], maxsplit=1)[0]
            turn = INSTEAD.search(clause)
            if turn is None:
                return set()
            turned = place + denial.end() + turn.end()
            if DENIAL.match(self._words, turned) and not self._mentions.words_at(turned):
                return set()  # one turn and no more
            return self._object(turned, strict, turned)
        skipped = re.match(
            r"\s*(?:both|either)?\s*[\"'(\[<]*(?:option|choice|letter)?\s*", rest, re.IGNORECASE
        )
        begin = place + (skipped.end() if skipped else 0)
        article = ARTICLE.match(self._words, begin)
        named = self._mentions.words_at(begin) or (
            self._mentions.words_at(article.end()) if article else None
        )
        label = re.compile(LABEL).match(self._words, begin)
        option = self._options.by_label(label["label"]) if label else None
        longer = label and named and named[1] > label.end()
        if label and option and not longer:
            keys = self._at_label_of_statement(label, option, strict, floor)
            if keys or not named:
                return keys
        if named and not is_denied(self._lower, begin, named[1], floor):
            aside = self._aside(named[1], named[0])
            return {named[0].key} | self._second_words(named[1]) | aside
        return set() if named else self._in_other_words(article.end() if article else begin)

    def _in_other_words(self, begin: int) -> set[str]:
        """The option that the rest of a clause is in canonical form: "2,5cm", "II" of grades."""
        clause = CLAUSE.match(self._words, begin)
        option = self._options.by_words(clause[0]) if clause else None
        return {option.key} if option else set()

    def _at_label_of_statement(
        self, label: re.Match[str], option: Option, strict: bool, floor: int
    ) -> set[str]:
        keys = self._at_label(label.end(), label.start("label"), option, floor)
        if keys or not strict or is_denied(self._lower, *label.span(), floor):
            return keys
        rest = self._words[label.end() : label.end() + 60]
        written = label["label"]
        # A capital that is no article may go straight on: "the answer is B as the ...".
        lone = written not in ("a", "A", "I", "i") and (written.isupper() or not written.isascii())
        latin = re.match(r"\s+[A-Za-z0-9]", rest)
        goes_on = re.match(r"\s+(?:is|which|with|for|in|on|as|given|that|and|but|,)\b", rest)
        # No article and no pronoun is followed by a word that goes on like that.
        if (lone and (not latin or goes_on)) or (written in ("A", "I") and goes_on):
            return {option.key}
        return set()

    def _and_others(self, place: int) -> set[str]:
        """The options in "yes, but no" or "cyst, likely mass, stone", up to its end."""
        keys: set[str] = set()
        for _ in self._options.each:
            link = AND_ANOTHER.match(self._words, place)
            other = self._mentions.words_at(link.end()) if link else None
            if other is None:
                break
            place = other[1]
            keys.add(other[0].key)
        return keys if self._mentions.ends(place) else set()

    def _second_words(self, place: int) -> set[str]:
        """The option in "pneumothorax or effusion", right after the first."""
        link = re.compile(r"\s?(?:,|/|or|and|,\s?or)\s+(?:an?\s|the\s)?", re.IGNORECASE).match(
            self._words, place
        )
        second = self._mentions.words_at(link.end()) if link else None
        return {second[0].key} if second else set()

    # Weaker words ------------------------------------------------------------------------------

    def _weakly(self) -> Iterator[set[str]]:
        for intro in WEAKLY.finditer(self._words):
            if is_supposed(self._lower, *intro.span()):
                continue
            free = PERHAPS.match(intro[0]) and self._lower[: intro.start()].rstrip()[-1:] in ",;."
            strict = not intro[0].isascii()  # no article there that could be taken for a letter
            yield self._object(intro.end(), strict, intro.end() if free else 0)

    def _by_mention(self) -> Iterator[set[str]]:
        for found in (f for pattern in (NAMED, PAREN) for f in pattern.finditer(self._words)):
            option = self._options.by_label(found["label"])
            if option is None:
                continue
            others, end = self._chain(found.end())
            asked = NO_STATEMENT.search(self._lower[max(0, found.start() - 40) : found.start()])
            if not asked and not self._taken_back(found.start(), end):
                yield {option.key, *others}
        # A denial after a list governs all of it: "a cyst and a mass are both absent".
        denied, before = False, len(self._lower)
        for start, end, option in reversed(self._mentions.spans()):
            linked = LINK.fullmatch(self._lower, end, before) is not None
            denied = (denied and linked) or self._taken_back(start, end)
            before = start
            if not denied:
                yield {option.key}

    def _taken_back(self, start: int, end: int) -> bool:
        """Whether what is named there is denied or supposed only."""
        return is_denied(self._lower, start, end) or is_supposed(self._lower, start, end)
