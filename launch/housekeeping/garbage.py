"""What of a store nobody needs: runs that may go, and rows that no run is left to name.

Kept is every run that a night of any history names, as itself or as its baseline, every run that
may still be driven, and every stage that a run which stays has in its plan. Benchmarks stay.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from medgen.engine.errors import ConfigError, CorruptError, StoreError
from medgen.engine.run.claims import remove_void
from medgen.engine.run.folder import RunFolder, run_ids
from medgen.engine.run.needs import SETS, Address, made_of, stage_addresses
from medgen.engine.store.layout import RunPlace, StagePlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.packs import delete_all

# A driver writes its status three times a minute; no two clocks are a day apart.
ALIVE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Removal:
    """Runs and stages that may go, and why others stay. Records of nights stay."""

    runs: tuple[str, ...]
    stages: tuple[Address, ...]
    stay: Mapping[str, str] = field(default_factory=dict)  # run that was asked for -> why

    @property
    def words(self) -> str:
        """How much it is."""
        return f"{len(self.runs)} runs and {len(self.stages)} stages"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which runs are to go: these, and those that are older than so many days."""

    runs: Sequence[str] = ()
    older_days: float | None = None
    named: Mapping[str, str] = field(default_factory=dict)  # run that stays -> who names it


def collect(objects: Objects, asked: Asked, today: datetime | None = None) -> Removal:
    """What may go; nothing is touched.

    Raises:
        ConfigError: a run that is named is not in the store.
        StoreError: a run that stays has no plan: nobody knows what it needs.
        CorruptError: or one that cannot be read.
    """
    day, there, nights = today or datetime.now(UTC), run_ids(objects), asked.named
    if unknown := sorted(set(asked.runs) - set(there)):
        raise ConfigError(f"no run {', '.join(unknown)} in {objects.url}")
    if asked.older_days is not None and asked.older_days < 0:
        raise ConfigError("an age is no negative number of days")
    gone, stay = [], {}
    for run in there:
        age = _age(objects, run, day)
        old = asked.older_days is not None and age >= timedelta(days=asked.older_days)
        if not (old or run in asked.runs):
            continue
        named = f"a night of {nights[run]} names it" if run in nights else ""
        if why := named or _why_alive(objects, run, age, run in asked.runs):
            stay[run] = why
        else:
            gone.append(run)
    return Removal(tuple(gone), tuple(free_stages(objects, gone, orphans=True)), stay)


def remove(objects: Objects, removal: Removal) -> Removal:
    """Remove stages, then runs; what a run that began meanwhile needs stays. Returns what went.

    Until a run's folder is gone its plan still says which stages are to go, so that a removal
    that was interrupted is simply done again.
    """
    went, known = [], dict[str, set[Address]]()
    for stage, key in removal.stages:
        for run in set(run_ids(objects)) - set(removal.runs) - set(known):
            known[run] = stages_of(objects, run)
        if not _is_needed(objects, set().union(*known.values()), (stage, key)):
            went.append((stage, key))
    delete_all(objects, [StagePlace(stage, key).folder for stage, key in went])
    for run in removal.runs:
        objects.delete(RunPlace(run).folder)
    remove_void(objects)
    return Removal(removal.runs, tuple(went), removal.stay)


def stages_of(objects: Objects, run: str) -> set[Address]:
    """The stages that a run has in its plan.

    Raises:
        StoreError: the plan is not there.
        CorruptError: it cannot be read.
    """
    try:
        plan = RunFolder(objects, run).plan()
    except (StoreError, CorruptError) as err:
        raise type(err)(
            f"nobody knows what run {run} needs: {err}. `medgen gc {run}` removes it"
        ) from err
    return {(node.stage, node.key) for node in plan.nodes.values()}


def free_stages(objects: Objects, gone: Sequence[str], orphans: bool) -> Iterator[Address]:
    """Stages that nothing needs once some runs are gone; without `orphans` only theirs.

    Raises:
        StoreError: a run that stays has a plan that cannot be read.
    """
    needed: set[Address] = set()
    for run in set(run_ids(objects)) - set(gone):
        needed |= stages_of(objects, run)
    theirs: set[Address] = set()
    for run in gone:
        with contextlib.suppress(StoreError, CorruptError):  # what it needed stays, as an orphan
            theirs |= stages_of(objects, run)
    for address in stage_addresses(objects):
        if (orphans or address in theirs) and not _is_needed(objects, needed, address):
            yield address


def _is_needed(objects: Objects, needed: Collection[Address], address: Address) -> bool:
    stage, key = address
    if stage != SETS:
        return address in needed
    # In no plan: needed while any of the rows are that they were made of.
    of = made_of(objects, stage, key)
    return not of or any(key in of for _, key in needed)


def _age(objects: Objects, run: str, day: datetime) -> timedelta:
    """Since the run was last heard of; none at all for one that never said anything."""
    status = RunFolder(objects, run).status()
    return day - datetime.fromisoformat(status.updated) if status else timedelta(0)


def _why_alive(objects: Objects, run: str, age: timedelta, by_name: bool) -> str:
    status = RunFolder(objects, run).status()
    if status is None:
        return "" if by_name else "it has no status: it may just begin"
    if status.status == "started" and age < ALIVE:
        return f"it has not ended, and was heard of at {status.updated}"
    return ""
