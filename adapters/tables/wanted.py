"""Which columns a mapping reads."""

from collections.abc import Iterator

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.globs import names_in
from medgen.adapters.tables.literals import check_parse
from medgen.adapters.tables.paths import columns_of, expand, steps
from medgen.adapters.tables.patterns import check_pattern
from medgen.adapters.tables.settings import (
    Answer,
    Cell,
    Choices,
    Fields,
    Picture,
    RecordsMapping,
    Value,
    as_files,
    joins_of,
)
from medgen.adapters.tables.talks import sides
from medgen.engine.errors import ConfigError

OWN = (
    *("_key", "_keys", "_file", "_folder", "_path", "_archive", "_item", "_row"),
    *("_number", "_name", "item", "outer", "_question", "_answer", "_text"),
)
_ANSWERS = (
    *("letter", "letters", "index", "text", "texts", "aliases", "number", "unit", "boxes"),
    "best",
)


def read_columns(mapping: RecordsMapping) -> tuple[set[str], set[str]]:
    """Column paths that are read, and those of them that every table should have somewhere."""
    needed: set[str] = {*mapping.where, *mapping.unless, *_of_each(mapping)}
    perhaps: set[str] = set()
    needed |= {column for text in _of_keys(mapping) for column in columns_of(text) if text}
    for fields in (mapping.sample, *mapping.sample.variants):
        for column, must in _of_fields(fields):
            (needed if must else perhaps).add(column)
    for variant in mapping.sample.variants:
        needed |= {*variant.when}
    globs = as_files(mapping.files).glob
    patterns = [globs] if isinstance(globs, str) else globs
    known = {*OWN, *(name for pattern in patterns for name in names_in(pattern))}
    own = {column for column in needed | perhaps if steps(column)[:1] and steps(column)[0] in known}
    return (needed | perhaps) - own, needed - own


def _of_keys(mapping: RecordsMapping) -> Iterator[str]:
    """Columns, and texts of columns, that rows are told apart or put together by."""
    yield mapping.unique
    if group := mapping.group:
        yield from (group.by, group.order, *group.collect)
    if talk := mapping.conversation:
        yield from (talk.of, *sides(talk))
    yield from (join.by for join in joins_of(mapping))


def _of_each(mapping: RecordsMapping) -> Iterator[str]:
    if isinstance(mapping.each, dict):
        yield from (column for v in mapping.each.values() for column, _ in _of_value(v))
    else:
        given = [mapping.each] if isinstance(mapping.each, str) else mapping.each
        yield from (text for text in given if isinstance(text, str) and text)
        for value in _cells_of_each(mapping):
            yield from (column for column, must in _of_value(value) if must)


def _cells_of_each(mapping: RecordsMapping) -> list[Cell]:
    """The values of a row among the objects of `each`."""
    given = mapping.each if isinstance(mapping.each, list) else []
    objects = [one for one in given if isinstance(one, dict)]
    return [value for one in objects for value in one.values() if isinstance(value, Cell)]


def check_values(mapping: RecordsMapping, where: str) -> None:
    """Refuse patterns, ranges and ways to parse that cannot be.

    Raises:
        ConfigError: with the place of the value.
    """
    for name, value in mapping.each.items() if isinstance(mapping.each, dict) else ():
        if isinstance(value, Cell):
            _check_cell(value, f"{where}, each.{name}")
    for value in _cells_of_each(mapping):
        _check_cell(value, f"{where}, each")
    places = [("sample", mapping.sample)]
    places += [(f"sample.variants[{n}]", v) for n, v in enumerate(mapping.sample.variants)]  # type: ignore[misc]
    for place, fields in places:
        for name, cell in _cells(fields):
            _check_cell(cell, f"{where}, {place}.{name}")


def _check_cell(cell: Cell, where: str) -> None:
    for name, pattern in (("cut", cell.cut), ("match", cell.match)):
        if pattern:
            check_pattern(pattern, f"{where}.{name}")
    for pattern in cell.replace:
        check_pattern(pattern, f"{where}.replace")
    if cell.parse:
        check_parse(cell.parse, f"{where}.parse")
    if cell.of and cell.constant is not None:
        raise ConfigError(f"{where}: `is` and `of` cannot both be said")
    try:
        for text in (cell.of, *(cell.columns if isinstance(cell, Choices) else ())):
            expand(text)
    except FaultyContent as err:
        raise ConfigError(f"{where}: {err}") from err


def _cells(fields: Fields) -> Iterator[tuple[str, Cell]]:
    """Every value of the fields that is written as an object, with its place."""
    for name in Fields.__struct_fields__:
        value: object = getattr(fields, name)
        for place, inner in _inside(name, value):
            if isinstance(inner, Cell):
                yield place, inner


def _inside(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, list):
        yield from ((f"{name}[{number}]", inner) for number, inner in enumerate(value))
    elif isinstance(value, dict):
        yield from ((f"{name}.{key}", inner) for key, inner in value.items())
    elif isinstance(value, Answer):
        yield from ((f"{name}.{part}", inner) for part, inner in _values_of(value))
    else:
        yield name, value


def _values_of(answer: Answer) -> Iterator[tuple[str, Value]]:
    for name in _ANSWERS:
        value: Value = getattr(answer, name)
        if value:
            yield name, value
    if isinstance(answer.flags, list):
        yield from (("flags", column) for column in answer.flags)
    elif answer.flags:
        yield "flags", answer.flags
    if answer.image:
        yield "image", answer.image
    yield from ((f"sections.{name}", value) for name, value in answer.sections.items())


def _of_fields(fields: Fields) -> Iterator[tuple[str, bool]]:
    for name in Fields.__struct_fields__:
        if name in ("asks", "images", "choices"):
            continue
        given: object = getattr(fields, name)
        if name == "task" and isinstance(given, str):
            continue  # the task itself, and no column
        for _, value in _inside(name, given):
            if isinstance(value, str | Cell):
                yield from _of_value(value)
    for picture in fields.images or []:
        yield from _of_picture(picture)
    if fields.choices:
        yield from _of_choices(fields.choices)


def _of_value(value: Value, must: bool = True) -> Iterator[tuple[str, bool]]:
    if isinstance(value, Cell):
        must = must and value.default is None
        value = value.of
    columns = expand(value) if value else []
    for name, _ in columns:
        yield from ((column, must and len(columns) == 1) for column in columns_of(name))


def _of_picture(picture: Picture) -> Iterator[tuple[str, bool]]:
    names = expand(picture.of)
    for name, _ in names:
        yield from _of_value(name, len(names) == 1 and not picture.optional)
    if isinstance(picture.white, Cell):
        yield from _of_value(picture.white)
    if not isinstance(picture.labels, list):
        yield from _of_value(picture.labels, False)
    for text in (picture.below, picture.archive):
        if "{" in text and "," not in text:
            yield from _of_value(text)


def _of_choices(choices: Choices) -> Iterator[tuple[str, bool]]:
    for column in choices.columns:
        yield from ((name, False) for name, _ in expand(column))
    yield from _of_value(choices)
    for value in (
        choices.names, choices.answer, choices.distractors, choices.at, choices.others
    ):  # fmt: skip
        yield from _of_value(value)
