"""Expected scores: the mean over the scale, weighted by the model's probabilities of the digits.

Source of the method: G-Eval (arXiv 2303.16634). It tells apart what whole numbers tie.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence

from medgen.engine.chat.messages import Token
from medgen.engine.data import Form
from medgen.engine.judging.prompts import Rubric
from medgen.engine.judging.replies import with_overall

_SCORES = re.compile(r'"scores"\s*:\s*\{')
# Mass that may hide behind a digit which could begin two different scores (1 and 10).
_AMBIGUOUS = 1e-3


def expected_scores(tokens: Sequence[Token], rubric: Rubric, form: Form) -> dict[str, float]:
    """Expected score by dimension, on the protocol's scale; what cannot be told is left out.

    The tokens must be the whole reply. A dimension is left out when its number does not begin with
    a token of its own, when no alternative is a score, or when a first digit could mean two
    scores and the reply does not show how its probability divides.
    """
    text = "".join(t.text for t in tokens)
    openings = list(_SCORES.finditer(text))
    if not openings:
        return {}
    opening = openings[-1]  # scores come last
    starts = dict(_starts(tokens))
    found: dict[str, float] = {}
    for dimension in rubric.protocol.dimensions_for(form):
        key = re.compile(rf"{re.escape(json.dumps(dimension.name))}\s*:\s*")
        match = key.search(text, opening.end())
        if match is None or match.end() not in starts:
            continue
        labels = range(rubric.protocol.low, rubric.protocol.high + 1)
        mean = _mean(tokens, starts[match.end()], [str(n) for n in labels])
        if mean is not None:
            found[dimension.name] = mean
    whole = len(found) == len(rubric.protocol.dimensions_for(form))
    return with_overall(found, rubric) if whole else found


def _starts(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Character offset at which each token begins, leading white space left out."""
    at = 0
    for index, token in enumerate(tokens):
        yield at + len(token.text) - len(token.text.lstrip()), index
        at += len(token.text)


def _mean(tokens: Sequence[Token], index: int, labels: Sequence[str]) -> float | None:
    mass = _masses(tokens[index].alternatives)
    weights = {label: mass.get(label, 0.0) for label in labels}
    longer = {n for n in labels if any(m != n and m.startswith(n) for m in labels)}
    for label in longer:
        if weights[label] <= _AMBIGUOUS * (sum(weights.values()) or 1.0):
            continue
        if tokens[index].text.strip() != label or index + 1 == len(tokens):
            return None
        _divide(weights, label, _masses(tokens[index + 1].alternatives), labels)
    total = sum(weights.values())
    if total <= 0.0:
        return None
    return math.fsum(int(n) * w for n, w in weights.items()) / total


def _divide(
    weights: dict[str, float], label: str, after: Mapping[str, float], labels: Sequence[str]
) -> None:
    """Share the mass of a first digit among the scores that begin with it."""
    whole, total = weights[label], sum(after.values()) or 1.0
    for other in labels:
        rest = other.removeprefix(label)
        if other != label and other.startswith(label) and rest:
            share = whole * after.get(rest, 0.0) / total
            weights[other] += share
            weights[label] -= share


def _masses(alternatives: Mapping[str, float]) -> dict[str, float]:
    """Probabilities by stripped token text; what has none is left out."""
    found: dict[str, float] = {}
    for text, logprob in alternatives.items():
        if math.isfinite(logprob):
            found[text.strip()] = found.get(text.strip(), 0.0) + math.exp(logprob)
    return found
