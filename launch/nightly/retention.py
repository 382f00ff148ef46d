"""Which nights may go, and which stages nobody else needs then."""

from collections.abc import Sequence
from dataclasses import dataclass

from medgen.engine.errors import StoreError
from medgen.engine.run.folder import RunFolder, run_ids
from medgen.engine.store.layout import RunPlace, StagePlace
from medgen.engine.store.objects import Objects
from medgen.launch.nightly.history import Night

Address = tuple[str, str]  # stage, key


@dataclass(frozen=True, slots=True)
class Removal:
    """Runs and stages that may go. The records of the nights stay."""

    runs: tuple[str, ...]
    stages: tuple[Address, ...]

    @property
    def words(self) -> str:
        """How much it is."""
        return f"{len(self.runs)} runs and {len(self.stages)} stages"


def removable(
    objects: Objects, nights: Sequence[Night], keep: int, also: Sequence[str] = ()
) -> Removal:
    """What may go: the runs of all nights but the last `keep`, and what only they refer to.

    The last good night stays however old it is, a run that has not ended stays, and so do those
    named in `also`. A stage that any other run in the store refers to stays.

    Raises:
        StoreError: some other run's plan cannot be read, so nobody knows what it needs.
    """
    there = set(run_ids(objects))
    by_date = [n for n in sorted(nights, key=lambda n: n.date) if n.run_id]
    good = [n.run_id for n in by_date if n.good]
    stay = {n.run_id for n in by_date[-keep:]} if keep else set()
    stay |= {*good[-1:], *also}
    gone = {n.run_id for n in by_date if n.run_id in there and n.run_id not in stay}
    gone = {run for run in gone if _has_ended(objects, run)}
    needed = {address for run in there - gone for address in _stages(objects, run)}
    freed = {address for run in gone for address in _stages(objects, run)} - needed
    return Removal(tuple(sorted(gone)), tuple(sorted(freed)))


def remove(objects: Objects, removal: Removal) -> Removal:
    """Remove stages, then runs; what a run that began meanwhile needs stays. Returns what went.

    Until a run's folder is gone its plan still says which stages are to go, so that a removal
    that was interrupted is simply done again.
    """
    went = []
    for stage, key in removal.stages:
        others = set(run_ids(objects)) - set(removal.runs)
        if all((stage, key) not in _stages(objects, run) for run in others):
            objects.delete(StagePlace(stage, key).folder)
            went.append((stage, key))
    for run in removal.runs:
        objects.delete(RunPlace(run).folder)
    return Removal(removal.runs, tuple(went))


def _has_ended(objects: Objects, run: str) -> bool:
    status = RunFolder(objects, run).status()
    return status is not None and status.status != "started"


def _stages(objects: Objects, run: str) -> set[Address]:
    try:
        plan = RunFolder(objects, run).plan()
    except StoreError as err:
        raise StoreError(f"nothing can be removed: {err}") from err
    return {(node.stage, node.key) for node in plan.nodes.values()}
