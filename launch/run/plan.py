"""What `medgen plan` shows: stages, shards, resources, estimates, and whether it all fits."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from medgen.conf.schema import ClusterConf
from medgen.engine.plan import graph
from medgen.engine.plan.plan import GroupPlan, Node, Plan
from medgen.engine.run.fit import check_fit, logical_cpus
from medgen.engine.run.folder import Status
from medgen.engine.run.forecast import Forecast, forecast
from medgen.engine.run.pool import Machine
from medgen.engine.run.reckoning import Taken
from medgen.engine.run.speeds import Speeds, read_speeds
from medgen.engine.run.survey import Todo
from medgen.engine.store.objects import Objects
from medgen.launch.report.cells import cell
from medgen.launch.view.numbers import duration


def who(plan: Plan, group: str) -> str:
    """A group of workers in a person's words: the stage, the systems that need it, the component.

    The group is one of the plan's.
    """
    nodes = [n for n in plan.nodes.values() if n.group == group]
    systems = sorted({name for n in nodes for name in n.systems})
    labels = sorted({n.label for n in nodes})
    return f"{nodes[0].stage} of {', '.join(systems)} ({', '.join(labels)})"


def given_up_lines(plan: Plan, failed: Mapping[str, str]) -> list[str]:
    """Groups that were given up, by whom they concern, each with its reason."""
    known = {group: who(plan, group) for group in failed if group in plan.groups}
    return [f"given up: {known.get(group, group)}: {why}" for group, why in failed.items()]


def plan_totals(plan: Plan, todo: Todo) -> list[str]:
    """What is to be done, in a few lines: shards by stage, hours, keys that are not set."""
    many = "1 system" if len(plan.systems) == 1 else f"{len(plan.systems)} systems"
    lines, hours = [f"{plan.run_id} on {plan.benchmark}: {many}"], 0.0
    for stage in graph.stages_of(plan):
        nodes = [n for n in plan.nodes.values() if n.stage == stage]
        total = sum(plan.shards * n.split for n in nodes)
        left = sum(len(todo.targets[n.key]) for n in nodes)
        stored = f"{100 * (total - left) / total:.0f} % stored" if total else ""
        lines.append(f"{stage:<7} {left:,} of {total:,} shards to do, {stored}")
    for nodes in together(plan):
        group, shards = plan.groups[nodes[0].group], sum(plan.shards * n.split for n in nodes)
        left = sum(len(todo.targets[n.key]) for n in nodes)
        samples = sum(plan.samples.get(asks, 0) for asks in nodes[0].gives) * left / (shards or 1)
        hours += group.seconds_per_sample * samples / 3600
    known = f"about {hours:.2f} worker hours" if hours else "no stage says how long a sample takes"
    lines.append(f"total   {todo.shards:,} shards to do, {known}")
    names = sorted({name for group in plan.groups.values() for name in _keys(group.spec.kwargs)})
    unset = [name for name in names if not os.environ.get(name, "").strip()]
    if unset:
        lines.append(f"keys    not set: {', '.join(unset)}")
    return lines


def _keys(settings: object) -> Iterator[str]:
    """The names of variables that hold keys, anywhere in a recipe's settings."""
    if isinstance(settings, Mapping):
        for name, value in settings.items():
            if name == "api_key_env" and isinstance(value, str):
                yield value
            else:
                yield from _keys(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from _keys(value)


def plan_table(plan: Plan, todo: Todo, speeds: Speeds) -> Table:
    """One row a stage, the metrics of a system together: shards to do, resources, estimate."""
    table = Table(title=cell(f"{plan.run_id} on {plan.benchmark}"))
    for column in ("stage", "what", "systems", "shards to do", "a worker asks", "estimate"):
        table.add_column(column)
    for nodes in together(plan):
        group = plan.groups[nodes[0].group]
        shards = sum(plan.shards * n.split for n in nodes)
        left = sum(len(todo.targets[n.key]) for n in nodes)
        samples = sum(plan.samples.get(asks, 0) for asks in nodes[0].gives) * left / shards
        table.add_row(
            nodes[0].stage,
            cell(", ".join(n.label for n in nodes)),
            cell(", ".join(nodes[0].systems)),
            f"{left} of {shards}",
            _asks(group),
            _estimate(group, speeds.sample_s(group.name), samples),
        )
    return table


def together(plan: Plan) -> Iterator[list[Node]]:
    """Nodes that a person reads as one: the metrics of a system."""
    for _, nodes in groupby(plan.nodes.values(), lambda n: (n.stage, n.group, n.systems)):
        yield list(nodes)


def _asks(group: GroupPlan) -> str:
    r = group.resources
    gpu = f", {r.gpus:g} GPU" if r.gpus else ""
    memory = f", {r.memory_gib:g} GiB" if r.memory_gib else ""
    workers = "" if r.workers is None else f" x {r.workers}"
    return f"{r.cpus:g} CPU{gpu}{memory}{workers}"


def show_tree(objects: Objects, plan: Plan, todo: Todo) -> None:
    """Print the stages as a graph, and a row for each."""
    console = Console()
    console.print(cell(graph.terminal(plan)), highlight=False)
    console.print(plan_table(plan, todo, read_speeds(objects, plan)))


def foretell(objects: Objects, conf: ClusterConf, plan: Plan, todo: Todo) -> str:
    """What a run will take, as a line."""
    return forecast_line(forecast(plan, todo, read_speeds(objects, plan), known_machines(conf)))


def forecast_line(found: Forecast) -> str:
    """A forecast as a line, and what it rests on."""
    parts = []
    if found.seconds:
        where = f" on {found.gpus:g} GPU" if found.gpus else ""
        parts.append(f"about {found.seconds / 3600:.2f} h{where}")
    if found.gpu_hours:
        parts.append(f"{found.gpu_hours:.2f} GPU h with loads")
    if found.priced_samples:
        most = f", at most ${found.usd:,.2f} as stated" if found.usd else ""
        parts.append(f"{found.priced_samples:,} samples of models with a price{most}")
    if found.batched:
        parts.append(f"{found.batched:,} of them in batches, at their lower price within a day")
    for words, names in (("measured", found.measured), ("guessed", found.guessed)):
        if names:
            parts.append(f"speed of {len(names)} {words}")
    if found.unknown:
        start = "of" if found.measured or found.guessed else "speed of"
        parts.append(f"{start} {len(found.unknown)} not known")
    return f"takes   {'; '.join(parts) or 'nothing: all is there'}"


def _estimate(group: GroupPlan, sample_s: float, samples: float) -> str:
    parts = []
    if group.tokens_per_sample:
        parts.append(f"{group.tokens_per_sample * samples:,.0f} tokens")
    if sample_s:
        hours = sample_s * samples / 3600
        what = "GPU h" if group.resources.gpus else "worker h"
        parts.append(f"{hours * max(1.0, group.resources.gpus):.2f} {what}")
    return ", ".join(parts) or "-"


def check_cluster(plan: Plan, conf: ClusterConf) -> None:
    """Refuse a plan that cannot fit, as far as it can be known without starting Ray.

    Raises:
        PlanError: it cannot, with the numbers. A cluster elsewhere is checked when it is met.
    """
    if conf.pool == "ray" and conf.address is None:
        check_fit(plan, known_machines(conf))


def known_machines(conf: ClusterConf) -> Sequence[Machine]:
    """What a Ray that is started here would offer; nothing is known of a cluster elsewhere."""
    if conf.pool != "ray" or conf.address is not None:
        return []
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    offers = {
        "CPU": float(conf.num_cpus or logical_cpus()),
        "GPU": float(conf.num_gpus if conf.num_gpus is not None else _gpus()),
        "memory": float(pages - conf.object_store_mib * 1024**2) * 0.7,
    }
    return [Machine("here", offers)]


def _gpus() -> int:
    return len([n for n in os.listdir("/dev") if n.startswith("nvidia") and n[6:].isdigit()])


def standing_table(plan: Plan, todo: Todo, status: Status | None) -> Table:
    """One row a stage: shards committed, and the rows by status that this run added."""
    title = f"{plan.run_id} on {plan.benchmark}"
    if status is not None:
        title += f": {status.status}, updated {status.updated}"
    table = Table(title=cell(title), caption=cell(_caption(plan, status)))
    for column in ("stage", "what", "systems", "shards"):
        table.add_column(column)
    for nodes in together(plan):
        total = sum(plan.shards * n.split for n in nodes)
        done = total - sum(len(todo.targets[n.key]) for n in nodes)
        names = (", ".join(n.label for n in nodes), ", ".join(nodes[0].systems))
        table.add_row(nodes[0].stage, *map(cell, names), f"{done}/{total}")
    return table


def reckoning_lines(foretold: Mapping[str, Any], taken: Taken) -> list[str]:
    """What a driver foretold, each beside what has happened since."""
    rows = [
        ("time", duration, foretold["seconds"], taken.seconds),
        ("GPU hours", "{:.2f}".format, foretold["gpu_hours"], taken.gpu_hours),
        ("samples with a price", "{:,}".format, foretold["priced_samples"], taken.priced_samples),
        ("dollars", "{:,.2f}".format, foretold["usd"], taken.usd),
    ]
    return [
        f"{what}: {say(now)} so far, {say(before) if before else 'nothing'} foretold"
        for what, say, before, now in rows
        if before or now
    ]


def _caption(plan: Plan, status: Status | None) -> str:
    if status is None:
        return "no driver has published a status yet"
    rows = [
        f"{stage}: " + ", ".join(f"{word} {n}" for word, n in counts.items())
        for stage, counts in status.rows.items()
    ]
    given_up = given_up_lines(plan, status.failed)
    head = ["the last start wrote:"] if rows else []
    return "\n".join([*head, *rows, *given_up, status.reason]).strip()
