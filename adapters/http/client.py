"""Calls to HTTP model endpoints: bounded, paced, retried, paid for, and failing by name.

`HttpClient` runs one event loop in a thread of its own, so that the synchronous ports can keep
many requests in flight. It knows HTTP and no vendor: adapters make the bodies and read them.

    client = HttpClient(read(Endpoint, settings, "endpoint"))  # of medgen.adapters.http.endpoint
    replies = client.map(lambda body: client.post("chat/completions", Call(json=body)), bodies)
"""

import asyncio
import contextlib
import random
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from medgen.adapters.http.endpoint import (
    Call,
    Endpoint,
    Failure,
    FailureKind,
    Reply,
    host_of,
    is_filter_refusal,
    retry_after,
)
from medgen.adapters.http.limits import RateLimiter, RetryPause, SpendingCap
from medgen.adapters.loop_thread import LoopThread
from medgen.engine.errors import AdapterError, SpendingError

T = TypeVar("T")
U = TypeVar("U")

_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_EXCERPT = 300  # characters of an error body that are kept in a reason


@dataclass(slots=True)
class _Attempt:
    """What one attempt came to: a reply, or a failure that may be worth another try."""

    outcome: Reply | Failure
    again: bool = False
    wait_s: float | None = None  # what the server asked for
    connected: bool = True


class HttpClient:
    """A client of one endpoint. Safe to use from several threads; limits hold for all of them."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Open nothing yet; read the key.

        Raises:
            AdapterError: httpx is not installed, or the key's environment variable is not set.
        """
        try:
            import httpx
        except ImportError as err:
            raise AdapterError("httpx is not installed; install the extra 'api'") from err
        self.endpoint = endpoint
        self._httpx = httpx
        self._secret = endpoint.read_key()
        self._loop = LoopThread("http")
        self._http = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=endpoint.proxy_from_env,
            timeout=httpx.Timeout(endpoint.timeout_s),
            limits=httpx.Limits(max_connections=endpoint.concurrency),
            # Compressed replies could unfold far beyond the allowed size before they are measured.
            headers={"Accept-Encoding": "identity"},
        )
        self._slots = asyncio.Semaphore(endpoint.concurrency)
        self._requests = RateLimiter(endpoint.requests_per_minute)
        self._tokens = RateLimiter(endpoint.tokens_per_minute)
        self._retry_pause = RetryPause()
        self.spending = SpendingCap(endpoint.spending_cap_usd)
        self._unconnected = 0
        self._finalizer = weakref.finalize(self, _end, self._loop, self._http)

    def close(self) -> None:
        """End the thread and the connections. The client cannot be used afterwards."""
        self._finalizer()

    def map(self, task: Callable[[T], Awaitable[U]], items: Sequence[T]) -> list[U]:
        """Run one coroutine an item, all at once, and give the results in order.

        The endpoint's limits bound what is really in flight. A task hands on the `Failure` it got,
        so that a batch of which the cap let something through still gives its rows.

        Raises:
            SpendingError: the cap let not a single item through.
            AdapterError: the endpoint cannot be used at all.
        """
        results = self._loop.map(task, items)
        if results and all(isinstance(r, Failure) and r.kind == "cap" for r in results):
            raise SpendingError(results[0].reason)  # type: ignore[attr-defined]
        return results

    async def post(self, path: str, call: Call) -> Reply | Failure:
        """POST to a path under `base_url`, with retries, inside every limit.

        Raises:
            AdapterError: the key is not accepted, the path or model does not exist, or the
                endpoint cannot be reached at all.
        """
        url = f"{self.endpoint.base_url.rstrip('/')}/{path.lstrip('/')}"
        started = time.monotonic()
        async with self._slots:
            try:
                with self.spending.reserve(call.at_most_usd) as reservation:
                    outcome = await self._persist(lambda: self._send("POST", url, call), call)
                    if isinstance(outcome, Reply) and call.price:
                        tokens, usd = call.price(outcome)
                        self._tokens.settle(tokens - call.tokens)
                        reservation.pay(usd)
                        outcome = replace(outcome, cost_usd=usd)
            except SpendingError as err:
                return Failure("cap", str(err))
        self._stop_if_unusable(outcome, url)
        return replace(outcome, seconds=time.monotonic() - started)

    async def fetch(self, url: str) -> Reply | Failure:
        """GET what a reply points to, without the key, from allowed hosts only."""
        if not self.endpoint.allows(url):
            return Failure(
                "malformed", f"reply points to a host that is not allowed: {host_of(url)}"
            )
        started = time.monotonic()
        async with self._slots:
            outcome = await self._persist(lambda: self._send("GET", url, None), None)
        return replace(outcome, seconds=time.monotonic() - started)

    async def _persist(
        self, send: Callable[[], Awaitable[_Attempt]], call: Call | None
    ) -> Reply | Failure:
        """Try until it works, is hopeless, or the attempts are used up."""
        timeouts = 0
        for number in range(1, self.endpoint.attempts + 1):
            await self._retry_pause.over()
            if call is not None:
                await self._requests.take()
                await self._tokens.take(call.tokens)
            attempt = await send()
            self._unconnected = 0 if attempt.connected else self._unconnected
            timeouts += isinstance(attempt.outcome, Failure) and attempt.outcome.kind == "timeout"
            last = number == self.endpoint.attempts or timeouts >= self.endpoint.timeout_attempts
            if last or not attempt.again or not await self._pause(number, attempt):
                self._unconnected += not attempt.connected
                return replace(attempt.outcome, attempts=number)
        raise AssertionError("attempts is positive")

    async def _pause(self, number: int, attempt: _Attempt) -> bool:
        """Wait before the next attempt; False when the server asks for too long a wait."""
        if (attempt.wait_s or 0.0) > self.endpoint.retry_after_max_s:
            return False
        longest = min(self.endpoint.backoff_max_s, self.endpoint.backoff_s * 2 ** (number - 1))
        jitter = random.uniform(0.5, 1.0) * longest
        if attempt.wait_s is None:
            await asyncio.sleep(jitter)
        else:
            # All requests share the server's patience. Jitter on top keeps them from one thump.
            self._retry_pause.ask(attempt.wait_s)
            await asyncio.sleep(attempt.wait_s + random.uniform(0.0, self.endpoint.backoff_s))
        return True

    async def _send(self, method: str, url: str, call: Call | None) -> _Attempt:
        """One attempt."""
        httpx = self._httpx
        try:
            async with asyncio.timeout(self.endpoint.timeout_s):
                return await self._exchange(method, url, call)
        except (TimeoutError, httpx.TimeoutException):
            reason = f"no whole reply within {self.endpoint.timeout_s:g} s"
            return _Attempt(Failure("timeout", reason), again=True)
        except (httpx.ConnectError, httpx.ProxyError) as err:
            return _Attempt(Failure("transport", self._clean(err)), again=True, connected=False)
        except (httpx.TransportError, httpx.StreamError) as err:
            return _Attempt(Failure("transport", self._clean(err)), again=True)
        except (httpx.InvalidURL, httpx.DecodingError) as err:
            return _Attempt(Failure("malformed", self._clean(err)))

    async def _exchange(self, method: str, url: str, call: Call | None) -> _Attempt:
        headers = self._headers() if call is not None else {}
        body = {"json": call.json, "data": call.form, "files": call.files or None} if call else {}
        limit = int(self.endpoint.max_response_mib * 2**20)
        async with self._http.stream(method, url, headers=headers, **body) as response:
            content = bytearray()
            async for chunk in response.aiter_bytes(65536):
                content += chunk
                if len(content) > limit:
                    reason = f"reply is larger than {self.endpoint.max_response_mib:g} MiB"
                    return _Attempt(Failure("malformed", reason))
            return self._judge(response.status_code, bytes(content), dict(response.headers))

    def _judge(self, status: int, body: bytes, headers: Mapping[str, str]) -> _Attempt:
        if 200 <= status < 300:
            return _Attempt(Reply(status, body, headers))
        text = self._clean(body.decode("utf-8", "replace"))
        if is_filter_refusal(body):
            return _Attempt(Failure("refused", f"HTTP {status}: {text}", status))
        kind: FailureKind = "server" if status >= 500 or status in _RETRIED else "client"
        failure = Failure(kind, f"HTTP {status}: {text}", status)
        wait = retry_after(headers.get("retry-after"))
        again = status in _RETRIED and "insufficient_quota" not in text
        return _Attempt(failure, again=again, wait_s=wait)

    def _headers(self) -> dict[str, str]:
        if self._secret is None:
            return {}
        bearer = self.endpoint.key_header.lower() == "authorization"
        return {self.endpoint.key_header: f"Bearer {self._secret}" if bearer else self._secret}

    def _clean(self, what: object) -> str:
        """A short reason. Servers do echo keys, so ours is taken out."""
        text = str(what) or type(what).__name__
        if self._secret:
            text = text.replace(self._secret, "***")
        return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"

    def _stop_if_unusable(self, outcome: Reply | Failure, url: str) -> None:
        if isinstance(outcome, Reply):
            return
        if outcome.http_status == 402 or "insufficient_quota" in outcome.reason:
            raise AdapterError(f"{url}: the account has no credit left: {outcome.reason}")
        if outcome.http_status in (401, 403) and outcome.kind == "client":
            key = self.endpoint.api_key_env or "none; set api_key_env"
            raise AdapterError(f"{url} does not accept the key ({key}): {outcome.reason}")
        if outcome.http_status in (404, 405) and outcome.kind == "client":
            raise AdapterError(f"{url}: no such path or model: {outcome.reason}")
        if self._unconnected >= self.endpoint.give_up_after:
            raise AdapterError(f"{url} cannot be reached: {outcome.reason}. Is the server up?")


def _end(loop: LoopThread, http: Any) -> None:
    """Close the connections in their own loop, then end it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with contextlib.suppress(RuntimeError):  # closed before
            loop.run(http.aclose())
    # Else the garbage collector runs inside a loop, which cannot wait for itself.
    loop.stop()
