from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self

from . import BufferOutputStream, BufferReader, RecordBatch, Schema, Table

class Statistics:
    min: int
    max: int

class ColumnChunkMetaData:
    statistics: Statistics | None
    path_in_schema: str
    physical_type: str
    total_compressed_size: int
    total_uncompressed_size: int

class RowGroupMetaData:
    num_columns: int
    num_rows: int
    total_byte_size: int

    def column(self, i: int) -> ColumnChunkMetaData: ...

class FileMetaData:
    num_rows: int
    num_row_groups: int

    def row_group(self, i: int) -> RowGroupMetaData: ...

class ParquetFile:
    metadata: FileMetaData
    schema_arrow: Schema

    def __init__(
        self,
        source: BinaryIO | BufferReader | Path,
        metadata: FileMetaData | None = ...,
        read_dictionary: Sequence[str] | None = ...,
        page_checksum_verification: bool = ...,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object) -> None: ...
    def read(self, columns: Sequence[str] | None = ...) -> Table: ...
    def read_row_group(self, i: int, columns: Sequence[str]) -> Table: ...
    def iter_batches(
        self,
        batch_size: int = ...,
        row_groups: Sequence[int] | None = ...,
        columns: Sequence[str] | None = ...,
    ) -> Iterator[RecordBatch]: ...

class ParquetWriter:
    def __init__(
        self, where: BufferOutputStream | BinaryIO, schema: Schema, *, compression: str = ...
    ) -> None: ...
    def write_table(self, table: Table) -> None: ...
    def close(self) -> None: ...

def read_table(source: BufferReader) -> Table: ...
def write_table(
    table: Table,
    where: BufferOutputStream | Path | BinaryIO,
    row_group_size: int | None = ...,
    compression: str = ...,
) -> None: ...
