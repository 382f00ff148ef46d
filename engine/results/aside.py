"""Tables that are computed of a whole run and stored beside it, a dataclass a row."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from types import NoneType
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import pyarrow as pa

from medgen.engine.run.reader import RunReader
from medgen.engine.store.layout import Beside, RunPlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.parquet import parquet_bytes, parquet_table

Row = TypeVar("Row")
_KINDS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@dataclass(frozen=True)
class Aside(Generic[Row]):
    """One such table. Its columns are the fields of `row`: text, numbers, truths, lists of them.

    Attributes:
        name: of the file, and of the schema.
        row: the dataclass.
        rows: computes them; raises CorruptError where stored rows are damaged.
    """

    name: Beside
    row: type[Row]
    rows: Callable[[RunReader], list[Row]]

    @property
    def schema(self) -> pa.Schema:
        """Of the stored file."""
        columns = [(name, _column(kind)) for name, kind in get_type_hints(self.row).items()]
        return pa.schema(columns, metadata={"medgen.schema": f"{self.name}/1"})

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """Rows as they are stored."""
        found: Sequence[Any] = rows
        return pa.Table.from_pylist([asdict(row) for row in found], self.schema)

    def write(self, reader: RunReader) -> list[Row]:
        """Compute and store; nothing is stored where there is no row.

        Raises:
            CorruptError: stored rows are damaged.
        """
        rows = self.rows(reader)
        if rows:
            place = RunPlace(reader.plan.run_id).beside(self.name)
            reader.objects.replace(place, parquet_bytes(self.table(rows)))
        return rows

    def read(self, objects: Objects, run_id: str) -> list[Row]:
        """What was stored; empty where nothing was."""
        try:
            path = RunPlace(run_id).beside(self.name)
            table = parquet_table(objects.read(path), path)
        except FileNotFoundError:
            return []
        return [self.row(**row) for row in table.to_pylist()]


def _column(kind: Any) -> pa.DataType:
    if get_origin(kind) is list:
        return pa.list_(_column(get_args(kind)[0]))
    (plain,) = [one for one in get_args(kind) or (kind,) if one is not NoneType]
    return _KINDS[plain]
