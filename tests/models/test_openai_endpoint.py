"""An endpoint that misbehaves on purpose costs rows at most, and says why."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
from judging.cases import EDIT, GENERATION, SAMPLES, VQA, picture
from models.loopback import Answer, Asked, serve

from medgen.adapters.judges.chat_judge import ChatJudge
from medgen.adapters.models.answering import Answers
from medgen.adapters.models.openai_chat import OpenAIChat
from medgen.engine.chat.messages import Sampling
from medgen.engine.data import Image, Prediction, Request
from medgen.engine.errors import AdapterError, ConfigError, SpendingError

QUICK = {"backoff_s": 0.01, "backoff_max_s": 0.02, "timeout_s": 5.0, "attempts": 3}


def completion(text: Any = "B. spleen", **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": "vlm",
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": 500,
            "prompt_tokens_details": {"cached_tokens": 400},
        },
    }
    return {**body, **changes}


def ended(reason: str, text: Any = "B.", **message: Any) -> dict[str, Any]:
    choice = {"message": {"content": text, **message}, "finish_reason": reason}
    return completion(choices=[choice])


@contextmanager
def system(script: Callable[[Asked], Answer], **given: Any) -> Iterator[Any]:
    """A system at a scripted server, and the server."""
    endpoint = {**QUICK, **given.pop("endpoint", {})}
    with serve(script) as server:
        style = given.pop("style", None)
        chat = OpenAIChat("vlm", endpoint={"base_url": f"{server.url}/v1", **endpoint}, **given)
        made = Answers(chat, style=style)
        try:
            yield made, server
        finally:
            chat.close()


def once(first: Answer, then: Answer | None = None) -> Callable[[Asked], Answer]:
    """One answer to the first request, another to the rest."""
    state = {"asked": 0}

    def script(_: Asked) -> Answer:
        state["asked"] += 1
        return first if state["asked"] == 1 else then or Answer(completion())

    return script


def test_a_reply_becomes_a_prediction_with_its_cost() -> None:
    prices = {"prompt": 2.0, "cached": 1.0, "completion": 10.0}
    with system(lambda _: Answer(completion()), prices=prices) as (vlm, _):
        (made,) = vlm.predict([Request(VQA)])
    assert (made.status, made.text) == ("ok", "B. spleen")
    usage = made.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (1000, 500, 400)
    assert usage.finish_reason == "stop"
    assert usage.cost_usd == pytest.approx((600 * 2 + 400 * 1 + 500 * 10) / 1e6)
    assert usage.seconds > 0


# What a request says of its draw, and which fields of it go to which kind of server.
DRAWS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({}, {"temperature": 0.0, "top_p": 1.0}, {"top_k": 0, "repetition_penalty": 1.0}),
    ({"temperature": None, "top_p": None}, {}, {"top_k": 0, "min_p": 0.0}),
    ({"top_k": 20}, {"temperature": 0.0, "top_p": 1.0, "top_k": 20}, {"top_k": 20}),
    ({"repetition_penalty": None}, {"temperature": 0.0, "top_p": 1.0}, {"min_p": 0.0}),
    (
        {"presence_penalty": 1.5, "stop": ["\n\n"]},
        {"temperature": 0.0, "top_p": 1.0, "presence_penalty": 1.5, "stop": ["\n\n"]},
        {"presence_penalty": 1.5, "stop": ["\n\n"], "frequency_penalty": 0.0},
    ),
]
DRAW_FIELDS = {*Sampling().values(), "stop"}


@pytest.mark.parametrize(("said", "plain", "own"), DRAWS)
def test_a_draw_goes_to_each_kind_of_server_as_it_reads_it(
    said: dict[str, Any], plain: dict[str, Any], own: dict[str, Any]
) -> None:
    sent = []
    for fields in ("openai", "vllm"):
        with system(lambda _: Answer(completion()), style={"sampling": said}, fields=fields) as (
            vlm,
            server,
        ):
            vlm.predict([Request(VQA)])
        body = server.asked[0].json()
        sent.append({k: v for k, v in body.items() if k in DRAW_FIELDS})
    assert sent[0] == plain
    # A server of vLLM's puts the model's own values wherever a field is not sent.
    nulls = {name for name, value in said.items() if value is None}
    assert sent[1].keys() == DRAW_FIELDS - nulls - (set() if "stop" in said else {"stop"})
    assert {k: v for k, v in sent[1].items() if k in own} == own


def test_what_is_sent_is_what_the_api_asks_for() -> None:
    style = {"mode": "compositional", "sampling": {"max_tokens": 77, "temperature": 0.5}}
    body = {"max_tokens": None, "max_completion_tokens": 99}
    with system(lambda _: Answer(completion()), style=style, body=body) as (vlm, server):
        vlm.predict([Request(EDIT)])
    sent = server.asked[0].json()
    assert server.asked[0].path == "/v1/chat/completions"
    assert (sent["model"], sent["temperature"], sent["max_completion_tokens"]) == ("vlm", 0.5, 99)
    assert "max_tokens" not in sent
    assert sent["response_format"]["json_schema"]["strict"] is True
    assert "edit_prompt" in sent["response_format"]["json_schema"]["schema"]["properties"]
    picture_part = sent["messages"][1]["content"][0]
    assert picture_part["image_url"]["url"].startswith("data:image/png;base64,")
    assert "uuid" not in picture_part


@pytest.mark.parametrize(("structured", "kind"), [("json_object", "json_object"), ("none", None)])
def test_weaker_endpoints_are_held_less(structured: str, kind: str | None) -> None:
    style = {"mode": "compositional"}
    with system(lambda _: Answer(completion()), style=style, structured=structured) as (
        vlm,
        server,
    ):
        vlm.predict([Request(EDIT)])
    assert server.asked[0].json().get("response_format", {}).get("type") == kind


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (ended("length"), "truncated", "token limit"),
        (ended("content_filter", None), "refused", "content filter"),
        (ended("stop", None, refusal="I won't."), "refused", "I won't"),
        (ended("tool_calls"), "model_error", "tool_calls"),
        (ended("stop", ""), "model_error", "empty"),
        (completion(choices=[]), "model_error", "not a chat completion"),
        (completion(choices=[{"message": {"content": [1]}}]), "model_error", "not a chat"),
        ([1, 2], "model_error", "not a chat completion"),
        (b"{'not json", "model_error", "not the JSON that was agreed"),
        (b"\xff\xfe\x00", "model_error", "not the JSON that was agreed"),
    ],
)
def test_every_odd_reply_is_one_row_with_a_reason(body: Any, status: str, reason: str) -> None:
    with system(lambda _: Answer(body)) as (vlm, _):
        (made,) = vlm.predict([Request(VQA)])
    assert made.status == status
    assert reason in made.reason


@pytest.mark.parametrize("name", ["vlm", "vlm-2026-01-01", None])
def test_a_dated_name_is_the_same_model(name: str | None) -> None:
    with system(lambda _: Answer(completion(model=name))) as (vlm, _):
        assert vlm.predict([Request(VQA)])[0].status == "ok"


def test_other_names_can_be_allowed() -> None:
    answer = completion(model="org/vlm:free")
    with system(lambda _: Answer(answer), served_as=["org/vlm:*"]) as (vlm, _):
        assert vlm.predict([Request(VQA)])[0].status == "ok"


@pytest.mark.parametrize(
    "bad",
    [
        Answer(b"slow down", 429, {"Retry-After": "0"}),
        Answer(b"oops", 500),
        Answer(b"oops", 503),
        Answer(completion(), hang_up_after=20),
        Answer(b"{'cut"),
    ],
    ids=["429", "500", "503", "cut", "malformed"],
)
def test_a_passing_fault_is_tried_again(bad: Answer) -> None:
    with system(once(bad)) as (vlm, server):
        (made,) = vlm.predict([Request(VQA)])
    assert made.status == "ok"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("bad", "status", "word"),
    [
        (Answer(b"oops", 500), "unreachable", "500"),
        (Answer(b"slow down", 429, {"Retry-After": "0"}), "unreachable", "429"),
        (Answer(completion(), hang_up_after=20), "unreachable", ""),
        (Answer(b"prompt is too long", 400), "model_error", "too long"),
        (Answer(completion(), pause_s=30), "timeout", "0.3 s"),
        (Answer(b"moved", 302, {"Location": "http://127.0.0.1:9/"}), "model_error", "302"),
        (Answer(b"x" * 3_000_000), "model_error", "larger than"),
    ],
    ids=["500", "429", "cut", "400", "hang", "redirect", "flood"],
)
def test_a_lasting_fault_is_one_row(bad: Answer, status: str, word: str) -> None:
    limits = {"timeout_s": 0.3 if bad.pause_s else 5.0, "max_response_mib": 1}
    with system(lambda _: bad, endpoint=limits) as (vlm, _):
        (made,) = vlm.predict([Request(VQA)])
    assert made.status == status
    assert word in made.reason


def test_retry_after_is_honoured() -> None:
    slow = Answer(b"slow down", 429, {"Retry-After": "1"})
    with system(once(slow)) as (vlm, server):
        vlm.predict([Request(VQA)])
    assert server.asked[1].at - server.asked[0].at >= 1.0


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (Answer(b"who are you", 401), "does not accept the key"),
        (Answer({"error": {"message": "no model vlm"}}, 404), "no such path or model"),
    ],
)
def test_a_useless_endpoint_ends_the_stage(answer: Answer, word: str) -> None:
    with system(lambda _: answer) as (vlm, _), pytest.raises(AdapterError, match=word):
        vlm.predict([Request(VQA)])


def test_one_bad_sample_costs_one_row() -> None:
    def script(asked: Asked) -> Answer:
        poisoned = "POISON" in asked.body.decode()
        return Answer(b"cannot", 400) if poisoned else Answer(completion())

    samples = [replace(VQA, id=f"s{n}", instruction="POISON" if n == 3 else "?") for n in range(8)]
    broken = replace(VQA, id="broken", input_images=(Image(b"not a picture"),))
    with system(script) as (vlm, _):
        made = vlm.predict([Request(s) for s in [*samples, broken]])
    assert [p.status for p in made] == ["ok"] * 3 + ["model_error"] + ["ok"] * 4 + ["model_error"]
    assert "picture" in made[-1].reason


def test_the_spending_cap_stops_cleanly_and_what_was_paid_for_is_kept() -> None:
    prices = {"completion": 1000.0}  # half a dollar a reply
    style = {"sampling": {"max_tokens": 500}}
    cap = {"spending_cap_usd": 1.6, "concurrency": 1}
    samples = [replace(VQA, id=f"s{n}") for n in range(6)]
    with system(lambda _: Answer(completion()), prices=prices, style=style, endpoint=cap) as (
        vlm,
        server,
    ):
        made = vlm.predict([Request(s) for s in samples])
        assert sorted(p.status for p in made) == ["missing"] * 3 + ["ok"] * 3
        assert all("spending cap" in p.reason for p in made if p.status == "missing")
        assert len(server.asked) == 3
        with pytest.raises(SpendingError, match="spending cap"):
            vlm.predict([Request(VQA)])


def test_no_more_requests_at_once_than_allowed() -> None:
    samples = [replace(VQA, id=f"s{n}") for n in range(9)]
    with system(lambda _: Answer(completion(), pause_s=0.05), endpoint={"concurrency": 3}) as (
        vlm,
        server,
    ):
        threads = [
            Thread(target=vlm.predict, args=([Request(s) for s in samples[i::3]],))
            for i in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.asked) == 9
    assert 2 <= server.most_at_once[0] <= 3


def test_requests_keep_the_pace() -> None:
    samples = [replace(VQA, id=f"s{n}") for n in range(4)]
    pace = {"requests_per_minute": 600}
    with system(lambda _: Answer(completion()), endpoint=pace) as (vlm, _):
        start = time.monotonic()
        vlm.predict([Request(s) for s in samples])
    assert time.monotonic() - start >= 0.3


def test_the_key_comes_from_the_environment_and_shows_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_VLM_KEY", "sk-very-secret")
    echo = Answer(b"bad key sk-very-secret", 400)
    with system(lambda _: echo, endpoint={"api_key_env": "TEST_VLM_KEY"}) as (vlm, server):
        (made,) = vlm.predict([Request(VQA)])
        assert "sk-very-secret" not in json.dumps(vlm.passport())
    assert server.asked[0].headers["Authorization"] == "Bearer sk-very-secret"
    assert "sk-very-secret" not in made.reason
    monkeypatch.delenv("TEST_VLM_KEY")
    with pytest.raises(AdapterError, match="TEST_VLM_KEY"):
        OpenAIChat("vlm", endpoint={"base_url": "http://x", "api_key_env": "TEST_VLM_KEY"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": {"base_url": "http://x", "api_key": "sk-1"}},
        {"endpoint": {"base_url": "ftp://x"}},
        {"endpoint": {"base_url": "http://user:pass@x"}},
        {"endpoint": {"base_url": "http://x"}, "structured": "maybe"},
        {"endpoint": {"base_url": "http://x"}, "prices": {"tea": 3}},
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        OpenAIChat("vlm", **wrong)


def test_a_judge_works_over_an_endpoint_with_expected_scores() -> None:
    def script(asked: Asked) -> Answer:
        sent = asked.json()
        assert sent["logprobs"] is True
        schema = sent["response_format"]["json_schema"]["schema"]["properties"]
        names = list(schema["scores"]["properties"])
        reply = {
            "analysis": "a",
            "explanations": dict.fromkeys(names, "b"),
            "scores": dict.fromkeys(names, 4),
        }
        text = json.dumps(reply)
        tokens = [{"token": ch, "logprob": 0.0, "top_logprobs": []} for ch in text]
        body = completion(text)
        body["choices"][0]["logprobs"] = {"content": tokens}
        return Answer(body)

    with serve(script) as server:
        chat = {
            "target": "openai",
            "kwargs": {"model": "vlm", "endpoint": {"base_url": server.url, **QUICK}},
        }
        judge = ChatJudge(chat, name="j", protocol="manuscript/1", expected=True)
        given = [Prediction(s.id, text="t", images=(picture(),)) for s in SAMPLES]
        verdicts = judge.judge(SAMPLES, given)
        judge._chat.close()  # type: ignore[attr-defined]
    assert {v.status for v in verdicts} == {"ok"}
    assert all(v.scores["overall_score"] == 4.0 for v in verdicts)
    assert all(v.expected["overall_score"] == pytest.approx(4.0) for v in verdicts)
    assert all(v.usage.cached_tokens == 400 for v in verdicts)


def test_generation_keeps_its_prompt() -> None:
    body = completion(json.dumps({"output_text": "t", "generate_prompt": "p"}))
    with system(lambda _: Answer(body), style={"mode": "compositional"}) as (vlm, _):
        (made,) = vlm.predict([Request(GENERATION)])
    assert (made.text, made.image_prompt) == ("t", "p")
