"""A model that is asked by batches gives the rows it gives otherwise, for less, and once."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from judging.cases import PREDICTIONS, SAMPLES
from models.batch_server import Lines, vendor

from medgen.adapters.batches.anthropic import message_request
from medgen.adapters.judges.chat_judge import ChatJudge
from medgen.adapters.models.openai_chat import OpenAIChat
from medgen.engine.chat.messages import ChatReply, ChatRequest, Message, Sampling
from medgen.engine.errors import AdapterError, ConfigError, SpendingError
from medgen.engine.occasion import Occasion, during
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import batch_folder
from medgen.engine.store.objects import Objects

APIS = ("openai", "anthropic")
QUICK = {"gather_s": 0.02, "poll_s": 0.02, "settle_s": 0.05}
ENDPOINT = {"backoff_s": 0.01, "backoff_max_s": 0.02, "timeout_s": 5.0, "attempts": 2}
PRICES = {"prompt": 2.0, "completion": 10.0}
ONE_USD = (1000 * 2.0 + 500 * 10.0) / 1e6  # of a reply, outside a batch
# What a request says, and what comes of it.
STATUSES = {
    "fine": "ok",
    "long": "truncated",
    "filter": "refused",
    "bad": "rejected",
    "busy": "unreachable",
    "empty": "rejected",
}


def words_of(body: dict[str, Any]) -> str:
    said = body["messages"][-1]["content"]
    parts = [said] if isinstance(said, str) else [p["text"] for p in said if "text" in p]
    return str(parts[0])


def openai_model(body: dict[str, Any]) -> tuple[int, Any]:
    words = words_of(body).split()[0]
    if words == "bad":
        return 400, {"error": {"message": "too long", "code": "context_length_exceeded"}}
    if words == "busy":
        return 503, {"error": {"message": "overloaded"}}
    ended = {"long": "length", "filter": "content_filter"}.get(words, "stop")
    choice = {"message": {"content": f"seen {words_of(body)}"}, "finish_reason": ended}
    usage = {"prompt_tokens": 1000, "completion_tokens": 500}
    choices = [] if words == "empty" else [choice]
    return 200, {"model": "vlm", "choices": choices, "usage": usage}


def anthropic_model(body: dict[str, Any]) -> tuple[int, Any]:
    words = words_of(body).split()[0]
    if words == "bad":
        return 400, {"type": "invalid_request_error", "message": "prompt is too long"}
    if words == "busy":
        return 529, {"type": "overloaded_error", "message": "Overloaded"}
    ended = {"long": "max_tokens", "filter": "refusal"}.get(words, "end_turn")
    content: Any = 7 if words == "empty" else [{"type": "text", "text": f"seen {words_of(body)}"}]
    usage = {"input_tokens": 1000, "output_tokens": 500}
    return 200, {"model": "vlm", "content": content, "stop_reason": ended, "usage": usage}


MODELS = {"openai": openai_model, "anthropic": anthropic_model}


def request(words: str) -> ChatRequest:
    return ChatRequest((Message("user", (words,)),), Sampling(max_tokens=50), None, words)


@contextmanager
def asking(
    url: str, batch: dict[str, Any] | None = None, **endpoint: Any
) -> Iterator[Callable[..., list[ChatReply]]]:
    """Ask for words by batches, on an occasion in a store; without a store, one by one."""
    where = {"base_url": f"{url}/v1", **ENDPOINT, **endpoint}
    execution = {"batch": {**QUICK, **(batch or {})}}
    chat = OpenAIChat(
        "vlm", endpoint=where, prices=PRICES, body={"seed": None}, execution=execution
    )

    def ask(words: list[str], objects: Objects | None = None, name: str = "o") -> list[ChatReply]:
        now = None if objects is None else Occasion(objects, name)
        with during(now):
            return [reply for (reply,) in chat.chat([[request(w)] for w in words])]

    try:
        yield ask
    finally:
        chat.close()


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def notes(objects: Objects) -> list[str]:
    return [path.rpartition("/")[2] for path in objects.walk(batch_folder("").rstrip("/"))]


def read_of(reply: ChatReply) -> tuple[str, str, str, float]:
    return reply.status, reply.text, reply.reason, round(reply.usage.cost_usd, 9)


@pytest.mark.parametrize("api", APIS)
def test_every_request_comes_to_what_it_comes_to_otherwise(api: str, objects: Objects) -> None:
    words = list(STATUSES)
    with vendor(MODELS[api]) as (made, server), asking(server.url, {"api": api}) as ask:
        replies = ask(words, objects)
        assert [r.status for r in replies] == list(STATUSES.values())
        assert len(made.batches) == 1
        assert replies[0].text == "seen fine"
        assert replies[0].usage.cost_usd == pytest.approx(ONE_USD / 2)
        # What is not accepted costs nothing; the others half of what one request costs.
        paid = [bool(r.usage.cost_usd) for r in replies]
        assert paid == [True, True, True, False, False, True]
        if api == "openai":
            # The sentinels of a judge, say: nobody keeps rows of them, and nobody waits a day.
            direct = ask(words)
            assert [r[:2] for r in map(read_of, direct)] == [r[:2] for r in map(read_of, replies)]
            twice = [r.usage.cost_usd * 2 for r in replies[:3]]
            assert [r.usage.cost_usd for r in direct[:3]] == pytest.approx(twice)
            assert len(made.batches) == 1


def test_a_judge_asks_for_all_views_in_one_file(objects: Objects) -> None:
    with vendor(openai_model) as (made, server):
        chat = OpenAIChat(
            "vlm", endpoint={"base_url": f"{server.url}/v1"}, execution={"batch": QUICK}
        )
        judge = ChatJudge(chat, name="j", protocol="table-iv/1", repeats=2)
        direct = judge.judge(SAMPLES, PREDICTIONS)
        assert not made.batches
        with during(Occasion(objects, "o")):
            verdicts = judge.judge(SAMPLES, PREDICTIONS)
        chat.close()
    assert [len(b.requests) for b in made.batches.values()] == [len(verdicts)]
    assert len(verdicts) == 2 * 2 * len(SAMPLES)
    said = [(v.sample_id, v.view, v.repeat, v.status, v.raw) for v in verdicts]
    assert said == [(v.sample_id, v.view, v.repeat, v.status, v.raw) for v in direct]


@pytest.mark.parametrize("api", APIS)
def test_shards_are_gathered_and_split_at_the_limits_of_a_file(api: str, objects: Objects) -> None:
    with (
        vendor(MODELS[api]) as (made, server),
        asking(server.url, {"api": api, "requests": 4, "gather_s": 0.3}) as ask,
    ):
        said: dict[int, list[ChatReply]] = {}

        def shard(number: int) -> None:
            said[number] = ask([f"fine {number} {i}" for i in range(3)], objects)

        threads = [threading.Thread(target=shard, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(len(b.requests) for b in made.batches.values()) == [1, 4, 4]
        for number, replies in said.items():
            assert [r.text for r in replies] == [f"seen fine {number} {i}" for i in range(3)]
        large = f"fine {'x' * 3000}"
        ask([large, "fine", f"{large}y"], objects, "other")
    with vendor(MODELS[api]) as (made, server), asking(server.url, {"mib": 0.004}) as ask:
        ask([large, "fine", f"{large}y"], objects, "third")
        assert sorted(len(b.requests) for b in made.batches.values()) == [1, 2]


def test_the_documented_limits_are_kept(objects: Objects) -> None:
    with vendor(openai_model) as (_, server):
        for api, most, size in (
            ("openai", 50_000, 200_000_000),
            ("anthropic", 100_000, 256_000_000),
        ):
            chat = OpenAIChat(
                "vlm",
                endpoint={"base_url": f"{server.url}/v1"},
                execution={"batch": {"api": api, "requests": 10**9, "mib": 10**6}},
            )
            assert chat._batches
            limits = chat._batches.limits
            assert (limits.requests, limits.size) == (most, size)
            chat.close()


@pytest.mark.parametrize("api", APIS)
def test_whoever_goes_on_finds_the_batch_and_pays_for_nothing_twice(
    api: str, objects: Objects
) -> None:
    with vendor(MODELS[api], looks=10**6) as (made, server):
        with asking(server.url, {"api": api}) as ask:
            words = ["fine 1", "fine 2", "fine 3"]
            waiting = threading.Thread(target=_leave, args=(ask, words, objects))
            waiting.start()
            while not any(name.endswith(".sent.json") for name in notes(objects)):
                waiting.join(0.01)
        waiting.join()
        made.looks = 1
        with asking(server.url, {"api": api}) as ask:
            # Another cut of the samples, and one that was in no batch.
            found = ask(["fine 2", "fine 4"], objects)
            found += ask(["fine 3", "fine 1"], objects)
    assert [r.text for r in found] == [f"seen fine {i}" for i in (2, 4, 3, 1)]
    assert len(made.batches) == 2
    assert set(made.answered.values()) == {1}
    assert all(r.usage.cost_usd == pytest.approx(ONE_USD / 2) for r in found)


def _leave(ask: Callable[..., list[ChatReply]], words: list[str], objects: Objects) -> None:
    """Wait for a batch until the one who asks for it is gone."""
    with contextlib.suppress(BaseException):
        ask(words, objects)


class Dying:
    """A store whose owner dies at a note: nothing is written from then on."""

    def __init__(self, inner: Objects, at: str) -> None:
        self.inner, self.url, self.at, self.dead = inner, inner.url, at, False

    def replace(self, path: str, data: bytes) -> None:
        self.dead = self.dead or path.endswith(self.at)
        if self.dead:
            raise AdapterError("dead")
        self.inner.replace(path, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.mark.parametrize("api", APIS)
def test_a_death_between_sending_and_noting_costs_nothing(api: str, objects: Objects) -> None:
    with vendor(MODELS[api]) as (made, server):
        for _ in range(2):  # of other batches, some as large
            with asking(server.url, {"api": api}) as ask:
                ask(["fine a", "fine b"], objects, f"other-{_}")
        dying: Any = Dying(objects, ".sent.json")
        with asking(server.url, {"api": api}) as ask, pytest.raises(AdapterError, match="dead"):
            ask(["fine 1", "fine 2"], dying)
        assert len(made.batches) == 3
        with asking(server.url, {"api": api}) as ask:
            found = ask(["fine 1", "fine 2"], objects)
        assert [r.text for r in found] == ["seen fine 1", "seen fine 2"]
        assert len(made.batches) == 3
        assert made.lists > 0


@pytest.mark.parametrize("api", APIS)
def test_a_death_before_sending_has_it_sent(api: str, objects: Objects) -> None:
    with asking("http://127.0.0.1:9", {"api": api}) as ask, pytest.raises(AdapterError):
        ask(["fine 1"], objects)
    assert [n for n in notes(objects) if n.endswith(".json")]
    with vendor(MODELS[api]) as (made, server):
        _move(objects, "http://127.0.0.1:9", server.url)
        with asking(server.url, {"api": api}) as ask:
            (reply,) = ask(["fine 1"], objects)
        assert (reply.status, len(made.batches)) == ("ok", 1)


def _move(objects: Objects, before: str, after: str) -> None:
    """The notes of one address as those of another, which a test's second server has."""
    from medgen.engine.codec import fingerprint

    old, new = (batch_folder(fingerprint("batches", f"{u}/v1", "vlm")) for u in (before, after))
    for name in objects.names(old):
        objects.replace(f"{new}/{name}", objects.read(f"{old}/{name}"))


@pytest.mark.parametrize("api", APIS)
def test_a_reply_that_breaks_off_is_looked_for_and_not_sent_again(
    api: str, objects: Objects
) -> None:
    with (
        vendor(MODELS[api], hang_up=True) as (made, server),
        asking(server.url, {"api": api}) as ask,
    ):
        (reply,) = ask(["fine"], objects)
    assert (reply.status, len(made.batches), made.lists) == ("ok", 1, 1)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("ends", ["expired", "cancelled"])
def test_what_was_not_answered_in_time_is_asked_again_on_another_occasion(
    api: str, ends: str, objects: Objects
) -> None:
    with (
        vendor(MODELS[api], ends=ends, done=1) as (made, server),
        asking(server.url, {"api": api}) as ask,
    ):
        replies = ask(["fine 1", "fine 2"], objects)
        assert [r.status for r in replies] == ["ok", "timeout"]
        assert replies[1].usage.cost_usd == 0
        assert [read_of(r) for r in ask(["fine 1", "fine 2"], objects)] == list(
            map(read_of, replies)
        )
        assert len(made.batches) == 1
        made.ends, made.done = "completed", None
        (again,) = ask(["fine 2"], objects, "the next revision")
        assert (again.status, len(made.batches)) == ("ok", 2)


@pytest.mark.parametrize("api", APIS)
def test_a_batch_that_is_too_late_is_cancelled_and_what_it_has_is_taken(
    api: str, objects: Objects
) -> None:
    with (
        vendor(MODELS[api], looks=10**6) as (made, server),
        asking(server.url, {"api": api, "wait_h": 0.05 / 3600}) as ask,
    ):
        made.done = 1
        replies = ask(["fine 1", "fine 2"], objects)
        assert [r.status for r in replies] == ["ok", "timeout"]
        assert made.batches["batch_0"].status == "cancelled"


def with_trouble(lines: Lines) -> Lines:
    """A file of results in which much is wrong."""
    first, second, third, fourth = lines[:4]
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert isinstance(third, dict)
    assert isinstance(fourth, dict)
    spoilt = f'{{"custom_id": "{third["custom_id"]}", {"[" * 4000}'.encode()
    large = f'{{"custom_id": "{fourth["custom_id"]}", "x": "{"x" * 2**21}"}}'.encode()
    foreign = {**first, "custom_id": "another"}
    return [foreign, first, {**first, "response": None}, b"[1]", b"\xff{}", spoilt, large]


@pytest.mark.parametrize("api", APIS)
def test_lines_that_are_wrong_cost_their_row(api: str, objects: Objects) -> None:
    words = [f"fine {i}" for i in range(4)]
    with (
        vendor(MODELS[api], change=with_trouble) as (_, server),
        asking(server.url, {"api": api}, max_response_mib=1) as ask,
    ):
        replies = ask(words, objects)
    by = {r.status: r for r in replies}
    statuses = sorted(r.status for r in replies)
    assert statuses == ["ok", "rejected", "rejected", "unreachable"]
    assert "no line for this request" in by["unreachable"].reason
    # Nobody says what these cost: so as much as was set aside.
    assert all(r.usage.cost_usd > 0 for r in replies)
    reasons = " ".join(r.reason for r in replies)
    assert "not the JSON that was agreed" in reasons
    assert "larger than 1 MiB" in reasons


@pytest.mark.parametrize("api", APIS)
def test_a_file_of_results_that_never_ends_is_not_read(api: str, objects: Objects) -> None:
    with (
        vendor(MODELS[api], change=lambda _: [b"x" * 2**21]) as (_, server),
        asking(server.url, {"api": api, "results_mib": 1}) as ask,
    ):
        (reply,) = ask(["fine"], objects)
    assert reply.status == "rejected"
    assert "larger than" in reply.reason
    assert reply.usage.cost_usd > 0


def test_a_file_that_is_refused_costs_nothing_and_names_the_line(objects: Objects) -> None:
    errors = [{"code": "invalid_value", "message": "no such field", "line": 2}]
    with (
        vendor(openai_model, ends="failed", errors=errors) as (made, server),
        asking(server.url) as ask,
    ):
        replies = ask(["fine 1", "fine 2"], objects)
        assert [r.status for r in replies] == ["unreachable", "rejected"]
        assert "no such field" in replies[1].reason
        assert sum(r.usage.cost_usd for r in replies) == 0
        made.errors = [{"code": "token_limit_exceeded", "message": "too much is enqueued"}]
        (reply,) = ask(["fine 1"], objects)
        assert "too much is enqueued" in reply.reason
        made.ends = "completed"
        (reply,) = ask(["fine 1"], objects)
        assert (reply.status, len(made.batches)) == ("ok", 3)


def test_no_credit_ends_the_system_and_is_not_remembered(objects: Objects) -> None:
    def poor(body: dict[str, Any]) -> tuple[int, Any]:
        return 429, {"error": {"code": "insufficient_quota", "message": "no credit"}}

    with vendor(poor) as (made, server), asking(server.url) as ask:
        with pytest.raises(AdapterError, match="no credit left"):
            ask(["fine 1"], objects)
        made.model = openai_model
        (reply,) = ask(["fine 1"], objects)
    assert reply.status == "ok"


def test_a_cap_is_held_against_half_the_price_before_anything_is_sent(objects: Objects) -> None:
    most = 0.5 * (len(b"fine 1") * 2.0 + 50 * 10.0) / 1e6  # set aside for a request
    with (
        vendor(openai_model) as (made, server),
        asking(server.url, spending_cap_usd=2.5 * most) as ask,
    ):
        replies = ask([f"fine {i}" for i in range(4)], objects)
        assert [r.status for r in replies] == ["ok", "ok", "unsent", "unsent"]
        assert [len(b.requests) for b in made.batches.values()] == [2]
        with pytest.raises(SpendingError):
            ask(["fine 9"], objects)
        # What was paid for is handed out all the same.
        assert ask(["fine 0"], objects)[0].status == "ok"


def test_the_key_and_its_header_are_the_vendor_s(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "abc")
    for api, header in (("openai", "Authorization"), ("anthropic", "x-api-key")):
        with (
            vendor(MODELS[api]) as (_, server),
            asking(server.url, {"api": api}, api_key_env="SOME_KEY") as ask,
        ):
            ask(["fine"], objects, api)
        sent = {a.headers.get(header) for a in server.asked}
        assert sent == {"Bearer abc" if api == "openai" else "abc"}


def test_notes_are_removed_when_no_vendor_has_results_any_more(objects: Objects) -> None:
    with vendor(openai_model) as (made, server):
        with asking(server.url) as ask:
            ask(["fine"], objects)
        folder = batch_folder(objects.names("batches")[0])
        (asked,) = [n for n in objects.names(folder) if not n.endswith(".sent.json")]
        from medgen.adapters.batches.notes import KEEP_S, Record
        from medgen.engine.codec import decode, encode

        old = decode(Record, objects.read(f"{folder}/{asked}"), "a note")
        objects.replace(f"{folder}/{asked}", encode(replace(old, created=old.created - KEEP_S)))
        with asking(server.url) as ask:
            ask(["fine"], objects)
        assert len(made.batches) == 2


def test_a_request_is_the_same_in_the_other_interface() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    asked = {
        "model": "claude",
        "max_tokens": 7,
        "temperature": 0.0,
        "top_p": 1.0,
        "stop": ["end"],
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "what is it?"}, picture]},
        ],
    }
    assert message_request(asked) == {
        "model": "claude",
        "max_tokens": 7,
        "temperature": 0.0,
        "top_p": 1.0,
        "stop_sequences": ["end"],
        "system": "be brief",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is it?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                    },
                ],
            }
        ],
    }
    with pytest.raises(ConfigError, match="response_format"):
        message_request({**asked, "response_format": {}})
