"""Rows that are laid on the disk, and the columns of a second table that join them."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import msgspec

from medgen.adapters.sources.folder import FaultyContent, Folder
from medgen.adapters.tables.lines import FaultyRow
from medgen.adapters.tables.paths import Collected, Missing, as_text, fill
from medgen.adapters.tables.rows import Found, Place, Tables
from medgen.adapters.tables.settings import Join, as_files
from medgen.adapters.tables.values import Row, is_empty
from medgen.engine.bounds import RECORD

_MOST_COLLECTED = 10_000  # rows of a second table that become one
_PLACES = ("_path", "_file", "_folder", "_archive", "_row")


@dataclass
class Counted:
    """What went by."""

    rows: int = 0
    columns: set[str] = field(default_factory=set)


class Shelf:
    """Rows on the local disk: memory holds where each begins."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="medgen-rows-")  # noqa: SIM115 - closed below
        self._end = 0

    def put(self, row: Row) -> tuple[int, int]:
        """Where the row lies.

        Raises:
            FaultyContent: it holds what cannot be kept, such as half a character.
        """
        try:
            data = msgspec.msgpack.encode(row, enc_hook=str)
        except (ValueError, OverflowError) as err:
            raise FaultyContent(f"the row cannot be kept ({err})") from err
        self._file.seek(self._end)
        self._file.write(data)
        place = (self._end, len(data))
        self._end += len(data)
        return place

    def get(self, place: tuple[int, int]) -> dict[str, object]:
        """The row that lies there."""
        self._file.seek(place[0])
        return msgspec.msgpack.decode(self._file.read(place[1]), type=dict[str, object])

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()


def pass_through(
    found: Iterator[Found], what: str, work: Callable[[Row], Sequence[Row]]
) -> Iterator[Found]:
    """What `work` makes of each row; a fault stays one, and so is a row of which it raises."""
    for place, row in found:
        if isinstance(row, FaultyRow):
            yield place, row
            continue
        try:
            made = work(row)
        except FaultyContent as err:
            yield place, FaultyRow(f"`{what}`: {err}")
        else:
            yield from ((place, dict(one)) for one in made)


def join_rows(
    found: Iterator[Found], join: Join, folder: Folder, counted: Counted
) -> Iterator[Found]:
    """The rows, each with the columns of its partner in the second table."""
    with closing(_Second(join)) as second:
        yield from second.fill(Tables(folder, as_files(join.files), None), counted)
        yield from pass_through(found, "join", second.rows_with_partner)
        for key in second.idle_keys() if join.unmatched == "fault" else ():
            what = f"key {join.by!r} {key!r} of the joined table has no row"
            yield Place(_name_of(join), None), FaultyRow(what)


class _Second:
    """A joined table, by its key."""

    def __init__(self, join: Join) -> None:
        self._join, self._shelf = join, Shelf()
        self._index: dict[str, list[tuple[int, int]]] = {}
        self._columns: dict[str, None] = {}
        self._used: set[str] = set()

    def fill(self, tables: Tables, counted: Counted) -> Iterator[Found]:
        """Lays the table away; what is wrong with it comes out."""
        own = self._join.key or self._join.by
        for place, row in tables:
            if isinstance(row, FaultyRow):
                yield place, row
                continue
            try:
                key = key_of(row, own)
                if not key or (key in self._index and not self._join.collect):
                    raise FaultyContent(_nokey_of(row, own, key))
                self._put(key, row)
            except FaultyContent as err:
                yield place, FaultyRow(str(err))
                continue
            counted.columns.update(row)

    def _put(self, key: str, row: Row) -> None:
        # Where a row lies is said of the first table's.
        kept = {name: value for name, value in row.items() if name not in _PLACES}
        self._columns.update(dict.fromkeys(kept))
        self._index.setdefault(key, []).append(self._shelf.put(kept))

    def rows_with_partner(self, row: Row) -> list[Row]:
        """The row with what stands under its key, with `collect` lists; none if it is left out.

        Raises:
            FaultyContent: nothing does, or too much.
        """
        key = key_of(row, self._join.by)
        places = self._index.get(key, [])
        if not places:
            if self._join.unmatched == "fault":
                raise FaultyContent(_without_partner(row, self._join, key))
            return (
                [{**dict.fromkeys(self._columns), **row}] if self._join.unmatched == "keep" else []
            )
        if len(places) > _MOST_COLLECTED or sum(size for _, size in places) > RECORD.bytes:
            most = f"{_MOST_COLLECTED:,} rows or {RECORD.bytes:,} bytes"
            raise FaultyContent(f"key {key!r} has more than {most} in the joined table")
        self._used.add(key)
        return [{**collect([self._shelf.get(at) for at in places], self._join.collect), **row}]

    def idle_keys(self) -> Iterator[str]:
        """The keys that no row asked for."""
        return (key for key in self._index if key not in self._used)

    def close(self) -> None:
        """Give the disk back."""
        self._shelf.close()


def _without_partner(row: Row, join: Join, key: str) -> str:
    if not key:
        return f"{_nokey_of(row, join.by, key)}; `join` looks for it in the other table"
    return (
        f"key {join.by!r} {key!r} has no row in the joined table; `unmatched: drop` leaves such "
        "rows out, `keep` keeps them"
    )


def _nokey_of(row: Row, column: str, key: str) -> str:
    if key:
        return f"key {column!r} {key!r} stands twice in the joined table; `collect` takes several"
    if isinstance(fill(column, row), Missing):
        there = ", ".join(name for name in row if not name.startswith("_"))
        return f"there is no key {column!r}, but {there[:200]}; `by` and `key` name it"
    return f"key {column!r} is empty"


def _name_of(join: Join) -> str:
    glob = as_files(join.files).glob
    return glob if isinstance(glob, str) else glob[0]


def key_of(row: Row, column: str) -> str:
    """What a column, or a text of several, is in a row; empty where there is none.

    Raises:
        FaultyContent: it is a list or an object.
    """
    value = fill(column, row)
    return "" if isinstance(value, Missing) or is_empty(value) else as_text(value, column).strip()


def collect(rows: Sequence[Row], columns: Sequence[str]) -> Row:
    """One row of several: the first, with these columns of all."""
    return {**rows[0], **{name: Collected(row.get(name) for row in rows) for name in columns}}
