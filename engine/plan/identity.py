"""Recipes that travel between processes, and the content addresses made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from medgen.engine.codec import plain
from medgen.engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Spec:
    """A recipe for building a component in another process.

    `target` is `module:Class`; `kwargs` are its plain (JSON) arguments. The class is imported
    only where it is built, so a plan never loads a vendor library.
    """

    target: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Any:
        """Import the target and call it with the arguments.

        Raises:
            ConfigError: the target is not `module:Class`, or cannot be found.
        """
        module, _, name = self.target.partition(":")
        if not module or not name:
            raise ConfigError(f"target {self.target!r} is not of the form 'module:Class'")
        try:
            factory = getattr(import_module(module), name)
        except ModuleNotFoundError as err:
            raise ConfigError(f"target {self.target!r}: {err}") from err
        except AttributeError as err:
            raise ConfigError(f"target {self.target!r}: {module} has no {name!r}") from err
        return factory(**self.kwargs)


@dataclass(frozen=True, slots=True)
class Resources:
    """What one worker asks of the cluster, and how many workers there may be. Never in a key."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_gib: float = 0.0
    workers: int = 1
    in_flight: int = 1  # shards that one worker holds at once
    custom: Mapping[str, float] = field(default_factory=dict)
    runtime_env: Mapping[str, Any] = field(default_factory=dict)


# Arguments that say only how, where or for how much a model is run: batch sizes, devices, limits.
_HOW = frozenset({"execution", "endpoint", "prices"})


def identity(value: Any) -> Any:
    """The JSON form of a recipe, less what cannot change its rows: goes into keys.

    Arguments named `execution`, `endpoint` and `prices` are left out at every depth, so that a
    raised spending cap, another port or another batch size finds the same results.
    """
    if isinstance(value, Mapping):
        return {k: identity(v) for k, v in value.items() if k not in _HOW}
    if isinstance(value, list):
        return [identity(v) for v in value]
    return value if isinstance(value, str | int | float | None) else identity(plain(value))
