"""Rows of any table below a folder: which files hold them, and what they hold."""

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from medgen.adapters.sources.folder import (
    FaultyContent,
    Folder,
    safe_path,
)
from medgen.adapters.tables import columnar, json_rows
from medgen.adapters.tables.columnar import Wanted
from medgen.adapters.tables.lines import FaultyRow, lines, separate
from medgen.adapters.tables.settings import Files
from medgen.engine.bounds import RECORD

_BRACES = re.compile(r"\{([^{}]*)\}")
_MAGIC = re.compile(r"[*?\[]")
_MOST_FILES = 1_000_000
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: its file, and its number or line from 1."""

    file: str
    row: int | None


Found = tuple[Place, dict[str, object] | FaultyRow]


class Tables:
    """Reads all files of a `files` entry, in the order of their names."""

    def __init__(self, folder: Folder, files: Files, wanted: Wanted) -> None:
        """`wanted` are the column paths that are read; None means all."""
        self._folder, self._files, self._wanted = folder, files, wanted
        self.json = json_rows.JsonReader()

    def __iter__(self) -> Iterator[Found]:
        """Every row with `_key`, `_file` and, where an element is no object, `_item`."""
        for pattern in (
            [self._files.glob] if isinstance(self._files.glob, str) else self._files.glob
        ):
            names = list(matching(self._folder, pattern))
            if not names:
                what = f"no file fits {pattern!r}; was the copy complete?"
                yield Place(pattern, None), FaultyRow(what)
            for name in names:
                yield from self._file(name)

    def _file(self, name: str) -> Iterator[Found]:
        row: int | None = None
        try:
            with self._folder.open(name) as file:
                for row, found in self._rows(name, file):
                    if not isinstance(found, FaultyRow):
                        folder, _, own = name.rpartition("/")
                        found.update(_file=own.rpartition(".")[0], _folder=folder)
                    yield Place(name, row), found
        except FaultyContent as err:
            yield Place(name, row and row + 1), FaultyRow(str(err))
        except (pa.ArrowException, OSError) as err:
            yield Place(name, row and row + 1), FaultyRow(f"damaged, fetch it again ({err})")

    def _rows(
        self, name: str, file: BinaryIO
    ) -> Iterator[tuple[int, dict[str, object] | FaultyRow]]:
        suffix = name[name.rfind(".") :].lower() if "." in name else ""
        if self._files.delimiter or suffix in _DELIMITERS:
            delimiter = self._files.delimiter or _DELIMITERS[suffix]
            yield from separate(file, delimiter, self._files.header, RECORD.bytes)
        elif suffix in (".jsonl", ".ndjson"):
            yield from self._json_lines(file)
        elif suffix == ".json":
            yield from self._document(file)
        elif suffix == ".parquet":
            rows = columnar.parquet_rows(file, self._wanted, RECORD.bytes)
            yield from enumerate(rows, 1)
        elif suffix in (".arrow", ".feather"):
            yield from enumerate(columnar.arrow_rows(file, self._wanted, RECORD.bytes), 1)
        else:
            raise FaultyContent(
                f"a file {suffix or 'without ending'} is no table that is read: .parquet, .arrow, "
                ".jsonl, .json, .csv, .tsv; lines of another kind need a `delimiter`"
            )

    def _json_lines(self, file: BinaryIO) -> Iterator[tuple[int, dict[str, object] | FaultyRow]]:
        for number, line in enumerate(lines(file, RECORD.bytes), 1):
            if line is None:
                yield number, FaultyRow(f"the line has more than {RECORD.bytes:,} bytes")
            elif line.strip():
                try:
                    yield number, _as_row(self.json.line(line), "")
                except FaultyContent as err:
                    yield number, FaultyRow(str(err))

    def _document(self, file: BinaryIO) -> Iterator[tuple[int, dict[str, object] | FaultyRow]]:
        path = self._files.rows
        found = json_rows.rows(file, path, RECORD.bytes, self.json)
        if path:
            yield from ((number, _as_row(row, key)) for number, (key, row) in enumerate(found, 1))
            return
        number = 0
        for key, row in found:
            inner = row.get("rows") if isinstance(row, dict) else None
            for one in inner if isinstance(inner, list) else [row]:
                number += 1
                yield number, _as_row(one, key)


def _as_row(value: object, key: str) -> dict[str, object]:
    row = value if isinstance(value, dict) else {"_item": value}
    if key:
        row["_key"] = key
    return row


def matching(folder: Folder, pattern: str) -> Iterator[str]:
    """The files below a folder that fit a pattern with `*`, `?`, `**` and `{a,b}`, sorted.

    Raises:
        FaultyContent: the pattern leaves the folder.
    """
    count = 0
    for one in dict.fromkeys(_alternatives(pattern)):
        for name in _walk(folder, "", safe_path(one).split("/")):
            count += 1
            if count > _MOST_FILES:
                raise FaultyContent(f"{pattern!r} fits more than {_MOST_FILES:,} files")
            yield name


def _alternatives(pattern: str) -> Iterator[str]:
    found = _BRACES.search(pattern)
    if not found:
        yield pattern
        return
    for choice in found[1].split(","):
        yield from _alternatives(pattern[: found.start()] + choice + pattern[found.end() :])


def _walk(folder: Folder, below: str, parts: list[str]) -> Iterator[str]:
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _walk_deep(folder, below, rest)
        return
    plain = not _MAGIC.search(part)
    names = [part] if plain else folder.names(below.rstrip("/"))
    for name in names:
        path = f"{below}{name}"
        if not plain and not fnmatch.fnmatchcase(name, part):
            continue
        if rest:
            yield from _walk(folder, f"{path}/", rest)
        elif folder.exists(path) if plain else not folder.names(path):
            yield path


def _walk_deep(folder: Folder, below: str, rest: list[str]) -> Iterator[str]:
    yield from _walk(folder, below, rest or ["*"])
    for name in folder.names(below.rstrip("/")):
        if below.count("/") < RECORD.depth and folder.names(f"{below}{name}"):
            yield from _walk_deep(folder, f"{below}{name}/", rest)
