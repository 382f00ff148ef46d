"""Every preset as it is composed, read once: many modules of tests ask at their import."""

import json
from functools import cache

from medgen.conf.loading import group_names, load
from medgen.conf.schema import JudgeConf, SystemConf

BASE = ("store=/s", "benchmark=mini", "cluster=local", "protocol=table-iv")


@cache
def systems() -> dict[str, SystemConf]:
    """By name; but for `replay`, which serves no model and wants the file that it replays."""
    names = [name for name in group_names("system") if name != "replay"]
    return load(None, [*BASE, f"systems={json.dumps(names)}"]).system


@cache
def judges() -> dict[str, JudgeConf]:
    """By name."""
    return load(None, [*BASE, f"judges={json.dumps(list(group_names('judge')))}"]).judge
