"""What a reply cost is read in one way, whoever served it."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen.adapters.http.endpoint import Failure, Reply
from medgen.adapters.http.limits import Prices
from medgen.adapters.models.usage import price, read_usage, spent
from medgen.engine.data import Usage

P, C, T = "prompt_tokens", "completion_tokens", "total_tokens"


def reply(usage: Any) -> Reply:
    body = json.dumps({"usage": usage}).encode()
    return Reply(200, body, {}, seconds=1.5, cost_usd=0.25)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({P: 7, C: 3}, Usage(7, 3)),
        ({"input_tokens": 7, "output_tokens": 3}, Usage(7, 3)),
        ({"promptTokenCount": 7, "candidatesTokenCount": 3}, Usage(7, 3)),
        ({"inputTokens": 7, "outputTokens": 3}, Usage(7, 3)),
        ({P: 7.0, C: 3.0}, Usage(7, 3)),
        ({P: "7", C: " 3 "}, Usage(7, 3)),
        ({P: 7, C: 0}, Usage(7)),
        ({P: 7, C: 3, "prompt_tokens_details": None}, Usage(7, 3)),
        # Names that contradict each other: the larger one.
        ({P: 0, "input_tokens": 9, C: 3}, Usage(9, 3)),
        ({P: 7, "input_tokens": 9, C: 3}, Usage(9, 3)),
        # Thoughts beside the completion, by the total or by a count of their own.
        ({P: 20, C: 198, T: 623}, Usage(20, 603)),
        ({P: 20, C: 198, T: 218}, Usage(20, 198)),
        ({P: 20, C: 198, T: 5}, Usage(20, 198)),
        ({P: 20, T: 25}, Usage(20, 5)),
        ({"output_tokens": 20, T: 25}, Usage(5, 20)),
        (
            {
                P: 20,
                C: 9,
                "completion_tokens_details": {"reasoning_tokens": 400},
            },
            Usage(20, 409),
        ),
        (
            {
                P: 20,
                C: 400,
                "completion_tokens_details": {"reasoning_tokens": 390},
            },
            Usage(20, 400),
        ),
        (
            {"promptTokenCount": 20, "outputTokenCount": 9, "thoughtsTokenCount": 400},
            Usage(20, 409),
        ),
        # Cached tokens, within the prompt and beside it.
        (
            {
                P: 7,
                C: 3,
                "prompt_tokens_details": {"cached_tokens": 7},
            },
            Usage(7, 3, 7),
        ),
        (
            {"input_tokens": 7, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 2}},
            Usage(7, 3, 2),
        ),
        (
            {P: 7, C: 3, "prompt_cache_hit_tokens": 5},
            Usage(7, 3, 5),
        ),
        ({"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": 90}, Usage(97, 3, 90)),
        (
            {
                P: 97,
                C: 3,
                T: 100,
                "cache_read_input_tokens": 90,
            },
            Usage(97, 3, 90),
        ),
        (
            {P: 10, C: 3, "cached_tokens": 9000},
            Usage(9010, 3, 9000),
        ),
        (
            {
                P: 10,
                C: 3,
                T: 13,
                "cached_tokens": 9000,
            },
            Usage(10, 3, 0),
        ),
        # Deep inside.
        ({"tokens": {"input_tokens": 7, "output_tokens": 3}}, Usage(7, 3)),
        (
            {
                "billed_units": {"input_tokens": 5, "output_tokens": 3},
                "tokens": {"input_tokens": 7},
            },
            Usage(7, 3),
        ),
    ],
)
def test_what_the_server_counts_is_read_under_every_name(usage: Any, counted: Usage) -> None:
    assert read_usage(reply(usage)) == counted


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "many",
        {"completion_tokens": 3},
        {"total_tokens": 623},
        {"prompt_tokens": 7},
        {"prompt_tokens": 7, "completion_tokens": None},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 0, "completion_tokens": 3},
        {"prompt_tokens": "seven", "completion_tokens": 3},
        {"prompt_tokens": "-7", "completion_tokens": 3},
        {"prompt_tokens": True, "completion_tokens": 3},
        {"prompt_tokens": 7.5, "completion_tokens": 3},
        {"prompt_tokens": -1, "completion_tokens": 3},
        {"prompt_tokens": 2**40, "completion_tokens": 3},
        {"prompt_tokens": 1e300, "completion_tokens": 3},
        {"prompt_tokens": float("inf"), "completion_tokens": 3},
        {"prompt_tokens": float("nan"), "completion_tokens": 3},
        {"prompt_tokens": [7], "completion_tokens": 3},
        {"prompt_tokens": 7, "completion_tokens": -3},
        {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": -10},
        {"prompt_tokens": 7, "completion_tokens": 3, "cached_tokens": -9000},
    ],
)
def test_what_lacks_or_cannot_be_true_counts_as_nothing_said(usage: Any) -> None:
    assert read_usage(reply(usage)) is None


@pytest.mark.parametrize(
    "body",
    [
        {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3}},
        {"x_groq": {"usage": {"prompt_tokens": 7, "completion_tokens": 3}}},
        {"choices": [{"usage": {"prompt_tokens": 7, "completion_tokens": 3}}]},
        {"response": {"usage": {"input_tokens": 7, "output_tokens": 3}}},
        {"meta": {"token_usage": {"input_tokens": 7, "output_tokens": 3}}},
    ],
)
def test_the_usage_is_found_wherever_it_stands(body: Any) -> None:
    assert read_usage(Reply(200, json.dumps(body).encode(), {})) == Usage(7, 3)


def test_words_that_cost_no_token_are_not_believed() -> None:
    counted = {"prompt_tokens": 7, "completion_tokens": 0}
    said = {"choices": [{"message": {"content": "B."}}], "usage": counted}
    silent = {"choices": [{"message": {"content": ""}}], "usage": counted}
    drawn = {"data": [{"b64_json": "AAAA"}], "usage": {"input_tokens": 7, "output_tokens": 0}}
    found = [read_usage(Reply(200, json.dumps(b).encode(), {})) for b in (said, silent, drawn)]
    assert found == [None, Usage(7), None]


counts = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([])
)
names = st.sampled_from(
    [
        "prompt_tokens",
        "input_tokens",
        "completion_tokens",
        "total_tokens",
        "cached_tokens",
        "cache_read_input_tokens",
        "reasoning_tokens",
        "details",
    ]
)


@given(st.dictionaries(names, st.one_of(counts, st.dictionaries(names, counts))))
def test_no_usage_makes_money_or_raises(usage: Any) -> None:
    prices = Prices(prompt=2.0, cached=0.5, completion=10.0)
    tokens, usd = price(reply(usage), prices, 0.25)
    assert math.isfinite(usd)
    assert usd >= 0
    assert (tokens is None) == (read_usage(reply(usage)) is None)
    assert tokens is not None or usd == 0.25


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_thoughts_and_cached_tokens_never_make_a_reply_cheaper(
    prompt: int, completion: int, total: int, cached: int
) -> None:
    prices = Prices(prompt=2.0, completion=10.0)
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    _, usd = price(reply({**usage, "cached_tokens": min(cached, prompt)}), prices, 0.25)
    assert usd >= prices.cost(prompt, completion) - 1e-12
    assert usd >= prices.cost(prompt, total - prompt) - 1e-12


@pytest.mark.parametrize(
    ("prices", "usage", "usd"),
    [
        # Beside the prompt, at twice its price where nobody says; at the price that is given.
        (Prices(prompt=3.0, completion=15.0), {"input_tokens": 100}, 100 * 3 + 1000 * 6 + 150),
        (
            Prices(prompt=3.0, completion=15.0, cache_write=3.75),
            {"input_tokens": 100},
            100 * 3 + 1000 * 3.75 + 150,
        ),
        # Within the prompt, as the total says.
        (
            Prices(prompt=3.0, completion=15.0, cache_write=3.75),
            {"prompt_tokens": 1100, "total_tokens": 1110},
            100 * 3 + 1000 * 3.75 + 150,
        ),
        # A price below the prompt's makes nothing cheaper.
        (
            Prices(prompt=3.0, completion=15.0, cache_write=1.0),
            {"input_tokens": 100},
            1100 * 3 + 150,
        ),
        (Prices(), {"input_tokens": 100}, 0),
    ],
)
def test_what_is_written_into_a_cache_costs_more(
    prices: Prices, usage: dict[str, int], usd: float
) -> None:
    counts = {**usage, "output_tokens": 10, "cache_creation_input_tokens": 1000}
    tokens, cost = price(reply(counts), prices, 0.0)
    assert (tokens, cost) == (1110, pytest.approx(usd / 1e6))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_reply_has_no_usage(body: bytes) -> None:
    assert read_usage(Reply(200, body, {})) is None


def test_a_row_says_what_was_spent_whether_tokens_are_counted_or_not() -> None:
    counted = reply({"prompt_tokens": 7, "completion_tokens": 3})
    assert spent(counted, "stop") == Usage(7, 3, 0, 1.5, 0.25, "stop")
    assert spent(reply(None), "length") == Usage(0, 0, 0, 1.5, 0.25, "length")
    failed = Failure("timeout", "no", seconds=2.0, cost_usd=0.5)
    assert spent(failed, "") == Usage(seconds=2.0, cost_usd=0.5)


def test_what_is_paid_for_and_not_counted_costs_what_was_set_aside() -> None:
    by_token, by_image, flat = (
        Prices(prompt=1.0, completion=10.0),
        Prices(image=0.04),
        Prices(request=0.25),
    )
    counted = reply({"input_tokens": 1_000_000, "output_tokens": 100_000})
    assert price(counted, by_token, 3.0) == (1_100_000, 2.0)
    assert price(reply(None), by_token, 3.0) == (None, 3.0)
    assert price(reply(None), by_image, 3.0, 1) == (None, 0.04)
    assert price(reply(None), by_image, 3.0, 0) == (None, 0.0)
    assert price(reply(None), by_image, 3.0, None) == (None, 3.0)
    assert price(counted, flat, 0.25) == (1_100_000, 0.25)
    assert price(reply(None), flat, 0.25) == (None, 0.25)
