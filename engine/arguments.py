"""Does a class take the arguments of a recipe? Answered before anything runs.

The signature is read from the source, because importing it would load a vendor's library.
"""

import ast
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medgen.engine.errors import ConfigError
from medgen.engine.settings import check_names
from medgen.engine.spec import Spec


def check_arguments(who: str, spec: Spec) -> None:
    """Check a recipe and the recipes inside its arguments.

    What cannot be told from the source here (a class that is not on this machine, that inherits
    its `__init__` or hands arguments on) is left to the worker.

    Raises:
        ConfigError: an argument that the class does not know, or lacks; source that is no Python.
    """
    if signature := _signature(spec.target):
        _compare(f"{who}: {spec.target}", signature, spec.kwargs)
    for value in spec.kwargs.values():
        if isinstance(value, Mapping) and isinstance(value.get("target"), str):
            check_arguments(who, Spec(value["target"], value.get("kwargs") or {}))


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
