"""Expected scores come from the probabilities of the digits, or not at all."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.cases import valid_reply

from medgen.engine.chat.messages import Token
from medgen.engine.judging.expected import expected_scores
from medgen.engine.judging.prompts import Rubric
from medgen.engine.judging.protocols import PROTOCOLS

FIVE, TEN = Rubric(PROTOCOLS["manuscript/1"]), Rubric(PROTOCOLS["table-iv/1"])


def tokens(
    text: str, odds: dict[str, float], follow: dict[str, float] | None = None
) -> list[Token]:
    """A reply, one token a character; every score's first digit has these odds."""
    made = [Token(ch, {ch: 0.0}) for ch in text]
    inside = text.rindex('"scores"')
    for at in range(inside, len(text)):
        if text[at].isdigit() and not text[at - 1].isdigit():
            made[at] = Token(text[at], {d: math.log(p) for d, p in odds.items()})
            if follow is not None:
                made[at + 1] = Token(text[at + 1], {t: math.log(p) for t, p in follow.items()})
    return made


def reply(rubric: Rubric, score: int) -> str:
    return json.dumps(valid_reply(rubric, "text", score))


def test_the_mean_is_weighted_by_probability() -> None:
    found = expected_scores(tokens(reply(FIVE, 4), {"4": 0.75, "2": 0.25}), FIVE, "text")
    assert found.keys() == {d.name for d in FIVE.protocol.dimensions_for("text")} | {
        "overall_score"
    }
    assert list(found.values()) == [pytest.approx(3.5)] * 6


def test_mass_on_what_is_no_score_is_left_out() -> None:
    odds = {"4": 0.3, "5": 0.3, "x": 0.2, "9": 0.1, " ": 0.1}
    found = expected_scores(tokens(reply(FIVE, 4), odds), FIVE, "text")
    assert found["anatomical_accuracy"] == pytest.approx(4.5)


def test_a_model_without_odds_gives_none() -> None:
    bare = [Token(ch) for ch in reply(FIVE, 4)]
    assert expected_scores(bare, FIVE, "text") == {}
    assert expected_scores([], FIVE, "text") == {}


def test_impossible_alternatives_are_left_out() -> None:
    made = tokens(reply(FIVE, 4), {"4": 1.0})
    odd = [
        Token(t.text, {**t.alternatives, "1": -math.inf}) if t.alternatives == {"4": 0.0} else t
        for t in made
    ]
    assert expected_scores(odd, FIVE, "text")["anatomical_accuracy"] == pytest.approx(4.0)


def test_a_digit_that_may_begin_two_scores_is_told_apart_or_left_out() -> None:
    ambiguous = expected_scores(tokens(reply(TEN, 7), {"7": 0.5, "1": 0.5}), TEN, "text")
    assert ambiguous == {}, "1 or 10? The reply went on with a 7 and does not say"
    told = tokens(reply(TEN, 10), {"7": 0.5, "1": 0.5}, {"0": 0.8, ",": 0.2})
    found = expected_scores(told, TEN, "text")
    assert found["anatomical_accuracy"] == pytest.approx(0.5 * 7 + 0.4 * 10 + 0.1 * 1)
    clear = expected_scores(tokens(reply(TEN, 7), {"7": 0.75, "9": 0.25}), TEN, "text")
    assert clear["overall_score"] == pytest.approx(7.5)


def test_a_reply_that_ends_behind_a_first_digit_leaves_its_score_out() -> None:
    whole = tokens(reply(TEN, 10), {"1": 1.0})
    text = "".join(t.text for t in whole)
    last = text.rindex("10")
    cut = whole[: last + 1]  # "1", and nothing behind it that could be a 0
    found = expected_scores(cut, TEN, "text")
    assert len(found) < len(TEN.protocol.dimensions_for("text"))
    assert "overall_score" not in found


def test_a_score_that_is_not_there_or_shares_its_token_is_left_out() -> None:
    names = [d.name for d in FIVE.protocol.dimensions_for("text")]
    whole = tokens(reply(FIVE, 4), {"4": 1.0})
    text = "".join(t.text for t in whole)
    colon = text.rindex(f'"{names[0]}": 4') + len(f'"{names[0]}"')
    glued = [*whole[:colon], Token(": 4", {": 4": 0.0}), *whole[colon + 3 :]]
    assert list(expected_scores(glued, FIVE, "text")) == names[1:]
    last = text.rindex(f'"{names[-1]}"') + 1
    renamed = [*whole[:last], Token("_", {"_": 0.0}), *whole[last + 1 :]]
    assert list(expected_scores(renamed, FIVE, "text")) == names[:-1]


def test_an_explanation_that_looks_like_scores_is_not_read() -> None:
    body = valid_reply(FIVE, "text", 4)
    body["analysis"] = '"scores": {"anatomical_accuracy": 1'
    found = expected_scores(tokens(json.dumps(body), {"4": 1.0}), FIVE, "text")
    assert list(found.values()) == [pytest.approx(4.0)] * 6


@given(st.lists(st.floats(1e-6, 1.0), min_size=5, max_size=5))
def test_the_mean_stays_on_the_scale(weights: list[float]) -> None:
    odds = {str(i + 1): w / sum(weights) for i, w in enumerate(weights)}
    found = expected_scores(tokens(reply(FIVE, 4), odds), FIVE, "text")
    want = sum((i + 1) * w for i, w in enumerate(weights)) / sum(weights)
    assert found["anatomical_accuracy"] == pytest.approx(want)
    assert 1.0 <= found["overall_score"] <= 5.0
