"""Unified models: one call returns words and pictures."""

import logging
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any, Protocol

from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Call, Endpoint, Failure, Reply
from medgen.adapters.http.limits import Prices
from medgen.adapters.http.links import resolve
from medgen.adapters.images.content import content, servable, unusable
from medgen.adapters.images.firewall import Firewall, FirewallPolicy
from medgen.adapters.models.body import check_body, cures, draw_fields, most_completion
from medgen.adapters.models.interleaved import (
    Interleaved,
    UnifiedStyle,
    modalities,
    prediction,
    question,
)
from medgen.adapters.models.replies import (
    Completion,
    Draft,
    Ending,
    check_completion,
    check_model,
    read_completion,
)
from medgen.adapters.models.usage import price, spent
from medgen.adapters.provenance import versions, weights
from medgen.engine.chat.messages import ChatRequest
from medgen.engine.data import Image, Prediction, PredictionStatus, Request, Usage
from medgen.engine.errors import (
    AdapterError,
    ConfigError,
    EngineDied,
    ImageError,
    MedgenError,
    is_out_of_memory,
)
from medgen.engine.guard import Unforeseen, guard_row, internal_error
from medgen.engine.settings import read
from medgen.engine.trouble import log_failed_row

log = logging.getLogger(__name__)

# A picture that a gateway has put into the text as Markdown.
_MARKDOWN = re.compile(r"!\[[^\]\n]{0,200}\]\((data:image/[^()\s]+|https?://[^()\s]+)\)")
_ENDED: Mapping[Ending, PredictionStatus] = {
    "ok": "ok",
    "truncated": "truncated",
    "refused": "refused",
    "failed": "model_error",
}


class UnifiedChat:
    """A unified model behind an OpenAI-compatible chat endpoint. Safe to use from several threads.

    Pictures are understood as content parts (vLLM-Omni), as `message.images` (gateways) and as
    Markdown in the text.
    """

    def __init__(
        self,
        model: str,
        *,
        endpoint: Mapping[str, Any] | Endpoint,
        style: Mapping[str, Any] | UnifiedStyle | None = None,
        body: Mapping[str, Any] | None = None,
        prices: Mapping[str, Any] | Prices | None = None,
        firewall: Mapping[str, str] | FirewallPolicy | None = None,
        served_as: Sequence[str] = (),
    ) -> None:
        """Read the key; ask nothing yet.

        Args:
            model: the name that the server knows.
            endpoint: fields of `medgen.adapters.http.endpoint.Endpoint`.
            style: fields of `medgen.adapters.models.interleaved.UnifiedStyle`.
            body: fields that replace or join those of every request; null leaves one out.
            prices: fields of `medgen.adapters.http.limits.Prices`.
            firewall: fields of `medgen.adapters.images.firewall.FirewallPolicy`.
            served_as: names and patterns of names that replies may carry beside the model's own.

        Raises:
            ConfigError: an impossible argument.
            AdapterError: the key is not set, or aiohttp is not installed.
        """
        check_body(body or {})
        self._model, self._body = model, dict(body or {})
        self._served_as = tuple(served_as)
        self._style = read(UnifiedStyle, style, "style")
        self._firewall = Firewall(firewall)
        settings = read(Endpoint, endpoint, "endpoint")
        self._prices = read(Prices, prices, "prices")
        self._most = self._prices.most_for_image(settings.spending_cap_usd)
        self._client = HttpClient(settings, model=model)

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """See `Generator.predict`.

        Raises:
            AdapterError: the endpoint cannot be used at all.
            SpendingError: the cap let not a single request through.
        """
        replies = self._client.map(self._ask, requests, failing=True)
        return [self._guard(r, reply) for r, reply in zip(requests, replies, strict=True)]

    def passport(self) -> Mapping[str, Any]:
        """See `Generator.passport`."""
        return {
            "adapter": "unified_chat",
            "model": self._model,
            "base_url": self._client.endpoint.base_url,
            "prompt": self._style.prompt,
            "body": self._body,
            "firewall": self._firewall.passport(),
            "versions": versions("aiohttp", "pillow"),
        }

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    async def _ask(self, request: Request) -> Interleaved | Failure:
        try:
            asked = question(request, self._style)
            call = self._call(asked, modalities(request.sample, self._style))
        except ImageError as err:
            return Failure("client", f"input: {unusable(err)}", attempts=0)
        reply = await self._client.post("chat/completions", call)
        return reply if isinstance(reply, Failure) else await self._read(reply)

    def _call(self, asked: ChatRequest, wanted: list[str]) -> Call:
        drawn = asked.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "messages": content(asked.messages),
            "modalities": wanted,
            "max_tokens": drawn.max_tokens,
            **draw_fields(drawn, "openai"),
            "seed": drawn.seed,
        }
        body = {k: v for k, v in {**body, **self._body}.items() if v is not None}
        return Call(
            json=body,
            tokens=most_completion(self._body, drawn.max_tokens) or 0,
            at_most_usd=self._most,
            price=self._price,
            check=check_completion,
            cures=cures(body),
        )

    def _price(self, reply: Reply) -> tuple[int | None, float]:
        said = read_completion(reply)
        images = None if said is None else sum(k == "image" for k, _ in _drafts(said))
        return price(reply, self._prices, self._most, images)

    async def _read(self, reply: Reply) -> Interleaved | Failure:
        check_model(reply, self._model, self._served_as)
        said = read_completion(reply)
        if said is None:
            return Failure("malformed", "the reply is not a chat completion")
        drafts = list(_drafts(said))
        pictures = await resolve(self._client, [link for kind, link in drafts if kind == "image"])
        if isinstance(pictures, Failure):
            return replace(pictures, cost_usd=reply.cost_usd, seconds=reply.seconds)
        found = iter(pictures)
        parts = tuple(next(found) if kind == "image" else value for kind, value in drafts)
        usage = spent(reply, said.finish_reason)
        return Interleaved(parts, usage, _ENDED[said.ending], said.reason, said.reasoning)

    def _guard(self, request: Request, said: Interleaved | Failure) -> Prediction:
        usage = spent(said, "") if isinstance(said, Failure) else said.usage

        def blank(found: Unforeseen) -> Prediction:
            return internal_error(request.sample.id, found, usage)

        return guard_row(lambda: self._row(request, said), blank, request.sample.id)

    def _row(self, request: Request, said: Interleaved | Failure) -> Prediction:
        if isinstance(said, Failure):
            usage = spent(said, "")
            return Prediction(request.sample.id, said.status, said.reason, usage=usage)
        return prediction(request.sample, said, self._style, self._firewall)


class Replier(Protocol):
    """What a unified model in this process must offer (`module:Class`)."""

    def reply(
        self, system: str, instruction: str, images: Sequence[bytes], seed: int
    ) -> Sequence[str | bytes]:
        """Words and encoded pictures, in the model's order."""
        ...


class UnifiedInProcess:
    """A unified model of any library, loaded here from a class of the user's."""

    def __init__(
        self,
        target: str,
        model: str,
        *,
        load: Mapping[str, Any] | None = None,
        style: Mapping[str, Any] | UnifiedStyle | None = None,
        firewall: Mapping[str, str] | FirewallPolicy | None = None,
    ) -> None:
        """Load the model.

        Args:
            target: `module:Class` of a `Replier`; called with `model` and what `load` holds.
            model: folder or hub name of the weights.
            load: further arguments of the class (`revision`, `dtype` …).
            style: fields of `medgen.adapters.models.interleaved.UnifiedStyle`.
            firewall: fields of `medgen.adapters.images.firewall.FirewallPolicy`.

        Raises:
            ConfigError: the target cannot be found.
            AdapterError: the model cannot be loaded.
        """
        self._target, self._model, self._load = target, model, dict(load or {})
        self._style = read(UnifiedStyle, style, "style")
        self._firewall = Firewall(firewall)
        self._lock = threading.Lock()
        self._replier = _build(target, model, self._load)

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """One request after another; a request that raises is a row."""
        return [self._one(request) for request in requests]

    def passport(self) -> Mapping[str, Any]:
        """See `Generator.passport`."""
        package = self._target.partition(":")[0].partition(".")[0]
        return {
            "adapter": "unified_in_process",
            "target": self._target,
            "model": self._model,
            "load": self._load,
            **weights(self._model, self._load.get("revision")),
            "prompt": self._style.prompt,
            "firewall": self._firewall.passport(),
            "versions": versions(package, "torch", "transformers", "diffusers"),
        }

    def _one(self, request: Request) -> Prediction:
        sample, started = request.sample, time.monotonic()
        try:
            asked = question(request, self._style)
            pictures = [
                servable(p.data)[0] for p in asked.messages[1].parts if isinstance(p, Image)
            ]
        except ImageError as err:
            return Prediction(sample.id, "model_error", f"input: {unusable(err)}")
        words = [str(m.parts[-1]) for m in asked.messages]
        ask = partial(self._replier.reply, words[0], words[1], pictures, asked.sampling.seed)
        try:
            with self._lock:
                parts = tuple(ask())
        except MedgenError:
            raise
        except Exception as err:  # a sample's failure becomes its row
            if type(err).__name__ == "AcceleratorError":  # torch's; torch may not be here
                raise EngineDied(f"{self._model}: the device failed: {err}") from err
            log_failed_row(log, err, sample.id)
            status: PredictionStatus = "out_of_memory" if is_out_of_memory(err) else "model_error"
            return Prediction(sample.id, status, f"{type(err).__name__}: {err}"[:500])
        if not all(isinstance(part, str | bytes) for part in parts):
            raise AdapterError(f"{self._target} must give strings and bytes")
        usage = Usage(seconds=time.monotonic() - started)
        return prediction(sample, Interleaved(parts, usage), self._style, self._firewall)


def _build(target: str, model: str, load: Mapping[str, Any]) -> Replier:
    module, _, name = target.partition(":")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as err:
        raise ConfigError(
            f"target {target!r} is not 'module:Class' of a model here: {err}"
        ) from err
    try:
        built: Replier = kind(model, **load)
    except MedgenError:
        raise
    except Exception as err:  # a user's class raises what it likes; the model cannot be used
        raise AdapterError(f"{target} could not load {model!r}: {err}") from err
    return built


def _drafts(said: Completion) -> Iterator[Draft]:
    """("text", words) and ("image", link), in the order of the reply; Markdown taken apart."""
    for kind, value in said.parts:
        if kind == "text":
            yield from _split_markdown(value)
        else:
            yield kind, value


def _split_markdown(text: str) -> Iterator[Draft]:
    at = 0
    for match in _MARKDOWN.finditer(text):
        if text[at : match.start()].strip():
            yield "text", text[at : match.start()]
        yield "image", match[1]
        at = match.end()
    if text[at:].strip():
        yield "text", text[at:]
