import gc
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from models.loopback import Answer, Asked, serve

from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Call, Endpoint, Failure, Reply
from medgen.adapters.http.errors import error_body
from medgen.adapters.http.limits import Prices
from medgen.adapters.http.waits import retry_after
from medgen.adapters.http.wire import Body
from medgen.engine.errors import AdapterError, ConfigError, SpendingError
from medgen.engine.settings import read

QUICK: dict[str, Any] = {"backoff_s": 0.01, "backoff_max_s": 0.05, "timeout_s": 5.0}
Script = Callable[[Asked], Answer]


@pytest.fixture
def client() -> Iterator[Callable[..., HttpClient]]:
    opened: list[HttpClient] = []

    def make(url: str, **changes: Any) -> HttpClient:
        opened.append(
            HttpClient(read(Endpoint, {"base_url": f"{url}/v1", **QUICK, **changes}, "endpoint"))
        )
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def ask(client: HttpClient, count: int = 1, **call: Any) -> list[Reply | Failure]:
    calls = [Call(json={"i": i}, **call) for i in range(count)]
    return client.map(lambda c: client.post("do", c), calls)


def number(request: Asked) -> int:
    return int(request.json()["i"])


def test_replies_come_in_the_order_of_the_calls(client: Callable[..., HttpClient]) -> None:
    def slow_first(request: Asked) -> Answer:
        return Answer({"i": number(request)}, pause_s=0.2 if number(request) == 0 else 0.0)

    with serve(slow_first) as server:
        replies = ask(client(server.url), 12)
    assert [r.json()["i"] for r in replies if isinstance(r, Reply)] == list(range(12))


def test_no_more_requests_are_open_than_allowed(client: Callable[..., HttpClient]) -> None:
    with serve(lambda _: Answer({}, pause_s=0.05)) as server:
        ask(client(server.url, concurrency=3), 12)
        assert server.most_at_once == [3]


def test_requests_a_minute_are_spread_evenly(client: Callable[..., HttpClient]) -> None:
    with serve(lambda _: Answer({})) as server:
        ask(client(server.url, requests_per_minute=1200), 9)  # one every 50 ms
        times = sorted(a.at for a in server.asked)
    assert times[-1] - times[0] >= 8 * 0.05 - 0.03


def test_tokens_a_minute_follow_what_was_really_used(client: Callable[..., HttpClient]) -> None:
    def elapsed(used: int) -> float:
        with serve(lambda _: Answer({})) as server:
            slow = client(server.url, tokens_per_minute=60_000, concurrency=1)
            start = time.monotonic()
            ask(slow, 4, tokens=400, price=lambda _: (used, 0.0))
            return time.monotonic() - start

    # 1000 a second: what is said beforehand would keep four calls 3 x 400 ms apart.
    assert elapsed(10) < 1.2
    assert elapsed(600) >= 1.7


def test_a_busy_server_is_left_alone_as_long_as_it_asks(client: Callable[..., HttpClient]) -> None:
    turned_away: list[float] = []

    def busy_once(request: Asked) -> Answer:
        if not turned_away:
            turned_away.append(request.at)
            return Answer(b"later", 429, {"Retry-After": "0.4"})
        return Answer({})

    with serve(busy_once) as server:
        (first,) = ask(client(server.url))
        assert isinstance(first, Reply)
        assert first.attempts == 2
        assert server.asked[1].at - turned_away[0] >= 0.4


def test_a_server_that_asks_for_too_long_is_given_up(client: Callable[..., HttpClient]) -> None:
    with serve(lambda _: Answer(b"tomorrow", 429, {"Retry-After": "86400"})) as server:
        (failed,) = ask(client(server.url))
        assert len(server.asked) == 1
    assert isinstance(failed, Failure)
    assert (failed.kind, failed.http_status, failed.status) == ("server", 429, "unreachable")


@pytest.mark.parametrize(
    ("answer", "kind", "status", "attempts"),
    [
        (Answer(b"oops", 500), "server", "unreachable", 3),
        (Answer(b"busy", 503), "server", "unreachable", 3),
        (Answer({"error": {"message": "bad size"}}, 400), "client", "model_error", 1),
        (Answer(b"", 302, {"Location": "http://192.0.2.1/"}), "client", "model_error", 1),
        (Answer({}, pause_s=5.0), "timeout", "timeout", 2),
        (Answer(b"x" * 100, hang_up_after=10), "transport", "unreachable", 3),
        (Answer(b"x" * 3 * 2**20), "malformed", "model_error", 1),
        (
            Answer({"error": {"code": "content_policy_violation", "message": "no"}}, 400),
            "refused",
            "refused",
            1,
        ),
    ],
    ids=["500", "503", "400", "redirect", "hang", "hang up", "too large", "refusal"],
)
def test_every_failure_has_its_name(
    client: Callable[..., HttpClient], answer: Answer, kind: str, status: str, attempts: int
) -> None:
    with serve(lambda _: answer) as server:
        impatient = client(server.url, timeout_s=0.3, attempts=3, max_response_mib=1)
        (failed,) = ask(impatient)
        assert len(server.asked) == attempts
    assert isinstance(failed, Failure)
    assert (failed.kind, failed.status, failed.attempts) == (kind, status, attempts)
    assert failed.reason


def test_a_dripping_reply_is_a_time_out(client: Callable[..., HttpClient]) -> None:
    import socket
    import threading

    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(40):
                    if over.wait(0.05):
                        return
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        break

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    (failed,) = ask(client(url, timeout_s=0.4, timeout_attempts=1))
    over.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(2)
    assert isinstance(failed, Failure)
    assert failed.kind == "timeout"


@pytest.mark.parametrize(
    ("status", "body", "most"),
    [
        (401, {"error": {"message": "bad key"}}, 1),
        (403, {"error": {"message": "not yours"}}, 3),
        (404, {"error": {"message": "no such model"}}, 1),
        (429, {"error": {"code": "insufficient_quota"}}, 1),
    ],
)
def test_an_endpoint_that_cannot_be_used_ends_the_work_at_once(
    client: Callable[..., HttpClient], status: int, body: Any, most: int
) -> None:
    with serve(lambda _: Answer(body, status)) as server:
        with pytest.raises(AdapterError):
            ask(client(server.url, concurrency=1), 5)
        assert len(server.asked) == most


def test_an_endpoint_that_is_not_there_is_not_asked_for_ever(
    client: Callable[..., HttpClient],
) -> None:
    with serve(lambda _: Answer({})) as server:
        gone = server.url
    lost = client(gone, attempts=2, give_up_after=4)
    first = ask(lost, 3)
    assert [f.kind for f in first if isinstance(f, Failure)] == ["transport"] * 3
    with pytest.raises(AdapterError, match="Is the server up"):
        ask(lost, 1)


@pytest.mark.parametrize("reached", [False, True])
def test_only_a_server_that_was_there_once_is_waited_for(
    client: Callable[..., HttpClient], reached: bool
) -> None:
    """A wrong URL cost every shard of a run all its attempts, with all their waits."""
    with serve(lambda _: Answer({})) as server:
        gone = server.url
    asking = client(gone, attempts=3, give_up_after=1, backoff_s=0.6, backoff_max_s=0.6)
    if reached:
        asking._standing.note_connection(True)
    with pytest.raises(AdapterError, match="Is the server up"):
        ask(asking)
    since = time.monotonic()
    with pytest.raises(AdapterError, match="Is the server up"):
        ask(asking)
    waited = time.monotonic() - since
    assert (waited >= 0.6) is reached  # two waits, of 0.3 s at least each


def test_the_key_comes_from_the_environment_and_stays_there(
    client: Callable[..., HttpClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-very-secret-0123456789"
    monkeypatch.setenv("SOME_MODEL_KEY", secret)
    with serve(lambda a: Answer({"error": {"message": a.headers["Authorization"]}}, 400)) as server:
        keyed = client(server.url, api_key_env="SOME_MODEL_KEY")
        (failed,) = ask(keyed)
        assert server.asked[0].headers["Authorization"] == f"Bearer {secret}"
        other = client(server.url, api_key_env="SOME_MODEL_KEY", key_header="api-key")
        ask(other)
        assert server.asked[1].headers["api-key"] == secret
    assert isinstance(failed, Failure)
    assert secret not in repr(failed) + repr(keyed.endpoint)
    assert "***" in failed.reason


def test_a_key_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_MODEL_KEY", raising=False)
    with pytest.raises(AdapterError, match="SOME_MODEL_KEY"):
        HttpClient(Endpoint(base_url="http://127.0.0.1:1/v1", api_key_env="SOME_MODEL_KEY"))


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "ftp://host/v1"},
        {"base_url": "http://user:pass@host/v1"},
        {"base_url": "http://user:pass@host:99999/v1"},
        {"base_url": "http://host/v1?key=abc"},
        {"base_url": "http://host/v1", "api_key_env": "sk-the-key-itself"},
        {"base_url": "http://host/v1", "api_key_env": ""},
        {"base_url": "http://host/v1", "key_header": "X\r\nY"},
        {"base_url": "http://host/v1", "timeout": 3},
        {"base_url": "http://host/v1", "attempts": 0},
        {"base_url": "http://host/v1", "timeout_s": "soon"},
        {"base_url": "http://host/v1", "requests_per_minute": -1},
        {"base_url": "http://host/v1", "requests_per_minute": 1e-9},
        {"base_url": "http://host/v1", "tokens_per_minute": True},
        {},
    ],
)
def test_an_endpoint_that_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        read(Endpoint, settings, "endpoint")
    assert "the-key-itself" not in str(refused.value)
    assert ":pass@" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://api.example.org/files/1.png", True),
        ("http://api.example.org/files/1.png", False),
        ("https://api.example.org:8443/1.png", False),
        ("https://cdn.example.net/1.png", True),
        ("https://a.pictures.example.net/1.png", True),
        ("https://pictures.example.net.evil.example/1.png", False),
        ("https://evilpictures.example.net/1.png", False),
        ("http://cdn.example.net/1.png", False),
        ("https://user@cdn.example.net/1.png", False),
        ("http://169.254.169.254/latest/meta-data", False),
        ("file:///etc/passwd", False),
    ],
)
def test_pictures_are_fetched_from_allowed_hosts_only(url: str, allowed: bool) -> None:
    endpoint = Endpoint(
        base_url="https://api.example.org/v1",
        allowed_hosts=("cdn.example.net", "*.pictures.example.net"),
    )
    assert endpoint.allows(url) is allowed


def test_what_is_fetched_never_sees_the_key(
    client: Callable[..., HttpClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_MODEL_KEY", "sk-1")
    with serve(lambda _: Answer(b"bytes")) as server:
        keyed = client(server.url, api_key_env="SOME_MODEL_KEY")
        good, bad = keyed.map(keyed.fetch, [f"{server.url}/1.png", "http://127.0.0.1:9/2.png"])
        assert [a.path for a in server.asked] == ["/1.png"]
        assert "Authorization" not in server.asked[0].headers
    assert isinstance(good, Reply)
    assert good.body == b"bytes"
    assert isinstance(bad, Failure)
    assert "not allowed" in bad.reason


def test_the_cap_is_never_passed(client: Callable[..., HttpClient]) -> None:
    with serve(lambda _: Answer({}, pause_s=0.02)) as server:
        frugal = client(server.url, spending_cap_usd=1.0, concurrency=4)
        replies = ask(frugal, 10, at_most_usd=0.3, price=lambda _: (0, 0.2))
        # 0.2 each is paid, 0.3 must be free: four fit when run one by one, three at least at once.
        sent = len(server.asked)
        assert sum(r.cost_usd for r in replies) == pytest.approx(0.2 * sent)
        assert [isinstance(r, Reply) for r in replies].count(True) == sent
        kept = [r for r in replies if isinstance(r, Failure)]
        assert {(f.kind, f.status) for f in kept} == {("cap", "missing")}
        assert 3 <= sent <= 4
        with pytest.raises(SpendingError, match="cap"):
            ask(frugal, 2, at_most_usd=0.5, price=lambda _: (0, 0.2))


def test_prices_are_per_million_tokens_and_per_picture() -> None:
    prices = read(
        Prices, {"prompt": 2.0, "cached": 0.5, "completion": 10.0, "image": 0.04}, "prices"
    )
    cost = prices.cost(prompt=1_000_000, completion=100_000, cached=400_000, images=2)
    assert cost == pytest.approx(0.6 * 2.0 + 0.4 * 0.5 + 1.0 + 0.08)
    for wrong in ({"imgae": 1.0}, {"image": -1.0}, {"prompt": float("nan")}):
        with pytest.raises(ConfigError):
            read(Prices, wrong, "prices")


def test_a_cap_needs_to_know_what_a_picture_can_cost() -> None:
    assert Prices(image=0.04).most_for_image(1.0) == 0.04
    assert Prices(completion=40.0, request=0.3).most_for_image(1.0) == 0.3
    assert Prices(completion=40.0).most_for_image(None) == 0.0
    with pytest.raises(ConfigError, match=r"prices\.request"):
        Prices(completion=40.0, image=0.01).most_for_image(1.0)


def test_retry_after_is_a_number_or_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after("7") == 7.0
    assert 25 < (retry_after(soon) or 0) <= 30
    assert retry_after("soon") is retry_after(None) is None


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"error": {"code": "moderation_blocked"}}, True),
        ({"error": {"code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, True),
        ({"error": {"code": "OutputImageSensitiveContentDetected"}}, True),
        ({"error": {"code": "invalid_size", "message": "content_filter: not the cause"}}, False),
        ({"error": "moderation"}, False),
        ([1], False),
    ],
)
def test_a_refusal_is_told_by_its_code_not_its_prose(body: Any, refused: bool) -> None:
    assert error_body(json.dumps(body).encode()).refuses(400) is refused


def test_what_is_sent_is_written_once() -> None:
    body = Body(Call(json={"picture": "AAAA", "where": "Köln"}))
    assert body.payload() is body.payload()
    assert json.loads(body.payload()) == {"picture": "AAAA", "where": "Köln"}


def test_a_proxy_gets_its_own_password_and_no_other_file_is_read(
    client: Callable[..., HttpClient], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("default login me password from-a-file")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serve(lambda _: Answer({})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:p%40ss@"))
        through = client("http://model.invalid", proxy_from_env=True)
        assert isinstance(ask(through)[0], Reply)
        assert isinstance(ask(client(proxy.url))[0], Reply)
        (asked, direct) = proxy.asked
    assert asked.path == "http://model.invalid/v1/do"
    assert asked.headers["Proxy-Authorization"] == "Basic bWU6cEBzcw=="
    assert "Authorization" not in asked.headers
    assert direct.path == "/v1/do"
    assert "Proxy-Authorization" not in direct.headers


def test_a_server_can_leave_nothing_with_us(client: Callable[..., HttpClient]) -> None:
    policy = {"Set-Cookie": "who=me; Path=/", "Content-Security-Policy": "x" * 30_000}
    with serve(lambda _: Answer({}, headers=policy)) as server:
        one = client(server.url)
        assert all(isinstance(ask(one)[0], Reply) for _ in range(2))
        assert not any("Cookie" in asked.headers for asked in server.asked)


def test_a_client_that_is_dropped_ends_its_thread() -> None:
    import threading

    before = set(threading.enumerate())
    client = HttpClient(Endpoint(base_url="http://127.0.0.1:1/v1"))
    (own,) = set(threading.enumerate()) - before
    del client
    gc.collect()
    own.join(10)
    assert not own.is_alive()
