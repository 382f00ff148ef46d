"""What of a store nobody needs: runs that may go, and rows that no run is left to name.

Kept is every run that a night of any history names, as itself or as its baseline, every run that
may still be driven, and every stage that a run which stays has in its plan. Benchmarks stay.
"""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from medgen.engine.codec import decode
from medgen.engine.errors import ConfigError, CorruptError, StoreError
from medgen.engine.run.claims import remove_void
from medgen.engine.run.folder import RunFolder, Status, heard_at, run_ids
from medgen.engine.run.needs import SETS, Address, made_of, stage_addresses
from medgen.engine.store.gathering import delete_all
from medgen.engine.store.layout import RunPlace, StagePlace
from medgen.engine.store.objects import Objects

# A driver writes its status three times a minute; no two clocks are a day apart.
_ALIVE = timedelta(days=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Removal:
    """Runs and stages that may go, and why others stay. Records of nights stay."""

    runs: tuple[str, ...]
    stages: tuple[Address, ...]
    stay: Mapping[str, str] = field(default_factory=dict)  # run that was asked for -> why
    heard: Mapping[str, bytes] = field(default_factory=dict)  # run that may go -> its status then

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

    def __post_init__(self) -> None:
        """Refuse an age that is none.

        Raises:
            ConfigError: it is negative, or no number.
        """
        if self.older_days is not None and not self.older_days >= 0:
            raise ConfigError(f"an age is a number of days, 0 or more, not {self.older_days:g}")


def collect(objects: Objects, asked: Asked, today: datetime | None = None) -> Removal:
    """What may go; nothing is touched.

    Raises:
        ConfigError: a run that is named is not in the store.
        StoreError: a run that stays has no plan: nobody knows what it needs.
        CorruptError: or one that cannot be read.
    """
    day, there = today or datetime.now(UTC), run_ids(objects)
    if unknown := sorted(set(asked.runs) - set(there)):
        raise ConfigError(f"no run {', '.join(map(repr, unknown))} in {objects.url}")
    wanted = there if asked.older_days is not None else [r for r in there if r in asked.runs]
    heard = {run: _heard(objects, run) for run in wanted}
    why = {run: _why_stays(run, heard[run], asked, day) for run in wanted}
    gone = [run for run, words in why.items() if words == ""]
    stages = tuple(free_stages(objects, gone, orphans=True))
    stay = {run: words for run, words in why.items() if words}
    return Removal(tuple(gone), stages, stay, {run: heard[run] for run in gone})


def remove(
    objects: Objects, removal: Removal, named: Callable[[], Mapping[str, str]] = dict
) -> Removal:
    """Remove stages, then runs; returns what went.

    What a run that began meanwhile needs stays, a run that was heard of again since it was looked
    at, and one that is `named` by now. Until a run's folder is gone its plan or its status stands
    there, so that a removal that was interrupted is simply done again.
    """
    nights = named()
    stay = {run: f"a night of {nights[run]} names it" for run in removal.runs if run in nights}
    stay |= {run: _AGAIN for run in removal.runs if _is_heard_again(objects, run, removal)}
    going = [run for run in removal.runs if run not in stay]
    went, known = [], dict[str, set[Address]]()
    for stage, key in removal.stages:
        for run in set(run_ids(objects)) - set(going) - set(known):
            known[run] = stages_of(objects, run)
        if not _is_needed(objects, set().union(*known.values()), (stage, key)):
            went.append((stage, key))
    delete_all(objects, [StagePlace(stage, key).folder for stage, key in went])
    for run in going:
        if _is_heard_again(objects, run, removal):
            stay[run] = _AGAIN
        else:
            _delete_run(objects, run)
    remove_void(objects)
    gone = tuple(run for run in going if run not in stay)
    return Removal(gone, tuple(went), {**removal.stay, **stay}, removal.heard)


_AGAIN = "it was heard of again"


def heard_of(objects: Objects, runs: Iterable[str]) -> dict[str, bytes]:
    """The status of each run as it stands now, for who says that they may go."""
    return {run: _heard(objects, run) for run in runs}


def _heard(objects: Objects, run: str) -> bytes:
    """The status of a run as it stands; empty where it has none."""
    try:
        return objects.read(RunPlace(run).status)
    except FileNotFoundError:
        return b""


def _is_heard_again(objects: Objects, run: str, removal: Removal) -> bool:
    return _heard(objects, run) not in (removal.heard.get(run, b""), b"")


def _delete_run(objects: Objects, run: str) -> None:
    """Remove a run's folder, last of all what says which run it was."""
    place = RunPlace(run)
    last = (place.plan, place.status)
    for name in objects.names(place.folder):
        if (path := f"{place.folder}/{name}") not in last:
            objects.delete(path)
    objects.delete(place.plan)
    objects.delete(place.folder)


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


def _why_stays(run: str, heard: bytes, asked: Asked, day: datetime) -> str | None:
    """Why a run stays that was asked for, empty: it may go. None: it is not old enough."""
    by_name, named = run in asked.runs, asked.named.get(run)
    named_by = f"a night of {named} names it" if named else ""
    if not heard:
        return named_by or ("" if by_name else "it has no status: it may just begin")
    try:
        status = decode(Status, heard, f"{RunPlace(run).status}: not readable")
        age = day - heard_at(status)
    except CorruptError as err:
        return named_by or ("" if by_name else f"{err}. `medgen gc {run}` removes it")
    if not by_name and age / _DAY < (asked.older_days or 0.0):
        return None
    if not named_by and status.status == "started" and age < _ALIVE:
        return f"it has not ended, and was heard of at {status.updated}"
    return named_by
