"""Which nights may go, and which stages nobody else needs then."""

from collections.abc import Sequence

from medgen.engine.run.folder import RunFolder, run_ids
from medgen.engine.store.objects import Objects
from medgen.launch.housekeeping.garbage import Removal, free_stages, heard_of
from medgen.launch.nightly.history import Night


def removable(
    objects: Objects, nights: Sequence[Night], keep: int, also: Sequence[str] = ()
) -> Removal:
    """What may go: the runs of all nights but the last `keep`, and what only they refer to.

    The last good night stays however old it is, a run that has not ended stays, and so do those
    named in `also`. A stage that any other run in the store refers to stays.

    Raises:
        StoreError: some other run has no plan, so nobody knows what it needs.
        CorruptError: or one that cannot be read.
    """
    there = set(run_ids(objects))
    by_date = [n for n in sorted(nights, key=lambda n: n.date) if n.run_id]
    good = [n.run_id for n in by_date if n.good]
    stay = {n.run_id for n in by_date[-keep:]} if keep else set()
    stay |= {*good[-1:], *also}
    gone = {n.run_id for n in by_date if n.run_id in there and n.run_id not in stay}
    gone = {run for run in gone if _has_ended(objects, run)}
    freed = free_stages(objects, sorted(gone), orphans=False)
    heard = heard_of(objects, gone)
    return Removal(tuple(sorted(gone)), tuple(sorted(freed)), heard=heard)


def _has_ended(objects: Objects, run: str) -> bool:
    status = RunFolder(objects, run).status()
    return status is not None and status.status != "started"
