"""Arrow tables as sealed bytes: an IPC file that carries its own checksum.

The footer holds a key `sha256` whose value is the digest of the whole file with that value
zeroed; `unseal` proves that no bit of it changed.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa

from medgen.engine.errors import CorruptError

_BLANK = b"0" * 64
_BEYOND_FOOTER = 64  # bytes around a footer that a reader wants to see
_LARGE = 2**20  # bytes; to hand columns of fewer to threads costs more than all the rest of it
# Bytes. Zstd is made ready anew for each column: of fewer it takes ten times as long as LZ4, for a
# fifth less to store.
_SMALL = 2**16


def seal(table: pa.Table, rows: int | None = None) -> bytes:
    """Serialise a table in memory, as one compressed IPC file with its checksum inside.

    `rows` is how many stand in one batch: those of a batch are read without the others.
    """
    return seal_named(table, rows)[0]


def seal_named(table: pa.Table, rows: int | None = None) -> tuple[bytes, str]:
    """The same with the checksum, by which others name the bytes."""
    sink = pa.BufferOutputStream()
    footer = {b"sha256": _BLANK}
    size = table.get_total_buffer_size()  # told at once; `nbytes` looks into each column
    codec = "lz4" if size < _SMALL else "zstd"
    options = pa.ipc.IpcWriteOptions(compression=codec, use_threads=size > _LARGE)
    with pa.ipc.new_file(sink, table.schema, options=options, metadata=footer) as writer:
        writer.write_table(table.combine_chunks() if rows else table, rows)
    data: bytes = sink.getvalue().to_pybytes()
    at = _seal_offset(data, _BLANK)
    digest = hashlib.sha256(data).hexdigest()
    return data[:at] + digest.encode() + data[at + 64 :], digest


def unseal(data: bytes, name: str) -> pa.Table:
    """Read sealed bytes back; raises as `unseal_named` does."""
    return unseal_named(data, name)[0]


def unseal_named(data: bytes, name: str) -> tuple[pa.Table, str]:
    """Read sealed bytes back, with their checksum, by which others name them.

    Raises:
        CorruptError: the bytes are truncated, changed, or were never sealed. Names the object.
    """
    with _readable(data, name) as reader:
        digest = _prove(reader, data, name)
        return reader.read_all(), digest


def _prove(reader: pa.ipc.RecordBatchFileReader, data: bytes, name: str) -> str:
    digest = (reader.metadata or {}).get(b"sha256", b"")
    if len(digest) != 64:
        raise CorruptError(f"{name}: no checksum in the file's footer")
    at = _seal_offset(data, digest)
    hasher = hashlib.sha256(memoryview(data)[:at])
    hasher.update(_BLANK)
    hasher.update(memoryview(data)[at + 64 :])
    found = hasher.hexdigest()
    if found.encode() != digest:
        raise CorruptError(f"{name}: checksum differs; the object was changed or damaged")
    return found


def open_proven(data: bytes, name: str) -> pa.Table:
    """The table of bytes of which the sha256 of the whole is known, and is this one.

    Raises:
        CorruptError: they were never a sealed object. Names the object.
    """
    with _readable(data, name) as reader:
        return reader.read_all()


def prove(data: bytes, name: str) -> None:
    """Prove sealed bytes without reading their rows; raises as `unseal_named` does."""
    with _readable(data, name) as reader:
        _prove(reader, data, name)


def batches(
    source: bytes | BinaryIO, name: str, fields: Sequence[int] | None = None
) -> pa.ipc.RecordBatchFileReader:
    """What was proven, to read its batches one by one; of some columns alone, if they are named.

    Raises:
        CorruptError: it was never sealed. Names the object.
    """
    with _blame(name):
        options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=fields)
        return pa.ipc.open_file(source, options=options)


@contextlib.contextmanager
def _readable(data: bytes, name: str) -> Iterator[pa.ipc.RecordBatchFileReader]:
    with _blame(name):
        options = pa.ipc.IpcReadOptions(use_threads=len(data) > _LARGE)
        with pa.ipc.open_file(data, options=options) as reader:
            yield reader


@contextlib.contextmanager
def _blame(name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as err:
        raise CorruptError(f"{name}: not a readable Arrow file ({err})") from err


def seal_of(end: bytes, name: str) -> tuple[str, pa.Schema] | None:
    """The checksum and schema that the end of a sealed object tells; None: it is too short an end.

    They are what the object says; that its rows are those is known when it is read whole.

    Raises:
        CorruptError: it is no sealed object.
    """
    if end[-6:] != b"ARROW1":
        raise CorruptError(f"{name}: not a readable Arrow file (it breaks off)")
    if len(end) < int.from_bytes(end[-10:-6], "little", signed=True) + _BEYOND_FOOTER:
        return None
    with _blame(name), pa.ipc.open_file(end) as reader:
        digest = (reader.metadata or {}).get(b"sha256", b"")
        if len(digest) != 64:
            raise CorruptError(f"{name}: no checksum in the file's footer")
        return digest.decode("ascii", "replace"), reader.schema


def _seal_offset(data: bytes, digest: bytes) -> int:
    # The footer lies at the end, so the last occurrence is the seal even if a row holds the same.
    return data.rindex(digest)
