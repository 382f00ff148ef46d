"""What a hosted model may be asked for: pace and money. Used inside one event loop only."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from medgen.engine.errors import ConfigError, SpendingError
from medgen.engine.settings import Settings, Unusable

_Dollars = Annotated[float, Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as a client sees it: seconds that only grow, and a way to let some pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


REAL = Clock()


class Prices(Settings, frozen=True, kw_only=True):
    """US dollars per million tokens and per image made; 0 for a server of one's own.

    `request` is the most that one request can cost, for models whose use cannot be foreseen. A
    spending cap sets so much aside for every open request.
    """

    prompt: _Dollars = 0.0
    cached: _Dollars | None = None  # None: cached tokens cost as much as the others
    completion: _Dollars = 0.0
    image: _Dollars = 0.0
    request: _Dollars | None = None

    def __post_init__(self) -> None:
        given = (self.prompt, self.cached, self.completion, self.image, self.request)
        if math.inf in given:
            raise Unusable("a price is a number of dollars, and infinity is none")

    def cost(self, prompt: int = 0, completion: int = 0, cached: int = 0, images: int = 0) -> float:
        """US dollars for one reply. `prompt` counts all prompt tokens, `cached` those among them.

        Returns:
            A finite number >= 0.
        """
        cached = min(max(cached, 0), prompt)
        cached_price = self.prompt if self.cached is None else self.cached
        tokens = (prompt - cached) * self.prompt + cached * cached_price
        return (tokens + completion * self.completion) / 1e6 + images * self.image

    @property
    def by_token(self) -> bool:
        """Whether tokens are paid for."""
        return bool(self.prompt or self.completion or self.cached)

    def most(self, prompt: int, completion: int | None, cap_usd: float | None) -> float:
        """US dollars to set aside for a request that gives words.

        Args:
            prompt: tokens that it holds at most.
            completion: tokens that its body asks for at most; None when it names no limit.
            cap_usd: the cap, where there is one.

        Raises:
            ConfigError: there is a cap, and it could be passed unseen.
        """
        if completion is None and self.completion and self.request is None and cap_usd is not None:
            raise ConfigError(
                "a spending cap needs a limit of the completion in the body (max_tokens, "
                "max_completion_tokens), or prices.request, the most one request can cost"
            )
        return max(self.request or 0.0, self.cost(prompt, completion or 0))

    def most_for_image(self, cap_usd: float | None) -> float:
        """US dollars to set aside for a request that makes one image.

        Raises:
            ConfigError: there is a cap, and it could be passed unseen: without `request` the
                image must be all that is paid for.
        """
        if self.request is not None:
            return max(self.request, self.image)
        if cap_usd is not None and (self.by_token or not self.image):
            raise ConfigError("a spending cap needs prices.request, the most one request can cost")
        return self.image


@dataclass(slots=True)
class RateLimiter:
    """An even flow of so many units a minute; no burst, so no window is ever overfull."""

    per_minute: float | None
    clock: Clock = REAL
    _next: float = 0.0

    async def take(self, amount: float = 1.0) -> None:
        """Wait until `amount` units may be used, in order of arrival."""
        if not self.per_minute:
            return
        start = max(self.clock.now(), self._next)
        self._next = start + amount * 60.0 / self.per_minute
        await self.clock.sleep(max(0.0, start - self.clock.now()))

    def settle(self, difference: float) -> None:
        """Correct an estimate: positive when more was used than was taken."""
        if self.per_minute:
            self._next += difference * 60.0 / self.per_minute


@dataclass(slots=True)
class RetryPause:
    """Everybody waits while the server has asked for a pause."""

    clock: Clock = REAL
    _until: float = 0.0

    def ask(self, seconds: float) -> None:
        """Let nobody start for so long; a shorter wish never shortens a longer one."""
        self._until = max(self._until, self.clock.now() + seconds)

    async def over(self) -> None:
        """Wait until the pause, as prolonged meanwhile, has ended."""
        while (left := self._until - self.clock.now()) > 0:
            await self.clock.sleep(left)


@dataclass(slots=True)
class SpendingCap:
    """Money spent by this process, with a cap that open requests count against too."""

    cap_usd: float | None = None
    spent_usd: float = 0.0
    _reserved: float = field(default=0.0)

    def __post_init__(self) -> None:
        if self.cap_usd is not None and not (self.cap_usd > 0 and math.isfinite(self.cap_usd)):
            raise ConfigError(f"a spending cap is a positive number of dollars, not {self.cap_usd}")

    @contextmanager
    def reserve(self, at_most_usd: float) -> Iterator["Reservation"]:
        """Set money aside for one request; what it really cost is paid with `Reservation.pay`.

        Raises:
            SpendingError: the cap would be passed if the request cost `at_most_usd`.
        """
        left = math.inf if self.cap_usd is None else self.cap_usd - self.committed_usd
        if at_most_usd > max(left, 0.0):  # what costs nothing is never refused
            raise SpendingError(
                f"spending cap of ${self.cap_usd:g} reached: ${self.spent_usd:.4f} spent, "
                f"${self._reserved:.4f} in open requests, the next may cost ${at_most_usd:.4f}"
            )
        self._reserved += at_most_usd
        try:
            yield Reservation(self)
        finally:
            self._reserved -= at_most_usd

    @property
    def committed_usd(self) -> float:
        """US dollars spent or set aside."""
        return self.spent_usd + self._reserved


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one request."""

    spending: SpendingCap

    def pay(self, usd: float) -> None:
        """Book what the request cost; a server cannot make the cap grow."""
        self.spending.spent_usd += max(0.0, usd)
