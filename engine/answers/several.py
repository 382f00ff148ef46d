"""Which of several options a reply names, as a set."""

import re
from collections.abc import Sequence

from medgen.engine.answers.choice import Reading, read_choice, stated_options
from medgen.engine.answers.dressing import plain_words
from medgen.engine.answers.languages import ANSWER, COPULA_AFTER, END, IS
from medgen.engine.answers.negation import is_denied
from medgen.engine.answers.options import Option, Options, options_of
from medgen.engine.answers.reasoning import part_thoughts

_INTRO = re.compile(
    rf".*?(?:answers?|options?|choices?|正解|正答|答え|答案|정답|답|{ANSWER})\s*"
    rf"(?:(?:{IS}){END}|:|は|是|为|은|는)\s*:?\s*",
    re.I | re.DOTALL,
)
_PART = re.compile(
    r"\s*(?:,|;|/|&|\+|\b(?:and|und|et|и|en|och|og|ve|dan|و)\b|と|和|과|와|및|\n)\s*", re.IGNORECASE
)
_LIST = re.compile(r"[A-Za-z](?:\s*(?:,|;|/|&|\band\b)\s*[A-Za-z])+[.]?")
_LETTERS_APART = re.compile(r"[A-Z](?:\s[A-Z]){1,25}")
_OR = re.compile(
    r"(?<!\w)\(?[A-Za-z]\)?\s*(?:\b(?:or|oder|ou|или|veya)\b|或|または|또는)\s*(?:option\s)?\(?[A-Za-z]\)?(?!\w)"
)
_LEADING = re.compile(
    r"(?:both\s|options?\s|choices?\s)?(\(?[A-Za-z]\)?(?:\s*(?:,|;|/|&|\+|\u3001|\band\b)+\s*\(?[A-Za-z]\)?)+)"
    r"(?=\s*(?:[.:;]|$|-\s|because\b|since\b|are\b|as\b|but\b))",
    re.IGNORECASE,
)
_ITEM = re.compile(r"^\d{1,2}[.)]\s+")
_LETTERS = re.compile(r"[A-Z]{2,26}")


def read_choices(text: str, choices: Sequence[str]) -> tuple[frozenset[str], str]:
    """The keys of the options that a reply names, and, where nobody can tell, why.

    Read are letters or options in a row ("A, C", "ACD", one option a line) in the first line or
    after "the answers are", and all that is stated or called right ("A: correct"); a reply that
    names one option in words of its own is read as one choice is. Alternatives ("A or C") and
    anything else are unparseable.
    """
    words = plain_words(part_thoughts(text).answer)
    options = options_of(choices)
    stated = _INTRO.match(words)
    after = words[stated.end() :] if stated else ""
    first = words.split("\n")[0]
    if found := _row(words, options):
        return found, ""
    if _OR.search(words):
        return frozenset(), "names alternatives"
    if _contradicts(first, options):
        return frozenset(), "a label beside another option's words"
    said = stated_options(words, tuple(choices))
    for candidate in (first, after, _list_before_reasons(words)):
        found = _row(candidate, options)
        if found and found >= said:
            return found, ""
        if _LIST.fullmatch(candidate.strip()):
            return frozenset(), "names an option that is not there"
    return (said, "") if said else _single(words, choices)


def _single(words: str, choices: Sequence[str]) -> tuple[frozenset[str], str]:
    one: Reading = read_choice(words, tuple(choices))
    return frozenset() if one.answer is None else frozenset({one.answer}), one.reason


def _contradicts(line: str, options: Options) -> bool:
    lead = re.match(r"\s*\(?([A-Za-z0-9]{1,2})\s?[.):]\s*(.*)", line, re.DOTALL)
    label, named = (options.by_label(lead[1]), options.by_words(lead[2])) if lead else (None, None)
    return bool(label and named and label is not named)


def _list_before_reasons(words: str) -> str:
    """A list of letters that a reply begins with, before it gives its reasons; else nothing."""
    found = _LEADING.match(words)
    denied = found is not None and is_denied(words.casefold(), *found.span(1))
    return found[1] if found and not denied else ""


def _row(text: str, options: Options) -> frozenset[str]:
    """The options of a text that holds nothing else; empty when it holds more."""
    bare = text.strip().rstrip(".")
    if _LETTERS_APART.fullmatch(bare):
        bare = bare.replace(" ", "")
    if _LETTERS.fullmatch(bare) and len(set(bare)) == len(bare):
        lone = [options.by_label(letter) for letter in bare]
        if all(lone):
            return frozenset(option.key for option in lone if option)
    keys: set[str] = set()
    for part in _PART.split(COPULA_AFTER.sub("", bare)):
        name = _ITEM.sub("", part.strip()).strip("()[].\"'")
        if not name:
            continue
        option = _option_of(name, options)
        if option is None:
            return frozenset()
        keys.add(option.key)
    return frozenset(keys)


def _option_of(name: str, options: Options) -> Option | None:
    """The option that a name is: its label, its words, or both where they agree."""
    if found := options.by_label(name) or options.by_words(name):
        return found
    lead = re.match(r"([A-Za-z0-9]{1,2})\s?[.):]\s*(.*)", name, re.DOTALL)
    option = options.by_label(lead[1]) if lead else None
    contradicts = lead and lead[2] and options.by_words(lead[2]) is not option
    return None if contradicts else option
