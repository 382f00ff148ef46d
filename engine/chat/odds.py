"""The probability of every option, from what else was probable where a reply names one.

Options are told apart by their labels. The reply's own answer must begin with a token that is the
label of the option that was read; what else was probable there says how likely the others were.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from medgen.engine.answers.choice import read_choice
from medgen.engine.answers.options import options_of
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.chat.messages import ChatReply, Token
from medgen.engine.data import Prediction, Sample

LEAST_MASS = 0.5  # of the options together; below it, something else was more probable
_MARKS = re.compile(r"[\s(\[*.):\],]+")
_KEY = "options"


def option_odds(sample: Sample, reply: ChatReply) -> dict[str, Any]:
    """What a prediction keeps of the options' probabilities; empty where they cannot be told.

    `options` are the probabilities in the order of the options, together 1; `options_mass` is what
    they were together before. An option that is not among the alternatives has 0.
    """
    if not reply.tokens or sample.asks not in ("choice", "preference") or not sample.choices:
        return {}
    words = part_thoughts(reply.text).answer
    begin = reply.text.rfind(words)
    chosen = read_choice(words, sample.choices).answer if begin >= 0 else None
    labels = [_bare(option.label) for option in options_of(sample.choices).each]
    keys = [option.key for option in options_of(sample.choices).each]
    if chosen is None or "" in labels or len(set(labels)) < len(labels):
        return {}
    token = _first_named(reply.tokens, begin, labels)
    if token is None or _bare(token.text) != labels[keys.index(chosen)]:
        return {}
    masses = [_mass(token, label) for label in labels]
    whole = math.fsum(masses)
    if not LEAST_MASS <= whole <= 1 + 1e-6:
        return {}
    return {_KEY: [mass / whole for mass in masses], f"{_KEY}_mass": min(whole, 1.0)}


def stored_odds(prediction: Prediction) -> list[float] | None:
    """The probabilities that a prediction keeps, one an option; None where it has none."""
    found = prediction.details.get(_KEY)
    return [float(value) for value in found] if isinstance(found, list) and found else None


def _first_named(tokens: Sequence[Token], begin: int, labels: Sequence[str]) -> Token | None:
    """The first token from a place on that is a label, before any word that is none."""
    at = 0
    for token in tokens:
        at += len(token.text)
        if at <= begin or not _bare(token.text):
            continue
        return token if _bare(token.text) in labels else None
    return None


def _mass(token: Token, label: str) -> float:
    found: Mapping[str, float] = token.alternatives
    return math.fsum(math.exp(p) for text, p in found.items() if _bare(text) == label)


def _bare(text: str) -> str:
    return _MARKS.sub("", text)  # in its case: "a" may be the article
