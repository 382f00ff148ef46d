"""Rows of any table below a folder: which files hold them, and what they hold."""

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Protocol, cast

import pyarrow as pa

from medgen.adapters.sources.folder import FaultyContent, Folder, safe_path
from medgen.adapters.tables import columnar, json_rows, shapes
from medgen.adapters.tables.archives import Archives
from medgen.adapters.tables.columnar import Wanted
from medgen.adapters.tables.globs import PICTURES, fitting, matching, named_files
from medgen.adapters.tables.lines import FaultyRow, Written, lines, separate
from medgen.adapters.tables.settings import Files
from medgen.engine.bounds import RECORD

_GZ = ".gz"
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: its file, and its number or line from 1."""

    file: str
    row: int | None


Found = tuple[Place, dict[str, object] | FaultyRow]


_SHOWN = 8  # names that a message lists


class Inside(Protocol):
    """What holds files; its name is empty of the source's own folder."""

    name: str

    def fitting(self, pattern: str) -> Iterator[tuple[str, dict[str, str]]]:
        """The files that fit a pattern, with what stood for each `{name}` in it."""
        ...

    def open(self, name: str) -> BinaryIO:
        """One of them, which can be sought in."""
        ...

    def some(self) -> str:
        """A few of the names that there are."""
        ...


class InFolder:
    """The files below the source's folder."""

    name = ""

    def __init__(self, folder: Folder) -> None:
        """Nothing is read outside of `folder`."""
        self._folder = folder

    def fitting(self, pattern: str) -> Iterator[tuple[str, dict[str, str]]]:
        """See `Inside.fitting`."""
        return named_files(self._folder, pattern)

    def open(self, name: str) -> BinaryIO:
        """See `Inside.open`."""
        return self._folder.open(name)

    def some(self) -> str:
        """See `Inside.some`."""
        return ", ".join(sorted(self._folder.names(""))[:_SHOWN])


class InArchive:
    """The members of a zip or tar."""

    def __init__(self, archives: Archives, name: str) -> None:
        """It is opened when it is first looked into."""
        self._archives, self.name = archives, name

    def fitting(self, pattern: str) -> Iterator[tuple[str, dict[str, str]]]:
        """See `Inside.fitting`."""
        for name, named in fitting(self._archives.archive(self.name).names(), pattern):
            yield safe_path(name), named

    def open(self, name: str) -> BinaryIO:
        """See `Inside.open`: a copy on the local disk, of which small ones stay in memory."""
        return self._archives.archive(self.name).spool(name)

    def some(self) -> str:
        """See `Inside.some`."""
        return ", ".join(islice(self._archives.archive(self.name).names(), _SHOWN))


class Tables:
    """Reads all files of a `files` entry, in the order of their names."""

    def __init__(self, folder: Folder, files: Files, wanted: Wanted) -> None:
        """`wanted` are the column paths that are read; None means all."""
        self._folder, self._files, self._wanted = folder, files, wanted
        self.json = json_rows.JsonReader()
        self.columns: set[str] = set()  # of Parquet and Arrow, also those that are not read

    def __iter__(self) -> Iterator[Found]:
        """Every row with what is known of it beside its cells: `_file`, `_row`, `_key`."""
        patterns = [self._files.glob] if isinstance(self._files.glob, str) else self._files.glob
        if not self._files.archive:
            yield from self._fitting([InFolder(self._folder)], patterns)
            return
        with closing(Archives(self._folder)) as archives:
            names = list(matching(self._folder, self._files.archive))
            if not names:
                what = f"no archive fits {self._files.archive!r}; was the copy complete?"
                yield Place(self._files.archive, None), FaultyRow(what)
                return
            yield from self._fitting([InArchive(archives, name) for name in names], patterns)

    def _fitting(self, places: Sequence[Inside], patterns: Sequence[str]) -> Iterator[Found]:
        for pattern in patterns:
            count = 0
            for place in places:
                try:
                    for name, named in place.fitting(pattern):
                        count += 1
                        yield from self._file(place, name, named)
                except FaultyContent as err:  # an archive that is damaged
                    yield Place(place.name, None), FaultyRow(str(err))
                    count += 1
            if not count:
                there = places[0].some()
                holds = f" {places[0].name or 'The source'} holds {there}" if there else ""
                what = f"no file fits {pattern!r}; was the copy complete?{holds}"
                yield Place(pattern, None), FaultyRow(what)

    def _file(self, place: Inside, name: str, named: Mapping[str, str]) -> Iterator[Found]:
        where = f"{place.name}/{name}" if place.name else name
        told = _places_of(place, name)
        plainly = not self._files.delimiter and self._files.form != "text"
        if _suffix(name) in PICTURES and plainly:
            yield Place(where, None), {**named, **told, "_row": 0}
            return
        row: int | None = None
        count = 0
        try:
            with place.open(name) as file, _open_inner(name, file) as plain:
                for row, found in self._rows(_inner(name), plain):
                    if not isinstance(found, FaultyRow):
                        _refuse_twice(named, found)
                        found.update(named, **told, _row=count)
                    count += 1
                    yield Place(where, row), found
        except FaultyContent as err:
            yield Place(where, row and row + 1), FaultyRow(str(err))
        except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, zlib.error) as err:
            yield Place(where, row and row + 1), FaultyRow(f"damaged, fetch it again ({err})")

    def _rows(
        self, name: str, file: BinaryIO
    ) -> Iterator[tuple[int, dict[str, object] | FaultyRow]]:
        suffix = _suffix(name)
        if self._files.form == "text":
            yield 1, {"_text": _text(file, self._files.encoding)}
        elif self._files.delimiter or suffix in _DELIMITERS:
            delimiter = self._files.delimiter or _DELIMITERS[suffix]
            files = self._files
            how = Written(delimiter, RECORD.bytes, files.header, files.encoding, files.skip)
            yield from separate(file, how)
        elif suffix in (".jsonl", ".ndjson"):
            yield from self._json_lines(file)
        elif suffix == ".json":
            yield from self._document(file)
        elif suffix == ".parquet":
            rows = columnar.parquet_rows(file, self._wanted, RECORD.bytes, self.columns)
            yield from enumerate(rows, 1)
        elif suffix == ".txt":
            yield 1, {"_text": _text(file, self._files.encoding)}
        elif suffix in (".arrow", ".feather"):
            rows = columnar.arrow_rows(file, self._wanted, RECORD.bytes, self.columns)
            yield from enumerate(rows, 1)
        else:
            raise FaultyContent(
                f"a file {suffix or 'without ending'} is no table that is read: .parquet, .arrow, "
                ".jsonl, .json, .csv, .tsv (also .gz), .txt and pictures, each of which is a row; "
                "lines of another kind need a `delimiter`, `as: text` takes a whole file (XML …) "
                "as a row, a spreadsheet is saved as .csv first, and `in` names a zip or tar in "
                "which tables lie"
            )

    def _json_lines(self, file: BinaryIO) -> Iterator[tuple[int, dict[str, object] | FaultyRow]]:
        for number, line in enumerate(lines(file, RECORD.bytes), 1):
            if line is None:
                yield number, FaultyRow(f"the line has more than {RECORD.bytes:,} bytes")
            elif line.strip():
                try:
                    for row in self._rows_in(self.json.line(line), ()):
                        yield number, row
                except FaultyContent as err:
                    yield number, FaultyRow(str(err))

    def _document(self, file: BinaryIO) -> Iterator[tuple[int, dict[str, object] | FaultyRow]]:
        path = self._files.rows
        found = json_rows.rows(file, path, RECORD.bytes, self.json)
        number = 0
        for keys, value in found:
            inner = value.get("rows") if isinstance(value, dict) and not path else None
            for one in inner if isinstance(inner, list) else [value]:
                for row in self._rows_in(one, keys):
                    number += 1
                    yield number, row

    def _rows_in(
        self, value: object, keys: tuple[str, ...]
    ) -> Iterator[dict[str, object] | FaultyRow]:
        """The rows that a value of JSON is: one, or those of its columns."""
        if self._files.form == "columns":
            yield from shapes.of_columns(value, keys)
        elif self._files.header and isinstance(value, list):
            yield shapes.of_cells(value, self._files.header, keys)
        else:
            yield shapes.of_value(value, keys)


def _places_of(place: Inside, name: str) -> dict[str, str]:
    folder, _, own = name.rpartition("/")
    told = {"_path": name, "_file": own.rpartition(".")[0], "_folder": folder}
    return {**told, "_archive": place.name} if place.name else told


def _refuse_twice(named: Mapping[str, str], row: Mapping[str, object]) -> None:
    if twice := [name for name in named if name in row]:
        raise FaultyContent(f"{twice[0]!r} is a column and a name in the pattern; rename it")


def _text(file: BinaryIO, encoding: str) -> str:
    data = file.read(RECORD.bytes + 1)
    if len(data) > RECORD.bytes:
        raise FaultyContent(f"a text of more than {RECORD.bytes:,} bytes; lines need a `delimiter`")
    try:
        return data.decode(encoding).removeprefix("\ufeff").strip()
    except UnicodeDecodeError as err:
        what = f"not {encoding.upper()} text ({err.reason} at byte {err.start})"
        raise FaultyContent(f"{what}; `encoding` says another") from err


def _suffix(name: str) -> str:
    return name[name.rfind(".") :].lower() if "." in name else ""


def _inner(name: str) -> str:
    """The name of what a compressed file holds."""
    return name[: -len(_GZ)] if name.lower().endswith(_GZ) else name


def _open_inner(name: str, file: BinaryIO) -> AbstractContextManager[BinaryIO]:
    if _inner(name) == name:
        return nullcontext(file)
    if _suffix(_inner(name)) in (".parquet", ".arrow", ".feather"):
        raise FaultyContent(f"{_suffix(_inner(name))} is read from any place; unpack it first")
    return cast(AbstractContextManager[BinaryIO], gzip.open(file, "rb"))
