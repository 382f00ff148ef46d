"""What a shell may complete: runs and systems of the store, configurations, presets.

A shell waits for it at every key, and nothing can be said there: what goes wrong completes nothing.
"""

import contextlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medgen.launch.hints import unasked_store

if TYPE_CHECKING:
    from medgen.engine.store.objects import Objects

_LISTS = {"systems": "system", "judges": "judge"}  # of a run's file -> group of presets
_SINGLE = {"benchmark": "benchmark", "protocol": "protocol", "cluster": "cluster"}


def complete_run(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Ids of the store's runs, the last one first."""
    with contextlib.suppress(Exception):
        return [name for name in _runs(_store(context)) if name.startswith(incomplete)]
    return []


def complete_side(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """A system of the last run, or `RUN/SYSTEM`."""
    with contextlib.suppress(Exception):
        from medgen.engine.run.folder import RunFolder

        objects = _store(context)
        runs = _runs(objects)
        run = incomplete.partition("/")[0]
        before = f"{run}/" if run in runs and "/" in incomplete else ""
        plan = RunFolder(objects, run if before else runs[0]).plan()
        names = [f"{before}{system.name}" for system in plan.systems]
        if not before:
            names += [f"{other}/" for other in runs]
        return [name for name in names if name.startswith(incomplete)]
    return []


def complete_config(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Configurations that come along, and YAML files beside the word."""
    near = [str(p) for p in Path(incomplete or ".").parent.glob("*.yaml")]
    return [n for n in (*_presets("run"), *sorted(near)) if n.startswith(incomplete)]


def complete_override(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """`systems=[…`, `judges=[…`, `benchmark=…` and their like, by the names of presets."""
    key, equals, value = incomplete.partition("=")
    if not equals:
        keys = [f"{name}=[" for name in _LISTS] + [f"{name}=" for name in _SINGLE]
        return [name for name in keys if name.startswith(key)]
    if key in _SINGLE:
        return [f"{key}={n}" for n in _presets(_SINGLE[key]) if n.startswith(value)]
    if key not in _LISTS or not value.startswith("["):
        return []
    cut = max(value.rfind(mark) for mark in "[,+") + 1
    begun, rest = value[:cut], value[cut:].lstrip()
    return [f"{key}={begun}{n}" for n in _presets(_LISTS[key]) if n.startswith(rest)]


def _presets(group: str) -> Iterator[str]:
    folder = files("medgen.conf") / group
    yield from sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".yaml"))


def _store(context: click.Context) -> "Objects":
    from medgen.engine.store.connect import connect

    own = context.params.get("store")
    return connect(str(own or unasked_store()))


def _runs(objects: "Objects") -> list[str]:
    from medgen.engine.run.folder import RunFolder, run_ids

    seen = {name: RunFolder(objects, name).status() for name in run_ids(objects)}
    return sorted(seen, key=lambda name: s.updated if (s := seen[name]) else "", reverse=True)
