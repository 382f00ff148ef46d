"""The mapping of a preset, read and checked before any row is."""

from collections.abc import Iterator, Mapping

from medgen.adapters.sources.folder import FaultyContent, safe_path
from medgen.adapters.tables.lines import check_encoding
from medgen.adapters.tables.settings import Files, RecordsMapping, as_files, joins_of
from medgen.adapters.tables.talks import sides
from medgen.adapters.tables.wanted import check_values
from medgen.engine.errors import ConfigError
from medgen.engine.settings import read

_SLUG = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")

# What most often stands in these fields, for whoever wrote a column alone.
_EXAMPLES = {
    "images": "[{of: column}]",
    "choices": '{columns: [A, B, C]}, {of: column} or {is: ["yes", "no"]}',
    "answer": "{text: column}, {letter: column} or {index: column}",
    "groups": "{sex: column}",
    "asks": "choice, with `choices` and `answer`",
}


def read_mapping(given: Mapping[str, object], where: str) -> RecordsMapping:
    """A mapping, or why there is none.

    Args:
        given: what the preset says, as plain values of YAML.
        where: it stands, for messages.

    Raises:
        ConfigError: an unknown key, a wrong type, a pattern that is none, a truth value where a
            text belongs; the message begins with the place.
    """
    for place in _truths(given, where):
        raise ConfigError(
            f"{place}: YAML takes yes, no, on, off, true and false for truth values; quote it"
        )
    try:
        mapping = read(RecordsMapping, given, where)
    except ConfigError as err:
        example = next((e for key, e in _EXAMPLES.items() if f"sample.{key}: " in str(err)), "")
        example = example and f"; for example {example}"
        if "of: a text is expected, not {" in str(err):
            example = "; what works on a value stands beside its `of`: {of: column, match: …}"
        raise ConfigError(f"{err}{example}") from err
    check_values(mapping, where)
    _check_files(mapping.files, f"{where}, files")
    for join in joins_of(mapping):
        _check_files(join.files, f"{where}, join.files")
    for fields in (mapping.sample, *mapping.sample.variants):
        if isinstance(fields.task, str):
            _check_task(fields.task, f"{where}, sample.task")
    for task in mapping.tasks:
        _check_task(task, f"{where}, tasks")
    _check_whole(mapping, where)
    return mapping


def _check_whole(mapping: RecordsMapping, where: str) -> None:
    given = mapping.each if isinstance(mapping.each, list) else []
    if any(isinstance(one, str) for one in given) and any(isinstance(one, dict) for one in given):
        raise ConfigError(f"{where}.each: columns or objects, not both")
    if mapping.conversation and mapping.group and not mapping.group.collect:
        raise ConfigError(f"{where}: with `conversation`, `group` needs `collect`")
    talk = mapping.conversation
    if talk and not talk.of and not all(sides(talk)):
        columns = "columns as `role` and `text`, or `question` and `answer`"
        raise ConfigError(f"{where}.conversation needs `of`, or {columns}")
    sample = mapping.sample
    for name in ("instruction", "task"):
        fields = [sample, *sample.variants] if not sample.variants else sample.variants
        lacking = [f for f in fields if getattr(f, name) is None]
        if getattr(sample, name) is None and lacking:
            raise ConfigError(f"{where}, sample needs the field {name!r}")


def _check_files(given: str | list[str] | Files, where: str) -> None:
    files = as_files(given)
    for glob in [files.glob] if isinstance(files.glob, str) else files.glob:
        _check_path(glob, where)
    if files.archive:
        _check_path(files.archive, where)
    check_encoding(files.encoding, f"{where}.encoding")


def _check_path(path: str, where: str) -> None:
    try:
        safe_path(path)
    except FaultyContent as err:
        raise ConfigError(f"{where}: {err}") from err


def _check_task(task: str, where: str) -> None:
    if not task or not set(task) <= _SLUG:
        raise ConfigError(f"{where}: {task!r} is no slug: small letters, digits and -")


def _truths(value: object, where: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(key, bool):
                yield f"{where}: {key!r}"
            if isinstance(inner, bool) and key not in ("strip", "optional"):
                yield f"{where}.{key}"
            else:
                yield from _truths(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            if isinstance(inner, bool):
                yield f"{where}[{number}]"
            else:
                yield from _truths(inner, f"{where}[{number}]")
