"""Components of a user's own: a Python file beside the run's file, found and looked at early."""

import ast
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medgen.conf.loading import group_names
from medgen.engine import registry
from medgen.engine.errors import ConfigError
from medgen.engine.modules import source_of
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Recipe

# What each kind is called with, beside itself (`engine.ports`, `metrics.port.Metric`).
_METHODS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "system": {"predict": ("requests",), "passport": ()},
    "judge": {"judge": ("samples", "predictions"), "passport": ()},
    "metric": {
        "load": ("device",),
        "applies": ("sample",),
        "score": ("batch",),
        "golden": (),
        "passport": (),
    },
}


def find_beside(config: str | None) -> None:
    """Let Python find modules that lie beside the run's file, here and in processes started here.

    They come behind everything that is installed, so that no file of a user's hides a package.
    """
    if config is None:
        folder = Path.cwd()
    elif Path(config).is_file() and config not in group_names("run"):
        folder = Path(config).resolve().parent
    else:
        return
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    known = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    if str(folder) not in known:
        os.environ["PYTHONPATH"] = os.pathsep.join([*known, str(folder)])


def unknown_classes(recipe: Recipe) -> Iterator[str]:
    """Look at every class that a recipe names by its path; what is not to be had here comes out.

    A run goes on without it: it costs its own rows, and another machine may have it.

    Raises:
        ConfigError: a class lacks a method, or one takes other arguments than it is given.
    """
    for kind, who, spec in _specs(recipe):
        if ":" not in spec.target or registry.find(spec.target).target.startswith("medgen."):
            continue
        module = spec.target.partition(":")[0]
        if source_of(module) is None and module not in sys.modules:
            yield (
                f"{who}: there is no module {module!r}. Its file lies beside the run's file, or "
                "its package is installed"
            )
            continue
        try:
            made = registry.find(spec.target).load()
        except Exception as err:  # noqa: BLE001 - whatever another's code raises; workers say it too
            yield f"{who}: {spec.target} cannot be imported: {err}"
            continue
        _check_class(kind, f"{who}: {spec.target}", made)


def refuse_unknown(recipe: Recipe) -> None:
    """Refuse a plan with classes that are not to be had here.

    Raises:
        ConfigError: there are some; all of them are named.
    """
    if unknown := list(unknown_classes(recipe)):
        raise ConfigError("\n".join(unknown))


def own_modules(recipe: Recipe) -> dict[str, bytes]:
    """The Python files of a recipe's own classes, and what they import of their folder: by name.

    What is installed is no part of it.
    """
    found: dict[str, bytes] = {}
    targets = [spec.target for _, _, spec in _specs(recipe)]
    names = [target.partition(":")[0].partition(".")[0] for target in targets if ":" in target]
    folders = [Path(place) for place in sys.path if place and "site-packages" not in place]
    while names:
        name = names.pop()
        file = next((f for p in folders if (f := p / f"{name}.py").is_file()), None)
        if file is None or file.name in found or _is_part_of_python(file):
            continue
        found[file.name] = file.read_bytes()
        names += _imports(found[file.name])
    return found


def _is_part_of_python(file: Path) -> bool:
    return file.is_relative_to(Path(inspect.__file__).parent)


def _imports(source: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _specs(recipe: Recipe) -> Iterator[tuple[str, str, Spec]]:
    for system in recipe.systems:
        for stage, model in (("answer", system.answer), ("render", system.render)):
            if model:
                yield "system", f"system {system.name!r}, {stage}", model.spec
    for name, metric in recipe.metrics.items():
        yield "metric", f"metric {name!r}", metric
    for name, judge in recipe.judges.items():
        yield "judge", f"judge {name!r}", judge.spec


def _check_class(kind: str, who: str, made: Any) -> None:
    if not callable(made):
        raise ConfigError(f"{who} is {type(made).__name__}, and no class")
    if not inspect.isclass(made):
        return  # a function that makes it: what it makes is seen by the worker
    for name, given in _METHODS[kind].items():
        method = getattr(made, name, None)
        if method is None:
            wanted = ", ".join(f"{m}({', '.join(a)})" for m, a in _METHODS[kind].items())
            raise ConfigError(f"{who} has no method {name!r}; a {kind} has {wanted}")
        try:
            inspect.signature(method).bind(None, *given)
        except (TypeError, ValueError) as err:
            called = f"{name}({', '.join(given)})"
            raise ConfigError(f"{who}: it is called as {called}: {err}") from err
