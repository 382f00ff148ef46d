"""What two vendors' batch interfaces have in common, as the one who asks sees it."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from medgen.adapters.batches.notes import Record
from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Call, Failure, Reply
from medgen.adapters.http.verdict import Attempt
from medgen.engine.errors import AdapterError

_PAGE, _MOST_PAGES = 100, 50
Result = Reply | Attempt  # a reply as the model's own endpoint gives it, or why there is none


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a file."""

    id: str  # what its result is found by; the same on the same occasion
    data: bytes
    call: Call  # what it may cost, and how its reply is looked at


LOST = Attempt(
    Failure("server", "the results of the batch have no line for this request"), paid="unknown"
)
EXPIRED = Attempt(Failure("timeout", "the batch ended before this request was answered"))
CANCELLED = Attempt(Failure("timeout", "the batch was cancelled before this request"))


@dataclass(frozen=True, slots=True)
class Look:
    """Where a batch stands."""

    ended: bool
    files: tuple[str, ...] = ()  # paths of its results
    lacking: Attempt = field(default_factory=lambda: LOST)  # what comes of a request without a line
    refused: bool = False  # it was never begun, so nothing was paid
    by_line: Mapping[int, Attempt] = field(default_factory=dict)  # what was wrong, from 0


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one file holds."""

    requests: int
    size: int  # bytes


class Vendor(Protocol):
    """One batch interface."""

    @property
    def limits(self) -> Limits:
        """The most of one file."""
        ...

    def line(self, identity: str, body: Mapping[str, Any]) -> bytes:
        """A request's line, from the body of a chat completion.

        Raises:
            ConfigError: the body has what this interface cannot be asked for.
        """
        ...

    async def create(self, token: str, lines: Sequence[Line]) -> str | Failure:
        """Hand a file over, once: after a failure it may have been accepted all the same."""
        ...

    async def find(self, record: Record, taken: set[str]) -> str:
        """The batch that was made of a record; empty when there is none.

        Raises:
            AdapterError: that cannot be known now.
        """
        ...

    async def look(self, batch: str) -> Look | Failure:
        """Where a batch stands."""
        ...

    async def cancel(self, batch: str) -> None:
        """Have the vendor begin no more of it."""
        ...

    async def fetch(self, path: str) -> Reply | Failure:
        """A file of results."""
        ...

    def result(self, line: Mapping[str, Any]) -> Result:
        """What a line of results says."""
        ...


def unknown(what: Failure) -> AdapterError:
    """It cannot be known whether a batch was accepted, and asking twice would be paid twice."""
    return AdapterError(
        f"nobody can say now whether a batch was accepted ({what.reason}). Nothing is sent twice: "
        "start again, and it is looked for"
    )


async def pages(
    client: HttpClient, path: str, cursor: str, call: Call
) -> AsyncIterator[list[Mapping[str, Any]]]:
    """A vendor's list of batches page by page, each of `cursor` and the last id before it.

    Raises:
        AdapterError: it cannot be read.
    """
    after = ""
    for _ in range(_MOST_PAGES):
        more = f"&{cursor}={quote(after, safe='')}" if after else ""
        page = await client.get(f"{path}?limit={_PAGE}{more}", call)
        if isinstance(page, Failure):
            raise unknown(page)
        batches = list(entries(page))
        yield batches
        after = text_of(batches[-1], "id") if batches else ""
        if not after or not object_of(page).get("has_more"):
            return


def entries(reply: Reply) -> Iterator[Mapping[str, Any]]:
    """The entries of a page of a list."""
    found = object_of(reply).get("data")
    yield from (e for e in found if isinstance(e, Mapping)) if isinstance(found, list) else ()


def object_of(reply: Reply) -> Mapping[str, Any]:
    """A reply as a JSON object; empty where it is none."""
    try:
        found = reply.json()
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}


def text_of(found: Mapping[str, Any], name: str) -> str:
    """A field that is text; empty where it is none."""
    value = found.get(name)
    return value if isinstance(value, str) else ""
