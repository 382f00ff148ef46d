"""Pace and money of an endpoint, for all who ask it: one ledger, wherever the workers run.

A client has a ticket for each request: `admit` books what it may use, `settle` what it used. Both
may be told twice, as by a network, and count once. What is admitted and never settled, since its
worker died, stays set aside: it may have been billed.
"""

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Protocol, TypeGuard, TypeVar

from medgen.engine.errors import ConfigError, SpendingError

T = TypeVar("T")

MANY_TOKENS = 8192  # of one request
_UNITS = {"requests_per_minute": 1, "tokens_per_minute": MANY_TOKENS}  # of one request, by pace


@dataclass(frozen=True, slots=True)
class Limits:
    """What an endpoint may be asked for; None for no limit."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    spending_cap_usd: float | None = None

    def __post_init__(self) -> None:
        cap = self.spending_cap_usd
        if cap is not None and not (cap > 0 and math.isfinite(cap)):
            raise ConfigError(f"a spending cap is a positive number of dollars, not {cap}")

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return any((self.requests_per_minute, self.tokens_per_minute, self.spending_cap_usd))


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request: a name that no other has, and what it may use at most.

    With `requests` 0 it is money alone, for what is asked in another way.
    """

    name: str
    tokens: int = 0
    usd: float = 0.0
    requests: int = 1


class Limiter(Protocol):
    """Where a client asks for leave."""

    async def admit(self, ticket: Ticket) -> float:
        """Seconds to wait before the request may be sent.

        Raises:
            SpendingError: the cap would be passed if it cost `ticket.usd`.
            AdapterError: nobody knows any more what was spent.
        """
        ...

    async def settle(self, ticket: Ticket, tokens: int, usd: float) -> None:
        """Book what an admitted request used in the place of what was set aside for it."""
        ...


@dataclass(slots=True)
class Flow:
    """An even flow of so many units a minute; no burst, so no window is ever overfull."""

    per_minute: float | None
    _next: float = 0.0

    def take(self, amount: float, now: float) -> float:
        """The moment from which `amount` units may be used, in order of arrival."""
        if not self.per_minute or not amount:
            return now
        start = max(now, self._next)
        self._next = start + amount * 60.0 / self.per_minute
        return start

    def settle(self, difference: float) -> None:
        """Correct an estimate: positive when more was used than was taken."""
        if self.per_minute:
            self._next += difference * 60.0 / self.per_minute


class Ledger:
    """What one endpoint was asked for. Safe from several threads."""

    def __init__(self, limits: Limits, journal: "Journal | None" = None) -> None:
        """`journal` is written before anybody is told, and read when a ledger is made anew."""
        self._limits = limits
        self._requests = Flow(limits.requests_per_minute)
        self._tokens = Flow(limits.tokens_per_minute)
        self._open: dict[str, tuple[Ticket, float]] = {}  # with the moment that each was told
        self._lock = threading.Lock()
        self._spent_usd = self._aside_usd = 0.0
        self._journal = journal
        for entry in journal.read() if journal else ():
            self._apply(entry)

    def admit(self, ticket: Ticket, now: float) -> float:
        """See `Limiter.admit`; `now` is the clock of whoever keeps the ledger."""
        with self._lock:
            if ticket.name not in self._open:
                self._refuse(ticket)
                self._book(Entry(ticket.name, ticket.tokens, ticket.usd, ticket.requests, now))
            return max(0.0, self._open[ticket.name][1] - now)

    def settle(self, ticket: Ticket, tokens: int, usd: float) -> None:
        """See `Limiter.settle`. A server cannot make the cap grow."""
        with self._lock:
            if ticket.name in self._open:
                self._book(Entry(ticket.name, tokens, max(0.0, usd)))

    @property
    def spent_usd(self) -> float:
        """US dollars spent."""
        return self._spent_usd

    @property
    def committed_usd(self) -> float:
        """US dollars spent or set aside."""
        return self._spent_usd + self._aside_usd

    def _refuse(self, ticket: Ticket) -> None:
        cap = self._limits.spending_cap_usd
        left = math.inf if cap is None else cap - self.committed_usd
        if ticket.usd > max(left, 0.0):  # what costs nothing is never refused
            raise SpendingError(
                f"spending cap of ${cap:g} reached: ${self._spent_usd:.4f} spent, "
                f"${self._aside_usd:.4f} in open requests, the next may cost ${ticket.usd:.4f}"
            )

    def _book(self, entry: "Entry") -> None:
        if self._journal:
            self._journal.write(entry)
        self._apply(entry)

    def _apply(self, entry: "Entry") -> None:
        if entry.now is None:
            ticket, _ = self._open.pop(entry.name)
            self._tokens.settle(entry.tokens - ticket.tokens)
            self._aside_usd = self._aside_usd - ticket.usd if self._open else 0.0
            self._spent_usd += entry.usd
            return
        flows = ((self._requests, entry.requests), (self._tokens, entry.tokens))
        start = max(flow.take(amount, entry.now) for flow, amount in flows)
        ticket = Ticket(entry.name, entry.tokens, entry.usd, entry.requests)
        self._open[entry.name] = (ticket, start)
        self._aside_usd += entry.usd


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a journal: a request that is let through at a moment, or, without one, settled."""

    name: str
    tokens: int
    usd: float
    requests: int = 1
    now: float | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """The entries of a ledger in a file of this machine, for when its process dies."""

    path: Path

    def read(self) -> Iterator[Entry]:
        """The entries so far. One that was cut short was never told to anybody, and is dropped."""
        if not self.path.exists():
            return
        whole, _, _ = self.path.read_bytes().rpartition(b"\n")
        self.path.write_bytes(whole + b"\n" if whole else b"")
        for line in whole.splitlines():
            yield Entry(*json.loads(line))

    def write(self, entry: Entry) -> None:
        """Add an entry; the operating system has it when this returns."""
        line = json.dumps(astuple(entry))
        with self.path.open("ab", buffering=0) as file:
            file.write(line.encode() + b"\n")


@dataclass(slots=True)
class OwnLimiter:
    """The limiter of one process."""

    ledger: Ledger
    now: Callable[[], float]

    async def admit(self, ticket: Ticket) -> float:
        """See `Limiter.admit`."""
        return self.ledger.admit(ticket, self.now())

    async def settle(self, ticket: Ticket, tokens: int, usd: float) -> None:
        """See `Limiter.settle`."""
        self.ledger.settle(ticket, tokens, usd)


class Limiters(Protocol):
    """The limiters of a run, one for each endpoint and model."""

    def __call__(self, name: str, limits: Limits) -> Limiter:
        """The limiter of that name; the same for all workers."""
        ...


@dataclass(slots=True)
class OwnLimiters:
    """The limiters of a run in one process."""

    now: Callable[[], float]
    _ledgers: dict[str, Ledger] = field(default_factory=dict)

    def __call__(self, name: str, limits: Limits) -> Limiter:
        """See `Limiters`."""
        return OwnLimiter(self._ledgers.setdefault(name, Ledger(limits)), self.now)


_LIMITERS: ContextVar[Limiters | None] = ContextVar("limiters of the run", default=None)


def is_limited(recipe: object) -> bool:
    """Whether a recipe sets a limit, wherever in it: then its workers share a limiter."""
    if isinstance(recipe, Mapping):
        named = any(recipe.get(limit) is not None for limit in Limits.__slots__)
        return named or any(is_limited(inner) for inner in recipe.values())
    return isinstance(recipe, list | tuple) and any(map(is_limited, recipe))


def pace_s(recipe: object) -> float:
    """Seconds between two requests that the slowest pace in a recipe allows; 0 without one.

    Of a pace in tokens nobody knows how many a request has: it is taken to have `MANY_TOKENS`.
    """
    if isinstance(recipe, Mapping):
        own = (60.0 * n / p for name, n in _UNITS.items() if _is_pace(p := recipe.get(name)))
        return max([*own, *map(pace_s, recipe.values())], default=0.0)
    return max(map(pace_s, recipe), default=0.0) if isinstance(recipe, list | tuple) else 0.0


def _is_pace(given: object) -> TypeGuard[float]:
    return isinstance(given, int | float) and given > 0


@contextmanager
def lend(limiters: Limiters) -> Iterator[None]:
    """Whoever is built in here asks at these limiters."""
    before = _LIMITERS.set(limiters)
    try:
        yield
    finally:
        _LIMITERS.reset(before)


def with_limiters(limiters: Limiters, make: Callable[[], T]) -> T:
    """Build something whose clients ask at these limiters."""
    with lend(limiters):
        return make()


def limiter_for(name: str, limits: Limits, now: Callable[[], float]) -> Limiter:
    """The limiter of a client that is being built: the run's; outside of a run its own."""
    limiters = _LIMITERS.get()
    return limiters(name, limits) if limiters and limits.any else OwnLimiter(Ledger(limits), now)
