"""A run with all that it needs, in another store: every object proven there by its digest."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from medgen.engine.errors import StoreError
from medgen.engine.plan.plan import Plan
from medgen.engine.run.needs import Needs, needs
from medgen.engine.store.layout import is_of_tables
from medgen.engine.store.objects import Objects
from medgen.launch.housekeeping.verifying import prove

_AT_ONCE = 8  # each is a whole object in memory


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy came to."""

    objects: int
    size: int  # bytes


def copy_run(source: Objects, target: Objects, plan: Plan) -> Copied:
    """Copy a run; one that was interrupted is simply done again.

    Samples and rows go first and the plan last, so that no run is found there before all that
    it needs is. What is there is never replaced but what belongs to the run's own folder.

    Raises:
        CorruptError: an object is damaged here; nothing that depends on it was copied.
        StoreError: something else stands there under an address, or the two are one store.
    """
    if source.url == target.url:
        raise StoreError(f"{target.url} is the store that the run is in")
    found = needs(source, plan)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        done: list[int] = []
        for paths, own in _in_turn(found):
            done += threads.map(partial(_copy, source, target, own), paths)
    return Copied(len(done), sum(done))


def _in_turn(found: Needs) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Paths that may be copied at once, and whether they are the run's own to replace."""
    made = {p for p in found.benchmark if is_of_tables(p)}  # again at any time, from the rest
    yield tuple(p for p in found.benchmark if p not in made), False
    yield tuple(made), True
    yield found.rows, False
    yield found.sentinels, False
    yield found.folder[:-1], True
    yield found.folder[-1:], True


def _copy(source: Objects, target: Objects, own: bool, path: str) -> int:
    data = source.read(path)
    prove(path, data)
    if own:
        target.replace(path, data)
    else:
        target.create(path, data)
    found = hashlib.sha256(target.read(path)).hexdigest()
    if found != hashlib.sha256(data).hexdigest():
        raise StoreError(
            f"{target.url}/{path} holds something else than {source.url}/{path}: rows of another "
            "making have its address there. Copy into a store that does not have this run's stages"
        )
    return len(data)
