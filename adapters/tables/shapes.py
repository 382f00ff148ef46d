"""Rows of JSON values: objects, lists of cells, and objects of columns."""

from collections.abc import Iterator, Mapping, Sequence

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.lines import FaultyRow

_Row = dict[str, object]
_MOST_ROWS = 1_000_000  # of an object of columns, which is held as a whole


def of_value(value: object, keys: tuple[str, ...]) -> _Row:
    """An object is a row; anything else is the `_item` of one."""
    row: _Row = value if isinstance(value, dict) else {"_item": value}
    return {**row, "_key": keys[-1], "_keys": list(keys)} if keys else row


def of_cells(
    cells: Sequence[object], header: Sequence[str], keys: tuple[str, ...]
) -> _Row | FaultyRow:
    """A list of cells in the order of the preset's header."""
    if len(cells) != len(header):
        return FaultyRow(f"{len(cells)} cells, and `header` has {len(header)} names")
    return of_value(dict(zip(header, cells, strict=True)), keys)


def of_columns(value: object, keys: tuple[str, ...]) -> Iterator[_Row]:
    """The rows of an object of columns, each a list, or an object of cells by the row's name.

    Raises:
        FaultyContent: it is none, its columns differ in length or names, or it has too many rows.
    """
    if not isinstance(value, Mapping) or not value:
        raise FaultyContent("no object of columns; is `rows` right?")
    for name, column in value.items():
        if isinstance(column, list | Mapping) and len(column) > _MOST_ROWS:
            what = (
                f"column {name!r} has {len(column):,} cells; more than {_MOST_ROWS:,} are not read"
            )
            raise FaultyContent(f"{what} of an object of columns: write JSON lines or Parquet")
    columns = {name: _cells(column, name) for name, column in value.items()}
    (first, names), *others = ((name, list(column)) for name, column in columns.items())
    for name, own in others:
        if own != names:
            what = f"column {name!r} has {len(own):,} cells, {first!r} has {len(names):,}"
            raise FaultyContent(f"{what}, or others; rows cannot be told")
    for row in names:
        cells = {name: column[row] for name, column in columns.items()}
        yield of_value(cells, (*keys, row))


def _cells(column: object, name: str) -> Mapping[str, object]:
    if isinstance(column, list):
        return {str(number): cell for number, cell in enumerate(column)}
    if isinstance(column, Mapping):
        return column
    raise FaultyContent(f"{name!r} is no column: a list, or an object of cells")
