"""What a recipe gives to code that is not ours: vLLM, a pipeline, a class of authors."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from medgen.engine import registry
from medgen.engine.names import hint
from medgen.launch.setup import libraries


def strange(target: str, kwargs: Mapping[str, Any]) -> Iterator[str]:
    """Sentences about what the code that is installed here does not know.

    Args:
        target: of a recipe, as its registry names it.
        kwargs: its arguments; recipes inside are looked at too.
    """
    kind = registry.find(target).name
    if kind == "vllm" and (known := libraries.vllm_arguments()):
        given = {*(kwargs.get("engine") or {}), *_engine(kwargs)}
        yield from _unknown("vLLM has no engine argument", given, known)
    if kind == "diffusers" and (taken := libraries.pipeline_arguments(_pipeline(kwargs))):
        call = (kwargs.get("sampling") or {}).get("call") or {}
        yield from _unknown(f"{_pipeline(kwargs)} takes no", set(call), taken)
    if kind == "unified-in-process":
        yield from _absent_code(str(kwargs.get("target") or ""))
    if kind == "managed-server":
        place = str((kwargs.get("execution") or {}).get("cwd") or ".")
        yield from _absent_class(kwargs.get("command") or (), place)
    for _, inner, given_inside in registry.inner_recipes(kwargs):
        yield from strange(inner, given_inside)


def _unknown(complaint: str, given: set[str], known: frozenset[str]) -> Iterator[str]:
    """The names that are not known, with what one was probably meant for."""
    names = sorted(given - known)
    if names:
        yield f"{complaint} {', '.join(map(repr, names))}{_closest(names[0], known)}"


def _closest(name: str, known: frozenset[str]) -> str:
    close = hint(name, known, "") if known else ""
    return f". {close}" if close.startswith("Did") else ""


def _absent_code(target: str) -> Iterator[str]:
    module = target.partition(":")[0]
    if libraries.folder_of_module(module) is None:
        yield f"its code is to be written: there is no module {module!r} here (docs/systems.md)"


def _absent_class(command: Sequence[str], place: str) -> Iterator[str]:
    """Whether the class that `own_server.py` is told to load stands beside it, or where it runs."""
    for word, following in pairwise(command):
        if word == "{own}/own_server.py":
            module, _, name = following.partition(":")
            known = libraries.own_classes(module)
            if not known and os.path.isfile(os.path.join(place, f"{module}.py")):
                return
            if name not in known:
                yield (
                    f"its code is to be written: there is no {following} (docs/systems.md)"
                    f"{_closest(name, known)}"
                )


def _engine(kwargs: Mapping[str, Any]) -> Iterable[str]:
    return (kwargs.get("execution") or {}).get("engine") or {}


def _pipeline(kwargs: Mapping[str, Any]) -> str:
    return str(kwargs.get("pipeline") or "DiffusionPipeline")
