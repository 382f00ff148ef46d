"""A system that is asked several times with other seeds, as systems beside it."""

from collections.abc import Iterator
from dataclasses import replace

from medgen.engine.errors import ConfigError
from medgen.engine.plan.plan import System

SIGN = "~"  # `name~2` is what a system says the second time


def each_time(system: System, times: int) -> Iterator[System]:
    """The system itself, and one for each further time, which is ranked with none.

    Raises:
        ConfigError: it is to be asked less than once.
    """
    if times < 1:
        raise ConfigError(f"system {system.name!r}: `repeats` is 1 or more, not {times}")
    yield system
    for before in range(1, times):
        name = f"{system.name}{SIGN}{before + 1}"
        yield replace(system, name=name, of=system.name, repeat=before, control=True)
