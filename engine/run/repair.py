"""Finds damaged objects of a run and puts them aside, so that the run makes them anew.

A run proves every object that it reads, and stops at one that is damaged; it does not read what
it does not need. These functions read everything that a plan names. What is damaged is moved to a
`quarantine/` folder beside it: nothing is destroyed, and nothing of it is ever read as rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.errors import CorruptError
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.editions import read_editions
from medgen.engine.run.heads import read_heads
from medgen.engine.run.known import read_known
from medgen.engine.run.reader import RunReader
from medgen.engine.run.together import together_of
from medgen.engine.store.gathering import damaged_packs
from medgen.engine.store.known_layout import is_published
from medgen.engine.store.layout import (
    BENCHMARKS,
    RUNS,
    SAMPLES,
    STAGES,
    RunPlace,
    is_identity,
    quarantine_path,
    sample_shard,
)
from medgen.engine.store.objects import Objects
from medgen.engine.store.pack_layout import PACKS, keys_bytes, keys_of


@dataclass(frozen=True, slots=True)
class Damage:
    """One object that is not what was written there."""

    path: str
    why: str


def cure(error_type: str, words: str) -> str:
    """What to do about a damaged object, behind the words that begin with its path.

    Empty where no repair helps: an object that it does not prove, one that is gone or exchanged,
    or words that say what to do.
    """
    if error_type != "CorruptError" or "--repair" in words or "medgen import" in words:
        return ""
    folder = words.partition("/")[0]
    if folder in (SAMPLES, BENCHMARKS):
        return (
            "; `medgen run --repair` imports it again from `benchmark.source`; without one, "
            "`medgen import` does"
        )
    place = words.partition(":")[0].partition(" ")[0]
    if folder == STAGES and is_identity(place.rpartition("/")[2]):
        return (
            "; nothing else knows what made the rows beside it: move "
            f"{place.rpartition('/')[0]} away, and they are made anew"
        )
    if folder in (STAGES, PACKS) or (folder == RUNS and place.rpartition("/")[2] in _MENDED):
        return "; `medgen run --repair` finds and replaces it"
    if folder == RUNS and place == RunPlace(place.split("/")[1]).status:
        return "; starting the run again writes it anew"
    if folder == RUNS and is_published(place):
        return "; `medgen report` writes it again"
    return ""


_X = RunPlace("x")
_MENDED = tuple(path.rpartition("/")[2] for path in (_X.plan, _X.editions, _X.heads))


def damaged_samples(objects: Objects, ref: str) -> Iterator[Damage]:
    """Every shard of a benchmark that is damaged or missing.

    Raises:
        BenchmarkError: the benchmark's manifest is missing.
        CorruptError: the benchmark's manifest is damaged.
    """
    benchmark = Benchmark(objects, ref)
    for shard, entry in enumerate(benchmark.manifest.shards):
        try:
            benchmark.table(shard)
        except CorruptError as err:
            yield Damage(sample_shard(entry.digest), str(err))


def damaged_stages(objects: Objects, plan: Plan) -> Iterator[Damage]:
    """Every damaged shard of a plan's stages, at the revision that is read, and damaged parts.

    And packs that do not say any more what is in them: all of that is made anew.
    """
    yield from packs_without_index(objects, plan)
    reader = RunReader(objects, plan)
    for node in plan.nodes.values():
        for shard, revision in sorted(reader.revisions(node).items()):
            if found := _shard_damage(reader, node, shard, revision):
                yield found
        yield from _part_damages(reader, node)


def packs_without_index(objects: Objects, plan: Plan) -> Iterator[Damage]:
    """Every pack of the stages whose index is damaged; nobody else meets it through `objects`."""
    stages = dict.fromkeys(node.stage for node in plan.nodes.values())
    for path, why in damaged_packs(objects, stages):
        yield Damage(path, why)


def renew_lists(objects: Objects, plan: Plan) -> None:
    """Write the lists of keys anew that stand beside a plan's packs and do not name them."""
    for group in plan.groups:
        together = together_of(plan, group)
        if objects.names(together.place.folder):
            try:
                keys_of(objects.read(together.place.keys), together.place)
            except (FileNotFoundError, CorruptError):
                objects.replace(together.place.keys, keys_bytes(together.keys))


def damaged_notes(objects: Objects, plan: Plan) -> Iterator[Damage]:
    """A run's list of editions, where it cannot be read: without one, a run chooses anew.

    And its notes for the next start, which a run with nothing to do may not write again.
    """
    place = RunPlace(plan.run_id)
    try:
        read_editions(objects, plan.run_id)
    except CorruptError as err:
        yield Damage(place.editions, str(err))
    for path, read in ((place.heads, read_heads), (place.known, read_known)):
        try:
            read(objects, path)
        except CorruptError as err:
            yield Damage(path, str(err))


def _part_damages(reader: RunReader, node: Node) -> Iterator[Damage]:
    stage = reader.stage(node)
    for folder in sorted(reader.listing(node).parts):
        for path in stage.part_paths(folder):
            try:
                stage.proven(path)
            except CorruptError as err:
                yield Damage(path, str(err))


def _shard_damage(reader: RunReader, node: Node, shard: int, revision: int) -> Damage | None:
    stage = reader.stage(node)
    try:
        stage.read(shard, revision)
    except CorruptError as err:
        return Damage(stage.path(shard, revision), str(err))
    return None


def quarantine(objects: Objects, damage: Damage) -> str:
    """Move a damaged object aside; returns where it is now. Nothing happens when it is gone."""
    aside = quarantine_path(damage.path)
    try:
        content = objects.read(damage.path)
    except FileNotFoundError:
        return aside
    objects.create(aside, content)
    objects.delete(damage.path)
    return aside
