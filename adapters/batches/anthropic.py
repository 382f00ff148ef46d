"""Anthropic's message batches: requests in one body, results as lines.

POST messages/batches, GET messages/batches/{id} and …/results; at most 100,000 requests and
256 MB. A batch carries nothing of ours but the ids of its requests, which only its results show.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from medgen.adapters.batches.notes import Record
from medgen.adapters.batches.vendor import (
    CANCELLED,
    EXPIRED,
    Limits,
    Line,
    Look,
    Result,
    object_of,
    pages,
    text_of,
    unknown,
)
from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Call, Failure, Reply
from medgen.engine.errors import ConfigError

_PATH = "messages/batches"
_HEADERS = {"anthropic-version": "2023-06-01"}
_KEY = "x-api-key"
_EARLIER_S = 600.0  # that a vendor's clock may be behind ours
_DATA_URL = re.compile(r"data:([\w/+.-]+);base64,(.*)", re.DOTALL)
# The names that both interfaces have, ours first.
_SAME = {"model": "model", "temperature": "temperature", "top_p": "top_p", "top_k": "top_k"}
# What the endpoint that reads OpenAI's bodies leaves out as well, so leaving it out is the same.
_UNREAD = frozenset({"seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"})
_READ_HERE = frozenset({"messages", "max_tokens", "max_completion_tokens", "stop"})
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


@dataclass(frozen=True, slots=True)
class AnthropicBatches:
    """See `medgen.adapters.batches.vendor.Vendor`."""

    client: HttpClient
    most_bytes: int  # of the results
    poll_s: float

    @property
    def limits(self) -> Limits:
        """See `Vendor.limits`."""
        return Limits(100_000, 256 * 10**6)

    def line(self, identity: str, body: Mapping[str, Any]) -> bytes:
        """See `Vendor.line`."""
        return json.dumps({"custom_id": identity, "params": message_request(body)}).encode()

    async def create(self, token: str, lines: Sequence[Line]) -> str | Failure:
        """See `Vendor.create`."""
        content = b'{"requests":[' + b",".join(line.data for line in lines) + b"]}"
        call = Call(content=content, headers=_HEADERS, key_header=_KEY, once=True)
        made = await self.client.post(_PATH, call)
        if isinstance(made, Failure):
            return made
        return text_of(object_of(made), "id") or Failure("malformed", "a batch without an id")

    async def find(self, record: Record, taken: set[str]) -> str:
        """See `Vendor.find`. Which of several batches it is, results tell, so it is waited for."""
        async for batch in self._alike(record, taken):
            name = text_of(batch, "id")
            while not (found := await self._known_look(name)).ended:
                await self.client.pause(self.poll_s)
            reply = await self.fetch(found.files[0])
            if isinstance(reply, Failure):
                raise unknown(reply)
            if any(identity.encode() in reply.body for identity in record.ids[:1]):
                return name
        return ""

    async def look(self, batch: str) -> Look | Failure:
        """See `Vendor.look`."""
        place = f"{_PATH}/{quote(batch, safe='')}"
        reply = await self.client.get(place, Call(headers=_HEADERS, key_header=_KEY))
        if isinstance(reply, Failure):
            return reply
        ended = text_of(object_of(reply), "processing_status") == "ended"
        return Look(ended, (f"{place}/results",))

    async def cancel(self, batch: str) -> None:
        """See `Vendor.cancel`."""
        place = f"{_PATH}/{quote(batch, safe='')}/cancel"
        await self.client.post(place, Call(json={}, headers=_HEADERS, key_header=_KEY))

    async def fetch(self, path: str) -> Reply | Failure:
        """See `Vendor.fetch`."""
        call = Call(headers=_HEADERS, key_header=_KEY, most_bytes=self.most_bytes)
        return await self.client.get(path, call)

    def result(self, line: Mapping[str, Any]) -> Result:
        """See `Vendor.result`."""
        said = line.get("result")
        said = said if isinstance(said, Mapping) else {}
        kind = text_of(said, "type")
        if kind == "succeeded":
            return Reply(200, json.dumps(completion(said.get("message"))).encode(), {})
        if kind == "expired":
            return EXPIRED
        if kind == "canceled":
            return CANCELLED
        error = said.get("error")
        error = error.get("error", error) if isinstance(error, Mapping) else {}
        named = text_of(error, "type") if isinstance(error, Mapping) else ""
        return Reply(_STATUS.get(named, 500), json.dumps({"error": error}).encode(), {})

    async def _known_look(self, batch: str) -> Look:
        found = await self.look(batch)
        if isinstance(found, Failure):
            raise unknown(found)
        return found

    async def _alike(self, record: Record, taken: set[str]) -> AsyncIterator[Mapping[str, Any]]:
        """Batches since the record that have as many requests and are known to be no other's."""
        call = Call(headers=_HEADERS, key_header=_KEY)
        async for batches in pages(self.client, _PATH, "after_id", call):
            for batch in batches:
                new = _made_at(batch) >= record.created - _EARLIER_S
                if new and _size(batch) == len(record.ids) and text_of(batch, "id") not in taken:
                    yield batch
            if batches and _made_at(batches[-1]) < record.created - _EARLIER_S:
                return


def message_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a chat completion as this interface has it.

    Raises:
        ConfigError: it asks for something that this interface is not known to have.
    """
    foreign = sorted(set(body) - set(_SAME) - _UNREAD - _READ_HERE)
    if foreign:
        raise ConfigError(
            f"`{foreign[0]}` cannot be asked for in message batches; leave it out of `body`, or "
            "`execution.batch` out of the model"
        )
    made: dict[str, Any] = {ours: body[name] for name, ours in _SAME.items() if name in body}
    made["max_tokens"] = body.get("max_completion_tokens", body.get("max_tokens"))
    if "stop" in body:
        made["stop_sequences"] = body["stop"]
    said = list(body["messages"])
    system = "\n".join(_words(m["content"]) for m in said if m["role"] == "system")
    if system:
        made["system"] = system
    turns = [m for m in said if m["role"] != "system"]
    made["messages"] = [{"role": m["role"], "content": _content(m["content"])} for m in turns]
    return made


def completion(message: Any) -> dict[str, Any]:
    """A message as the one reader of replies knows it: a choice with its parts, and its usage."""
    said = message if isinstance(message, Mapping) else {}
    choice = {"message": {"content": said.get("content")}, "stop_reason": said.get("stop_reason")}
    return {"model": said.get("model"), "choices": [choice], "usage": said.get("usage")}


def _content(content: Any) -> Any:
    return content if isinstance(content, str) else [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    url = (part.get("image_url") or {}).get("url", "")
    if not (found := _DATA_URL.fullmatch(url)):
        return {"type": "text", "text": part["text"]}
    source = {"type": "base64", "media_type": found[1], "data": found[2]}
    return {"type": "image", "source": source}


def _words(content: Any) -> str:
    parts = [content] if isinstance(content, str) else [p.get("text", "") for p in content]
    return "\n".join(parts)


def _made_at(batch: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(text_of(batch, "created_at")).timestamp()
    except ValueError:
        return float("inf")  # so it may be the one


def _size(batch: Mapping[str, Any]) -> int:
    counts = batch.get("request_counts")
    return sum(_numbers(counts)) if isinstance(counts, Mapping) else -1


def _numbers(counts: Mapping[str, Any]) -> Iterator[int]:
    yield from (n for n in counts.values() if isinstance(n, int))
