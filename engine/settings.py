"""Settings read into a dataclass, and sentences for those that do not fit."""

import dataclasses
import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from medgen.engine.errors import ConfigError

T = TypeVar("T")


def read_settings(
    kind: type[T], given: Mapping[str, Any] | None, what: str, **readers: Callable[[Any], Any]
) -> T:
    """A dataclass from its fields as configuration has them; nothing at all means its defaults.

    Args:
        kind: the dataclass.
        given: names and plain values.
        what: these settings are, for messages.
        readers: for fields that are not kept as they are given: what to make of the plain value.

    Raises:
        ConfigError: something else than a mapping, an unknown field, one that is missing, or a
            value of a type that cannot be used.
    """
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(f"{what} has fields, and cannot be a {type(given).__name__}")
    settings = dict(given or {})
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    check_names(f"{what} has no field", settings, [f.name for f in fields])
    empty = dataclasses.MISSING
    needed = [f.name for f in fields if f.default is empty and f.default_factory is empty]
    if missing := [name for name in needed if name not in settings]:
        raise ConfigError(f"{what} needs the field {missing[0]!r}")
    try:
        read = {name: readers[name](settings[name]) for name in readers if name in settings}
        return kind(**settings | read)
    except TypeError as err:
        raise ConfigError(f"{what}: {err}") from err


def check_names(complaint: str, given: Collection[str], known: Collection[str]) -> None:
    """Refuse a name that is not known, with the one that was probably meant.

    Raises:
        ConfigError: `complaint`, the first unknown name and what to write in its place.
    """
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"It takes {', '.join(known)}"
            raise ConfigError(f"{complaint} {name!r}. {hint}")
