"""What `medgen status` says on a terminal of 80 columns: how far, what failed, what is left."""

from collections import Counter
from collections.abc import Iterator

from medgen.engine.plan.graph import stages_of
from medgen.engine.plan.plan import Plan
from medgen.engine.run.folder import Status
from medgen.engine.run.survey import Todo
from medgen.launch.report.escaping import visible
from medgen.launch.run.plan import given_up_lines

_NAMED = 3  # systems of a stage that are named as not done
_FINE = ("ok", "not_applicable")
_WORDS = {"success": "complete", "started": "running"}


def status_lines(plan: Plan, todo: Todo, status: Status | None) -> Iterator[str]:
    """A line on the whole, a line a stage, and why a run stands where it does."""
    yield _first_line(plan, todo, status)
    yield f"{'stage':<8} {'shards':>13}  what is left"
    for stage in stages_of(plan):
        yield _stage_line(plan, todo, stage)
    if status is None:
        yield "no driver has published a status yet"
        return
    yield from _last_start_lines(status)
    told = [*given_up_lines(plan, status.failed), *status.reason.splitlines()]
    yield from map(visible, told)


def _first_line(plan: Plan, todo: Todo, status: Status | None) -> str:
    total = sum(plan.shards * n.split for n in plan.nodes.values())
    left = sum(len(targets) for targets in todo.targets.values())
    share = 100 * (total - left) // total if total else 100
    word = _WORDS.get(status.status, status.status) if status else "not started"
    when = f", {status.updated[:16].replace('T', ' ')} UTC" if status else ""
    return f"{plan.run_id}: {word}{when}, {share} % done"


def _last_start_lines(status: Status) -> Iterator[str]:
    """What rows the last start wrote; those of earlier starts and other runs are not counted."""
    yield "the last start wrote" + ("" if status.rows else " no row: what there is was there")
    for stage, rows in status.rows.items():
        failed = sum(n for word, n in rows.items() if word not in _FINE)
        counts = ", ".join(f"{word} {n:,}" for word, n in rows.items())
        yield f"  {stage}: {counts}" + (f" ({failed:,} failed)" if failed else "")


def _stage_line(plan: Plan, todo: Todo, stage: str) -> str:
    nodes = [n for n in plan.nodes.values() if n.stage == stage]
    total = sum(plan.shards * n.split for n in nodes)
    owing: Counter[str] = Counter()
    for node in nodes:
        owing[", ".join(node.systems)] += len(todo.targets[node.key])
    left = [(name, n) for name, n in owing.most_common() if n]
    named = ", ".join(f"{visible(name)} {n:,}" for name, n in left[:_NAMED])
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    done = f"{total - owing.total():,}/{total:,}"
    return f"{stage:<8} {done:>13}  {named}{more}".rstrip()
