"""What `medgen plan` shows: stages, shards, resources, estimates, and whether it all fits."""

import os
from collections.abc import Mapping, Sequence

from rich.table import Table

from conf.schema import ClusterConf
from engine.fit import check_fit
from engine.plan import GroupPlan, Plan
from engine.survey import Todo

_GIB = 1024**3


def plan_table(plan: Plan, todo: Todo) -> Table:
    """One row a stage: who shares it, shards to do, what a worker asks, what is estimated."""
    table = Table(title=f"{plan.run_id} on {plan.benchmark}")
    for column in ("stage", "what", "systems", "shards to do", "a worker asks", "estimate"):
        table.add_column(column)
    for key, node in plan.nodes.items():
        group = plan.groups[node.group]
        shards = plan.shards * node.split
        left = len(todo.targets[key])
        table.add_row(
            node.stage,
            node.label,
            ", ".join(node.systems),
            f"{left} of {shards}",
            _asks(group),
            _estimate(group, sum(plan.samples.get(f, 0) for f in node.formats) * left / shards),
        )
    return table


def _asks(group: GroupPlan) -> str:
    r = group.resources
    gpu = f", {r.gpus:g} GPU" if r.gpus else ""
    memory = f", {r.memory_gib:g} GiB" if r.memory_gib else ""
    return f"{r.cpus:g} CPU{gpu}{memory} x {r.workers}"


def _estimate(group: GroupPlan, samples: float) -> str:
    parts = []
    if group.tokens_per_sample:
        parts.append(f"{group.tokens_per_sample * samples:,.0f} tokens")
    if group.seconds_per_sample:
        hours = group.seconds_per_sample * samples / 3600
        what = "GPU h" if group.resources.gpus else "worker h"
        parts.append(f"{hours * max(1.0, group.resources.gpus):.2f} {what}")
    return ", ".join(parts) or "-"


def check_cluster(plan: Plan, conf: ClusterConf) -> None:
    """Refuse a plan that cannot fit, as far as it can be known without starting Ray.

    Raises:
        PlanError: it cannot, with the numbers. A cluster elsewhere is checked when it is met.
    """
    if conf.pool == "ray" and conf.address is None:
        check_fit(plan, local_nodes(conf))


def local_nodes(conf: ClusterConf) -> Sequence[Mapping[str, float]]:
    """What a Ray that is started here would offer."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return [
        {
            "CPU": float(conf.num_cpus or os.cpu_count() or 1),
            "GPU": float(conf.num_gpus if conf.num_gpus is not None else _gpus()),
            "memory": float(pages - conf.object_store_mib * 1024**2) * 0.7,
        }
    ]


def _gpus() -> int:
    return len([n for n in os.listdir("/dev") if n.startswith("nvidia") and n[6:].isdigit()])
