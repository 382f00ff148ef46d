"""What a run is made of: the objects of the store without which it could not be shown again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.errors import BenchmarkError, CorruptError
from medgen.engine.plan.plan import Plan
from medgen.engine.run.sentinels import sentinel_places
from medgen.engine.store.glance import glance
from medgen.engine.store.layout import (
    STAGES,
    BenchmarkPlace,
    RunPlace,
    StagePlace,
    sample_shard,
    shard_of,
    stage_folder,
)
from medgen.engine.store.objects import Objects

SETS = "sets"
Address = tuple[str, str]  # stage, key


@dataclass(frozen=True, slots=True)
class Needs:
    """The paths of a run's objects, each once."""

    benchmark: tuple[str, ...]
    rows: tuple[str, ...]  # of stages, those made from others first
    sentinels: tuple[str, ...]
    folder: tuple[str, ...]  # of the run itself, its plan last

    @property
    def all(self) -> tuple[str, ...]:
        """Every path, in the order in which a copy is never found half there."""
        return (*self.benchmark, *self.rows, *self.sentinels, *self.folder)


def needs(objects: Objects, plan: Plan) -> Needs:
    """List what a run needs, as it stands now.

    Of a run that goes on, rows are listed before what they were made from, so that nothing is
    without it.
    """
    place = RunPlace(plan.run_id)
    passing = (place.plan, f"{place.drivers}/")  # signs of life come and go
    own = [path for path in objects.walk(place.folder) if not path.startswith(passing)]
    addresses = [*sets_addresses(objects, plan), *((n.stage, n.key) for n in plan.nodes.values())]
    stages = glance(objects)
    rows = [p for s, k in reversed(addresses) for p in stages.walk(StagePlace(s, k).folder)]
    sentinels = [p for s in sentinel_places(plan) for p in objects.walk(s.folder)]
    rows = [path for path in rows if _is_of(path, plan)]
    benchmark = [*_samples(objects, plan), *objects.walk(BenchmarkPlace(plan.benchmark).folder)]
    return Needs(tuple(benchmark), tuple(rows), tuple(sentinels), (*own, place.plan))


def _is_of(path: str, plan: Plan) -> bool:
    """Whether rows are about samples of the plan: others keep theirs under the same recipe."""
    known = shard_of(path.rpartition("/")[2])
    return known is None or known[0].partition("-")[0] in plan.digests


def _samples(objects: Objects, plan: Plan) -> list[str]:
    """The benchmark's shards; only the plan's own where the manifest cannot be read."""
    try:
        shards = Benchmark(objects, plan.benchmark).manifest.shards
    except (BenchmarkError, CorruptError):
        return [sample_shard(digest) for digest in plan.digests]
    return [sample_shard(entry.digest) for entry in shards]


def stage_addresses(objects: Objects) -> Iterator[Address]:
    """Every stage that has rows in the store, whoever needs it."""
    for stage in objects.names(STAGES):
        for key in objects.names(stage_folder(stage)):
            yield stage, key


def sets_addresses(objects: Objects, plan: Plan) -> list[Address]:
    """Where the features of the plan's pictures stand, by any encoder."""
    mine = set(plan.nodes)
    return [
        (SETS, key)
        for key in objects.names(stage_folder(SETS))
        if mine & set(made_of(objects, SETS, key))
    ]


def made_of(objects: Objects, stage: str, key: str) -> tuple[str, ...]:
    """The keys of the rows that features were made of, as their recipe says.

    Raises:
        CorruptError: the recipe cannot be read.
    """
    name = StagePlace(stage, key).recipe
    try:
        return tuple(json.loads(objects.read(name))["of"])
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError) as err:
        raise CorruptError(f"{name}: not the recipe of features ({err})") from err
