"""The readers of replies one by one: waits, end words, names, links, base64, errors."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from models.loopback import Answer, Asked, serve

from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Call, Endpoint, Failure, Reply
from medgen.adapters.http.errors import error_body
from medgen.adapters.http.limits import Clock
from medgen.adapters.http.links import data_url_bytes, resolve
from medgen.adapters.http.verdict import judge
from medgen.adapters.http.waits import SANE_S, retry_after
from medgen.adapters.models.replies import (
    check_completion,
    ending_of,
    is_same_model,
    read_completion,
)
from medgen.engine.errors import ConfigError
from medgen.engine.settings import read

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.25", 0.25),
        ("1e1", 10.0),
        ("7, 9", 7.0),
        ("7s", 7.0),
        ("250ms", 0.25),
        ("1m30s", 90.0),
        (f"{NOW.timestamp() + 30:.0f}", 30.0),
        (f"{(NOW.timestamp() + 30) * 1000:.0f}", 30.0),
        (f"{(NOW.timestamp() + 30) * 1e6:.0f}", 30.0),
        ("PT90S", 90.0),
        ("PT1M30.5S", 90.5),
        ("P1DT1H", 90000.0),
        ('"7"', 7.0),
        ("P", None),
        ("Sat, 28 Nov 2026 12:00:30 GMT", 30.0),
        ("2026-11-28T12:00:30Z", 30.0),
        ("86400", 86400.0),
        # No wish.
        ("0", None),
        ("0.0", None),
        ("-5", None),
        ("1771404540", None),
        ("1771404540000", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("Sat, 28 Nov 2026 12:00:30 +99999999999", None),
        ("9" * 400, None),
        ("9e99", None),
        ("99999999999", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("٣", None),
    ],
)
def test_a_wish_is_read_in_every_spelling(said: str | None, seconds: float | None) -> None:
    assert retry_after(said, NOW) == (None if seconds is None else pytest.approx(seconds, abs=1e-3))


@given(st.text(max_size=30))
def test_a_wish_is_above_0_and_sane_or_none(said: str) -> None:
    found = retry_after(said, NOW)
    assert found is None or 0 < found <= SANE_S


class FakeTime:
    """A clock that is set forward by whoever sleeps."""

    def __init__(self) -> None:
        self.seconds, self.slept = 0.0, list[float]()
        self.clock = Clock(lambda: self.seconds, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept += [seconds] if seconds else []
        self.seconds += seconds


@pytest.mark.parametrize(("wish", "least"), [("0", 0.5), ("-1", 0.5), ("soon", 0.5), ("20", 20.0)])
def test_pauses_grow_and_are_no_shorter_than_was_asked_for(wish: str, least: float) -> None:
    time = FakeTime()
    with serve(lambda _: Answer(b"busy", 429, {"Retry-After": wish})) as server:
        client = HttpClient(Endpoint(base_url=f"{server.url}/v1", attempts=5), time.clock)
        (failed,) = client.map(lambda call: client.post("do", call), [Call(json={})])
        client.close()
        assert len(server.asked) == 5
    assert isinstance(failed, Failure)
    if least == 0.5:
        for number, pause in enumerate(time.slept):
            assert 0.5 * 2**number <= pause <= 2**number
    assert len(time.slept) >= 4
    assert min(time.slept) >= least
    assert failed.seconds == pytest.approx(sum(time.slept))


@pytest.mark.parametrize(
    ("word", "ending"),
    [
        *((w, "ok") for w in ("stop", "STOP", "eos", "eos_token", "end_turn", "stop_sequence")),
        *((w, "ok") for w in ("COMPLETE", "FinishReason.STOP", "FINISH_REASON_STOP", "<|im_end|>")),
        *((w, "truncated") for w in ("length", "max_tokens", "MAX_TOKENS", "max_output_tokens")),
        *((w, "truncated") for w in ("FINISH_REASON_MAX_TOKENS", "model_length", "max_new_tokens")),
        *((w, "refused") for w in ("content_filter", "SAFETY", "RECITATION", "BLOCKLIST", "SPII")),
        *((w, "refused") for w in ("content-filter: RECITATION", "guardrail_intervened")),
        *((w, "failed") for w in ("tool_calls", "error", "abort", "OTHER", "?", "\u2603", "stopp")),
    ],
)
def test_an_end_word_means_the_same_everywhere(word: str, ending: str) -> None:
    assert ending_of(word) == ending


@pytest.mark.parametrize(
    ("name", "asked", "same"),
    [
        ("m[v2]", "m[v2]", True),
        ("m*", "m*", True),
        ("[", "[", True),
        ("gpt-4o-2024-11-20", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-2024-11-20", True),
        ("models/gemini-2.5-pro", "gemini-2.5-pro", True),
        ("gemini-2.5-pro-preview-05-06", "gemini-2.5-pro", True),
        ("google/gemini-2.5-flash-image:free", "google/gemini-2.5-flash-image", True),
        ("Qwen3-VL", "/weights/qwen3-vl/", True),
        ("gpt-4-0613", "gpt-4", True),
        ("gpt-4o-mini", "gpt-4o", False),
        ("gpt-4o-mini-2024-07-18", "gpt-4o", False),
        ("gemini-3.8-flash", "gemini-2.5-pro", False),
        ("gemini-2.5-pro-preview-06-05", "gemini-2.5-pro-preview-05-06", False),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20", False),
        ("org-a/m", "org-b/m", False),
        ("mv", "m[v2]", False),
        ("mx", "m*", False),
    ],
)
def test_a_name_is_the_model_that_was_asked_or_another(name: str, asked: str, same: bool) -> None:
    assert is_same_model(name, asked) is same


@given(st.text(min_size=1, max_size=20))
def test_a_model_is_known_by_its_own_name(name: str) -> None:
    assert is_same_model(name, name)
    assert is_same_model(name, "another", [name])


@given(st.binary(min_size=1, max_size=60), st.booleans(), st.booleans(), st.booleans())
def test_base64_is_read_in_every_alphabet(data: bytes, safe: bool, bare: bool, url: bool) -> None:
    text = (base64.urlsafe_b64encode if safe else base64.b64encode)(data).decode()
    text = text.rstrip("=") if bare else text
    assert (
        data_url_bytes(f"data:image/png;base64,{text}" if url else f"\n{text[:20]}\n{text[20:]}")
        == data
    )


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("HTTP://LOCALHOST:8000/1.png", True),
        ("http://localhost.:8000/1.png", True),
        ("http://localhost:8001/1.png", False),
        ("http://localhost/1.png", False),
        ("https://CDN.Example.net/1.png", True),
        ("https://cdn.example.net:443/1.png", True),
        ("https://cdn.example.net.evil.example/1.png", False),
        ("http://localhost:8000@evil.example/1.png", False),
        ("http://localhost:8000\\@evil.example/1.png", False),
        ("http://[", False),
        ("http://localhost:99999/1.png", False),
        ("http://local host:8000/", False),
        ("", False),
    ],
)
def test_hosts_are_compared_as_urls(url: str, allowed: bool) -> None:
    endpoint = Endpoint(base_url="http://localhost:8000/v1", allowed_hosts=("cdn.example.net",))
    assert endpoint.allows(url) is allowed


@pytest.mark.parametrize(
    "url", ["http://h:99999/v1", "http://h:0/v1", "http://[x/v1", "http://h:x/"]
)
def test_a_base_url_without_a_sound_port_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        read(Endpoint, {"base_url": url}, "endpoint")


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        "words",
        7,
        {"content": None},
        {"content": "words"},
        {"content": [None]},
        {"content": [{"token": "B", "logprob": None, "top_logprobs": None}]},
        {"content": [{"token": "B", "logprob": 1e9}]},
        {"content": [{"token": "B", "logprob": 10**400}]},
        {"content": [{"token": "B", "logprob": "much"}]},
        {"content": [{"logprob": -1.0}]},
        {"content": [{"token": "B", "logprob": -1.0, "top_logprobs": 5}]},
    ],
)
def test_log_probabilities_never_cost_the_words(logprobs: Any) -> None:
    choice = {"message": {"content": "B."}, "logprobs": logprobs}
    said = read_completion(Reply(200, json.dumps({"choices": [choice]}).encode(), {}))
    assert said is not None
    assert (said.text, said.ending) == ("B.", "ok")
    assert all(p <= 0 for token in said.tokens for p in token.alternatives.values())


@pytest.mark.parametrize(
    ("content", "text", "thought"),
    [
        ("B.", "B.", ""),
        (None, "", ""),
        ([], "", ""),
        (["B", "."], "B.", ""),
        ({"type": "text", "text": "B."}, "B.", ""),
        ([{"text": "B."}], "B.", ""),
        ([{"type": "output_text", "text": "B."}], "B.", ""),
        ([{"type": "text", "text": {"value": "B."}}], "B.", ""),
        ([{"type": "text", "text": None}, {"type": "text", "text": "B."}], "B.", ""),
        ([None, {"type": "text", "text": "B."}], "B.", ""),
        ([{"type": "thinking", "thinking": "A?"}, {"type": "text", "text": "B."}], "B.", "A?"),
        ([{"type": "reasoning", "text": "A?"}, {"type": "text", "text": "B."}], "B.", "A?"),
        (
            [
                {"type": "thinking", "thinking": [{"type": "text", "text": "A?"}]},
                {"type": "text", "text": "B."},
            ],
            "B.",
            "A?",
        ),
        ([{"text": "A?", "thought": True}, {"text": "B."}], "B.", "A?"),
        ([{"type": "redacted_thinking", "data": "xx"}, {"type": "text", "text": "B."}], "B.", ""),
        ([{"type": "tool_use", "name": "x"}, {"type": "text", "text": "B."}], "B.", ""),
    ],
)
def test_words_are_found_in_every_shape_and_thoughts_left_out(
    content: Any, text: str, thought: str
) -> None:
    body = {"choices": [{"message": {"content": content}}]}
    said = read_completion(Reply(200, json.dumps(body).encode(), {}))
    assert said is not None
    assert (said.text, said.reasoning) == (text, thought)


def test_what_one_reply_links_to_is_bounded() -> None:
    def script(asked: Asked) -> Answer:
        return Answer(b"x" * 400_000)

    with serve(script) as server:
        endpoint = Endpoint(base_url=f"{server.url}/v1", max_links=4, max_response_mib=1.0)
        client = HttpClient(endpoint)
        links = [f"{server.url}/{i}.png" for i in range(3000)]
        (many, few, twice) = (
            client.map(lambda some: resolve(client, some), [some])[0]
            for some in (links, links[:3], links[:1] * 9)
        )
        client.close()
        asked = len(server.asked)
    assert isinstance(many, Failure)
    assert "max_links allows 4" in many.reason
    assert isinstance(few, Failure), "three of 0.4 MB are more than 1 MiB together"
    assert isinstance(twice, list)
    assert asked == 3 + 1


def test_nothing_is_unpacked() -> None:
    coding = {"Content-Encoding": "gzip, gzip"}
    with serve(lambda _: Answer(b"\x1f\x8b" * 3000, 200, coding)) as server:
        client = HttpClient(Endpoint(base_url=f"{server.url}/v1"))
        (failed,) = client.map(lambda call: client.post("do", call), [Call(json={})])
        client.close()
    assert isinstance(failed, Failure)
    assert "encoded (gzip, gzip)" in failed.reason


@pytest.mark.parametrize(
    ("message", "status", "refused"),
    [
        ("Input was flagged for violence", 403, True),
        ("Content violates usage guidelines. Failed check: SAFETY", 403, True),
        ("Your prompt was blocked by our content policy", 403, True),
        ("The request was blocked by our moderation", 403, True),
        ("content violates our policy", 403, True),
        ("Your prompt violates our usage rules", 403, True),
        ("This violates the provider's acceptable use policy", 403, True),
        ("access violates your organization's policy", 403, False),
        ("output new_sensitive", 400, True),
        ("user input is unsafe", 400, True),
        ("The prompt contains prohibited words", 400, True),
        ("输入内容审核不通过", 400, True),
        ("bad size for 'user input is unsafe'", 400, False),
        ("Your account was flagged", 403, False),
        ("Incorrect API key provided", 403, False),
        ("Country not supported", 403, False),
        ("bad size for 'a prompt that is flagged by moderation'", 400, False),
        ("Output blocked by content filtering policy", 400, True),
        ("Your request was rejected as a result of our safety system.", 400, True),
    ],
)
def test_a_message_tells_a_filter_where_no_code_does(
    message: str, status: int, refused: bool
) -> None:
    body = json.dumps({"error": {"message": message}}).encode()
    assert error_body(body).refuses(status) is refused


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "code",
                    "message",
                    "choices",
                    "data",
                    "type",
                    "status",
                    "metadata",
                    "content",
                    "usage",
                    "innererror",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@example({"error": None, "data": True}, 200)
@given(json_values, st.sampled_from([200, 400, 401, 403, 404, 429, 500]))
def test_no_body_raises_and_every_failure_has_a_reason(found: Any, status: int) -> None:
    reply = Reply(status, json.dumps(found).encode(), {})
    attempt = judge(reply, Call(check=check_completion, cures={"seed": "x"}), str)
    assert isinstance(attempt.outcome, Reply) or attempt.outcome.reason
    assert attempt.paid == "nothing" or status == 200
