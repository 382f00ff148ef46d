"""What is set aside before a request is sent is what its body asks for, so no cap is passed."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.loopback import Answer, serve
from models.server_table import KINDS, Kind, good
from models.test_server_table import QUICK, sample

from medgen.adapters.models.answering import Answers
from medgen.adapters.models.body import most_completion
from medgen.adapters.models.openai_chat import OpenAIChat
from medgen.adapters.models.openai_images import OpenAIImages
from medgen.adapters.models.unified import UnifiedChat
from medgen.engine.data import Request
from medgen.engine.errors import ConfigError, SpendingError


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ({}, 512),
        ({"max_tokens": None, "max_completion_tokens": 4096}, 4096),
        ({"max_completion_tokens": 4096}, 4096),
        ({"max_tokens": 9000}, 9000),
        ({"max_output_tokens": 9000}, 9000),
        ({"max_tokens": 100, "n": 3}, 300),
        ({"max_tokens": None}, None),
        ({"max_tokens": None, "max_completion_tokens": "many"}, None),
        ({"max_tokens": True}, None),
        ({"max_tokens": 0}, None),
        ({"n": 0}, 512),
    ],
)
def test_the_body_says_how_long_a_reply_may_be(body: dict[str, Any], most: int | None) -> None:
    assert most_completion(body, 512) == most


@pytest.mark.parametrize("made", [OpenAIChat, UnifiedChat])
@pytest.mark.parametrize("body", [{"stream": True}, {"model": "n"}, {"messages": []}])
def test_a_body_leaves_alone_what_the_engine_says(made: Any, body: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"body.*{next(iter(body))}"):
        made("m", endpoint={"base_url": "http://127.0.0.1:9/v1"}, body=body)


def test_a_cap_counts_what_the_body_asks_for() -> None:
    body = {"max_tokens": None, "max_completion_tokens": 4096}
    with serve(lambda _: Answer(good("chat"))) as server:
        endpoint = {"base_url": f"{server.url}/v1", **QUICK, "spending_cap_usd": 0.02}
        chat = OpenAIChat("m", endpoint=endpoint, prices={"completion": 10.0}, body=body)
        with pytest.raises(SpendingError, match=r"may cost \$0\.04"):
            Answers(chat).predict([Request(sample("chat"))])
        chat.close()
        assert not server.asked


def test_a_cap_over_replies_without_an_end_is_refused() -> None:
    endpoint = {"base_url": "http://127.0.0.1:1/v1", "spending_cap_usd": 1.0}
    given = {"prices": {"completion": 10.0}, "body": {"max_tokens": None}}
    with pytest.raises(ConfigError, match="limit of the completion"):
        OpenAIChat("m", endpoint=endpoint, **given)  # type: ignore[arg-type]
    given["prices"]["request"] = 0.5  # type: ignore[index]
    OpenAIChat("m", endpoint=endpoint, **given).close()  # type: ignore[arg-type]


def made(kind: Kind, endpoint: dict[str, Any], prices: dict[str, float]) -> Any:
    if kind == "chat":
        return Answers(OpenAIChat("m", endpoint=endpoint, prices=prices))
    if kind == "unified":
        return UnifiedChat("m", endpoint=endpoint, prices=prices)
    return OpenAIImages("m", "generate", endpoint=endpoint, prices=prices)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prices", [{"request": 0.25}, {"request": 0.25, "completion": 10.0}])
def test_replies_that_count_nothing_use_up_the_cap(kind: Kind, prices: dict[str, float]) -> None:
    with serve(lambda _: Answer(good(kind, usage=None))) as server:
        endpoint = {"base_url": f"{server.url}/v1", **QUICK, "spending_cap_usd": 1.0}
        rows = made(kind, endpoint, prices).predict(
            [Request(sample(kind, f"s{i}")) for i in range(8)]
        )
        assert len(server.asked) == 4
    assert sorted(row.status for row in rows) == ["missing"] * 4 + ["ok"] * 4
    assert sum(row.usage.cost_usd for row in rows) == pytest.approx(1.0)


@settings(max_examples=12)
@given(st.lists(st.sampled_from([200, 429, 500, 503]), min_size=1, max_size=6))
def test_every_attempt_that_may_have_been_billed_is_in_the_row(statuses: list[int]) -> None:
    """A 200 that is no reply may have been billed; an error status was not."""
    answers = iter([*(Answer(b"x", s) for s in statuses), *[Answer(good("chat"))] * 9])
    with serve(lambda _: next(answers)) as server:
        endpoint = {"base_url": f"{server.url}/v1", **QUICK, "attempts": 9}
        (row,) = made("chat", endpoint, {"request": 0.25}).predict([Request(sample("chat"))])
    billed = min(2, statuses.count(200)) + (row.status == "ok")
    assert row.usage.cost_usd == pytest.approx(0.25 * billed)
