"""A batch that was sent: waited for, cancelled when it is too late, and its results handed out."""

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from medgen.adapters.batches.notes import Notes, Record
from medgen.adapters.batches.vendor import Look, Result, Vendor
from medgen.adapters.http.bodies import read_json
from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Failure, Reply
from medgen.adapters.http.verdict import Attempt
from medgen.engine.batching import Batch
from medgen.engine.errors import AdapterError

_CANCEL_S = 3600.0  # after which a batch that was cancelled should have ended


@dataclass(slots=True)
class Following:
    """Knows what came of the batches of one model, each fetched once and held until it is taken."""

    client: HttpClient
    how: Batch
    vendor: Vendor
    notes: Notes
    _results: dict[str, asyncio.Task[dict[str, Result]]] = field(default_factory=dict)

    async def take(self, record: Record, identity: str) -> Result:
        """A result of a batch, handed out once; who asks again has all of it fetched again."""
        for _ in range(2):
            task = self._results.get(record.token)
            if task is None:
                task = self._results[record.token] = asyncio.create_task(self._fetch(record))
            try:
                results = await task
            except Exception:
                self._results.pop(record.token, None)
                raise
            if identity in results:
                return results.pop(identity)
            self._results.pop(record.token, None)
        return Attempt(Failure("server", "the batch does not hold this request any more"))

    async def _fetch(self, record: Record) -> dict[str, Result]:
        """What came of every request of a batch, once it has ended."""
        look = await self._wait(record)
        if look.refused:
            await asyncio.to_thread(self.notes.forget, record.token)
        found: dict[str, Result] = {
            record.ids[n]: attempt for n, attempt in look.by_line.items() if n < len(record.ids)
        }
        for path in look.files:
            file = await self.vendor.fetch(path)
            if isinstance(file, Reply):
                most, ids = self.client.endpoint.bounds.bytes, frozenset(record.ids)
                read = self.vendor.result
                found = await asyncio.to_thread(read_results, file, ids, read, most) | found
            elif file.kind == "malformed":  # larger than is read; what it holds was paid for
                look = replace(look, lacking=Attempt(file, paid="unknown"))
            else:
                raise AdapterError(
                    f"the results of batch {record.batch} cannot be fetched now: {file.reason}. "
                    "They are paid for; start again later"
                )
        return {identity: found.get(identity, look.lacking) for identity in record.ids}

    async def _wait(self, record: Record) -> Look:
        """Until a batch has ended, cancelled when that is too late.

        Raises:
            AdapterError: the vendor does not know it, or says nothing of it for too long.
        """
        loop, cancelled = asyncio.get_running_loop(), 0.0
        until = record.created + self.how.wait_h * 3600
        while True:
            found, late = await self.vendor.look(record.batch), time.time() > until
            if isinstance(found, Failure):
                await self._answer_for(found, record, late)
            elif found.ended:
                return found
            elif late and not cancelled:
                cancelled = loop.time()
                await self.vendor.cancel(record.batch)
            elif cancelled and loop.time() - cancelled > _CANCEL_S:
                raise AdapterError(f"batch {record.batch} does not end, although it was cancelled")
            await self.client.pause(self.how.poll_s)

    async def _answer_for(self, failure: Failure, record: Record, late: bool) -> None:
        """A batch cannot be looked at: wait on, or say why that is in vain."""
        if failure.http_status == 404:
            await asyncio.to_thread(self.notes.forget, record.token)
            raise AdapterError(f"the endpoint knows no batch {record.batch}: {failure.reason}")
        if failure.about or late:
            raise AdapterError(f"nothing can be known of batch {record.batch}: {failure.reason}")


log = logging.getLogger(__name__)

_NAMED = re.compile(rb'"custom_id"\s*:\s*"([\w-]{1,64})"')
_NEAR = 400  # bytes at either end of a line that cannot be read, in which its name may stand


def read_results(
    file: Reply,
    ids: Collection[str],
    result: Callable[[Mapping[str, Any]], Result],
    most_bytes: int,
) -> dict[str, Result]:
    """What a file says of some requests. The first line of each counts, and no other is read.

    Args:
        file: lines of JSON.
        ids: the names of the requests.
        result: reads a line.
        most_bytes: of one line.
    """
    found: dict[str, Result] = {}
    odd: Counter[str] = Counter()
    for line in _lines(file.body):
        identity, read = _read_line(line, result, most_bytes)
        if identity not in ids:
            odd["of no request" if identity else "without a name"] += 1
        elif identity in found:
            odd["a second time"] += 1
        else:
            found[identity] = read
    for what, count in odd.items():
        log.warning("%d lines of a batch's results are there %s, and not read", count, what)
    return found


def _lines(body: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        if line := body[start:end].strip():
            yield line
        start = end + 1


def _read_line(
    line: bytes, result: Callable[[Mapping[str, Any]], Result], most_bytes: int
) -> tuple[str, Result]:
    if len(line) > most_bytes:
        return _unread(line, f"reply is larger than {most_bytes / 2**20:g} MiB")
    try:
        said = read_json(line)
    except ValueError:
        return _unread(line, "its line of the results is not the JSON that was agreed")
    if not isinstance(said, Mapping):
        return _unread(line, "its line of the results is no object")
    identity = said.get("custom_id")
    return (identity if isinstance(identity, str) else ""), result(said)


def _unread(line: bytes, reason: str) -> tuple[str, Result]:
    named = _NAMED.search(line[:_NEAR]) or _NAMED.search(line[-_NEAR:])
    lost = Attempt(Failure("malformed", reason), paid="unknown")
    return (named[1].decode() if named else ""), lost
