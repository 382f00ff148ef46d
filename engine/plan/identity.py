"""Recipes that travel between processes, and what of them enters a key."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medgen.engine import registry
from medgen.engine.benchmark.source import UsesBenchmark
from medgen.engine.codec import plain, same_numbers
from medgen.engine.settings import Nested, Settings, literal_defaults, read, without_how

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Spec:
    """A recipe for building a component in another process.

    `target` is a logical name of the registry or `module:Class`; `kwargs` are its plain (JSON)
    arguments. The class is imported only where it is built, so a plan never loads a vendor library.
    """

    target: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Any:
        """Import the target and call it with the arguments.

        Raises:
            ConfigError: nobody has the name, or the class cannot be found.
        """
        return registry.find(self.target).load()(**self.kwargs)


@dataclass(frozen=True, slots=True)
class Resources:
    """What one worker asks of the cluster, and how many workers there may be. Never in a key."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_gib: float = 0.0
    workers: int | None = None  # so many; None: as many as are worth it
    in_flight: int = 1  # shards that one worker holds at once
    custom: Mapping[str, float] = field(default_factory=dict)
    runtime_env: Mapping[str, Any] = field(default_factory=dict)


def reads_benchmark(spec: Spec) -> bool:
    """Whether rows may depend on more of the benchmark than the samples that are asked."""
    component = registry.find(spec.target)
    if component.reads_benchmark or (not component.settings and _has_use(component)):
        return True
    inner = registry.inner_recipes(spec.kwargs)
    return any(reads_benchmark(Spec(target, given)) for _, target, given in inner)


def _has_use(component: registry.Component) -> bool:
    """Whether a class that no table describes is a `UsesBenchmark`, as far as can be seen here."""
    try:
        made = component.load()
    except Exception as err:  # noqa: BLE001 - code of anybody's; where it is built, it is asked again
        log.info("%s cannot be imported here: %s", component.target, err)
        return False
    return isinstance(made, type) and issubclass(made, UsesBenchmark)


# Of a class without a settings type, these arguments say only how, where or for how much it is run.
HOW = frozenset({"execution", "endpoint", "prices"})


def identity(spec: Spec) -> dict[str, Any]:
    """What of a recipe can change its rows, as JSON for keys.

    The component's logical name and semantics number stand for its code, wherever that lies. Of
    the settings those are left out that are marked as how it is run, in inner recipes as well, so
    that a raised spending cap, another port or another batch size finds the same results. So are
    defaults that are written out.

    Raises:
        ConfigError: nobody has the name, or the settings are not of their type.
    """
    component = registry.find(spec.target)
    if component.settings:
        kind: type[Settings] = registry.load(component.settings)
        settings = read(kind, spec.kwargs, f"{spec.target}.kwargs")
        lasting = without_how(kind, settings)
        inner = {n: r for n in lasting if isinstance(r := getattr(settings, n), Nested)}
        recipes = [(name, recipe.target, recipe.arguments()) for name, recipe in inner.items()]
    else:
        lasting = deciding_arguments(component, spec.kwargs)
        recipes = [(name, what, dict(g)) for name, what, g in registry.inner_recipes(lasting)]
    for name, target, given in recipes:
        lasting[name] = identity(Spec(target, given))
    return {
        "component": component.name,
        "semantics": component.semantics,
        "settings": lasting,
    }


def deciding_arguments(component: registry.Component, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What of the arguments of a class without a settings type can change rows, as JSON.

    A default that is written out is no part of it, if its source says here what the default is:
    when that is another one day, so is the code that made the rows.
    """
    given = {name: plain(value) for name, value in kwargs.items() if name not in HOW}
    defaults = literal_defaults(component.target) if given else {}
    spelt = {n for n in given.keys() & defaults.keys() if _text(given[n]) == _text(defaults[n])}
    return {name: value for name, value in given.items() if name not in spelt}


def _text(value: object) -> str:
    """JSON, in which `True` is not `1`, as it is in Python, and `1.0` is."""
    return json.dumps(same_numbers(plain(value)), sort_keys=True, default=str)
