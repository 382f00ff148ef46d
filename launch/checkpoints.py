"""A folder of checkpoints as systems, one for each that is whole when a run starts."""

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from glob import escape, glob, has_magic
from pathlib import Path
from typing import Any

from medgen.conf.schema import ModelConf, SystemConf
from medgen.engine.errors import ConfigError

log = logging.getLogger(__name__)

PLACE = "{checkpoint}"  # in a model's arguments: the folder of one
SETTLED_S = 60.0  # nothing was written in it for so long: the trainer is done with it
_STEP = re.compile(r"(\d+)\D*")
_HALF = re.compile(r"^tmp[-_.]|[-_.]tmp$|\.(part|partial|incomplete)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One folder, and the step of the training that it is of."""

    folder: str
    step: int


def at_checkpoints(system: SystemConf) -> Iterator[tuple[SystemConf, int]]:
    """The system as it is at each checkpoint that is whole, and the step of each, in their order.

    Raises:
        ConfigError: there is no such folder, two are of one step, or no argument names it.
    """
    found = checkpoints(system.checkpoints)
    if not found:
        log.warning("system %s: no checkpoint in %s is whole yet", system.name, system.checkpoints)
    steps = [one.step for one in found]
    if twice := sorted({n for n in steps if steps.count(n) > 1}):
        raise ConfigError(f"system {system.name!r}: two checkpoints are of step {twice[0]}")
    for one in found:
        answer, render = _at(system.answer, one.folder), _at(system.render, one.folder)
        if (answer, render) == (system.answer, system.render):
            raise ConfigError(
                f"system {system.name!r} has checkpoints, and none of its models' arguments is "
                f"{PLACE!r}, which stands for the folder of one"
            )
        name = f"{system.name}-{one.step}"
        yield replace(system, name=name, answer=answer, render=render, checkpoints=""), one.step


def checkpoints(where: str) -> list[Checkpoint]:
    """The folders of a folder, or of a pattern, whose names hold a number, by the last one.

    Raises:
        ConfigError: there is no such folder.
    """
    alone = Path(where).is_dir()
    if not alone and not has_magic(where):
        raise ConfigError(f"there is no folder of checkpoints {where!r}")
    found: dict[str, Checkpoint] = {}  # by the real folder: a link to one is no other
    for folder in sorted(glob(f"{escape(where)}/*" if alone else where), key=_links_last):
        step = _STEP.findall(Path(folder).name)
        if not step or not Path(folder).is_dir():
            continue
        if why := _why_not(Path(folder)):
            log.warning("%s %s; the next start takes it when it is whole", folder, why)
            continue
        found.setdefault(os.path.realpath(folder), Checkpoint(folder, int(step[-1])))
    return sorted(found.values(), key=lambda one: one.step)


def _links_last(folder: str) -> tuple[bool, str]:
    return os.path.islink(folder), folder


def _why_not(folder: Path) -> str:
    """Why a folder is no checkpoint yet; empty: it is one.

    Raises:
        ConfigError: it cannot be looked into.
    """
    if _HALF.search(folder.name):
        return "has the name of what is half written"
    try:
        written = [at for path in folder.rglob("*") if (at := _written(path))]
        latest = max((_written(folder), *written))
    except OSError as err:
        raise ConfigError(f"cannot look into the checkpoint {folder}: {err.strerror}") from err
    if not written:
        return "is empty"
    return "is still being written" if time.time() - latest < SETTLED_S else ""


def _written(path: Path) -> float:
    """When something was last written to; 0 for what is gone, as a trainer removes old ones."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # or a link to what is not there
        return path.lstat().st_mtime if path.is_symlink() else 0.0


def _at(model: ModelConf | None, folder: str) -> ModelConf | None:
    return None if model is None else replace(model, kwargs=_put(model.kwargs, folder))


def _put(value: Any, folder: str) -> Any:
    """Arguments with the folder in its place, however deep."""
    if isinstance(value, str):
        return value.replace(PLACE, folder)
    if isinstance(value, Mapping):
        return {name: _put(inner, folder) for name, inner in value.items()}
    if isinstance(value, list):
        return [_put(inner, folder) for inner in value]
    return value
