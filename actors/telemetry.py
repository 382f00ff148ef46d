"""A run's numbers in Ray's own exporter, which Prometheus scrapes on every machine.

Everything comes from receipts, so that nothing is counted twice: the driver alone reports.
Ray puts `ray_` before each name. Rates (rows/s, tokens/s) are the scraper's to take.
"""

from collections import Counter
from typing import Any

from ray.util import metrics

from medgen.engine.beside import read_beside
from medgen.engine.plan.plan import Plan
from medgen.engine.run.events import Event
from medgen.engine.run.pool import Receipt
from medgen.engine.run.survey import Todo

SECONDS = (0.1, 0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 300, 600, 1800)  # a shard is 30-60 s

# name -> (kind, tags, what it says)
METRICS = read_beside(__package__, "telemetry.yaml", dict[str, tuple[str, tuple[str, ...], str]])


class Telemetry:
    """Told of every event of a run, in a process that is connected to Ray."""

    def __init__(self, plan: Plan, todo: Todo) -> None:
        """Publish how much there is to do."""
        self._run = plan.run_id
        self._stage = {name: group.stage for name, group in plan.groups.items()}
        self._metrics = {name: _metric(name) for name in METRICS}
        self._left: Counter[str] = Counter()
        self._workers: dict[str, int] = {}
        self._tokens: Counter[tuple[str, str]] = Counter()
        for key, node in plan.nodes.items():
            self._left[node.stage] += len(todo.targets[key])
        for stage in self._left:
            self._set("medgen_queue_depth", stage, self._left[stage])

    def __call__(self, event: Event) -> None:
        """Count it."""
        if event.receipt is not None:
            self._count_commit(event.receipt)
        elif event.kind == "trouble":
            what = str(event.details["what"])
            self._add("medgen_trouble_total", self._stage[event.group], 1, what=what)
        elif event.kind in ("opened", "released", "closed"):
            self._staff(event)

    def _count_commit(self, receipt: Receipt) -> None:
        stage = receipt.stage
        tags = {"run": self._run, "stage": stage}
        self._metrics["medgen_shard_seconds"].observe(receipt.seconds, tags)
        if receipt.part is not None:
            return  # parts are put together again, and come once more with the whole
        self._add("medgen_bytes_total", stage, receipt.size)
        self._add("medgen_cost_usd_total", stage, receipt.cost_usd)
        self._count_tokens(receipt)
        for status, rows in receipt.rows.items():
            self._add("medgen_rows_total", stage, rows, status=status)
        self._left[stage] -= 1
        self._set("medgen_queue_depth", stage, self._left[stage])

    def _count_tokens(self, receipt: Receipt) -> None:
        counts = {
            "prompt": receipt.prompt_tokens,
            "completion": receipt.completion_tokens,
            "cached": receipt.cached_tokens,
        }
        for kind, count in counts.items():
            self._add("medgen_tokens_total", receipt.stage, count, kind=kind)
            self._tokens[receipt.stage, kind] += count
        if prompt := self._tokens[receipt.stage, "prompt"]:
            ratio = self._tokens[receipt.stage, "cached"] / prompt
            self._set("medgen_cache_hit_ratio", receipt.stage, ratio)

    def _staff(self, event: Event) -> None:
        self._workers[event.group] = int(event.details.get("workers", 0))
        stage = self._stage[event.group]
        total = sum(n for group, n in self._workers.items() if self._stage[group] == stage)
        self._set("medgen_workers", stage, total)

    def _add(self, name: str, stage: str, amount: float, **tags: str) -> None:
        if amount > 0:  # Ray refuses to count nothing
            self._metrics[name].inc(amount, {"run": self._run, "stage": stage, **tags})

    def _set(self, name: str, stage: str, value: float) -> None:
        self._metrics[name].set(value, {"run": self._run, "stage": stage})


def _metric(name: str) -> Any:
    kind, tags, words = METRICS[name]
    if kind == "histogram":
        return metrics.Histogram(name, words, list(SECONDS), tags)
    return (metrics.Counter if kind == "counter" else metrics.Gauge)(name, words, tags)
