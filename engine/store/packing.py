"""Several small objects as the bytes of one: their contents, an index of them, and its checksum.

The index says where each content begins, how long it is, and a note on it that can be read without
it. Contents prove themselves; the index is proven by the checksum behind it.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from medgen.engine.errors import CorruptError

_MARK = b"MEDGEN-PACK1"
_DIGEST, _LENGTH = 32, 8  # bytes
_TRAILER = _DIGEST + _LENGTH + len(_MARK)


@dataclass(frozen=True, slots=True)
class Entry:
    """One content of a pack."""

    path: str
    at: int
    size: int
    note: str = ""


def pack(contents: Mapping[str, bytes], notes: Mapping[str, str]) -> bytes:
    """The contents, by their paths, as one object."""
    entries, at = [], 0
    for path, data in contents.items():
        entries.append((path, at, len(data), notes.get(path, "")))
        at += len(data)
    index = zlib.compress(json.dumps(entries).encode())
    trailer = hashlib.sha256(index).digest() + len(index).to_bytes(_LENGTH, "big") + _MARK
    return b"".join((*contents.values(), index, trailer))


def entries_of(end: bytes, name: str) -> list[Entry] | int:
    """What a pack holds, by the end of it; or how many bytes of its end are needed for that.

    Raises:
        CorruptError: it is no pack, or its index is damaged; names it.
    """
    if len(end) < _TRAILER or not end.endswith(_MARK):
        raise CorruptError(f"{name}: not a readable pack (it breaks off)")
    trailer = end[-_TRAILER:]
    length = int.from_bytes(trailer[_DIGEST : _DIGEST + _LENGTH], "big")
    if length + _TRAILER > len(end):
        return length + _TRAILER
    index = end[-_TRAILER - length : -_TRAILER]
    if hashlib.sha256(index).digest() != trailer[:_DIGEST]:
        raise CorruptError(f"{name}: not a readable pack (its index was changed or damaged)")
    return list(_entries(json.loads(zlib.decompress(index))))


def _entries(rows: Iterable[tuple[str, int, int, str]]) -> Iterable[Entry]:
    return (Entry(path, at, size, note) for path, at, size, note in rows)
