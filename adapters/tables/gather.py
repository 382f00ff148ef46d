"""Rows on their way to items: joined, taken apart, filtered, put together."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import msgspec

from medgen.adapters.sources.folder import FaultyContent, Folder
from medgen.adapters.tables.lines import FaultyRow
from medgen.adapters.tables.paths import Collected, Missing, as_text, at
from medgen.adapters.tables.rows import Found, Place, Tables
from medgen.adapters.tables.settings import (
    Group,
    Join,
    Plain,
    RecordsMapping,
    Value,
    as_files,
    conditions,
    joins_of,
)
from medgen.adapters.tables.talks import Gathered, converse
from medgen.adapters.tables.values import Row, holds, is_empty, list_of

_MOST_ELEMENTS = 10_000  # items of one row
_MOST_DEMONSTRATIONS = 256
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


def gather(
    tables: Tables, mapping: RecordsMapping, folder: Folder, counted: Counted
) -> Iterator[Gathered]:
    """The rows of every item, or what is wrong with one."""
    found: Iterator[Found] = iter(_count(tables, counted))
    for join in joins_of(mapping):
        found = _join(found, join, folder, counted)
    found = _apart(found, mapping)
    found = _filter(found, mapping)
    if mapping.conversation is not None:
        yield from converse(found, mapping.conversation)
        return
    if mapping.group is not None:
        yield from _together(found, mapping.group)
        return
    for place, row in found:
        if isinstance(row, FaultyRow):
            yield Gathered(place, fault=row.what)
        else:
            yield Gathered(place, (row,))


def _count(tables: Tables, counted: Counted) -> Iterator[Found]:
    for place, row in tables:
        counted.rows += 1
        if not isinstance(row, FaultyRow):
            counted.columns.update(row)
        yield place, row


def _join(found: Iterator[Found], join: Join, folder: Folder, counted: Counted) -> Iterator[Found]:
    drop = join.unmatched == "drop"
    with closing(Shelf()) as shelf:
        index: dict[str, tuple[int, int]] = {}
        yield from _shelve(Tables(folder, as_files(join.files), None), join, shelf, index, counted)
        used: set[str] = set()
        for place, row in found:
            if isinstance(row, FaultyRow):
                yield place, row
                continue
            key = _key(row, join.by)
            if key in index:
                used.add(key)
                yield place, {**shelf.get(index[key]), **row}
            elif not drop:
                what = f"key {join.by!r} {key!r} has no row in the joined table"
                yield place, FaultyRow(f"{what}; `unmatched: drop` leaves such rows out")
        for key in () if drop else index:
            if key not in used:
                what = f"key {join.by!r} {key!r} of the joined table has no row"
                yield Place(_name_of(join), None), FaultyRow(what)


def _shelve(
    tables: Tables, join: Join, shelf: Shelf, index: dict[str, tuple[int, int]], counted: Counted
) -> Iterator[Found]:
    """Lays the joined table away by its key; what is wrong with it comes out."""
    own = join.key or join.by
    for place, row in tables:
        if isinstance(row, FaultyRow):
            yield place, row
            continue
        key = _key(row, own)
        if not key or key in index:
            why = "stands twice" if key else "is empty"
            yield place, FaultyRow(f"key {own!r} {key!r} {why} in the joined table")
            continue
        counted.columns.update(row)
        # Where a row lies is said of the first table's.
        index[key] = shelf.put({n: v for n, v in row.items() if n not in _PLACES})


def _name_of(join: Join) -> str:
    glob = as_files(join.files).glob
    return glob if isinstance(glob, str) else glob[0]


def _key(row: Row, column: str) -> str:
    value = at(row, column)
    return "" if isinstance(value, Missing) or is_empty(value) else as_text(value, column).strip()


def _apart(found: Iterator[Found], mapping: RecordsMapping) -> Iterator[Found]:
    if isinstance(mapping.each, dict):
        return _beside(found, mapping.each) if mapping.each else found
    given = [mapping.each] if isinstance(mapping.each, str) else mapping.each
    levels = [name for name in given if isinstance(name, str) and name]
    objects = [one for one in given if isinstance(one, dict)]
    for level in levels:
        found = _elements(found, level, level)
    return _elements(found, objects, "each") if objects else found


def _elements(
    found: Iterator[Found], each: str | list[dict[str, Plain]], name: str
) -> Iterator[Found]:
    """A row for every element; what the row was an element of itself is `outer`."""
    for place, row in found:
        if isinstance(row, FaultyRow):
            yield place, row
            continue
        elements = [*each] if isinstance(each, list) else at(row, each)
        names: list[str] | None = None
        if isinstance(elements, Mapping):
            names, elements = [*map(str, elements)], [*elements.values()]
        if not isinstance(elements, list) or not elements:
            yield place, FaultyRow(f"`each`: {name!r} is no list with elements")
        elif len(elements) > _MOST_ELEMENTS:
            yield place, FaultyRow(f"`each`: more than {_MOST_ELEMENTS:,} elements in one row")
        else:
            for number, element in enumerate(elements):
                outer = {"outer": row["item"]} if "item" in row else {}
                named = {"_name": names[number]} if names else {}
                yield place, {**row, **outer, **named, "item": element, "_number": number}


def _beside(found: Iterator[Found], each: Mapping[str, Value]) -> Iterator[Found]:
    """A row for every place of lists that stand side by side."""
    for place, row in found:
        if isinstance(row, FaultyRow):
            yield place, row
            continue
        try:
            lists = {name: list_of(value, row) for name, value in each.items()}
        except FaultyContent as err:
            yield place, FaultyRow(f"`each`: {err}")
            continue
        lengths = {name: len(values) for name, values in lists.items()}
        count = max(lengths.values())
        if min(lengths.values()) != count or not 0 < count <= _MOST_ELEMENTS:
            told = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
            what = f"`each`: lists of equal length, at most {_MOST_ELEMENTS:,}, and {told}"
            yield place, FaultyRow(what)
            continue
        for number in range(count):
            item = {name: values[number] for name, values in lists.items()}
            yield place, {**row, "item": item, "_number": number}


def _filter(found: Iterator[Found], mapping: RecordsMapping) -> Iterator[Found]:
    wanted, unwanted = conditions(mapping.where), conditions(mapping.unless)
    seen: set[bytes] = set()
    for place, row in found:
        if isinstance(row, FaultyRow):
            yield place, row
            continue
        if not holds(wanted, row) or any(holds({n: v}, row) for n, v in unwanted.items()):
            continue
        if mapping.unique:
            digest = hashlib.sha256(_key(row, mapping.unique).encode("utf-8", "replace")).digest()
            if digest in seen:
                continue
            seen.add(digest)
        yield place, row


def _together(found: Iterator[Found], group: Group) -> Iterator[Gathered]:
    with closing(Shelf()) as shelf:
        members: dict[str, list[tuple[float, int, Place, tuple[int, int]]]] = {}
        for place, row in found:
            if isinstance(row, FaultyRow):
                yield Gathered(place, fault=row.what)
                continue
            try:
                key, rank = _key(row, group.by), _rank(row, group.order)
                if not key:
                    raise FaultyContent(f"`group`: {group.by!r} is empty")
                listed = members.setdefault(key, [])
                listed.append((rank, len(listed), place, shelf.put(row)))
            except FaultyContent as err:
                yield Gathered(place, fault=str(err))
        for key, listed in members.items():
            listed.sort(key=lambda member: member[:2])
            if len(listed) > _MOST_DEMONSTRATIONS:
                what = f"`group`: {key!r} has more than {_MOST_DEMONSTRATIONS} rows"
                yield Gathered(listed[-1][2], fault=what)
                continue
            rows = tuple(shelf.get(where) for *_, where in listed)
            if group.collect:
                yield Gathered(listed[0][2], (_collect(rows, group.collect),))
            else:
                yield Gathered(listed[-1][2], rows)


def _collect(rows: Sequence[Row], columns: Sequence[str]) -> Row:
    """One row of several: the first, with these columns of all."""
    return {**rows[0], **{name: Collected(row.get(name) for row in rows) for name in columns}}


def _rank(row: Row, column: str) -> float:
    if not column:
        return 0.0
    words = as_text(at(row, column), column).strip()
    try:
        return float(words)
    except ValueError as err:
        raise FaultyContent(
            f"`group`: {column!r} is {words[:40]!r}, no number to order by"
        ) from err
