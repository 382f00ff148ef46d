"""Calls to HTTP model endpoints: bounded, paced, retried, paid for, and failing by name.

`HttpClient` runs one event loop in a thread of its own, so that the synchronous ports can keep
many requests in flight. It knows HTTP and no vendor: adapters make the bodies and read them.

    client = HttpClient(read(Endpoint, settings, "endpoint"))  # of medgen.adapters.http.endpoint
    replies = client.map(lambda body: client.post("chat/completions", Call(json=body)), bodies)
"""

import asyncio
import contextlib
import itertools
import random
import weakref
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import uuid4

from medgen.adapters.http.endpoint import Call, Endpoint, Failure, Reply, host_of
from medgen.adapters.http.limits import REAL, Clock, RetryPause
from medgen.adapters.http.verdict import Attempt, foreign_coding, judge
from medgen.adapters.http.wire import Body, Received, Wire, WireError, open_wire
from medgen.adapters.loop_thread import LoopThread
from medgen.engine.chat.quoting import storable
from medgen.engine.errors import AdapterError, SpendingError
from medgen.engine.guard import guard_row, unforeseen
from medgen.engine.limiting import Ticket, limiter_for
from medgen.engine.redaction import redact

T = TypeVar("T")
U = TypeVar("U")

_LONG = 256 * 1024  # bytes of a body
_EXCERPT = 400  # characters of a reason that are kept
# A body that is not what was agreed was cut on its way, most likely; asked for once more, and paid
# for again.
_MALFORMED_ATTEMPTS = 2


@dataclass(slots=True)
class _Tally:
    """What the attempts of one request have come to so far."""

    number: int = 0
    timeouts: int = 0
    malformed: int = 0
    usd: float = 0.0

    def add(self, attempt: Attempt) -> None:
        failure = attempt.outcome if isinstance(attempt.outcome, Failure) else None
        self.number += 1
        self.timeouts += failure is not None and failure.kind == "timeout"
        answered = failure is not None and 200 <= (failure.http_status or 0) < 300
        self.malformed += failure is not None and (answered or failure.kind == "malformed")

    def used_up(self, endpoint: Endpoint) -> bool:
        return (
            self.number >= endpoint.attempts
            or self.timeouts >= endpoint.timeout_attempts
            or self.malformed >= _MALFORMED_ATTEMPTS
        )


class HttpClient:
    """A client of one endpoint. Safe to use from several threads; limits hold for all of them."""

    def __init__(self, endpoint: Endpoint, clock: Clock = REAL, model: str = "") -> None:
        """Open nothing yet; read the key.

        Pace and spending cap are those of all clients of a run that ask the endpoint for `model`.

        Raises:
            AdapterError: aiohttp is not installed, or the key's environment variable is not set.
        """
        self.endpoint = endpoint
        self._secret = endpoint.read_key()
        self._loop = LoopThread("http")
        try:
            self._wire = self._loop.run(open_wire(endpoint))
        except AdapterError:
            self._loop.stop()
            raise
        self._slots = asyncio.Semaphore(endpoint.concurrency)
        self._clock = clock
        place = f"{endpoint.base_url.rstrip('/')} {endpoint.api_key_env} {model} {endpoint.limits}"
        self._limiter = limiter_for(place, endpoint.limits, clock.now)
        self._tickets = (f"{uuid4().hex[:12]}-{number}" for number in itertools.count())
        self._retry_pause = RetryPause(clock)
        self._standing = Standing(endpoint)
        self._finalizer = weakref.finalize(self, _end, self._loop, self._wire)

    def close(self) -> None:
        """End the thread and the connections. The client cannot be used afterwards."""
        self._finalizer()

    def map(
        self, task: Callable[[T], Awaitable[U]], items: Sequence[T], failing: bool = False
    ) -> list[U]:
        """Run one coroutine an item, all at once, and give the results in order.

        The endpoint's limits bound what is really in flight. A task hands on the `Failure` it got,
        so that a batch of which the cap let something through still gives its rows. With
        `failing`, what a task raises on its item is a `Failure`, too.

        Raises:
            SpendingError: the cap let not a single item through.
            AdapterError: the endpoint cannot be used at all.
        """

        async def guard(item: T) -> U:
            try:
                return await task(item)
            except Exception as err:  # noqa: BLE001 - what no row can stand for is raised again
                return Failure("unforeseen", unforeseen(err).reason)  # type: ignore[return-value]

        results = self._loop.map(guard if failing else task, items)
        self._standing.end_of_batch(self.endpoint.base_url)
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
        started = self._clock.now()
        async with self._slots:
            # Who had the slot may just have ended the batch, which cancels this task in a moment.
            await asyncio.sleep(0)
            outcome = await self._persist("POST", url, call)
        self._standing.see(outcome, url)
        return replace(outcome, seconds=self._clock.now() - started)

    async def get(self, path: str, call: Call) -> Reply | Failure:
        """GET a path under `base_url`, with the key, whatever that says of other requests."""
        url = f"{self.endpoint.base_url.rstrip('/')}/{path.lstrip('/')}"
        async with self._slots:
            return await self._persist("GET", url, call)

    def see(self, outcome: Reply | Failure, path: str) -> None:
        """Take note of an outcome that came in another way than by a call of its own.

        Raises:
            AdapterError: by it the endpoint cannot be used.
        """
        self._standing.see(outcome, f"{self.endpoint.base_url.rstrip('/')}/{path}")

    async def set_aside(self, usd: float) -> Ticket:
        """Money for what is asked in another way than by a call of its own.

        Raises:
            SpendingError: the cap does not allow it.
        """
        ticket = Ticket(next(self._tickets), usd=usd, requests=0)
        await self._limiter.admit(ticket)
        return ticket

    async def settle(self, ticket: Ticket, usd: float) -> None:
        """Book what that cost; a second time it is not booked."""
        await self._limiter.settle(ticket, 0, usd)

    async def pause(self, seconds: float) -> None:
        """Let time pass on this client's clock."""
        await self._clock.sleep(seconds)

    async def fetch(self, url: str, most_bytes: int | None = None) -> Reply | Failure:
        """GET what a reply points to, without the key, from allowed hosts only."""
        if not self.endpoint.allows(url):
            reason = f"reply points to a host that is not allowed: {host_of(url)}"
            return Failure("client", f"{reason}; endpoint.allowed_hosts lists those that are")
        started = self._clock.now()
        async with self._slots:
            outcome = await self._persist("GET", url, None, most_bytes)
        if isinstance(outcome, Failure):
            outcome = replace(outcome, reason=f"the image at {host_of(url)}: {outcome.reason}")
        return replace(outcome, seconds=self._clock.now() - started)

    async def _persist(
        self, method: str, url: str, call: Call | None, most_bytes: int | None = None
    ) -> Reply | Failure:
        """Try until it works, is hopeless, or the attempts are used up."""
        tally, last = _Tally(), Failure("cap", "nothing was sent")
        body = Body(call)
        while True:
            await self._retry_pause.over()
            try:
                attempt, usd = await self._within_limits(method, url, call, body, most_bytes)
            except SpendingError as err:
                # What was tried before has its own reason, and was paid for.
                return last if tally.number else Failure("cap", str(err))
            tally.add(attempt)
            tally.usd += usd
            last = replace(attempt.outcome, attempts=tally.number, cost_usd=tally.usd)  # type: ignore[assignment]
            heard = call is not None and call.once and _may_be_heard(attempt)
            nobody = not attempt.connected and self._standing.is_never_there
            hopeless = tally.used_up(self.endpoint) or not attempt.again or heard or nobody
            if hopeless or not await self._pause(tally.number, attempt):
                self._standing.note_connection(attempt.connected)
                return last

    async def _within_limits(
        self, method: str, url: str, call: Call | None, body: Body, most_bytes: int | None
    ) -> tuple[Attempt, float]:
        """One attempt as the limits allow it, and its cost; what a reply links to has neither.

        Raises:
            SpendingError: the cap does not allow it.
        """
        if call is None:
            return await self._send(method, url, call, body, most_bytes), 0.0
        ticket = Ticket(next(self._tickets), call.tokens, call.at_most_usd)
        tokens, usd = 0, 0.0  # until it is sent
        try:
            await self._clock.sleep(await self._limiter.admit(ticket))
            tokens, usd = ticket.tokens, ticket.usd  # until somebody says
            attempt = await self._send(method, url, call, body, most_bytes)
            tokens, usd = _cost(attempt, call)
        finally:
            await self._limiter.settle(ticket, tokens, usd)
        return attempt, usd

    async def _pause(self, number: int, attempt: Attempt) -> bool:
        """Wait before the next attempt; False when the server asks for too long a wait."""
        wish = attempt.wait_s or 0.0
        if wish > self.endpoint.retry_after_max_s:
            return False
        longest = min(self.endpoint.backoff_max_s, self.endpoint.backoff_s * 2 ** (number - 1))
        if wish:
            # All requests share the server's patience. Jitter on top keeps them from one thump.
            self._retry_pause.ask(wish)
        ours = random.uniform(0.5, 1.0) * longest
        await self._clock.sleep(max(ours, wish + random.uniform(0.0, self.endpoint.backoff_s)))
        return True

    async def _send(
        self, method: str, url: str, call: Call | None, body: Body, most_bytes: int | None
    ) -> Attempt:
        """One attempt. What breaks off after it was sent may have been billed."""
        limit = self.endpoint.bounds.bytes
        limit = limit if most_bytes is None else min(limit, most_bytes)
        limit = call.most_bytes if call is not None and call.most_bytes else limit
        headers = self._headers(call) if call is not None else {}
        try:
            async with asyncio.timeout(self.endpoint.timeout_s):
                received = await self._wire.exchange(method, url, headers, body, limit)
                return await self._judge(received, call, limit)
        except TimeoutError:
            reason = f"no whole reply within {self.endpoint.timeout_s:g} s"
            return Attempt(Failure("timeout", reason), again=True, paid="unknown")
        except WireError as err:
            return _without_reply(err, self.clean(err))

    async def _judge(self, received: Received, call: Call | None, limit: int) -> Attempt:
        reply = Reply(received.status, received.body, received.headers)
        coding = foreign_coding(received.headers)
        if coding and 200 <= received.status < 300:
            # Nothing is unfolded: a few bytes could become gigabytes.
            reason = f"the reply is encoded ({coding[:40]}) although identity was asked for"
            return Attempt(Failure("malformed", reason), paid="unknown")
        if received.cut and 200 <= received.status < 300:
            reason = f"reply is larger than {limit / 2**20:g} MiB"
            return Attempt(Failure("malformed", reason), paid="unknown")
        if len(reply.body) < _LONG:
            return judge(reply, call, self.clean)
        # Readers of a long body leave the loop to the other requests.
        return await asyncio.to_thread(judge, reply, call, self.clean)

    def _headers(self, call: Call) -> dict[str, str]:
        if self._secret is None:
            return dict(call.headers)
        name = call.key_header or self.endpoint.key_header
        bearer = name.lower() == "authorization"
        return {**call.headers, name: f"Bearer {self._secret}" if bearer else self._secret}

    def clean(self, what: object) -> str:
        """A short reason. Servers do echo keys, in any spelling, so ours is taken out."""
        text = storable(redact(str(what) or type(what).__name__))
        return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"


def _cost(attempt: Attempt, call: Call) -> tuple[int, float]:
    """Tokens and US dollars of one attempt; where nobody says, what was set aside."""
    if attempt.paid == "nothing":
        return call.tokens, 0.0
    unread: tuple[int | None, float] = (None, call.at_most_usd)
    if attempt.paid == "unknown" or call.price is None:
        return call.tokens, call.at_most_usd
    reply, count = attempt.paid, call.price
    tokens, usd = guard_row(lambda: count(reply), lambda _: unread)
    return call.tokens if tokens is None else tokens, usd


def _without_reply(err: WireError, reason: str) -> Attempt:
    """What a request without a whole reply comes to."""
    if err.kind == "unusable":
        return Attempt(Failure("malformed", reason))
    if err.kind == "unconnected":
        return Attempt(Failure("transport", reason), again=True, connected=False)
    return Attempt(Failure("transport", reason), again=True, paid="unknown")


def _may_be_heard(attempt: Attempt) -> bool:
    """Whether the server may have done what was asked, whatever came of it."""
    status = getattr(attempt.outcome, "http_status", None) or 0
    return attempt.paid == "unknown" or status >= 500


def _end(loop: LoopThread, wire: Wire) -> None:
    """Close the connections in their own loop, then end it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with contextlib.suppress(RuntimeError):  # closed before
            loop.run(wire.close())
    else:
        # The garbage collector runs inside a loop, which cannot wait for itself.
        wire.drop()
    loop.stop()


_UNSURE = 3  # replies of 403 without a reason before the first good one: the key, not the sample


@dataclass(slots=True)
class Standing:
    """How an endpoint has treated us so far.

    A missing credit ends the system at once, and so does a key, path or parameter that is not
    accepted before anything was. Once the endpoint has accepted a request, such a reply is the
    sample's, and only `give_up_after` of them in a row are everybody's.
    """

    endpoint: Endpoint
    _accepted: bool = False
    _denied: int = 0  # in a row
    _unconnected: int = 0  # in a row
    _reached: bool = False
    _last: Failure | None = None

    @property
    def is_never_there(self) -> bool:
        """Whether so many requests found nobody that one more need not wait for somebody.

        A server that was reached once may be starting again, and is waited for.
        """
        return not self._reached and self._unconnected >= self.endpoint.give_up_after

    def note_connection(self, yes: bool) -> None:
        """One request reached a server, or none of its attempts did."""
        self._reached = self._reached or yes
        self._unconnected = 0 if yes else self._unconnected + 1

    def see(self, outcome: Reply | Failure, url: str) -> None:
        """Take note of one outcome.

        Raises:
            AdapterError: the endpoint cannot be used.
        """
        if isinstance(outcome, Reply):
            self._accepted, self._denied = True, 0
            return
        if outcome.about == "credit":
            raise AdapterError(f"{url}: the account has no credit left: {outcome.reason}")
        if not outcome.about:
            if outcome.kind in ("client", "refused", "malformed"):
                self._accepted, self._denied = True, 0
            elif self._unconnected >= self.endpoint.give_up_after:
                raise AdapterError(f"{url} cannot be reached: {outcome.reason}. Is the server up?")
            return
        self._denied, self._last = self._denied + 1, outcome
        unsure = outcome.http_status == 403 and self._denied < _UNSURE
        if self._denied >= self.endpoint.give_up_after or not (self._accepted or unsure):
            raise AdapterError(self._why(outcome, url))

    def end_of_batch(self, url: str) -> None:
        """Nothing of a batch is open any more.

        Raises:
            AdapterError: nothing was ever accepted, and something was denied.
        """
        if self._last is not None and self._denied and not self._accepted:
            raise AdapterError(self._why(self._last, url))

    def _why(self, failure: Failure, url: str) -> str:
        if failure.about == "key":
            key = self.endpoint.api_key_env or "none; set api_key_env"
            return f"{url} does not accept the key ({key}): {failure.reason}"
        if failure.about == "place":
            return f"{url}: no such path or model: {failure.reason}"
        return f"{url} does not take what is asked for: {failure.reason}"
