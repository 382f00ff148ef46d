"""The miniature benchmark, one system and a judge by rule: a whole run without any weights."""

import shutil
from functools import cache
from pathlib import Path

import pyarrow as pa

from medgen.actors.chaos import ChaoticPool
from medgen.actors.local_pool import LocalPool
from medgen.conf import RunConf, load
from medgen.engine.benchmark.manifest import find_benchmark
from medgen.engine.plan.faulty import inject_faults
from medgen.engine.plan.plan import Plan, Recipe, make_plan
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.chaos import Chaos, chaotic_url
from medgen.engine.store.connect import connect
from medgen.launch import compose

Tables = dict[str, pa.Table]


@cache
def configured() -> RunConf:
    wishes = ["systems=[copy-input]", "protocol=weight-free", "judges=[rule]", "benchmark=mini"]
    return load(None, [*wishes, "cluster=in-process", "store=none"])


@cache
def recipe() -> Recipe:
    return compose.recipe(configured())


def carry(root: Path, chaos: Chaos) -> tuple[Ending, Plan]:
    """A run over the store at `root`, with faults."""
    objects = connect(chaotic_url(str(root), chaos))
    plan = make_plan(inject_faults(recipe(), chaos), find_benchmark(objects, "mini").manifest)
    reader = RunReader(objects, plan)
    pool = ChaoticPool(LocalPool(), chaos)
    try:
        return carry_out(reader, survey(reader), pool, Options()), plan
    finally:
        pool.shutdown()


def tables(root: Path, plan: Plan) -> Tables:
    """All rows of a run by stage, read without faults: what it cost in time is left out."""
    reader = RunReader(connect(str(root)), plan)
    found = {}
    for node in plan.nodes.values():
        parts = [reader.table(node, shard) for shard in range(plan.shards)]
        assert all(part is not None for part in parts), f"{node.stage} {node.label} has gaps"
        table = pa.concat_tables(parts)
        timed = [name for name in ("seconds",) if name in table.column_names]
        found[f"{node.stage} {node.label}"] = table.drop_columns(timed)
    return found


def copy_of(calm: Path, root: Path) -> Path:
    """A store with the benchmark and nothing else."""
    for name in ("benchmarks", "samples"):
        shutil.copytree(calm / name, root / name)
    return root
