"""The Grafana dashboard and the exporter speak of the same metrics."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from medgen.actors.telemetry import METRICS
from medgen.engine.plan.plan import Plan
from medgen.engine.run.events import Event
from medgen.engine.run.pool import Receipt, Target
from medgen.engine.run.survey import Todo

BOARD: dict[str, Any] = json.loads(
    files("medgen.launch").joinpath("cluster", "grafana-dashboard.json").read_text(encoding="utf-8")
)
_SERIES = re.compile(r"ray_(medgen_\w+)(\{[^}]*\})?")


def expressions() -> Iterator[str]:
    for panel in BOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (v["query"]["query"] for v in BOARD["templating"]["list"] if v["type"] == "query")


def series() -> Iterator[tuple[str, str]]:
    """Name and label matchers of every series asked for."""
    for expression in expressions():
        for name, labels in _SERIES.findall(expression):
            yield re.sub(r"_(bucket|sum|count)$", "", name), labels


def test_every_series_of_the_dashboard_exists() -> None:
    assert {name for name, _ in series()} <= set(METRICS)


def test_every_metric_is_shown() -> None:
    assert set(METRICS) <= {name for name, _ in series()}


def test_labels_are_those_of_the_metric() -> None:
    for name, matchers in series():
        asked = set(re.findall(r"(\w+)\s*(?:=|!)", matchers))
        assert asked <= set(METRICS[name][1]), (name, matchers)
    for expression in expressions():
        names = [re.sub(r"_bucket$", "", n) for n, _ in _SERIES.findall(expression)]
        known = {"le"}.union(*(METRICS[n][1] for n in names))
        for group in re.findall(r"by \(([^)]*)\)", expression):
            assert {word.strip() for word in group.split(",")} <= known, expression


def test_panels_do_not_lie_over_each_other() -> None:
    taken = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in BOARD["panels"]]
    assert len(set(taken)) == len(taken)
    assert len({p["id"] for p in BOARD["panels"]}) == len(taken)


def test_counters_are_named_as_prometheus_has_it() -> None:
    for name, (kind, _, words) in METRICS.items():
        assert name.endswith("_total") == (kind == "counter")
        assert words.isascii(), "Ray takes no other text"


def test_what_is_counted(small_plan: Plan) -> None:
    """Rows once, though a shard was committed in parts; the queue empties; tokens add up."""
    from medgen.actors.telemetry import Telemetry

    (node,) = small_plan.predictions("echo")
    todo = Todo({k: {} for k in small_plan.nodes}, {})
    todo.targets[node.key] = {0: Target(node.key), 1: Target(node.key)}
    told: list[tuple[str, float, dict[str, str]]] = []

    class Seen:
        def __init__(self, name: str) -> None:
            self.name = name

        def note(self, value: float, tags: dict[str, str]) -> None:
            told.append((self.name, value, tags))

        inc = set = observe = note

    telemetry = Telemetry(small_plan, todo)
    telemetry._metrics = {name: Seen(name) for name in METRICS}
    receipt = Receipt(
        "answer", node.key, 0, {"ok": 3, "refused": 1}, 10, 2.0, prompt_tokens=8, cached_tokens=2
    )
    part = Receipt(
        "answer", node.key, 0, {"ok": 2}, 5, 1.0, prompt_tokens=8, cached_tokens=8, part=(0, 2)
    )
    telemetry(Event("opened", node.group, details={"workers": 2}))
    for each in (part, receipt):
        telemetry(Event("receipt", node.group, each))
    telemetry(Event("trouble", node.group, details={"what": "crashed"}))
    telemetry(Event("closed", node.group))
    rows = {tags["status"]: value for name, value, tags in told if name == "medgen_rows_total"}
    assert rows == {"ok": 3, "refused": 1}
    last = {name: value for name, value, _ in told}
    assert last["medgen_queue_depth"] == 1
    assert last["medgen_cache_hit_ratio"] == 0.25
    assert last["medgen_workers"] == 0
    assert ("medgen_trouble_total", 1) in {(name, value) for name, value, _ in told}
    assert all(tags["run"] == small_plan.run_id for _, _, tags in told)
