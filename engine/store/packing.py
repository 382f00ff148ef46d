"""Several small objects as the bytes of one: their contents, an index of them, and its checksum.

The index says where each content begins, how long it is, and a note on it that can be read without
it. Contents prove themselves; the index is proven by the checksum behind it. Each content is
compressed (zstd) by itself: of a small table most is schema, and one reading has more of them.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from medgen.engine.errors import CorruptError

_MARK = b"MEDGEN-PACK2"
_DIGEST, _LENGTH = 32, 8  # bytes
_LARGEST = 5 * 2**30  # bytes of one content, as of any object: an index that says more is forged
_TRAILER = _DIGEST + _LENGTH + len(_MARK)


@dataclass(frozen=True, slots=True)
class Entry:
    """One content of a pack."""

    path: str
    at: int
    size: int  # bytes in the pack
    note: str = ""
    length: int = 0  # bytes of the content itself


def pack(contents: Mapping[str, bytes], notes: Mapping[str, str]) -> bytes:
    """The contents, by their paths, as one object."""
    entries, at = [], 0
    packed = {path: _compress(data) for path, data in contents.items()}
    for path, data in packed.items():
        entries.append((path, at, len(data), notes.get(path, ""), len(contents[path])))
        at += len(data)
    index = zlib.compress(json.dumps(entries).encode())
    trailer = hashlib.sha256(index).digest() + len(index).to_bytes(_LENGTH, "big") + _MARK
    return b"".join((*packed.values(), index, trailer))


def content_of(data: bytes, entry: Entry) -> bytes:
    """What an entry's bytes in a pack are; damaged ones as they stand, which prove nothing."""
    if not 0 < entry.length <= _LARGEST:
        return data if entry.length else b""
    try:
        return pa.decompress(data, entry.length, "zstd", asbytes=True)
    except (OSError, ValueError, pa.ArrowException):
        return data


def _compress(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True) if data else b""


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


def _entries(rows: Iterable[tuple[str, int, int, str, int]]) -> Iterable[Entry]:
    return (Entry(*row) for row in rows)
