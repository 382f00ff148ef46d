"""A value of a sample from a row, by what the preset says."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.literals import parse
from medgen.adapters.tables.paths import MISSING, Collected, Missing, as_text, at, expand, fill
from medgen.adapters.tables.patterns import first_group, substitute
from medgen.adapters.tables.settings import Cell, Plain, Value

Row = Mapping[str, object]


def evaluate(value: Value, row: Row) -> object:
    """The value: text, number, list, object, bytes; `MISSING` where the row has no such column.

    Raises:
        FaultyContent: the cell holds something else than the preset says.
    """
    if isinstance(value, str):
        return _cells_at(value, row)
    if value.constant is not None:
        return value.constant
    return work(_cells_at(value.of, row), value)


def _cells_at(text: str, row: Row) -> object:
    """A column or text; of a range (`ref_{1..3}`) the list of what all of its columns hold."""
    columns = expand(text) if ".." in text else []
    if len(columns) < 2:
        return fill(text, row)
    found = (fill(column, row) for column, _ in columns)
    return [None if isinstance(value, Missing) else value for value in found]


def work(found: object, cell: Cell) -> object:
    """What the operators of a cell make of a value.

    Raises:
        FaultyContent: they do not fit it.
    """
    if is_empty(found) and cell.default is not None:
        return cell.default
    if isinstance(found, Missing):
        return MISSING
    if cell.parse:
        if isinstance(found, Collected):
            found = [parse(cell.parse, one) for one in found]
        else:
            found = parse(cell.parse, found)
    for change in _changes(cell):
        found = [change(item) for item in found] if isinstance(found, list) else change(found)
    if cell.keys_with is not None:
        found = _keys(found, cell.keys_with, cell.of)
    if cell.join is not None and isinstance(found, list):
        return cell.join.join(as_text(item, cell.of) for item in found if not is_empty(item))
    return found


def text_of(value: Value, row: Row) -> str:
    """A value as text; the empty one where there is none.

    Raises:
        FaultyContent: it is a list or an object.
    """
    return as_text(evaluate(value, row), title_of(value))


def list_of(value: Value, row: Row) -> list[object]:
    """A value as a list: one element where it is none, the keys of an object."""
    found = evaluate(value, row)
    if isinstance(found, Mapping):
        return list(found)
    if isinstance(found, list):
        return found
    return [] if is_empty(found) else [found]


def title_of(value: Value) -> str:
    """How messages call a value."""
    return f"column {value if isinstance(value, str) else value.of!r}".replace("'", "")


def is_empty(value: object) -> bool:
    """Nothing, blank text, an empty list, or no such column."""
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, float):
        return value != value
    return value is None or isinstance(value, Missing) or value in ([], {})


def holds(conditions: Mapping[str, tuple[Plain, ...]], row: Row) -> bool:
    """Whether every column has one of its values, compared without case and outer blanks."""
    return all(
        any(same(at(row, column), wanted) for wanted in allowed)
        for column, allowed in conditions.items()
    )


def same(value: object, wanted: object) -> bool:
    """Equal as text, without case and outer blanks; 1, 1.0 and "1" are equal."""
    if isinstance(value, list | Mapping | bytes):
        return False
    return _comparable(value) == _comparable(wanted)


def _comparable(value: object) -> str:
    words = as_text(value, "").strip().casefold()
    whole, point, rest = words.partition(".")
    return whole if point and rest.strip("0") == "" and whole.lstrip("-").isdigit() else words


def _changes(cell: Cell) -> Sequence[Callable[[object], object]]:
    changes: list[Callable[[object], object]] = []
    if cell.strip:
        changes.append(lambda item: item.strip() if isinstance(item, str) else item)
    if cell.cut:
        changes.append(partial(_substitute, cell.cut, ""))
    changes += [partial(_substitute, pattern, by) for pattern, by in cell.replace.items()]
    if cell.match:
        changes.append(partial(_match, cell.match))
    if cell.map:
        changes.append(partial(_translate, cell.map))
    return changes


def _substitute(pattern: str, by: str, item: object) -> object:
    return item if is_empty(item) else substitute(pattern, by, as_text(item, "a value"))


def _match(pattern: str, item: object) -> object:
    return item if is_empty(item) else first_group(pattern, as_text(item, "a value"))


def _translate(table: Mapping[str, Plain], item: object) -> object:
    if isinstance(item, list | Mapping | bytes):
        raise FaultyContent("`map` reads texts and numbers, not lists or objects")
    key = as_text(item, "a value").strip()
    if key in table:
        return table[key]
    folded = {_comparable(name): value for name, value in table.items()}
    if _comparable(key) in folded:
        return folded[_comparable(key)]
    if not key:
        return item
    raise FaultyContent(f"{key[:60]!r} is not in `map` ({', '.join(table)})")


def _keys(found: object, wanted: Plain, column: str) -> object:
    if is_empty(found):
        return []
    if not isinstance(found, Mapping):
        raise FaultyContent(f"{column} is no object; `keys_with` reads the keys of one")
    return [key for key, value in found.items() if same(value, wanted)]
