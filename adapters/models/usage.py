"""The one reader of what a server counts: what a reply of a hosted model cost.

Money is never underbooked: a count that lacks or cannot be true makes the cost of a reply unknown,
and what is unknown costs what was set aside for it. Of counts that contradict each other the
largest holds.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from medgen.adapters.http.endpoint import Failure, Reply
from medgen.adapters.http.limits import Prices
from medgen.engine.data import Usage

_MOST_TOKENS = 2**40  # in one reply; what says more cannot count
_DEEP, _WIDE = 4, 64
_COSTS = ("cost", "total_cost", "estimated_cost", "cost_usd")  # of gateways, in US dollars
_MOST_USD = 1000.0  # of one reply; what says more is no number of dollars
# Names of each count, without signs and in lower case.
_PROMPT = (
    "prompttokens",
    "inputtokens",
    "prompttokencount",
    "inputtokencount",
    "tokensin",
    "promptevalcount",
)
_COMPLETION = (
    "completiontokens",
    "outputtokens",
    "candidatestokencount",
    "outputtokencount",
    "generatedtokens",
    "evalcount",
    "tokensout",
)
_TOTAL = ("totaltokens", "totaltokencount")
_CACHED = ("cachedtokens", "promptcachehittokens", "cachedcontenttokencount")
# Counted beside the prompt, not within it.
_BESIDE_READ = ("cachereadinputtokens",)
_BESIDE_MADE = ("cachecreationinputtokens",)  # written into a cache, which costs more
_THOUGHT = ("thoughtstokencount", "reasoningtokens")
_KNOWN = frozenset(
    {*_PROMPT, *_COMPLETION, *_TOTAL, *_CACHED, *_BESIDE_READ, *_BESIDE_MADE, *_THOUGHT}
)
_HOLDERS = ("usage", "usagemetadata", "tokenusage", "billedunits")
_BARE = ("promptevalcount", "evalcount")  # that stand in the reply itself


def read_usage(reply: Reply) -> Usage | None:
    """Tokens as the server counts them; None when it does not count them, or not truly.

    Counts are whole numbers from 0 to 2^40, as numbers or as text, under any of their names and
    wherever in the reply. Thoughts that are counted beside the completion belong to it, so it is
    never less than the total without the prompt. A prompt of 0 tokens cannot be, nor a completion
    of 0 tokens that says something.
    """
    return _read(reply)[0]


def _read(reply: Reply) -> tuple[Usage | None, int]:
    """The usage of a reply, and how many tokens of its prompt the server wrote into a cache."""
    try:
        body = reply.json()
    except ValueError:
        return None, 0
    counts: dict[str, int] = {}
    for holder in _holders(body):
        for name, value in _known_counts(holder):
            count = _count(value)
            if count is None:
                return None, 0
            counts[name] = max(count, counts.get(name, 0))
    return _consistent(counts, _speaks(body)), counts.get(*_BESIDE_MADE, 0)


def spent(outcome: Reply | Failure, ended: str) -> Usage:
    """What a row says of its reply; tokens are 0 where the server does not count them."""
    counted = (read_usage(outcome) if isinstance(outcome, Reply) else None) or Usage()
    return replace(counted, seconds=outcome.seconds, cost_usd=outcome.cost_usd, finish_reason=ended)


def paid_alone(outcome: Reply | Failure) -> Usage:
    """What a reply that cannot be read has cost, and no count of tokens."""
    return Usage(seconds=outcome.seconds, cost_usd=outcome.cost_usd)


def price(
    reply: Reply, prices: Prices, at_most_usd: float, images: int | None = 0
) -> tuple[int | None, float]:
    """Tokens and US dollars of a reply.

    Args:
        reply: of any adapter's.
        prices: what is paid.
        at_most_usd: what was set aside; the cost of what is unknown.
        images: how many the reply holds; None when that cannot be told.

    Returns:
        Tokens, None where nobody counts them; US dollars.
    """
    tokens, usd = _by_prices(reply, prices, at_most_usd, images)
    return tokens, max(usd, _stated_usd(reply))


def _by_prices(
    reply: Reply, prices: Prices, at_most_usd: float, images: int | None
) -> tuple[int | None, float]:
    counted, written = _read(reply)
    tokens = None if counted is None else counted.prompt_tokens + counted.completion_tokens
    if (prices.by_token and counted is None) or (prices.image and images is None):
        return tokens, at_most_usd
    if not prices.by_token and not prices.image:  # `request` is all that is known
        return tokens, prices.request or 0.0
    paid = counted or Usage()
    usd = prices.cost(paid.prompt_tokens, paid.completion_tokens, paid.cached_tokens, images or 0)
    return tokens, usd + prices.written_beyond(min(written, paid.prompt_tokens))


def _stated_usd(reply: Reply) -> float:
    """US dollars that the reply's own usage says it cost; 0 where it says nothing sane."""
    try:
        holders = [*_holders(reply.json())]
    except ValueError:
        return 0.0
    costs = [
        holder.get(name)
        for usage in holders
        if isinstance(usage, Mapping)
        for holder in (usage, usage.get("cost"))
        if isinstance(holder, Mapping)
        for name in _COSTS
    ]
    numbers = [c for c in costs if isinstance(c, int | float) and not isinstance(c, bool)]
    return float(max((c for c in numbers if 0 <= c <= _MOST_USD), default=0.0))


def _consistent(counts: Mapping[str, int], speaks: bool) -> Usage | None:
    """The counts as one usage; None where the prompt or the completion is unknown."""

    def most(names: tuple[str, ...]) -> int:
        return max((counts.get(name, 0) for name in names), default=0)

    prompt, completion, total = most(_PROMPT), most(_COMPLETION), most(_TOTAL)
    beside = most(_BESIDE_READ)
    cached = most(_CACHED)
    if cached > prompt:  # so they are not among those of the prompt
        beside, cached = max(beside, cached), 0
    if not prompt and completion and total > completion:
        prompt = total - completion
    if (thought := most(_THOUGHT)) > completion:  # so they are not among those of the completion
        completion += thought
    made = most(_BESIDE_MADE)
    if total and total < prompt + beside + made + completion:  # so the prompt has them already
        inside = max(cached, beside)
        beside, cached, made = 0, inside if inside <= prompt else 0, 0
    apart = prompt + beside + made
    whole = max(completion, total - prompt) if total != apart + completion else completion
    prompt, completion = apart, whole if prompt else completion
    counted = any(name in counts for name in (*_COMPLETION, *_TOTAL))
    if not prompt or not counted or (speaks and not completion):
        return None
    return Usage(prompt, completion, cached + beside)


def _holders(found: Any, depth: int = 0) -> Iterator[Any]:
    """Every object called usage, near the top of a reply."""
    if isinstance(found, list):
        found = {"": found[0]} if found else {}
    if not isinstance(found, Mapping) or depth > _DEEP:
        return
    if not depth and any(_squash(name) in _BARE for name in list(found)[:_WIDE]):
        yield {name: value for name, value in found.items() if _squash(name) in _BARE}
    for name, value in list(found.items())[:_WIDE]:
        if _squash(name) in _HOLDERS:
            yield value
        elif isinstance(value, Mapping | list):
            yield from _holders(value, depth + 1)


def _known_counts(holder: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every count with a known name in a usage object, however deep."""
    if not isinstance(holder, Mapping) or depth > _DEEP:
        return
    for name, value in list(holder.items())[:_WIDE]:
        squashed = _squash(name)
        if isinstance(value, Mapping):
            yield from _known_counts(value, depth + 1)
        elif squashed in _KNOWN and value is not None:
            yield squashed, value


def _squash(name: Any) -> str:
    return re.sub(r"[\W_]", "", str(name)[:60].lower())


def _speaks(body: Any) -> bool:
    """Whether a reply holds words or pictures, so that it cannot have cost no tokens."""
    if not isinstance(body, Mapping):
        return False
    if body.get("data"):
        return True
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    return isinstance(message, Mapping) and bool(message.get("content") or message.get("images"))


def _count(value: Any) -> int | None:
    """A count; None when it is no whole number, or none that could be."""
    if isinstance(value, str) and re.fullmatch(r"\s*\d{1,13}(\.0{1,9})?\s*", value, re.ASCII):
        value = float(value)
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if not whole or isinstance(value, bool) or not 0 <= value < _MOST_TOKENS:
        return None
    return int(value)
