"""A batch that was sent: waited for, cancelled when it is too late, and its results handed out."""

import asyncio
import time
from dataclasses import dataclass, field, replace

from medgen.adapters.batches.notes import Notes, Record
from medgen.adapters.batches.results import read_results
from medgen.adapters.batches.vendor import Look, Result, Vendor
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
