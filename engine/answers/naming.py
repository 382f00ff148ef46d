"""The names that an option has: its label, its words, its place in the list, and those it joins."""

import re
from collections.abc import Set as AbstractSet

from medgen.engine.answers.forms import canonical, one_spelling, with_ranges
from medgen.engine.answers.languages import COPULA_AFTER
from medgen.engine.answers.options import Option, Options
from medgen.engine.answers.phrases import LABEL, ORDINAL, PLACES

_JOINS = re.compile(
    r"(?:both\s|options?\s|choices?\s|statements?\s)*((?:\(?[a-z0-9]{1,4}\)?(?:,\s?|\s?&\s?|,?\sand\s))+"
    r"\(?[a-z0-9]{1,4}\)?)(?:\s(?:only|are (?:correct|right|true)))?"
)

_ARTICLE = re.compile(r"^(?:the|an?)\s", re.IGNORECASE)
_ITEM = re.compile(r"(\d{1,2})[.)]\s+(?=\D)")  # a list's number before the only item
_SHORTENED = frozenset(("both", "all", "none", "neither"))
_COLLOQUIAL = {"yeah": "yes", "yep": "yes", "yup": "yes", "nope": "no", "nah": "no", "no way": "no"}


def own_words(option: Option) -> str:
    """An option's words as they are looked for in a reply."""
    return with_ranges(one_spelling(option.words)).casefold().strip(" .?!,;:")


def _by_one_word(bare: str, options: Options) -> Option | None:
    """The option that one word tells: "nope", or the only one that begins with "both" or "none"."""
    word = bare.casefold()
    if found := options.yes_and_no.get(_COLLOQUIAL.get(word, word)):
        return found
    if word in _SHORTENED:
        each = [o for o in options.each if own_words(o).startswith(f"{word} ")]
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
    """The option that a whole reply names by its place: "the second option"."""
    found = ORDINAL.fullmatch(words.strip())
    if found is None:
        return None
    place = found["place"].casefold()
    at = -1 if place == "last" else PLACES.index(place) if place in PLACES else int(place[0]) - 1
    return options.each[at] if at < len(options.each) else None


def union_of(keys: AbstractSet[str], options: Options) -> Option | None:
    """The one option whose words are that just these others hold: "both A and B"."""
    found = [option for option in options.each if _joins(option) == keys]
    return found[0] if len(found) == 1 else None


def _joins(option: Option) -> frozenset[str]:
    """The labels that an option's words join; empty when they say anything else."""
    words = _JOINS.fullmatch(own_words(option))
    return (
        frozenset(re.findall(r"[a-z0-9]+", words[1].replace("and", " "))) if words else frozenset()
    )
