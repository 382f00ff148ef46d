"""Rows of text files: comma- or tab-separate values, JSON lines."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from medgen.adapters.sources.folder import FaultyContent, check_blank
from medgen.engine.errors import ConfigError

_BLOCK = 2**20
_MAX_COLUMNS = 10_000
# The csv module's own limit is of the process; ours is of a row, in `_decoded`.
csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True, slots=True)
class FaultyRow:
    """A row that cannot be read, and why."""

    what: str


def lines(file: BinaryIO, limit: int) -> Iterator[bytes | None]:
    """Every line without its end; None for one of more than `limit` bytes.

    Raises:
        FaultyContent: too many lines have nothing in them.
    """
    parts: list[bytes] = []
    size = blank = 0
    while block := file.read(_BLOCK):
        *whole, rest = block.split(b"\n")
        blank = check_blank(blank, whole)
        for piece in whole:
            if size + len(piece) > limit:
                yield None
            else:
                yield b"".join((*parts, piece)).removesuffix(b"\r")
            parts, size = [], 0
        size += len(rest)
        parts = [] if size > limit else [*parts, rest]
    if size:
        yield None if size > limit else b"".join(parts)


def check_encoding(name: str, where: str) -> None:
    """Refuse an encoding in which lines cannot be told apart.

    Raises:
        ConfigError: there is none of that name, or a line's end is another byte in it.
    """
    try:
        fits = "\n".encode(name) == b"\n"
    except LookupError:
        fits = False
    if not fits:
        raise ConfigError(
            f"{where}: {name!r} is no encoding that is read; utf-8, cp1252, latin-1, gb18030, "
            "shift_jis … are"
        )


@dataclass(frozen=True, slots=True)
class Written:
    """How a table of text is written.

    `delimiter` is one sign; `header` names the columns, or is empty where they stand in the first
    line behind the `skip` ones; `limit` is how many bytes a row may have.
    """

    delimiter: str
    limit: int
    header: Sequence[str] = ()
    encoding: str = "utf-8"
    skip: int = 0


def separate(file: BinaryIO, how: Written) -> Iterator[tuple[int, dict[str, object] | FaultyRow]]:
    """The rows of a table of text, with or without a byte-order mark, by their first line.

    Raises:
        FaultyContent: no table, or one that goes on only after a broken quotation.
    """
    source = _decode(file, how.limit, how.encoding)
    for _ in range(how.skip):
        next(source, "")
    table = csv.reader(source, delimiter=how.delimiter, strict=False)
    names = list(how.header)
    line = 1 + how.skip
    try:
        if not names:
            names = [name.strip() for name in next(table, [])]
            _check_header(names)
        line = table.line_num + how.skip + 1
        for cells in table:
            number, line = line, table.line_num + how.skip + 1
            if not cells or not any(cell.strip() for cell in cells):
                continue
            yield number, _row(names, cells)
    except csv.Error as err:
        raise FaultyContent(f"line {line}: no table of text ({err})") from err


def _row(names: Sequence[str], cells: list[str]) -> dict[str, object] | FaultyRow:
    if len(cells) != len(names):
        what = f"{len(cells)} cells in a table of {len(names)} columns"
        other = next((sign for sign in ";\t|," if sign in names[0]), "") if len(names) == 1 else ""
        if other:
            return FaultyRow(f"{what}; `files: {{glob: …, delimiter: {other!r}}}` parts them")
        return FaultyRow(f"{what}; is a quotation mark missing?")
    return dict(zip(names, cells, strict=True))


def _check_header(names: list[str]) -> None:
    if not any(names):
        raise FaultyContent("the file is empty; its first line should name the columns")
    if len(names) > _MAX_COLUMNS:
        raise FaultyContent(f"{len(names):,} columns; at most {_MAX_COLUMNS:,} are read")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise FaultyContent(f"column {twice[0]!r} stands twice")


def _decode(file: BinaryIO, limit: int, encoding: str) -> Iterator[str]:
    marked = f"{encoding}-sig" if encoding == "utf-8" else encoding
    for number, line in enumerate(lines(file, limit), 1):
        if line is None:
            raise FaultyContent(f"line {number} has more than {limit:,} bytes; that is no row")
        try:
            yield line.decode(marked if number == 1 else encoding) + "\n"
        except UnicodeDecodeError as err:
            if number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise FaultyContent("the file is UTF-16; save it as UTF-8") from err
            name = "UTF-8" if encoding == "utf-8" else encoding
            advice = "; `files: {glob: …, encoding: cp1252}` reads another encoding"
            what = f"line {number} is not {name} text ({err.reason}){advice}"
            raise FaultyContent(what) from err
