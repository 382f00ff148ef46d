"""What a hosted model's requests cost, and how long a server wants to be left alone."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from medgen.engine.errors import ConfigError
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
    cache_write: _Dollars | None = None  # None: twice the prompt's, the most that vendors ask
    completion: _Dollars = 0.0
    image: _Dollars = 0.0
    request: _Dollars | None = None

    def __post_init__(self) -> None:
        prompts = (self.prompt, self.cached, self.cache_write)
        given = (*prompts, self.completion, self.image, self.request)
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

    def written_beyond(self, tokens: int) -> float:
        """US dollars for prompt tokens that a server wrote into its cache, beyond the prompt's."""
        price = 2 * self.prompt if self.cache_write is None else self.cache_write
        return max(0.0, price - self.prompt) * tokens / 1e6

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
class RetryPause:
    """Everybody waits while the server has asked for a pause."""

    clock: Clock
    _until: float = 0.0

    def ask(self, seconds: float) -> None:
        """Let nobody start for so long; a shorter wish never shortens a longer one."""
        self._until = max(self._until, self.clock.now() + seconds)

    async def over(self) -> None:
        """Wait until the pause, as prolonged meanwhile, has ended."""
        while (left := self._until - self.clock.now()) > 0:
            await self.clock.sleep(left)
