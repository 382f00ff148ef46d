"""What a reply cost is read in one way, whoever served it."""

import json
from typing import Any

import pytest

from medgen.adapters.http.endpoint import Reply
from medgen.adapters.http.limits import Prices
from medgen.adapters.models.usage import price_of_image, read_usage, spent
from medgen.engine.data import Usage


def reply(usage: Any) -> Reply:
    body = json.dumps({"usage": usage}).encode()
    return Reply(200, body, {}, seconds=1.5, cost_usd=0.25)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, Usage(7, 3)),
        ({"input_tokens": 7, "output_tokens": 3}, Usage(7, 3)),
        ({"prompt_tokens": 7}, Usage(7)),
        ({"prompt_tokens": 7, "completion_tokens": None}, Usage(7)),
        ({"prompt_tokens": 7.0, "completion_tokens": 3.0}, Usage(7, 3)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage()),
        ({"prompt_tokens": 7, "prompt_tokens_details": None}, Usage(7)),
        ({"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 7}}, Usage(7, 0, 7)),
        ({"input_tokens": 7, "input_tokens_details": {"cached_tokens": 2}}, Usage(7, 0, 2)),
        ({"prompt_tokens": 7, "input_tokens": 9}, Usage(7)),
    ],
)
def test_what_the_server_counts_is_read_in_both_spellings(usage: Any, counted: Usage) -> None:
    assert read_usage(reply(usage)) == counted


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "many",
        {"completion_tokens": 3},
        {"prompt_tokens": "7"},
        {"prompt_tokens": True},
        {"prompt_tokens": 7.5},
        {"prompt_tokens": -1},
        {"prompt_tokens": 2**40},
        {"prompt_tokens": 1e300},
        {"prompt_tokens": float("inf")},
        {"prompt_tokens": float("nan")},
        {"prompt_tokens": 7, "completion_tokens": -3},
        {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 8}},
        {"prompt_tokens": 7, "prompt_tokens_details": [1]},
    ],
)
def test_what_cannot_be_true_counts_as_nothing_said(usage: Any) -> None:
    assert read_usage(reply(usage)) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_reply_has_no_usage(body: bytes) -> None:
    assert read_usage(Reply(200, body, {})) is None


def test_a_row_says_what_was_spent_whether_tokens_are_counted_or_not() -> None:
    assert spent(reply({"prompt_tokens": 7}), "stop") == Usage(7, 0, 0, 1.5, 0.25, "stop")
    assert spent(reply(None), "length") == Usage(0, 0, 0, 1.5, 0.25, "length")


def test_tokens_that_are_paid_for_and_not_counted_cost_what_was_set_aside() -> None:
    by_token, by_image = Prices(prompt=1.0, completion=10.0), Prices(image=0.04)
    counted = reply({"input_tokens": 1_000_000, "output_tokens": 100_000})
    assert price_of_image(counted, by_token, 3.0) == (1_100_000, 2.0)
    assert price_of_image(reply(None), by_token, 3.0) == (0, 3.0)
    assert price_of_image(reply(None), by_image, 3.0) == (0, 0.04)
