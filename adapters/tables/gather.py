"""Rows on their way to items: joined, taken apart, filtered, put together."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing

from medgen.adapters.sources.folder import FaultyContent, Folder
from medgen.adapters.tables.joins import Counted, Shelf, collect, join_rows, key_of, pass_through
from medgen.adapters.tables.lines import FaultyRow
from medgen.adapters.tables.paths import Missing, as_text, at
from medgen.adapters.tables.rows import Found, Place, Tables
from medgen.adapters.tables.settings import (
    Cell,
    Group,
    Plain,
    RecordsMapping,
    Value,
    conditions,
    joins_of,
)
from medgen.adapters.tables.talks import Gathered, converse
from medgen.adapters.tables.values import Row, evaluate, holds, list_of

_MOST_ELEMENTS = 10_000  # items of one row
_MOST_DEMONSTRATIONS = 256


def gather(
    tables: Tables, mapping: RecordsMapping, folder: Folder, counted: Counted
) -> Iterator[Gathered]:
    """The rows of every item, or what is wrong with one."""
    found: Iterator[Found] = iter(_count(tables, counted))
    for join in joins_of(mapping):
        found = join_rows(found, join, folder, counted)
    found = _apart(found, mapping)
    found = _filter(found, mapping)
    gathered = _single(found) if mapping.group is None else _together(found, mapping.group)
    if mapping.conversation is not None:
        gathered = converse(gathered, mapping.conversation)
    yield from gathered


def _single(found: Iterator[Found]) -> Iterator[Gathered]:
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
    found: Iterator[Found], each: str | list[dict[str, Plain | Cell]], name: str
) -> Iterator[Found]:
    """A row for every element; what the row was an element of itself is `outer`."""

    def work(row: Row) -> list[Row]:
        elements = _objects(each, row) if isinstance(each, list) else at(row, each)
        names: list[str] | None = None
        if isinstance(elements, Mapping):
            names, elements = [*map(str, elements)], [*elements.values()]
        if not isinstance(elements, list) or not elements:
            raise FaultyContent(f"{name!r} is no list with elements")
        if len(elements) > _MOST_ELEMENTS:
            raise FaultyContent(f"more than {_MOST_ELEMENTS:,} elements in one row")
        outer = {"outer": row["item"]} if "item" in row else {}
        named = [{"_name": one} for one in names] if names else [{}] * len(elements)
        return [
            {**row, **outer, **named[number], "item": element, "_number": number}
            for number, element in enumerate(elements)
        ]

    return pass_through(found, "each", work)


def _objects(each: list[dict[str, Plain | Cell]], row: Row) -> list[object]:
    """The objects of `each`, with values of the row where they name some."""
    return [
        {
            name: _of_row(value, row) if isinstance(value, Cell) else value
            for name, value in one.items()
        }
        for one in each
    ]


def _of_row(value: Cell, row: Row) -> object:
    found = evaluate(value, row)
    return None if isinstance(found, Missing) else found


def _beside(found: Iterator[Found], each: Mapping[str, Value]) -> Iterator[Found]:
    """A row for every place of lists that stand side by side."""

    def work(row: Row) -> list[Row]:
        lists = {name: list_of(value, row) for name, value in each.items()}
        lengths = {name: len(values) for name, values in lists.items()}
        count = max(lengths.values())
        if min(lengths.values()) != count or not 0 < count <= _MOST_ELEMENTS:
            told = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
            raise FaultyContent(f"lists of equal length, at most {_MOST_ELEMENTS:,}, and {told}")
        items = [{name: values[n] for name, values in lists.items()} for n in range(count)]
        return [{**row, "item": item, "_number": number} for number, item in enumerate(items)]

    return pass_through(found, "each", work)


def _filter(found: Iterator[Found], mapping: RecordsMapping) -> Iterator[Found]:
    wanted, unwanted = conditions(mapping.where), conditions(mapping.unless)
    seen: set[bytes] = set()

    def work(row: Row) -> list[Row]:
        if not holds(wanted, row) or any(holds({n: v}, row) for n, v in unwanted.items()):
            return []
        if mapping.unique:
            key = key_of(row, mapping.unique)
            digest = hashlib.sha256(key.encode("utf-8", "replace")).digest()
            if digest in seen:
                return []
            seen.add(digest)
        return [row]

    return pass_through(found, "unique", work)


def _together(found: Iterator[Found], group: Group) -> Iterator[Gathered]:
    with closing(Shelf()) as shelf:
        members: dict[str, list[tuple[float, int, Place, tuple[int, int]]]] = {}
        for place, row in found:
            if isinstance(row, FaultyRow):
                yield Gathered(place, fault=row.what)
                continue
            try:
                key, rank = key_of(row, group.by), _rank(row, group.order)
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
                yield Gathered(listed[0][2], (collect(rows, group.collect),))
            else:
                yield Gathered(listed[-1][2], rows)


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
