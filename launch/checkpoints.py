"""A folder of checkpoints as systems, one for each that is whole when a run starts."""

import logging
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
    found = []
    for folder in sorted(glob(f"{escape(where)}/*" if alone else where)):
        step = _STEP.findall(Path(folder).name)
        if not Path(folder).is_dir() or not step:
            continue
        if time.time() - _last_written(Path(folder)) < SETTLED_S:
            log.warning("%s is still being written; the next start takes it", folder)
            continue
        found.append(Checkpoint(folder, int(step[-1])))
    return sorted(found, key=lambda one: one.step)


def _last_written(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))


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
