"""What `medgen status` shows."""

from rich.table import Table

from medgen.engine.plan.plan import Plan
from medgen.engine.run.folder import Status
from medgen.engine.run.survey import Todo
from medgen.launch.planning import together


def standing_table(plan: Plan, todo: Todo, status: Status | None) -> Table:
    """One row a stage: shards committed, and the rows by status that this run added."""
    title = f"{plan.run_id} on {plan.benchmark}"
    if status is not None:
        title += f": {status.status}, updated {status.updated}"
    table = Table(title=title, caption=_caption(status))
    for column in ("stage", "what", "systems", "shards"):
        table.add_column(column)
    for nodes in together(plan):
        total = sum(plan.shards * n.split for n in nodes)
        done = total - sum(len(todo.targets[n.key]) for n in nodes)
        what = ", ".join(n.label for n in nodes)
        table.add_row(nodes[0].stage, what, ", ".join(nodes[0].systems), f"{done}/{total}")
    return table


def _caption(status: Status | None) -> str:
    if status is None:
        return "no driver has published a status yet"
    rows = [
        f"{stage}: " + ", ".join(f"{word} {n}" for word, n in counts.items())
        for stage, counts in status.rows.items()
    ]
    given_up = [f"given up: {group}: {reason}" for group, reason in status.failed.items()]
    return "\n".join([*rows, *given_up, status.reason]).strip()
