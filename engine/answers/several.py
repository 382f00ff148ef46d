"""Which of several options a reply names, as a set."""

import re
from collections.abc import Sequence

from medgen.engine.answers.choice import Reading, read_choice
from medgen.engine.answers.dressing import plain_words
from medgen.engine.answers.options import Options, options_of
from medgen.engine.answers.reasoning import part_thoughts

_INTRO = re.compile(r".*?(?:answers?|options?|choices?)\s*(?:is|are|:)\s*:?\s*", re.I | re.DOTALL)
_PART = re.compile(r"\s*(?:,|;|/|&|\+|\band\b|\n)\s*", re.IGNORECASE)
_LIST = re.compile(r"[A-Za-z](?:\s*(?:,|;|/|&|\band\b)\s*[A-Za-z])+[.]?")
_LETTERS = re.compile(r"[A-Z]{2,26}")


def read_choices(text: str, choices: Sequence[str]) -> tuple[frozenset[str], str]:
    """The keys of the options that a reply names, and, where nobody can tell, why.

    Read are letters or options in a row ("A, C", "ACD", one option a line) in the first line or
    after "the answers are"; a reply that names one option in words of its own is read as one
    choice is. Anything else is unparseable.
    """
    words = plain_words(part_thoughts(text).answer)
    options = options_of(choices)
    stated = _INTRO.match(words)
    for candidate in (words, words.split("\n")[0], words[stated.end() :] if stated else ""):
        found = _row(candidate, options)
        if found:
            return found, ""
        if _LIST.fullmatch(candidate.strip()):
            return frozenset(), "names an option that is not there"
    one: Reading = read_choice(words, tuple(choices))
    if one.answer is not None:
        return frozenset({one.answer}), ""
    return frozenset(), one.reason


def _row(text: str, options: Options) -> frozenset[str]:
    """The options of a text that holds nothing else; empty when it holds more."""
    bare = text.strip().rstrip(".")
    if _LETTERS.fullmatch(bare) and len(set(bare)) == len(bare):
        lone = [options.by_label(letter) for letter in bare]
        if all(lone):
            return frozenset(option.key for option in lone if option)
    keys: set[str] = set()
    for part in _PART.split(bare):
        name = part.strip().strip("()[].\"'")
        if not name:
            continue
        lead = re.match(r"([A-Za-z0-9]{1,2})\s?[.):]\s*(.*)", name, re.DOTALL)
        option = options.by_label(name) or options.by_words(name)
        if option is None and lead:
            option = options.by_label(lead[1])
            if option and lead[2] and options.by_words(lead[2]) is not option:
                return frozenset()
        if option is None:
            return frozenset()
        keys.add(option.key)
    return frozenset(keys)
