"""OpenAI's batch interface, which gateways have too: a file of requests, a batch of it, files back.

POST files, POST batches, GET batches/{id}, GET files/{id}/content; at most 50,000 requests and
200 MB a file. A batch carries our token as metadata, so it is found again by it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from medgen.adapters.batches.notes import Record
from medgen.adapters.batches.vendor import (
    CANCELLED,
    EXPIRED,
    LOST,
    Limits,
    Line,
    Look,
    Result,
    object_of,
    pages,
    text_of,
)
from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Call, Failure, Reply
from medgen.adapters.http.verdict import Attempt, judge

_PATH = "/v1/chat/completions"  # as the interface names it, wherever a gateway has it
_TOKEN = "medgen"  # the name of our token among a batch's metadata
_ENDED = ("completed", "failed", "expired", "cancelled")
_LACKING = {"expired": EXPIRED, "cancelled": CANCELLED}
_EARLIER_S = 24 * 3600.0  # that a vendor's clock may be behind ours


@dataclass(frozen=True, slots=True)
class OpenAIBatches:
    """See `medgen.adapters.batches.vendor.Vendor`."""

    client: HttpClient
    most_bytes: int  # of a file of results

    @property
    def limits(self) -> Limits:
        """See `Vendor.limits`."""
        return Limits(50_000, 200 * 10**6)

    def line(self, identity: str, body: Mapping[str, Any]) -> bytes:
        """See `Vendor.line`."""
        said = {"custom_id": identity, "method": "POST", "url": _PATH, "body": dict(body)}
        return json.dumps(said).encode() + b"\n"

    async def create(self, token: str, lines: Sequence[Line]) -> str | Failure:
        """See `Vendor.create`. A file that was sent twice costs nothing, a batch would."""
        data = b"".join(line.data for line in lines)
        file = ("file", (f"{token}.jsonl", data, "application/jsonl"))
        sent = await self.client.post("files", Call(form={"purpose": "batch"}, files=(file,)))
        if isinstance(sent, Failure):
            return Failure("client", sent.reason) if sent.kind == "client" else sent
        asked = {
            "input_file_id": text_of(object_of(sent), "id"),
            "endpoint": _PATH,
            "completion_window": "24h",
            "metadata": {_TOKEN: token},
        }
        made = await self.client.post("batches", Call(json=asked, once=True))
        if isinstance(made, Failure):
            return made
        return text_of(object_of(made), "id") or Failure("malformed", "a batch without an id")

    async def find(self, record: Record, taken: set[str]) -> str:
        """See `Vendor.find`."""
        async for batches in pages(self.client, "batches", "after", Call()):
            for batch in batches:
                said = batch.get("metadata")
                if isinstance(said, Mapping) and said.get(_TOKEN) == record.token:
                    return text_of(batch, "id")
            made = batches[-1].get("created_at") if batches else None
            if isinstance(made, int | float) and made < record.created - _EARLIER_S:
                break
        return ""

    async def look(self, batch: str) -> Look | Failure:
        """See `Vendor.look`."""
        reply = await self.client.get(f"batches/{quote(batch, safe='')}", Call())
        if isinstance(reply, Failure):
            return reply
        said = object_of(reply)
        status = text_of(said, "status")
        named = [text_of(said, name) for name in ("output_file_id", "error_file_id")]
        files = tuple(f"files/{quote(name, safe='')}/content" for name in named if name)
        if status == "failed":
            return self._refusal(said)
        return Look(status in _ENDED, files, _LACKING.get(status, LOST))

    async def cancel(self, batch: str) -> None:
        """See `Vendor.cancel`."""
        await self.client.post(f"batches/{quote(batch, safe='')}/cancel", Call(json={}))

    async def fetch(self, path: str) -> Reply | Failure:
        """See `Vendor.fetch`."""
        return await self.client.get(path, Call(most_bytes=self.most_bytes))

    def result(self, line: Mapping[str, Any]) -> Result:
        """See `Vendor.result`."""
        response = line.get("response")
        if isinstance(response, Mapping):
            status = response.get("status_code")
            body = json.dumps(response.get("body")).encode()
            return Reply(status if isinstance(status, int) else 200, body, {})
        error = line.get("error")
        code = text_of(error, "code") if isinstance(error, Mapping) else ""
        if code == "batch_expired":
            return EXPIRED
        if code == "batch_cancelled":
            return CANCELLED
        return self._error(error)

    def _error(self, error: Any) -> Attempt:
        said = error if isinstance(error, Mapping) else {"message": str(error)}
        body = json.dumps({"error": dict(said)}).encode()
        return judge(Reply(400, body, {}), None, self.client.clean)

    def _refusal(self, said: Mapping[str, Any]) -> Look:
        """A batch that was looked at and never begun: nothing of it was answered or paid for."""
        found = list(_errors(said))
        by_line = {n - 1: self._error(e) for n, e in found if n}
        whole = next((self._error(e) for n, e in found if not n), None)
        words = whole.outcome if whole else Failure("server", "another line of its file")
        reason = words.reason if isinstance(words, Failure) else ""
        about = words.about if isinstance(words, Failure) else ""
        lacking = Failure("server", f"the batch was refused: {reason}", about=about)
        return Look(True, (), Attempt(lacking), refused=True, by_line=by_line)


def _errors(said: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Why a batch was refused: the number of a line, from 1, or 0 for the whole; the error."""
    errors = said.get("errors")
    listed = errors.get("data") if isinstance(errors, Mapping) else None
    for error in listed if isinstance(listed, list) else ():
        if isinstance(error, Mapping):
            line = error.get("line")
            yield (line if isinstance(line, int) else 0), error
