"""Settings read into a dataclass, and sentences for those that do not fit."""

import ast
import dataclasses
import difflib
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from medgen.engine import registry
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


def check_arguments(who: str, target: str, kwargs: Mapping[str, Any]) -> None:
    """Check a recipe and the recipes inside its arguments.

    What cannot be told from the source here (a class that is not on this machine, that inherits
    its `__init__` or hands arguments on) is left to the worker.

    Raises:
        ConfigError: an argument that the class does not know, or lacks; source that is no Python.
    """
    if signature := _signature(registry.find(target).target):
        _compare(f"{who}: {target}", signature, kwargs)
    for _, inner, given in registry.inner_recipes(kwargs):
        check_arguments(who, inner, given)


def _compare(who: str, signature: ast.arguments, given: Mapping[str, Any]) -> None:
    named = [a.arg for a in (*signature.posonlyargs, *signature.args)[1:]]
    needed = named[: len(named) - len(signature.defaults)]
    for keyword, default in zip(signature.kwonlyargs, signature.kw_defaults, strict=True):
        named.append(keyword.arg)
        needed += [keyword.arg] if default is None else []
    if not signature.kwarg:
        check_names(f"{who} has no argument", given, named)
    if missing := [name for name in needed if name not in given]:
        raise ConfigError(f"{who} needs the argument {missing[0]!r}")


def _signature(target: str) -> ast.arguments | None:
    module, _, name = target.partition(":")
    source = _source(module)
    if source is None:
        return None
    try:
        tree = ast.parse(source.read_bytes())
    except SyntaxError as err:
        raise ConfigError(f"{target}: {source}:{err.lineno}: {err.msg}") from err
    classes = (n for n in tree.body if isinstance(n, ast.ClassDef))
    bodies = (node for c in classes if c.name == name for node in c.body)
    found = [n for n in bodies if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    return found[-1].args if found else None  # the ones before it are overloads


def _source(module: str) -> Path | None:
    """Where a module's source lies; its parents are not imported either."""
    folders: Any = None
    found = None
    parts = module.split(".")
    for depth in range(len(parts)):
        name = ".".join(parts[: depth + 1])
        specs = (finder.find_spec(name, folders) for finder in sys.meta_path)
        found = next((spec for spec in specs if spec), None)
        if found is None:
            return None
        folders = found.submodule_search_locations
    origin = Path(found.origin) if found and found.origin else None
    return origin if origin and origin.suffix == ".py" else None
