"""`medgen run --repair`: everything that a run would read is proven, and what is damaged replaced.

Stage shards are put aside, and the run makes them anew as their next revision. A benchmark is
imported again from where its configuration says it comes from, and must come out the same.
"""

from collections.abc import Callable
from itertools import chain

from medgen.conf.schema import BenchmarkConf
from medgen.engine.benchmark.importing import import_benchmark
from medgen.engine.benchmark.manifest import benchmark_refs, find_benchmark
from medgen.engine.errors import BenchmarkError, CorruptError, StoreError
from medgen.engine.plan.plan import Plan
from medgen.engine.run.events import Event
from medgen.engine.run.folder import RunFolder
from medgen.engine.run.repair import (
    Damage,
    damaged_notes,
    damaged_samples,
    damaged_stages,
    quarantine,
    renew_lists,
)
from medgen.engine.store.layout import BenchmarkPlace, benchmark_name
from medgen.engine.store.objects import Objects
from medgen.launch import compose

Tell = Callable[[Event], None]


def mend_benchmark(objects: Objects, conf: BenchmarkConf, tell: Tell) -> None:
    """Import a benchmark again when its manifest or a shard of it is missing or damaged.

    Raises:
        CorruptError: it is damaged, and the configuration does not say where it comes from.
        BenchmarkError: what its source gives now is another benchmark.
    """
    found = list(_benchmark_damage(objects, conf.name))
    if not found:
        return
    if not conf.source:
        raise CorruptError(
            f"{found[0].why}; `benchmark.source` does not say where {conf.name} comes from, "
            "so import it again with `medgen import`"
        )
    before = set(benchmark_refs(objects))
    for damage in found:
        _put_aside(objects, damage, tell)
    manifest = import_benchmark(compose.source_of(conf), objects, compose.import_options(conf))
    if manifest.ref not in before:
        raise BenchmarkError(f"{conf.source} is no longer {conf.name}: it gives {manifest.ref}")


def _benchmark_damage(objects: Objects, name: str) -> list[Damage]:
    refs = [r for r in benchmark_refs(objects) if name in (r, benchmark_name(r))]
    if len(refs) != 1:
        return []  # none: it is imported as usual; several: the run says which to choose
    try:
        return list(damaged_samples(objects, find_benchmark(objects, refs[0]).manifest.ref))
    except (BenchmarkError, CorruptError) as err:
        return [Damage(BenchmarkPlace(refs[0]).manifest, str(err))]


def mend_run(objects: Objects, plan: Plan, tell: Tell) -> None:
    """Put the damaged shards of a plan aside, and a plan and notes that cannot be read."""
    folder = RunFolder(objects, plan.run_id)
    plans = []
    try:
        folder.plan()
    except CorruptError as err:
        plans = [Damage(folder.place.plan, str(err))]
    except StoreError:
        pass  # it has none yet
    for damage in chain(plans, damaged_notes(objects, plan), damaged_stages(objects, plan)):
        _put_aside(objects, damage, tell)
    renew_lists(objects, plan)


def _put_aside(objects: Objects, damage: Damage, tell: Tell) -> None:
    aside = quarantine(objects, damage)
    tell(Event("quarantined", "", details={"path": damage.path, "why": damage.why, "now": aside}))
