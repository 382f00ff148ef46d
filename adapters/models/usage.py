"""The one reader of a server's `usage` object: what a reply of a hosted model cost.

Chat endpoints count `prompt_tokens` and `completion_tokens`, image endpoints `input_tokens` and
`output_tokens`, each with the cached ones in a `…_details` object; both spellings are read
everywhere, for gateways mix them.
"""

from dataclasses import replace
from typing import Any

from medgen.adapters.http.endpoint import Reply
from medgen.adapters.http.limits import Prices
from medgen.engine.data import Usage

_MOST_TOKENS = 2**40  # in one reply; what says more cannot count
_SPELLINGS = (("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens"))


def read_usage(reply: Reply) -> Usage | None:
    """Tokens as the server counts them; None when it counts none, or what cannot be true.

    Counts are whole numbers from 0 to 2^40, and cached tokens are among those of the prompt:
    money is paid by them, so a count that cannot be true is worth as little as none.
    """
    try:
        counted = reply.json()["usage"]
        spelling = next(names for names in _SPELLINGS if names[0] in counted)
        details = counted.get(f"{spelling[0]}_details") or {}
        prompt = _count(counted[spelling[0]])
        completion = _count(counted.get(spelling[1]))
        cached = _count(details.get("cached_tokens"))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return None
    return Usage(prompt, completion, cached) if cached <= prompt else None


def spent(reply: Reply, ended: str) -> Usage:
    """What a row says of its reply; tokens are 0 where the server does not count them."""
    counted = read_usage(reply) or Usage()
    return replace(counted, seconds=reply.seconds, cost_usd=reply.cost_usd, finish_reason=ended)


def price_of_image(reply: Reply, prices: Prices, at_most_usd: float) -> tuple[int, float]:
    """Tokens and US dollars of a reply that holds an image.

    Where tokens are paid for and the server does not count them, it cost what was set aside.
    """
    counted = read_usage(reply)
    if counted is None and (prices.prompt or prices.completion):
        return 0, at_most_usd
    counted = counted or Usage()
    tokens = (counted.prompt_tokens, counted.completion_tokens, counted.cached_tokens)
    return tokens[0] + tokens[1], prices.cost(*tokens, images=1)


def _count(value: Any) -> int:
    """A count; null is none.

    Raises:
        ValueError: it is no whole number, or none that could be.
    """
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if value is None:
        return 0
    if not whole or isinstance(value, bool) or not 0 <= value < _MOST_TOKENS:
        raise ValueError(f"{value!r:.40} counts nothing")
    return int(value)
