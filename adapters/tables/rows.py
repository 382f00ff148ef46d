"""Rows of any table below a folder: which files hold them, and what they hold."""

import fnmatch
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import BinaryIO, cast

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
_SHOWN = 8  # names that a message lists
_GZ = ".gz"
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_NAME = re.compile(r"\{([A-Za-z_]\w*)\}")
# Of files that are rows themselves.
PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"))


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
            count = 0
            for name, named in named_files(self._folder, pattern):
                count += 1
                yield from self._file(name, named)
            if not count:
                what = f"no file fits {pattern!r}; was the copy complete?{self._there()}"
                yield Place(pattern, None), FaultyRow(what)

    def _there(self) -> str:
        names = sorted(self._folder.names(""))
        return f" The source holds {', '.join(names[:_SHOWN])}" if names else ""

    def _file(self, name: str, named: Mapping[str, str]) -> Iterator[Found]:
        folder, _, own = name.rpartition("/")
        told = {"_path": name, "_file": own.rpartition(".")[0], "_folder": folder}
        if _suffix(name) in PICTURES and not self._files.delimiter:
            yield Place(name, None), {**named, **told}
            return
        row: int | None = None
        try:
            with self._folder.open(name) as file, _open_inner(name, file) as plain:
                for row, found in self._rows(_inner(name), plain):
                    if not isinstance(found, FaultyRow):
                        if twice := [n for n in named if n in found]:
                            raise FaultyContent(
                                f"{twice[0]!r} is a column and a name in the pattern; rename it"
                            )
                        found.update(named, **told)
                    yield Place(name, row), found
        except FaultyContent as err:
            yield Place(name, row and row + 1), FaultyRow(str(err))
        except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, zlib.error) as err:
            yield Place(name, row and row + 1), FaultyRow(f"damaged, fetch it again ({err})")

    def _rows(
        self, name: str, file: BinaryIO
    ) -> Iterator[tuple[int, dict[str, object] | FaultyRow]]:
        suffix = _suffix(name)
        if self._files.delimiter or suffix in _DELIMITERS:
            delimiter = self._files.delimiter or _DELIMITERS[suffix]
            header, encoding = self._files.header, self._files.encoding
            yield from separate(file, delimiter, header, RECORD.bytes, encoding)
        elif suffix in (".jsonl", ".ndjson"):
            yield from self._json_lines(file)
        elif suffix == ".json":
            yield from self._document(file)
        elif suffix == ".parquet":
            rows = columnar.parquet_rows(file, self._wanted, RECORD.bytes)
            yield from enumerate(rows, 1)
        elif suffix == ".txt":
            yield 1, {"_text": _text(file)}
        elif suffix in (".arrow", ".feather"):
            yield from enumerate(columnar.arrow_rows(file, self._wanted, RECORD.bytes), 1)
        else:
            raise FaultyContent(
                f"a file {suffix or 'without ending'} is no table that is read: .parquet, .arrow, "
                ".jsonl, .json, .csv, .tsv (also .gz), .txt and pictures, each of which is a row; "
                "lines of another kind need a `delimiter`, and a spreadsheet is saved as .csv first"
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


def _text(file: BinaryIO) -> str:
    data = file.read(RECORD.bytes + 1)
    if len(data) > RECORD.bytes:
        raise FaultyContent(f"a text of more than {RECORD.bytes:,} bytes; lines need a `delimiter`")
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as err:
        raise FaultyContent(f"not UTF-8 text ({err.reason} at byte {err.start})") from err


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


def matching(folder: Folder, pattern: str) -> Iterator[str]:
    """The files below a folder that fit a pattern with `*`, `?`, `**` and `{a,b}`, sorted.

    Raises:
        FaultyContent: the pattern leaves the folder.
    """
    return (name for name, _ in named_files(folder, pattern))


def named_files(folder: Folder, pattern: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The files that fit a pattern, with what stood for each `{name}` in it.

    Raises:
        FaultyContent: the pattern leaves the folder, or has one name twice.
    """
    count = 0
    for one in dict.fromkeys(_alternatives(pattern)):
        names = names_in(one)
        if len(set(names)) < len(names):
            raise FaultyContent(f"{pattern!r} has one name twice")
        shape = re.compile(_shape(one)) if names else None
        for name in _walk(folder, "", safe_path(_NAME.sub("*", one)).split("/")):
            count += 1
            if count > _MOST_FILES:
                raise FaultyContent(f"{pattern!r} fits more than {_MOST_FILES:,} files")
            found = shape.fullmatch(name) if shape else None
            if shape is None or found is not None:
                yield name, found.groupdict() if found else {}


def names_in(pattern: str) -> list[str]:
    """The names in braces of a pattern: each is a column."""
    return _NAME.findall(pattern)


def _shape(pattern: str) -> str:
    """The pattern as a regular expression that takes the names out of a path."""
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\{[A-Za-z_]\w*\})", safe_path(pattern))
    return "".join(
        signs.get(p) or (f"(?P<{p[1:-1]}>[^/]+)" if _NAME.fullmatch(p) else re.escape(p))
        for p in parts
    )


def _alternatives(pattern: str) -> Iterator[str]:
    found = next((b for b in _BRACES.finditer(pattern) if not _NAME.fullmatch(b[0])), None)
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
