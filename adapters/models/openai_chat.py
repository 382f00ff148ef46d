"""Any OpenAI-compatible chat endpoint: `vllm serve`, a gateway, a commercial API.

Pace, retries, time-outs, money and the key are `medgen.adapters.http.client`'s; this module makes
the bodies and reads the replies.
"""

import asyncio
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Call, Endpoint, Failure, FailureKind, Reply
from medgen.adapters.http.limits import Prices
from medgen.adapters.images.content import content, unusable
from medgen.adapters.models.settings import Structured
from medgen.adapters.models.usage import read_usage, spent
from medgen.adapters.provenance import versions
from medgen.engine.chat.messages import ChatReply, ChatRequest, ReplyStatus, Token
from medgen.engine.chat.quoting import storable
from medgen.engine.data import Usage
from medgen.engine.errors import ConfigError, ImageError, SpendingError
from medgen.engine.settings import read

_PATH = "chat/completions"
_STATUS: Mapping[FailureKind, ReplyStatus] = {
    "timeout": "timeout",
    "refused": "refused",
    "client": "rejected",
    "malformed": "rejected",
    "cap": "unsent",
}
_FINISHED: Mapping[str, ReplyStatus] = {
    "stop": "ok",
    "length": "truncated",
    "content_filter": "refused",
}
# A body that is no JSON was cut on its way, most likely; asked for once more, and paid for again.
_MALFORMED_ATTEMPTS = 2
_LETTERS_PER_TOKEN = 4  # a rough mean of English; only for pace and for money set aside


class OpenAIChat:
    """A vision-language model behind an OpenAI-compatible endpoint."""

    def __init__(
        self,
        model: str,
        *,
        endpoint: Mapping[str, Any] | Endpoint,
        prices: Mapping[str, Any] | Prices | None = None,
        structured: Structured = "json_schema",
        body: Mapping[str, Any] | None = None,
        served_as: Sequence[str] = (),
        image_tokens: int = 1200,
    ) -> None:
        """Read the key; connect to nothing yet.

        Args:
            model: the name that the endpoint knows it by.
            endpoint: fields of `medgen.adapters.http.endpoint.Endpoint`: URL, name of the
                environment variable with the key, pace, time-outs, retries, spending cap.
            prices: fields of `medgen.adapters.http.limits.Prices`, in US dollars per million
                tokens.
            structured: how the endpoint is held to a JSON schema: "json_schema", "json_object"
                (some JSON), or "none".
            body: fields that replace or join those of every request; null leaves one out
                (`max_tokens: null` with `max_completion_tokens: 4096`, say).
            served_as: patterns of the names that replies may carry; the model's own name, and it
                with a dated suffix, are always accepted.
            image_tokens: estimate for one picture, for pace and for money set aside.

        Raises:
            ConfigError: an unknown field or value.
            AdapterError: httpx is missing, or the key's variable is not set.
        """
        if structured not in get_args(Structured):
            raise ConfigError(f"structured is one of {get_args(Structured)}, not {structured!r}")
        self._model, self._structured, self._body = model, structured, dict(body or {})
        self._prices = read(Prices, prices, "prices")
        self._patterns = (model, f"{model}-*", *served_as)
        self._image_tokens = image_tokens
        self._client = HttpClient(read(Endpoint, endpoint, "endpoint"))
        # Pictures are drawn and encoded inside a slot, so that never a whole shard of them lies
        # in memory at once.
        self._slots = asyncio.Semaphore(self._client.endpoint.concurrency)

    def chat(self, chains: Sequence[Sequence[ChatRequest]]) -> list[list[ChatReply]]:
        """See `medgen.engine.chat.messages.Chat`."""
        replies = self._client.map(self._chain, chains)
        every = [reply for chain in replies for reply in chain]
        if every and all(reply.status == "unsent" for reply in every):
            raise SpendingError(every[0].reason)
        return replies

    def passport(self) -> Mapping[str, Any]:
        """What serves, as far as it can be known from outside, as JSON."""
        return {
            "model": self._model,
            "endpoint": self._client.endpoint.base_url,
            "structured": self._structured,
            "body": self._body,
            "versions": versions("httpx"),
        }

    def close(self) -> None:
        """End the connections. The chat cannot be used afterwards."""
        self._client.close()

    async def _chain(self, requests: Sequence[ChatRequest]) -> list[ChatReply]:
        return [await self._ask(request) for request in requests]

    async def _ask(self, request: ChatRequest) -> ChatReply:
        async with self._slots:
            try:
                messages = await asyncio.to_thread(content, request.messages)
            except ImageError as err:
                return ChatReply("rejected", unusable(err))
            call = self._call(request, messages)
            for _ in range(_MALFORMED_ATTEMPTS):
                outcome = await self._client.post(_PATH, call)
                reply = self._read(outcome)
                if reply is not None:
                    return reply
            return ChatReply("rejected", "the endpoint's reply is not a chat completion")

    def _call(self, request: ChatRequest, messages: list[dict[str, Any]]) -> Call:
        asked = [part for message in request.messages for part in message.parts]
        letters = sum(len(part) for part in asked if isinstance(part, str))
        pictures = sum(not isinstance(part, str) for part in asked)
        prompt = letters // _LETTERS_PER_TOKEN + pictures * self._image_tokens
        most = self._prices.cost(prompt=prompt, completion=request.sampling.max_tokens)

        def price(reply: Reply) -> tuple[int, float]:
            usage = read_usage(reply)
            if usage is None:  # unknown, so as much as was set aside
                return prompt + request.sampling.max_tokens, most
            paid = self._prices.cost(
                usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens
            )
            return usage.prompt_tokens + usage.completion_tokens, paid

        return Call(
            json=self._request_body(request, messages),
            tokens=prompt + request.sampling.max_tokens,
            at_most_usd=most,
            price=price,
        )

    def _request_body(self, request: ChatRequest, messages: list[dict[str, Any]]) -> dict[str, Any]:
        drawn = request.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "messages": messages,
            "max_tokens": drawn.max_tokens,
            "temperature": drawn.temperature,
            "top_p": drawn.top_p,
            "seed": drawn.seed,
        }
        if drawn.logprobs:
            body |= {"logprobs": True, "top_logprobs": drawn.logprobs}
        if request.schema is not None and self._structured == "json_schema":
            schema = {"name": "reply", "strict": True, "schema": dict(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif request.schema is not None and self._structured == "json_object":
            body["response_format"] = {"type": "json_object"}
        return {k: v for k, v in {**body, **self._body}.items() if v is not None}

    def _read(self, outcome: Reply | Failure) -> ChatReply | None:
        """The reply; None when the body is not a chat completion."""
        if isinstance(outcome, Failure):
            status = _STATUS.get(outcome.kind, "unreachable")
            return ChatReply(status, outcome.reason, "", Usage(seconds=outcome.seconds))
        try:
            body = outcome.json()
            choice = body["choices"][0]
            message, reason = (
                choice["message"],
                storable(str(choice.get("finish_reason") or "stop")),
            )
            text = storable(message.get("content") or "")
            refusal = storable(message.get("refusal") or "")
            tokens = _tokens(choice)
            name = body.get("model")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError):
            return None
        usage = spent(outcome, reason)
        if name is not None and not any(fnmatch.fnmatch(str(name), p) for p in self._patterns):
            return ChatReply("rejected", f"the reply is of model {name!r:.100}", text, usage)
        if refusal or reason == "content_filter":
            said = f"declined: {refusal or 'content filter'}"
            return ChatReply("refused", said[:300], text or refusal, usage)
        status = _FINISHED.get(reason, "rejected")
        said = {"ok": "", "truncated": "cut at the token limit"}.get(status, f"ended: {reason}")
        return ChatReply(status, said, text, usage, tokens)


def _tokens(choice: Mapping[str, Any]) -> tuple[Token, ...]:
    listed = (choice.get("logprobs") or {}).get("content") or ()
    return tuple(
        Token(
            str(t["token"]),
            {str(a["token"]): float(a["logprob"]) for a in (t, *t.get("top_logprobs", ()))},
        )
        for t in listed
    )
