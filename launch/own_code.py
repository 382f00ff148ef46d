"""Components of a user's own: a Python file beside the run's file, found and looked at early."""

import ast
import inspect
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from medgen.conf.loading import group_names
from medgen.engine import registry
from medgen.engine.errors import AdapterError, ConfigError
from medgen.engine.modules import source_of
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Recipe
from medgen.metrics.port import Output, TextMetric
from medgen.metrics.selftest import check

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

_PLAIN: Mapping[type, tuple[type, ...]] = {
    int: (int,), float: (int, float), str: (str,), bool: (bool,),
}  # fmt: skip


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

    A metric is also made, and computes its golden values when it has nothing to load for that.

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
            where = f"{_place(err, module)}{_namesake(module)}"
            yield f"{who}: {spec.target} cannot be imported: {err}{where}"
            continue
        _check_class(kind, f"{who}: {spec.target}", made, spec.kwargs)
        if kind == "metric" and inspect.isclass(made):
            yield from _faults_of_metric(who, made, spec)


def _faults_of_metric(who: str, made: type, spec: Spec) -> Iterator[str]:
    """What only a metric itself tells: it cannot be made, or gives other values than it says."""
    try:
        _try_metric(who.partition(" ")[2].strip("'"), made, spec.kwargs)
    except (Exception, SystemExit) as err:  # noqa: BLE001 - another's code; workers say it too
        said = str(err) if isinstance(err, AdapterError) else f"{type(err).__name__}: {err}"
        own = _place(err, spec.target.partition(":")[0]) or f" ({inspect.getsourcefile(made)})"
        yield f"{who}: {spec.target}: {said}{'' if '.py:' in said else own}"


def _try_metric(name: str, made: type, kwargs: Mapping[str, Any]) -> None:
    metric = made(**kwargs)
    if not all(isinstance(output, Output) for output in metric.outputs):
        raise AdapterError("`outputs` are not all Output(name, …)")
    json.dumps(metric.passport())
    if getattr(made, "load", None) is TextMetric.load:  # nothing that takes time or a device
        metric.load("cpu")
        check(name, metric)


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


def _place(err: BaseException, module: str) -> str:
    """Where in a module's own files something was raised: file and line."""
    source = source_of(module)
    frames = traceback.extract_tb((err.__cause__ or err).__traceback__)
    own = [f for f in frames if source and Path(f.filename).parent == source.parent]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


def _namesake(module: str) -> str:
    """That another file of that name is meant, which what is installed goes before."""
    taken = source_of(module)
    for file in (Path(place) / f"{module}.py" for place in sys.path):
        if file.is_file() and file != taken and not _is_part_of_python(file):
            return f"; {file} is hidden by another {module!r}: call the file otherwise"
    return ""


def _check_class(kind: str, who: str, made: Any, arguments: Mapping[str, Any]) -> None:
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
    _check_inherited(who, made)
    _check_types(who, made, arguments)


def _check_inherited(who: str, made: type) -> None:
    """What a class leaves undone of the one that it is made after, or takes otherwise."""
    for name in sorted(getattr(made, "__abstractmethods__", ())):
        called = f"{name}{_call(getattr(made, name))}"
        raise ConfigError(f"{who} has no method {name!r}; what it inherits from calls {called}")
    for base in made.__mro__[1:]:
        for name in getattr(base, "__abstractmethods__", ()):
            wanted, method = getattr(base, name), getattr(made, name)
            names = [*inspect.signature(wanted).parameters]
            try:
                inspect.signature(method).bind(*names)
            except (TypeError, ValueError) as err:
                called = f"{name}{_call(wanted)}"
                raise ConfigError(f"{who}: it is called as {called}: {err}") from err


def _call(method: Any) -> str:
    return f"({', '.join([*inspect.signature(method).parameters][1:])})"


def _check_types(who: str, made: type, arguments: Mapping[str, Any]) -> None:
    """Hold arguments to plain types (`int`, `str` …) where the constructor writes them."""
    try:
        hints = get_type_hints(made.__init__)  # type: ignore[misc]
    except Exception:  # noqa: BLE001 - annotations that only a type checker can read
        return
    for name, value in arguments.items():
        kind = hints.get(name)
        if isinstance(kind, type) and not isinstance(value, _PLAIN.get(kind, object)):
            wanted = kind.__name__
            raise ConfigError(f"{who}: argument {name!r} is {value!r}, and should be {wanted}")
