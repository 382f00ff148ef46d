"""Any OpenAI-compatible chat endpoint: `vllm serve`, a gateway, a commercial API.

Pace, retries, time-outs, money and the key are `medgen.adapters.http.client`'s; this module makes
the bodies and reads the replies.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from medgen.adapters.batches.asking import Batches
from medgen.adapters.batches.vendor import Line
from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Call, Endpoint, Failure, FailureKind, Reply
from medgen.adapters.http.limits import Prices
from medgen.adapters.images.content import content, unusable
from medgen.adapters.models.body import Fields, check_body, cures, draw_fields, most_completion
from medgen.adapters.models.replies import Ending, check_completion, check_model, read_completion
from medgen.adapters.models.settings import ChatExecution, Structured
from medgen.adapters.models.usage import paid_alone, price, spent
from medgen.adapters.provenance import versions
from medgen.engine.chat.messages import ChatReply, ChatRequest, ReplyStatus
from medgen.engine.errors import ConfigError, ImageError, SpendingError
from medgen.engine.guard import Unforeseen, guard_row, unforeseen
from medgen.engine.occasion import Occasion, occasion
from medgen.engine.settings import read

_PATH = "chat/completions"
_STATUS: Mapping[FailureKind, ReplyStatus] = {
    "timeout": "timeout",
    "refused": "refused",
    "client": "rejected",
    "malformed": "rejected",
    "cap": "unsent",
    "unforeseen": "unforeseen",
}
_ENDED: Mapping[Ending, ReplyStatus] = {
    "ok": "ok",
    "truncated": "truncated",
    "refused": "refused",
    "failed": "rejected",
}
_LETTERS_PER_TOKEN = 4  # a rough mean of English; only for pace


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
        fields: Fields = "openai",
        image_tokens: int = 1200,
        execution: Mapping[str, Any] | ChatExecution | None = None,
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
            served_as: names and patterns of names that replies may carry; the model's own name,
                and it with a date or a version behind, are always accepted.
            fields: "vllm" for `vllm serve`, which then draws as the engine in this process does,
                whatever the model's own `generation_config.json` says; "openai" for others.
            image_tokens: estimate for one picture, for pace and for money set aside.
            execution: fields of `medgen.adapters.models.settings.ChatExecution`; with `batch`,
                requests for rows are handed over as files, and answered within a day.

        Raises:
            ConfigError: an unknown field or value.
            AdapterError: aiohttp is missing, or the key's variable is not set.
        """
        if fields not in get_args(Fields):
            raise ConfigError(f"fields is one of {get_args(Fields)}, not {fields!r}")
        if structured not in get_args(Structured):
            raise ConfigError(f"structured is one of {get_args(Structured)}, not {structured!r}")
        check_body(body or {})
        self._model, self._structured, self._body = model, structured, dict(body or {})
        self._prices = read(Prices, prices, "prices")
        self._served_as, self._fields = tuple(served_as), fields
        self._image_tokens = image_tokens
        settings = read(Endpoint, endpoint, "endpoint")
        # A cap that could be passed unseen is refused before anything is asked.
        self._prices.most(0, most_completion(self._body, 1), settings.spending_cap_usd)
        self._client = HttpClient(settings, model=model)
        batch = read(ChatExecution, execution, "execution").batch
        self._batches = Batches(self._client, batch, model) if batch else None
        # Pictures are drawn and encoded inside a slot, so that never a whole shard of them lies
        # in memory at once.
        self._slots = asyncio.Semaphore(self._client.endpoint.concurrency)

    def chat(self, chains: Sequence[Sequence[ChatRequest]]) -> list[list[ChatReply]]:
        """See `medgen.engine.chat.messages.Chat`."""
        now = occasion()
        if self._batches is not None and now is not None:
            replies = self._chat_in_batches(self._batches, now, chains)
        else:
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
            "versions": versions("aiohttp"),
        }

    def close(self) -> None:
        """End the connections. The chat cannot be used afterwards."""
        self._client.close()

    def _chat_in_batches(
        self, batches: Batches, now: Occasion, chains: Sequence[Sequence[ChatRequest]]
    ) -> list[list[ChatReply]]:
        """The replies to all chains, whose requests are asked side by side."""
        requests = [request for chain in chains for request in chain]
        made = [self._line(batches, now, request) for request in requests]
        lines = [one for one in made if isinstance(one, Line)]
        outcomes = iter(batches.ask(now, lines) if lines else [])
        replies = iter(
            one if isinstance(one, ChatReply) else self._guard_reading(next(outcomes), request)
            for one, request in zip(made, requests, strict=True)
        )
        return [[next(replies) for _ in chain] for chain in chains]

    def _line(self, batches: Batches, now: Occasion, request: ChatRequest) -> Line | ChatReply:
        """A request as a line, or the reply that it gets without being sent."""
        try:
            messages = content(request.messages)
        except ImageError as err:
            return ChatReply("rejected", unusable(err))
        call = self._call(request, messages)
        # A server that takes no seed is asked for several draws all the same.
        return batches.line(now, f"{request.sample_id} {request.sampling.seed}", call.json, call)

    async def _chain(self, requests: Sequence[ChatRequest]) -> list[ChatReply]:
        async with self._slots:  # for all of it: what a chain shares is still in the cache then
            return [await self._guard(request) for request in requests]

    async def _guard(self, request: ChatRequest) -> ChatReply:
        try:
            return await self._ask(request)
        except Exception as err:  # noqa: BLE001 - what no row can stand for is raised again
            return ChatReply("unforeseen", unforeseen(err).reason)

    async def _ask(self, request: ChatRequest) -> ChatReply:
        try:
            messages = await asyncio.to_thread(content, request.messages)
        except ImageError as err:
            return ChatReply("rejected", unusable(err))
        outcome = await self._client.post(_PATH, self._call(request, messages))
        return self._guard_reading(outcome, request)

    def _guard_reading(self, outcome: Reply | Failure, request: ChatRequest) -> ChatReply:
        def blank(found: Unforeseen) -> ChatReply:
            return ChatReply("unforeseen", found.reason, usage=paid_alone(outcome))

        return guard_row(lambda: self._read(outcome), blank, request.sample_id)

    def _call(self, request: ChatRequest, messages: list[dict[str, Any]]) -> Call:
        asked = [part for message in request.messages for part in message.parts]
        said = "".join(part for part in asked if isinstance(part, str))
        pictures = sum(not isinstance(part, str) for part in asked) * self._image_tokens
        body = self._request_body(request, messages)
        completion = most_completion(self._body, request.sampling.max_tokens)
        # A token is one byte at least, so the prompt's bytes are the most that it can count.
        bound = len(said.encode("utf-8", "replace")) + pictures
        most = self._prices.most(bound, completion, self._client.endpoint.spending_cap_usd)
        return Call(
            json=body,
            tokens=len(said) // _LETTERS_PER_TOKEN + pictures + (completion or 0),
            at_most_usd=most,
            price=lambda reply: price(reply, self._prices, most),
            check=check_completion,
            cures=cures(body),
        )

    def _request_body(self, request: ChatRequest, messages: list[dict[str, Any]]) -> dict[str, Any]:
        drawn = request.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "messages": messages,
            "max_tokens": drawn.max_tokens,
            **draw_fields(drawn, self._fields),
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

    def _read(self, outcome: Reply | Failure) -> ChatReply:
        """The reply that an outcome makes.

        Raises:
            AdapterError: it is of another model.
        """
        if isinstance(outcome, Failure):
            status = _STATUS.get(outcome.kind, "unreachable")
            return ChatReply(status, outcome.reason, "", spent(outcome, ""))
        check_model(outcome, self._model, self._served_as)
        said = read_completion(outcome)
        if said is None:
            return ChatReply("rejected", "the reply is not a chat completion")
        status = _ENDED[said.ending]
        usage = spent(outcome, said.finish_reason)
        return ChatReply(status, said.reason, said.text, usage, said.tokens, said.reasoning)
