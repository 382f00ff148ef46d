"""Parquet tables in a folder of the store, in parts of which each is one whole object."""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from medgen.engine.allocation import give_back
from medgen.engine.errors import CorruptError
from medgen.engine.store.layout import table_part
from medgen.engine.store.objects import Objects
from medgen.engine.store.room import room

# Large enough that a sweep has few objects, small enough to hold in memory and to fetch at once.
PART = 32 * 2**20  # bytes
# Rows that wait for a row group: readers fetch whole groups, and a page shows some few samples.
GROUP = 4 * 2**20  # bytes in memory


class PartWriter:
    """Writes one table; what it does not write again of an older one is removed at the end."""

    def __init__(self, objects: Objects, folder: str, schema: pa.Schema, part: int = PART) -> None:
        """Nothing is written before the first part is full."""
        self.objects, self.folder, self.schema, self.part = objects, folder, schema, part
        self.parts: dict[str, str] = {}  # path -> sha256
        self._waiting: list[pa.Table] = []
        self._open: tuple[BinaryIO, pq.ParquetWriter] | None = None

    def write(self, tables: Iterable[pa.Table]) -> dict[str, str]:
        """Write all rows; returns the sha256 of every part by its path. No rows, no parts.

        A part is replaced whole. Who reads while a table is written anew may meet parts of both.

        Raises:
            StoreError: there is no room for a part.
        """
        try:
            self._write(tables)
        finally:
            for one in reversed(self._open or ()):
                with contextlib.suppress(OSError):  # what has no room has none for its end
                    one.close()
        for path in self.objects.walk(self.folder):
            if path not in self.parts:
                self.objects.delete(path)
        return self.parts

    def _write(self, tables: Iterable[pa.Table]) -> None:
        size = 0  # of what waits; to ask each table again for each further one takes minutes
        for table in tables:
            self._waiting.append(table)
            size += table.nbytes
            if size >= GROUP:
                self._flush()
                size = 0
        self._flush()
        self._publish()

    def _flush(self) -> None:
        rows = [table for table in self._waiting if len(table)]
        self._waiting = []
        if not rows:
            return
        with room("a part of a table"):
            if self._open is None:
                # Not in memory, where the columns are that rows are made of.
                sink: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `write`
                self._open = sink, pq.ParquetWriter(sink, self.schema, compression="zstd")
            sink, writer = self._open
            writer.write_table(pa.concat_tables(rows))
            size = sink.tell()
        del rows
        give_back()
        if size >= self.part:
            self._publish()

    def _publish(self) -> None:
        if self._open is None:
            return
        sink, writer = self._open
        with room("a part of a table"):
            writer.close()
            sink.seek(0)
        data = sink.read()
        sink.close()
        path = table_part(self.folder, len(self.parts))
        self.objects.replace(path, data)
        self.parts[path], self._open = hashlib.sha256(data).hexdigest(), None


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as one Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


@contextlib.contextmanager
def readable(name: str) -> Iterator[None]:
    """Say of a table that cannot be read which object it is.

    Raises:
        CorruptError: it is no table, or a damaged one.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as err:
        raise CorruptError(f"{name}: not a readable table ({err})") from err


def parquet_table(data: bytes, name: str) -> pa.Table:
    """The table of a stored Parquet file.

    Raises:
        CorruptError: it is none, or damaged; names it.
    """
    # Not pq.read_table: that imports the module of datasets, and with it pandas where it is there.
    with readable(name), pq.ParquetFile(pa.BufferReader(data)) as file:
        found: pa.Table = file.read()
    return found
