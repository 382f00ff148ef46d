"""What a run must have and does not: rows that were committed, and what has to stand beside them.

And what is there too much: parts of tables that no note names, which whoever reads the folder
reads as well.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping

from medgen.engine.errors import BenchmarkError, CorruptError
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.results.publishing import KINDS
from medgen.engine.run.editions import read_editions
from medgen.engine.run.folder import RunFolder, Status
from medgen.engine.run.reader import RunReader
from medgen.engine.run.repair import Damage
from medgen.engine.run.survey import survey
from medgen.engine.store.layout import QUARANTINE, BenchmarkPlace, RunPlace, StagePlace, shard_of
from medgen.engine.store.objects import Objects
from medgen.engine.store.pack_layout import PackPlace, keys_of, pack_folder, pack_name
from medgen.launch.housekeeping.digests import table_parts
from medgen.launch.run.published import note_on

_OVER = ("success", "partial", "cancelled")  # which are said once everything is published


def missing(objects: Objects, plan: Plan, paths: Collection[str]) -> Iterator[Damage]:
    """What is wanting, or is too much, among the paths of a run."""
    place = RunPlace(plan.run_id)
    status, editions = _notes(objects, plan.run_id)
    benchmark = BenchmarkPlace(plan.benchmark)
    told = (benchmark.order, benchmark.digests, benchmark.samples_whole)
    wanted = [*told, *_own(place, status, paths)]
    with contextlib.suppress(CorruptError):  # told of as a note
        wanted += note_on(objects, plan.run_id).logs
    yield from (_gone(path) for path in wanted if path not in paths)
    yield from _parts_too_many(objects, plan, paths)
    rows = _rows(paths)
    for node in plan.nodes.values():
        yield from _of_node(plan, node, status, editions.get(node.key, ""), rows)
    if status is not None and status.status == "success":
        yield from _stale(objects, plan)


def strays_in_packs(objects: Objects, plan: Plan) -> Iterator[str]:
    """What else lies beside packs."""
    for place in _pack_places(objects, plan):
        for name in objects.names(place.folder):
            path = f"{place.folder}/{name}"
            if path != place.keys and not pack_name(name) and name != QUARANTINE:
                yield path


def _pack_places(objects: Objects, plan: Plan) -> Iterator[PackPlace]:
    for stage in dict.fromkeys(node.stage for node in plan.nodes.values()):
        yield from (PackPlace(stage, name) for name in objects.names(pack_folder(stage)))


def damaged_lists(objects: Objects, plan: Plan) -> Iterator[Damage]:
    """Lists of the keys of packs that cannot be read, or are not there."""
    for place in _pack_places(objects, plan):
        try:
            keys_of(objects.read(place.keys), place)
        except FileNotFoundError:
            yield _gone(place.keys)
        except CorruptError as err:
            yield Damage(place.keys, str(err))


def _gone(path: str) -> Damage:
    return Damage(path, f"{path} is missing")


def _notes(objects: Objects, run_id: str) -> tuple[Status | None, Mapping[str, str]]:
    """Status and editions, as far as they can be read: whoever proves them says why not."""
    status, editions = None, dict[str, str]()
    with contextlib.suppress(CorruptError):
        status = RunFolder(objects, run_id).status()
    with contextlib.suppress(CorruptError):
        editions = read_editions(objects, run_id)
    return status, editions


def _own(place: RunPlace, status: Status | None, paths: Collection[str]) -> Iterator[str]:
    """What a run's folder must have, by how far it has come."""
    yield place.config
    if place.publishing in paths:
        yield from (place.status, place.editions)
    if status is not None and status.status in _OVER and status.exit_code is not None:
        yield from (place.publishing, place.tables_whole, place.summary, place.certainty)


def _parts_too_many(objects: Objects, plan: Plan, paths: Collection[str]) -> Iterator[Damage]:
    benchmark, run = BenchmarkPlace(plan.benchmark), RunPlace(plan.run_id)
    for folder, note in (
        (benchmark.samples, benchmark.samples_whole),
        (run.tables, run.tables_whole),
    ):
        below = {path for path in paths if path.startswith(f"{folder}/")}
        with contextlib.suppress(CorruptError):  # told of as a note
            named = {part for parts in table_parts(objects, note).values() for part in parts}
            whole = {part.rpartition("/")[0] for part in named}
            known = {run.table(kind, s.name) for kind in KINDS for s in plan.systems}
            for path in sorted(below - named):
                at = path.rpartition("/")[0]
                if at in whole or at not in {*known, benchmark.samples}:
                    yield Damage(path, f"{path} is in no note: who reads its folder reads it too")


def _rows(paths: Iterable[str]) -> dict[str, set[str]]:
    """The names of the shards in each edition's folder, and of its identity."""
    found: dict[str, set[str]] = {}
    for path in paths:
        folder, _, file = path.rpartition("/")
        shard = shard_of(file)
        found.setdefault(folder, set()).add(shard[0] if shard else file)
    return found


def _of_node(
    plan: Plan, node: Node, status: Status | None, edition: str, rows: Mapping[str, set[str]]
) -> Iterator[Damage]:
    place = StagePlace(node.stage, node.key, edition)
    there, names = rows.get(place.folder, set()), plan.shard_names(node)
    absent = [name for name in names if name not in there]
    over = status is not None and status.status in _OVER  # until then some may be counted twice
    said = status.done.get(node.key, 0) if status and over else 0
    have = len(names) - len(absent)
    if have < said == len(names):
        yield from (_gone(place.shard(name)) for name in absent)
    elif have < said:
        words = f"{said - have} of {said} shards are missing"
        yield Damage(place.folder, f"{place.folder}: {words}")
    if have:
        beside = {place.recipe, place.identity()} if edition else {place.recipe}
        for path in sorted(beside):
            folder, _, file = path.rpartition("/")
            if file not in rows.get(folder, set()):
                yield _gone(path)


def _stale(objects: Objects, plan: Plan) -> Iterator[Damage]:
    """Rows of a run that is complete which were made from other rows than are there."""
    with contextlib.suppress(BenchmarkError, CorruptError):  # told of as what is damaged
        reader = RunReader(objects, plan)
        todo = survey(reader, "nothing", terms=None)
        for key, node in plan.nodes.items():
            for shard, revision in sorted(todo.existing[key].items()):
                if shard in todo.targets[key]:
                    path = reader.stage(node).path(shard, revision)
                    yield Damage(path, f"{path} was made from other rows than are there")
