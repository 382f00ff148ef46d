"""A file of results, sorted by the requests that its lines are of."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from medgen.adapters.batches.vendor import Result
from medgen.adapters.http.bodies import read_json
from medgen.adapters.http.endpoint import Failure, Reply
from medgen.adapters.http.verdict import Attempt

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
