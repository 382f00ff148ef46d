"""The body of a chat request as its server reads it: what it asks for, and how it is changed."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from medgen.engine.chat.messages import Sampling
from medgen.engine.errors import ConfigError

# `vllm`: the server takes every field of a draw, and puts the model's own values in the place of
# those that a request does not have. `openai`: fields at their default are better left out.
Fields = Literal["openai", "vllm"]

# Names under which servers take the most tokens of a reply.
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens")
_MANY = ("n", "best_of")  # replies to one request, each paid for
_FIXED = frozenset({"model", "messages"})


def check_body(
    given: Mapping[str, Any], taken: Collection[str] = _FIXED, where: str = "body"
) -> None:
    """See that fields of the user's leave alone what the engine itself says, and ask for no stream.

    Args:
        given: fields that join those of every request.
        taken: names that are the engine's.
        where: they stand, for the message.

    Raises:
        ConfigError: a field that is the engine's, or replies in pieces, which nobody reads.
    """
    if ours := sorted(set(taken) & set(given)):
        raise ConfigError(f"{where} may not set {', '.join(ours)}")
    if given.get("stream"):
        raise ConfigError(f"{where}.stream: replies are read whole; leave it out")


def most_completion(given: Mapping[str, Any], max_tokens: int) -> int | None:
    """Tokens that a request asks for at most, all its replies together; None without a limit.

    Args:
        given: fields that replace or join those of the request; null leaves one out.
        max_tokens: what the request has by itself.
    """
    asked = {"max_tokens": max_tokens, **given}
    limits = [int(asked[name]) for name in _LIMITS if _is_count(asked.get(name))]
    replies = [int(given[k]) for k in _MANY if _is_count(given.get(k))]
    return max(limits) * max(replies, default=1) if limits else None


def draw_fields(drawn: Sampling, known: Fields) -> dict[str, Any]:
    """How a reply is to be drawn, as fields of a body; what is left to the model is not there."""
    said = drawn.values()
    if known == "openai":
        usual = {name: said[name] for name in ("temperature", "top_p") if name in said}
        said = usual | drawn.unusual()
    return said | ({"stop": list(drawn.stop)} if drawn.stop else {})


def cures(body: Mapping[str, Any]) -> dict[str, str]:
    """For each parameter of a body the setting that leaves it out, for a model that refuses it."""
    found = {name: f"set `body: {{{name}: null}}`" for name in body if name not in _FIXED}
    if "max_tokens" in body:
        instead = f"max_tokens: null, max_completion_tokens: {body['max_tokens']}"
        found["max_tokens"] = f"set `body: {{{instead}}}`"
    if "response_format" in body:
        found["response_format"] = "set `structured: json_object` or `structured: none`"
    return found


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value < 1e15
