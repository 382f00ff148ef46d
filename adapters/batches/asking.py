"""Requests of many shards gathered into files, handed to a vendor, and their results fetched.

A request has a name made of the occasion and of itself, so that whoever asks it again after a death
finds the batch that it is in. Nothing is sent before that is noted, and what may have been accepted
is looked for before it is sent again.
"""

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from medgen.adapters.batches.anthropic import AnthropicBatches
from medgen.adapters.batches.following import Following
from medgen.adapters.batches.notes import Notes, Record
from medgen.adapters.batches.openai import OpenAIBatches
from medgen.adapters.batches.vendor import Limits, Line, Vendor, unknown
from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Call, Failure, Reply, host_of
from medgen.adapters.http.verdict import Attempt, judge
from medgen.engine.batching import Batch
from medgen.engine.codec import fingerprint
from medgen.engine.errors import AdapterError, SpendingError
from medgen.engine.guard import guard_row
from medgen.engine.limiting import Ticket
from medgen.engine.occasion import Occasion

log = logging.getLogger(__name__)

_NATIVE = "anthropic.com"  # whose hosts have message batches
_PATH = "batches"
_SURE = ("client", "refused", "cap")  # what a server says of a request that it did not accept


@dataclass(slots=True)
class _Asked:
    """A request that somebody waits for."""

    line: Line
    since: float
    future: asyncio.Future[Reply | Failure]
    ticket: Ticket | None = None  # for the money that is set aside

    def answer(self, outcome: Reply | Failure) -> None:
        if not self.future.done():  # else whoever asked has left
            self.future.set_result(outcome)

    def fail(self, err: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(err)


@dataclass(slots=True)
class Batches:
    """Asks one model at one endpoint by batches. All of it runs in the client's loop."""

    client: HttpClient
    how: Batch
    scope: str  # the model, by its name there
    _vendor: Vendor = field(init=False)
    limits: Limits = field(init=False)  # of one file
    _following: Following | None = None
    _waiting: list[_Asked] = field(default_factory=list)
    _gathering: asyncio.Task[None] | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _sending: dict[str, asyncio.Task[Record]] = field(default_factory=dict)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _room: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        """Choose the interface; nothing is asked yet."""
        how, url = self.how, self.client.endpoint.base_url
        native = how.api == "anthropic" or (
            how.api == "auto" and f".{host_of(url)}".endswith(f".{_NATIVE}")
        )
        size = int(how.results_mib * 2**20)
        if native:
            self._vendor = AnthropicBatches(self.client, size, how.poll_s)
        else:
            self._vendor = OpenAIBatches(self.client, size)
        own = self._vendor.limits
        fewer = Limits(how.requests or own.requests, int((how.mib or 1e9) * 10**6))
        self.limits = Limits(min(own.requests, fewer.requests), min(own.size, fewer.size))
        self._room = asyncio.Semaphore(how.at_once)
        self.scope = fingerprint("batches", url.rstrip("/"), self.scope)

    def line(self, now: Occasion, who: str, body: Mapping[str, Any], call: Call) -> Line:
        """A request as a line, under a name of its own; at its price in a batch.

        Args:
            now: for which rows it is asked.
            who: what tells it from another of the same body: its sample and its draw.
            body: of a chat completion.
            call: as it would be made without batches.
        """
        parts = "\x1f".join((now.name, who, json.dumps(body, sort_keys=True)))
        identity = hashlib.sha256(parts.encode()).hexdigest()[:48]
        return Line(identity, self._vendor.line(identity, body), self._at_share(call))

    def ask(self, now: Occasion, lines: Sequence[Line]) -> list[Reply | Failure]:
        """What comes of each request, once the batches that hold them have ended.

        Raises:
            AdapterError: the endpoint cannot be used, or it is not known what was accepted.
            SpendingError: the cap lets nothing through.
        """
        if self._following is None:
            notes = Notes(now.objects, self.scope)
            self._following = Following(self.client, self.how, self._vendor, notes)
        return self.client.map(self._wait_for, list(_apart(lines)))

    def _at_share(self, call: Call) -> Call:
        share, price = self.how.price_share, call.price

        def lower(reply: Reply) -> tuple[int | None, float]:
            tokens, usd = price(reply) if price else (None, call.at_most_usd)
            return tokens, usd * share

        return replace(call, at_most_usd=call.at_most_usd * share, price=lower)

    async def _wait_for(self, line: Line) -> Reply | Failure:
        loop = asyncio.get_running_loop()
        asked = _Asked(line, loop.time(), loop.create_future())
        self._waiting.append(asked)
        if self._gathering is None or self._gathering.done():
            self._gathering = asyncio.create_task(self._gather())
        return await asked.future

    async def _gather(self) -> None:
        """Wait until no more requests come, then hand them out."""
        count = -1
        while len(self._waiting) != count:
            count = len(self._waiting)
            await self.client.pause(self.how.gather_s)
        asked, self._waiting, self._gathering = self._waiting, [], None
        self._start(self._hand_out(asked), asked)

    async def _hand_out(self, asked: Sequence[_Asked]) -> None:
        """Look for what is in a batch already, and send the others as files."""
        async with self._looking:
            records = await asyncio.to_thread(self._book.records)
        holder = {identity: record for record in records.values() for identity in record.ids}
        found: dict[str, list[_Asked]] = {}
        for one in asked:
            if (record := holder.get(one.line.id)) is not None:
                found.setdefault(record.token, []).append(one)
        for token, some in found.items():
            self._start(self._go_on(records[token], some), some)
        self._send_files([one for one in asked if one.line.id not in holder])

    def _send_files(self, asked: Sequence[_Asked]) -> None:
        for some in _files(asked, self.limits):
            self._start(self._send(some), some)

    def _start(self, work: Coroutine[Any, Any, None], asked: Sequence[_Asked]) -> None:
        """Do it beside the others; what it raises is raised where it is waited for."""

        async def guard() -> None:
            try:
                await work
            except Exception as err:  # noqa: BLE001 - see above
                for one in asked:
                    one.fail(err)

        task = asyncio.create_task(guard())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def _sent(self) -> Following:
        if self._following is None:
            raise AdapterError("batches are noted in a store, and none was given")
        return self._following

    @property
    def _book(self) -> Notes:
        return self._sent.notes

    async def _go_on(self, record: Record, asked: Sequence[_Asked]) -> None:
        """Fetch what was sent before; send anew what turns out not to have been."""
        if (sending := self._sending.get(record.token)) is not None:
            record = await sending
        if not record.batch:
            name = await self._look_for(record)
            if not name:
                await asyncio.to_thread(self._book.forget, record.token)
                self._send_files(asked)
                return
            record = await asyncio.to_thread(self._book.note_sent, record, name)
        log.info("batch %s is found again", record.batch)
        await self._deliver(record, asked)

    async def _look_for(self, record: Record) -> str:
        """The batch of a record that was never named; empty when the vendor has none."""
        records = await asyncio.to_thread(self._book.records)
        taken = {other.batch for other in records.values() if other.batch}
        if found := await self._vendor.find(record, taken):
            return found
        await self.client.pause(self.how.settle_s)
        return await self._vendor.find(record, taken)

    async def _send(self, asked: Sequence[_Asked]) -> None:
        """Hand a file over, as far as the cap allows, and wait for its results."""
        try:
            sent = [one for one in asked if await self._afford(one)]
            if not sent:
                return
            async with self._room:
                token = fingerprint("batch", [one.line.id for one in sent])
                self._sending[token] = sending = asyncio.create_task(self._submit(token, sent))
                try:
                    record = await sending
                finally:
                    del self._sending[token]
                await self._deliver(record, sent)
        finally:
            for one in asked:
                if one.ticket is not None:
                    await self.client.settle(one.ticket, 0.0)

    async def _afford(self, asked: _Asked) -> bool:
        try:
            asked.ticket = await self.client.set_aside(asked.line.call.at_most_usd)
        except SpendingError as err:
            asked.answer(Failure("cap", str(err)))
            return False
        return True

    async def _submit(self, token: str, asked: Sequence[_Asked]) -> Record:
        """Note a file, hand it over, note what it is called."""
        lines = [one.line for one in asked]
        ids = [line.id for line in lines]
        record = await asyncio.to_thread(self._book.intend, token, ids)
        batch = await self._create(record, lines)
        log.info("batch %s holds %d requests", batch, len(ids))
        return await asyncio.to_thread(self._book.note_sent, record, batch)

    async def _create(self, record: Record, lines: Sequence[Line]) -> str:
        """The name of the batch that is made of some lines.

        Raises:
            AdapterError: it is refused, or it cannot be known whether it was accepted.
        """
        why = Failure("transport", "nothing was sent")
        for _ in range(self.client.endpoint.attempts):
            made = await self._vendor.create(record.token, lines)
            if isinstance(made, str):
                return made
            why = made
            if made.kind in _SURE:
                await asyncio.to_thread(self._book.forget, record.token)
                self.client.see(made, _PATH)
                raise AdapterError(f"the endpoint takes no such batch: {made.reason}")
            if found := await self._look_for(record):
                return found
        raise unknown(why)

    async def _deliver(self, record: Record, asked: Sequence[_Asked]) -> None:
        """Give everybody what their request came to, and book what it cost."""
        spoilt = []
        for one in asked:
            result = await self._sent.take(record, one.line.id)
            attempt = result if isinstance(result, Attempt) else self._judge(result, one)
            usd = _cost(attempt, one.line.call)
            # What is found again was paid for in any case.
            await self.client.settle(one.ticket or await self.client.set_aside(0.0), usd)
            seconds = asyncio.get_running_loop().time() - one.since
            outcome = replace(attempt.outcome, cost_usd=usd, seconds=seconds)
            if isinstance(outcome, Failure) and outcome.about:
                spoilt.append((one, outcome))
            else:
                self.client.see(outcome, _PATH)
                one.answer(outcome)
        await self._deliver_spoilt(record, spoilt)

    async def _deliver_spoilt(
        self, record: Record, spoilt: Sequence[tuple[_Asked, Failure]]
    ) -> None:
        """What the endpoint accepted from nobody is sent anew once it may be accepted."""
        if not spoilt:
            return
        ids = {one.line.id for one, _ in spoilt}
        await asyncio.to_thread(self._book.leave_out, record, ids)
        for one, failure in spoilt:
            self.client.see(failure, _PATH)
            one.answer(failure)

    def _judge(self, reply: Reply, asked: _Asked) -> Attempt:
        return judge(reply, asked.line.call, self.client.clean)


def _apart(lines: Sequence[Line]) -> Iterator[Line]:
    """Lines under names of their own, where the very same is asked more than once."""
    seen: Counter[str] = Counter()
    for line in lines:
        number = seen[line.id]
        seen[line.id] += 1
        if number:
            other = f"{line.id}-{number}"
            yield replace(line, id=other, data=line.data.replace(line.id.encode(), other.encode()))
        else:
            yield line


def _files(asked: Sequence[_Asked], limits: Limits) -> Iterator[list[_Asked]]:
    """Requests in files that a vendor takes; one that is too large alone goes alone."""
    some: list[_Asked] = []
    size = 0
    for one in asked:
        length = len(one.line.data) + 1
        if some and (len(some) >= limits.requests or size + length > limits.size):
            yield some
            some, size = [], 0
        some.append(one)
        size += length
    if some:
        yield some


def _cost(attempt: Attempt, call: Call) -> float:
    """US dollars of one result; where nobody says, what was set aside."""
    if attempt.paid == "nothing":
        return 0.0
    if attempt.paid == "unknown" or call.price is None:
        return call.at_most_usd
    reply, count = attempt.paid, call.price
    _, usd = guard_row(lambda: count(reply), lambda _: (None, call.at_most_usd))
    return usd
