"""The names that an option has: its label, its words, its place in the list, and those it joins."""

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from medgen.engine.answers.forms import canonical, one_spelling, with_ranges, with_units
from medgen.engine.answers.languages import COPULA_AFTER
from medgen.engine.answers.options import Option, Options
from medgen.engine.answers.phrases import LABEL, NEITHER, NOR, ORDINAL, PLACES

_JOINS = re.compile(
    r"(?:both\s|options?\s|choices?\s|statements?\s)*((?:\(?[a-z0-9]{1,4}\)?(?:,\s?|\s?&\s?|,?\sand\s))+"
    r"\(?[a-z0-9]{1,4}\)?)(?:\s(?:only|are (?:correct|right|true)))?"
)

_ALL = re.compile(
    r"(both|all|none|neither)(?: of (?:the )?(?:above|these|them|others?|options|choices|answers)"
    r"(?: (?:options|choices|answers))?| (?:are|is) (?:correct|right|true|present))?"
)
_TOGETHER = re.compile(r"\b(?:and|both|all)\b|&")
_EITHER = re.compile(r"\b(?:or|either|not|but)\b|\?")
_ARTICLE = re.compile(r"^(?:the|an?)\s", re.IGNORECASE)
_ITEM = re.compile(r"(\d{1,2})[.)]\s+(?=\D)")  # a list's number before the only item
_NONE = frozenset(("none", "neither"))
_SHORTENED = _NONE | {"both", "all"}
_COLLOQUIAL = {
    **dict.fromkeys(("yeah", "yep", "yup", "affirmative"), "yes"),
    **dict.fromkeys(("definitely", "certainly", "absolutely", "indeed", "of course"), "yes"),
    **dict.fromkeys(("it is", "it does", "there is", "there are", "i think so"), "yes"),
    **dict.fromkeys(("nope", "nah", "no way", "not really"), "no"),
    **dict.fromkeys(("not at all", "i don't think so", "i do not think so"), "no"),
    **dict.fromkeys(("definitely not", "certainly not", "absolutely not", "of course not"), "no"),
    **dict.fromkeys(("it is not", "it isn't", "it does not", "it doesn't"), "no"),
}


def own_words(option: Option) -> str:
    """An option's words as they are looked for in a reply."""
    return as_written(option).casefold()


def as_written(option: Option) -> str:
    """An option's words with its capitals, and one spelling for each sign."""
    return with_units(with_ranges(one_spelling(option.wording))).strip(" .?!,;:")


def _by_one_word(bare: str, options: Options) -> Option | None:
    """The option that one word tells: "nope", or the only one that begins with "both" or "none"."""
    word = bare.casefold()
    if found := options.yes_and_no.get(_COLLOQUIAL.get(word, word)):
        return found
    if word in _SHORTENED:
        each = [o for o in options.each if own_words(o).startswith(f"{word} ")]
        each = each or [o for o in options.each if word in _NONE and _of_all(o) in _NONE]
        return each[0] if len(each) == 1 else None
    return options.by_words(_COLLOQUIAL[word]) if word in _COLLOQUIAL else None


def letters() -> Options:
    """The options of an item that names none: the Latin letters."""
    return Options(tuple(Option(chr(65 + i), "") for i in range(26)), labelled=True)


def alone(words: str, options: Options) -> Option | None:
    """The option that these words are, with nothing beside it."""
    bare = COPULA_AFTER.sub("", words.strip().strip("()[]{}.,:;'\"*")).strip("'\"")
    if found := options.by_label(bare) or options.by_words(words) or _by_one_word(bare, options):
        return found
    if found := options.by_words(_ARTICLE.sub("", bare, count=1)):
        return found
    item = _ITEM.match(bare)
    if item and not options.by_label(item[1]):
        return alone(bare[item.end() :], options)
    parts = re.match(
        rf"{LABEL}(?:\s?[.):\]\u3001-]\s*|\s+)(?P<words>\S.*)", words.strip(), re.DOTALL
    )
    if parts is None:
        return None
    named = options.by_label(parts["label"])
    if named is None or canonical(parts["words"]) != canonical(named.words):
        return None
    return named


def named_by_place(words: str, options: Options) -> Option | None:
    """The option that a reply names by its place in the end: "the second option is correct".

    A number after "option" is a place where no option is labelled with numbers, or is one.
    """
    found = ORDINAL.match(words)
    if found is None or ORDINAL.search(words, found.end()):
        return None
    place = (found["place"] or found["count"]).casefold()
    if place.isdecimal() and (options.by_label(place) or options.by_words(place)):
        return None
    at = -1 if place == "last" else next(n for n, each in enumerate(PLACES) if place in each)
    return options.each[at] if at < len(options.each) else None


def union_of(keys: AbstractSet[str], options: Options, reply: str) -> Option | None:
    """The one option that says that just these others hold: "both A and B", "all of these".

    Args:
        keys: the options that a reply names.
        options: all of them.
        reply: in lower case; "all of these" is said only by one that joins them with an "and".
    """
    if _EITHER.search(reply):
        return None
    found = [option for option in options.each if _joins(option) == keys]
    things = _things(options)
    if not found and things <= keys and _TOGETHER.search(reply):
        word = "both" if len(things) == 2 else "all"
        found = [o for o in options.each if _of_all(o) == word and keys <= things | {o.key}]
    return found[0] if len(found) == 1 else None


def neither_of(words: str, options: Options) -> Iterator[set[str]]:
    """The option that none of the others holds, where a reply says so of all: "neither A nor B"."""
    none = [option for option in options.each if _of_all(option) in _NONE]
    for found in NEITHER.finditer(words) if len(none) == 1 else ():
        named = [alone(part, options) for part in NOR.split(found["things"])]
        if None not in named and {each.key for each in named if each} == _things(options):
            yield {none[0].key}


def without_scale(words: str, options: Options) -> str:
    """A reply in which a point of the options' scale stands alone: "4" for "4/5", "4 out of 5".

    Args:
        words: the reply, one spelling for each sign.
        options: only where all are numbers, one and more, is there a scale: up to the largest.
    """
    if len(options.numbers) < 3:
        return words
    most = max(options.numbers, key=float)
    point = "|".join(map(re.escape, options.numbers))
    scale = rf"(?<![\d.,/])({point})\s?(?:/|out of|of)\s?{re.escape(most)}(?![.,/]?\d|%)"
    return re.sub(scale, r"\1", words)


def _things(options: Options) -> frozenset[str]:
    """The keys of the options that say something of their own."""
    each = (o for o in options.each if not _joins(o) and not _of_all(o))
    return frozenset(option.key for option in each)


def _of_all(option: Option) -> str:
    """What an option says of all others: "both", "all", "none" or "neither"; else empty."""
    found = _ALL.fullmatch(own_words(option))
    return found[1] if found else ""


def _joins(option: Option) -> frozenset[str]:
    """The labels that an option's words join; empty when they say anything else."""
    words = _JOINS.fullmatch(own_words(option))
    return (
        frozenset(re.findall(r"[a-z0-9]+", words[1].replace("and", " "))) if words else frozenset()
    )
