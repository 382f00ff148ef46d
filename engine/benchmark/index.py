"""The index of a benchmark: what every sample is, in its order, without texts and pictures.

One sealed object, which is held as it is stored, a tenth of what it is in memory; a large one in a
file without a name. Its rows come in batches, of which only those are decoded that are asked for.
"""

import contextlib
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

from medgen.engine.benchmark.spool import SpoolEntry
from medgen.engine.errors import CorruptError
from medgen.engine.store import schemas
from medgen.engine.store.sealed import batches, prove, seal, unseal

ROWS = 8_192  # of a batch: what is decoded for one sample
_HELD = 2  # batches that stay decoded: tables are made of some shards after the others
LARGE = 2 * 2**20  # bytes; what is larger is no burden on memory
_TOLD = ("asks", "format", "task", "subtask", "modality", "source", "bundle", "language")
# What every sample is, and where it stood in the source (null: unknown).
INDEX = pa.schema(
    [
        *((name, pa.string()) for name in ("sample_id", *_TOLD)),
        ("groups", schemas.GROUPS),
        ("place", pa.int64()),
    ]
)
# Apart from it, for they are most of the bytes and only rows of another cut are found by them.
DIGESTS = pa.schema([("digest", pa.binary())])


def index_object(order: Sequence[SpoolEntry], places: Mapping[str, int]) -> bytes:
    """The index of samples in the benchmark's order, as it is stored; `places` is by id."""
    columns: dict[str, list[Any]] = {
        "sample_id": [entry.id for entry in order],
        "groups": [schemas.pairs(entry.groups) for entry in order],
        "place": [places.get(entry.id) for entry in order],
    }
    columns |= {name: [getattr(entry, name) for entry in order] for name in _TOLD}
    return seal(pa.table({name: columns[name] for name in INDEX.names}, INDEX), rows=ROWS)


def digests_object(order: Sequence[SpoolEntry]) -> bytes:
    """The digests of samples in the benchmark's order, as they are stored."""
    return seal(pa.table({"digest": [entry.digest for entry in order]}, DIGESTS))


def read_digests(data: bytes, name: str, count: int) -> pa.ChunkedArray:
    """The same read back.

    Raises:
        CorruptError: it is damaged, or not of so many samples; names it.
    """
    table = unseal(data, name)
    if not table.schema.equals(DIGESTS) or len(table) != count:
        raise CorruptError(f"{name} is not of this benchmark; import it again")
    return table["digest"]


def _file_of(data: bytes) -> BinaryIO | None:
    """A file without a name that holds them; None: there is no room, and memory has to do."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
        file: BinaryIO = opened.enter_context(tempfile.TemporaryFile())
        file.write(data)
        file.flush()
        opened.pop_all()
        return file
    return None


class Index:
    """Reads an index; threads may share it."""

    def __init__(self, data: bytes, name: str, count: int) -> None:
        """`data` is the whole object, of so many samples.

        Raises:
            CorruptError: it is damaged, or no index of so many; names it.
        """
        prove(data, name)
        self._name, self._count = name, count
        self._file = _file_of(data) if len(data) > LARGE else None
        self._data = b"" if self._file else data
        if self._file:
            weakref.finalize(self, self._file.close)
        self._reader = self._batches()
        self._held: OrderedDict[int, pa.Table] = OrderedDict()
        self._lock = threading.Lock()
        whole = self._reader.schema.equals(INDEX)
        if not whole or self._reader.num_record_batches != -(-count // ROWS):
            raise self._wrong()

    def _batches(self, fields: Sequence[int] | None = None) -> pa.ipc.RecordBatchFileReader:
        return batches(self._file or self._data, self._name, fields)

    def __len__(self) -> int:
        return self._count

    def rows(self, start: int, stop: int) -> pa.Table:
        """Those from one position to before another.

        Raises:
            CorruptError: the object is no index of so many samples.
        """
        pieces = [
            self._batch(n).slice(max(0, start - n * ROWS), stop - max(start, n * ROWS))
            for n in range(start // ROWS, -(-stop // ROWS))
        ]
        return pa.concat_tables(pieces) if pieces else INDEX.empty_table()

    def parts(self, stop: int) -> Iterator[pa.Table]:
        """Those before a position, a batch at a time; raises as `rows` does."""
        for start in range(0, stop, ROWS):
            yield self.rows(start, min(start + ROWS, stop))

    def columns(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of all samples, a batch at a time; raises as `rows` does."""
        with self._lock:  # the file has one place at which it is read
            own = self._batches([INDEX.get_field_index(name) for name in names])
        for number in range(own.num_record_batches):
            with self._lock:
                table = self._read(own, number)
            yield table.select(list(names))

    def _batch(self, number: int) -> pa.Table:
        with self._lock:
            if number not in self._held:
                while len(self._held) >= _HELD:
                    self._held.popitem(last=False)
                self._held[number] = self._read(self._reader, number)
            self._held.move_to_end(number)
            return self._held[number]

    def _read(self, reader: pa.ipc.RecordBatchFileReader, number: int) -> pa.Table:
        table = pa.Table.from_batches([reader.get_batch(number)])
        if len(table) != min(ROWS, self._count - number * ROWS):
            raise self._wrong()
        return table

    def _wrong(self) -> CorruptError:
        return CorruptError(f"{self._name} is no index of it; import it again")
