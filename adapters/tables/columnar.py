"""Rows of Parquet and Arrow files, the wanted columns alone, a few at a time."""

from collections.abc import Collection, Iterable, Iterator
from io import SEEK_END
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.sources.hub import batches_of, check_sizes, with_dictionaries
from medgen.adapters.tables.lines import FaultyRow
from medgen.adapters.tables.paths import root_of

_ROWS = 16  # decoded at once; a row may hold pictures of some megabytes
_STREAM = b"ARROW1"
# Cells may be repeated: many questions about one picture, but no thousands of them.
_MOST_UNFOLDED, _ALWAYS_ALLOWED = 1_000, 2**29  # times the file's size; bytes
Wanted = Collection[str] | None


def parquet_rows(
    file: BinaryIO, wanted: Wanted, limit: int, there: set[str] | None = None
) -> Iterator[dict[str, object] | FaultyRow]:
    """The rows of a Parquet file.

    Args:
        file: can be sought in.
        wanted: column paths; None means all columns.
        limit: bytes that the binary cells of a row may have, counted before they are repeated.
        there: is given the names of all columns, also of those that are not read.

    Raises:
        FaultyContent: a column stands twice, the footer claims too much, or the cells unfold to
            more than a thousand times the file.
    """
    unfolded = _Unfolded(file, limit)
    head = pq.ParquetFile(file, page_checksum_verification=True)
    check_sizes(head.metadata)
    names = _chosen(head.schema_arrow, wanted)
    if there is not None:
        there.update(head.schema_arrow.names)
    leaves = _repeated_leaves(head.metadata, head.schema_arrow)
    table = with_dictionaries(file, head.metadata, leaves)
    for batch in batches_of(table, names, _ROWS):
        yield from _of_batch(batch, unfolded)


def arrow_rows(
    file: BinaryIO, wanted: Wanted, limit: int, there: set[str] | None
) -> Iterator[dict[str, object] | FaultyRow]:
    """The rows of an Arrow file or stream, as `datasets` keeps them; see `parquet_rows`."""
    unfolded = _Unfolded(file, limit)
    begins = file.read(len(_STREAM))
    file.seek(0)
    if begins == _STREAM:
        whole = ipc.open_file(file)
        schema = whole.schema
        batches = (whole.get_batch(number) for number in range(whole.num_record_batches))
    else:
        stream = ipc.open_stream(file)
        schema = stream.schema
        batches = iter(stream)
    names = _chosen(schema, wanted)
    if there is not None:
        there.update(schema.names)
    for batch in batches:
        yield from _of_batch(batch.select(names), unfolded)


class _Unfolded:
    """How many bytes the rows of a file have come to, repeated cells each time."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        size = file.seek(0, SEEK_END)
        file.seek(0)
        self.limit = limit  # of one row
        self._left = max(_MOST_UNFOLDED * size, _ALWAYS_ALLOWED)
        self._most = self._left

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise FaultyContent(f"its rows unfold to more than {self._most:,} bytes: a bomb?")


def _chosen(schema: pa.Schema, wanted: Wanted) -> list[str]:
    names = schema.names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise FaultyContent(f"column {twice[0]!r} stands twice")
    if wanted is None:
        return names
    known = frozenset(names)
    roots = {root_of(path, known) for path in wanted}
    return [name for name in names if name in roots]


def _of_batch(
    batch: pa.RecordBatch, unfolded: _Unfolded
) -> Iterator[dict[str, object] | FaultyRow]:
    limit = unfolded.limit
    for number in range(batch.num_rows):
        part = batch.slice(number, 1)
        try:
            _check_ends(part.columns)
        except pa.ArrowException as err:
            yield FaultyRow(f"a cell cannot be read ({err})")
            continue
        if (size := _binary_bytes(part)) > limit:
            yield FaultyRow(f"its cells have {size:,} bytes, more than {limit:,}; split it")
            continue
        unfolded.take(size)
        try:
            (row,) = part.to_pylist()
        except UnicodeDecodeError as err:
            yield FaultyRow(f"a text is not UTF-8 ({err.reason})")
        except (ValueError, OverflowError, pa.ArrowException) as err:
            yield FaultyRow(f"a cell cannot be read ({err})")
        else:
            yield row


def _check_ends(columns: Iterable[Any]) -> None:
    """See that no text or list claims to end before it begins; what the library has no stub for.

    Raises:
        pa.ArrowInvalid: one does.
    """
    for column in columns:
        column.validate()


def _repeated_leaves(metadata: pq.FileMetaData, schema: pa.Schema) -> list[str]:
    """Paths of the columns of bytes and texts, which are read as the dictionaries they may be.

    Written out, one cell of a few megabytes would be held once for each row of a batch.
    """
    first = metadata.row_group(0) if metadata.num_row_groups else None
    columns = [first.column(i) for i in range(first.num_columns)] if first else []
    found = []
    for column in columns:
        path = column.path_in_schema
        root = path.split(".")[0]
        if column.physical_type != "BYTE_ARRAY" or root not in schema.names:
            continue
        kind = schema.field(root).type
        inner = path.endswith((".bytes", "list.element", "list.item")) and _holds_bytes(kind)
        if inner or (path == root and _measurable(kind)):
            found.append(path)
    return found


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return True
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _holds_bytes(kind.value_type)
    if pa.types.is_struct(kind):
        return any(_holds_bytes(field.type) for field in kind)
    return False


def _binary_bytes(row: pa.RecordBatch) -> int:
    return sum(_size(column) for column in row.columns)


def _size(cells: pa.Array) -> int:
    """Bytes that the binary and text cells of one row have when they are written out."""
    kind = cells.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _size(cells.flatten())
    if pa.types.is_struct(kind):
        return sum(_size(pc.struct_field(cells, field.name)) for field in kind)
    if isinstance(cells, pa.DictionaryArray):
        if not _measurable(kind.value_type):
            return 0
        lengths = pc.take(pc.binary_length(cells.dictionary), cells.indices)
        return int(pc.sum(lengths).as_py() or 0)
    if _measurable(kind):
        return int(pc.sum(pc.binary_length(cells)).as_py() or 0)
    return 0


def _measurable(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
    )
