"""Parquet parts in a store, read by column, by position and by row."""

import os
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medgen.engine.store.objects import Objects
from medgen.engine.store.parquet import readable

_FILES = 64  # open parts; of a local store they hold no bytes
_REMOTE_FILES = 6  # parts of some 64 MiB each, held whole
_GROUPS = 48  # decoded row groups of pictures and texts


class Parts:
    """Reads parts; the footers and row groups that were read last are kept."""

    def __init__(self, objects: Objects) -> None:
        """Reads nothing yet."""
        self.objects = objects
        self._local = os.path.isdir(objects.url)
        self._files: OrderedDict[str, pq.ParquetFile] = OrderedDict()
        self._groups: OrderedDict[tuple[str, int, str], list[dict[str, Any]]] = OrderedDict()
        self._spans: dict[str, list[tuple[int, int]]] = {}
        self._folders: dict[str, dict[str, list[str]]] = {}
        self._lock = Lock()  # a page is made in a thread of its own

    def of_system(self, folder: str, system: str) -> list[str]:
        """The parts of a system: folders are found by the system that stands in their rows."""
        with self._lock:
            if folder not in self._folders:
                self._folders[folder] = self._list(folder)
            return self._folders[folder].get(system, [])

    def _list(self, folder: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.objects.names(folder):
            below = f"{folder}/{name}"
            paths = [f"{below}/{n}" for n in self.objects.names(below) if n.endswith(".parquet")]
            for path in paths:
                if system := self._system(path):
                    found.setdefault(system, []).append(path)
        return found

    def _system(self, path: str) -> str:
        """The system whose rows a part has; empty: it has none."""
        with readable(path):
            file = self._open(path)
            if not file.metadata.num_rows:
                return ""
            batch = next(file.iter_batches(batch_size=1, columns=["system"]))
            return str(batch.to_pylist()[0]["system"])

    def _open(self, path: str) -> pq.ParquetFile:
        if path in self._files:
            self._files.move_to_end(path)
            return self._files[path]
        if self._local:
            file = pq.ParquetFile(Path(self.objects.url) / path)
        else:
            file = pq.ParquetFile(pa.BufferReader(self.objects.read(path)))
        self._files[path] = file
        while len(self._files) > (_FILES if self._local else _REMOTE_FILES):
            self._files.popitem(last=False)
        return file

    def table(self, paths: Sequence[str], columns: Sequence[str]) -> pa.Table:
        """Some columns of all parts."""
        tables = []
        for path in paths:
            with self._lock, readable(path):
                tables.append(self._open(path).read(columns=list(columns)))
        if not tables:
            return pa.table({name: pa.nulls(0, pa.string()) for name in columns})
        return pa.concat_tables(tables)

    def batches(
        self, paths: Sequence[str], columns: Sequence[str], coded: Sequence[str] = ()
    ) -> Iterator[pa.Table]:
        """The same some thousands of rows at a time; `coded` columns come as dictionaries."""
        for path in paths:
            with self._lock, readable(path):
                file = self._with_codes(path, coded)
                rows = file.iter_batches(columns=list(columns))
            while True:
                with self._lock, readable(path):
                    if (batch := next(rows, None)) is None:
                        break
                    table = pa.Table.from_batches([batch])
                yield table

    def _with_codes(self, path: str, coded: Sequence[str]) -> pq.ParquetFile:
        if coded and self._local:
            source = Path(self.objects.url) / path
            return pq.ParquetFile(source, read_dictionary=list(coded))
        return self._open(path)

    def sums(self, paths: Sequence[str], columns: Sequence[str]) -> dict[str, float]:
        """The sums of some columns of numbers, and how many rows there are as `rows`."""
        found = dict.fromkeys(("rows", *columns), 0.0)
        for path in paths:
            with self._lock, readable(path):
                for batch in self._open(path).iter_batches(columns=list(columns)):
                    found["rows"] += batch.num_rows
                    for name in columns:
                        found[name] += float(pc.sum(batch[name]).as_py() or 0.0)
        return found

    def counts(self, paths: Sequence[str], column: str) -> dict[str, int]:
        """How often each word of a column occurs."""
        found: Counter[str] = Counter()
        for path in paths:
            with self._lock, readable(path):
                for batch in self._open(path).iter_batches(columns=[column]):
                    for one in pc.value_counts(pa.chunked_array([batch[column]])).to_pylist():
                        found[str(one["values"])] += one["counts"]
        return dict(found)

    def has_column(self, paths: Sequence[str], name: str) -> bool:
        """Whether the parts have a column."""
        if not paths:
            return False
        with self._lock, readable(paths[0]):
            return name in self._open(paths[0]).schema_arrow.names

    def roles(self, paths: Sequence[str]) -> list[list[str]]:
        """The roles of every sample's pictures, in the order of positions."""
        found: list[tuple[int, list[str]]] = []
        for path in paths:
            with self._lock, readable(path):
                table = self._open(path).read(columns=["position", "images.list.element.role"])
            for row in table.to_pylist():
                found.append((row["position"], [str(i["role"]) for i in row["images"] or ()]))
        return [roles for _, roles in sorted(found, key=lambda pair: pair[0])]

    def rows(
        self,
        paths: Sequence[str],
        positions: tuple[int, int],
        but: Sequence[str] = (),
        only: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        """Columns of the rows at positions from the first up to the second."""
        found = []
        for path in paths:
            with self._lock, readable(path):
                file = self._open(path)
                known = file.schema_arrow.names
                names = [n for n in known if n not in but and (not only or n in only)]
                for group in self._overlap(path, file, positions):
                    table = file.read_row_group(group, columns=names)
                    at = table["position"]
                    inside = pc.and_(pc.greater_equal(at, positions[0]), pc.less(at, positions[1]))
                    found += table.filter(inside).to_pylist()
        return found

    def row(self, paths: Sequence[str], position: int, column: str) -> Any:
        """One column at one position; None when no part has it."""
        for path in paths:
            with self._lock, readable(path):
                file = self._open(path)
                for group in self._overlap(path, file, (position, position + 1)):
                    for row in self._group(path, file, group, column):
                        if row["position"] == position:
                            return row[column]
        return None

    def _group(
        self, path: str, file: pq.ParquetFile, group: int, column: str
    ) -> list[dict[str, Any]]:
        key = (path, group, column)
        if key not in self._groups:
            table = file.read_row_group(group, columns=["position", column])
            self._groups[key] = table.to_pylist()
            while len(self._groups) > _GROUPS:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return self._groups[key]

    def _overlap(
        self, path: str, file: pq.ParquetFile, positions: tuple[int, int]
    ) -> Iterator[int]:
        """The row groups that may hold some positions, by their statistics."""
        if path not in self._spans:
            self._spans[path] = [_span(file, g) for g in range(file.metadata.num_row_groups)]
        for group, (first, last) in enumerate(self._spans[path]):
            if first < positions[1] and last >= positions[0]:
                yield group


def _span(file: pq.ParquetFile, group: int) -> tuple[int, int]:
    row_group = file.metadata.row_group(group)
    for at in range(row_group.num_columns):
        column = row_group.column(at)
        if column.path_in_schema == "position" and column.statistics is not None:
            return int(column.statistics.min), int(column.statistics.max)
    return 0, 1 << 62
