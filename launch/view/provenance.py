"""What made the numbers: passports, the plan as a graph, who worked when, and what it cost."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from medgen.engine.plan.graph import stages_of
from medgen.launch.report.escaping import visible
from medgen.launch.view import charts, numbers
from medgen.launch.view.data import Row, StoredRun, SystemEntry
from medgen.launch.view.moments import moment

_FIRST = ("component", "profile", "implementation", "semantics", "weights", "resize")
_BLOCKS = 700  # rectangles in the timeline; more are merged
_LANES = 40
_TOGETHER_S = 0.25  # receipts of one unit are written one after another


@dataclass(frozen=True, slots=True)
class Passport:
    """What made one value; `others` is everything that has no column of its own."""

    title: str
    firsts: tuple[str, ...]
    others: tuple[tuple[str, str], ...]
    several: bool  # systems were not measured alike


def passports(data: StoredRun) -> tuple[tuple[str, ...], list[Passport]]:
    """The columns of the table, and a line a value."""
    makings: dict[str, list[str]] = defaultdict(list)
    for row in data.summary:
        if row["group_kind"] == "all":
            makings["/".join((row["stage"], row["label"], row["output"]))].append(row["making"])
    found = []
    for value in data.values:
        if not value.overall:
            continue
        texts = list(dict.fromkeys(makings["/".join(value.key)]))
        making = {str(k): str(v) for k, v in json.loads(texts[0] or "{}").items()}
        firsts = tuple(_spell(making, name) for name in _FIRST)
        others = [(k, v) for k, v in making.items() if not k.startswith(_FIRST)]
        others.append(("direction", value.direction or "unknown"))
        found.append(
            Passport(f"{value.title} {value.arrow}", firsts, tuple(others), len(texts) > 1)
        )
    return _FIRST, found


def _spell(making: Mapping[str, str], name: str) -> str:
    own = {k: v for k, v in making.items() if k == name or k.startswith(f"{name}.")}
    return ", ".join(own.values()).removeprefix("medgen.metrics.")


def plan_graph(data: StoredRun) -> tuple[Markup, list[Row]]:
    """The plan drawn in layers, stages from left to right, and the same as a list."""
    plan, status = data.plan, data.status
    stages = stages_of(plan)
    merged: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, node in plan.nodes.items():
        merged[node.stage, node.label].append(key)
    column: dict[str, list[tuple[str, str]]] = {s: [k for k in merged if k[0] == s] for s in stages}
    width, step = 250, 30
    height = 40 + step * max(len(c) for c in column.values())
    place = {
        k: (20 + width * x, 40 + step * y)
        for x, s in enumerate(stages)
        for y, k in enumerate(column[s])
    }
    owner = {key: k for k, keys in merged.items() for key in keys}
    parts, rows, drawn = [], list[Row](), set[tuple[tuple[str, str], tuple[str, str]]]()
    for key, node in plan.nodes.items():
        for up in node.upstream:
            edge = (owner[up], owner[key]) if up in owner else None
            if edge and edge not in drawn and edge[0][0] != edge[1][0]:
                drawn.add(edge)
                (x1, y1), (x2, y2) = place[edge[0]], place[edge[1]]
                parts.append(charts.line("join", (x1 + 190, y1 + 11), (x2, y2 + 11)))
    for k in (k for own in column.values() for k in own):
        keys = merged[k]
        total = sum(plan.shards * plan.nodes[i].split for i in keys)
        done = sum((status.done if status else {}).get(i, 0) for i in keys)
        x, y = place[k]
        kind = "nodebox done" if done == total else "nodebox"
        parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="190" height="22" rx="4"/>')
        parts.append(charts.text(x + 8, y + 15, charts.cut_middle(k[1], 21), "start strong"))
        parts.append(charts.text(x + 184, y + 15, f"{done}/{total}", "end"))
        rows.append({"stage": k[0], "label": k[1], "done": done, "total": total,
                     "systems": len({s for i in keys for s in plan.nodes[i].systems})})  # fmt: skip
    parts += [charts.text(20 + width * x, 24, s, "start strong") for x, s in enumerate(stages)]
    said = f"{len(rows)} stages in {len(stages)} layers: " + ", ".join(stages)
    return charts.svg(said, 20 + width * len(stages), height, parts), rows


def _units(events: Sequence[Row]) -> Iterator[Row]:
    """Receipts, one a unit of work: those of several keys that began together took one time."""
    starts: dict[tuple[object, ...], list[float]] = {}
    for event in events:
        if event["event"] == "receipt":
            start = moment(event) - float(event.get("seconds") or 0)
            known = starts.setdefault((event.get("group"), event.get("shard")), [])
            if all(abs(start - other) > _TOGETHER_S for other in known):
                known.append(start)
                yield event


def timeline(data: StoredRun) -> Markup | None:
    """Who worked when: a lane a worker, a block a shard; trouble as a cross."""
    events = data.events()
    blocks: dict[str, list[tuple[float, float]]] = defaultdict(list)
    crosses: list[tuple[str, float]] = []
    stages: dict[str, str] = {}
    for event in _units(events):
        end, group = moment(event), str(event.get("group", ""))
        blocks[group].append((end - float(event.get("seconds") or 0), end))
        stages[group] = str(event.get("stage", ""))
    for event in events:
        if event["event"] in ("trouble", "gave_up"):
            crosses.append((str(event.get("group", "")), moment(event)))
    if not blocks:
        return None
    first = min(a for own in blocks.values() for a, _ in own)
    last = max(b for own in blocks.values() for _, b in own)
    lanes = [(g, lane) for g in blocks for lane in _lanes(blocks[g], (last - first) / _BLOCKS)]
    return _draw_lanes(lanes[:_LANES], crosses, stages, _group_names(data, blocks), (first, last))


def _group_names(data: StoredRun, groups: Iterable[str]) -> dict[str, str]:
    """What each group of workers does, where it does one thing: `answer small-reader`."""
    found = {}
    for group in groups:
        labels = {n.label for n in data.plan.nodes.values() if n.group == group}
        stage = group.partition("/")[0]
        found[group] = f"{stage} {labels.pop()}" if len(labels) == 1 else stage
    return found


def _lanes(own: list[tuple[float, float]], least: float) -> list[list[tuple[float, float]]]:
    """Blocks that overlap go to lanes of their own; neighbours of one lane become one block."""
    lanes: list[list[tuple[float, float]]] = []
    for start, end in sorted(own):
        free = next((lane for lane in lanes if lane[-1][1] <= start + 0.02), None)
        if free is None:
            lanes.append([(start, end)])
        elif start - free[-1][1] < least:
            free[-1] = (free[-1][0], end)
        else:
            free.append((start, end))
    return lanes


def _draw_lanes(
    lanes: Sequence[tuple[str, list[tuple[float, float]]]],
    crosses: Sequence[tuple[str, float]],
    stages: Mapping[str, str],
    names: Mapping[str, str],
    span: tuple[float, float],
) -> Markup:
    left, width, step = 220, 1000, 20
    wide = (span[1] - span[0]) or 1.0
    height = 30 + step * len(lanes)

    def at(moment: float) -> float:
        return left + (width - left - 10) * (moment - span[0]) / wide

    parts = []
    for seconds in numbers.ticks(0, wide, 6):
        x = at(span[0] + seconds)
        parts += [
            charts.line("grid", (x, 22), (x, height)),
            charts.text(x, 14, numbers.duration(seconds)),
        ]
    seen: set[str] = set()
    for i, (group, blocks) in enumerate(lanes):
        y = 28 + step * i
        if group not in seen:
            parts.append(charts.text(0, y + 10, charts.cut_middle(names[group], 32), "start"))
            parts += [charts.text(at(m), y + 12, "✕", "cross") for g, m in crosses if g == group]
            seen.add(group)
        parts.append(
            f'<rect class="idle" x="{left}" y="{y}" width="{width - left - 10}" height="12"/>'
        )
        for start, end in blocks:
            wide_ = max(1.0, at(end) - at(start))
            kind = "".join(c for c in stages[group] if c.isalnum())
            place = f'x="{at(start):.1f}" y="{y}" width="{wide_:.1f}" height="12"'
            parts.append(f'<rect class="work {kind}" {place}/>')
    total = numbers.duration(wide)
    return charts.svg(f"{len(lanes)} workers over {total}", width, height, parts)


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one system's predictions took."""

    entry: SystemEntry
    rows: int
    prompt: int
    completion: int
    cached: str
    seconds: str
    each: str
    dollars: str
    thousand: str


def costs(data: StoredRun) -> list[CostLine]:
    """Tokens, time and dollars of every system's predictions."""
    found = []
    for entry in data.systems:
        table = data.predictions[entry.name]
        if not table.num_rows:
            continue
        rows = table.num_rows
        prompt, money = _sum(table, "prompt_tokens"), _sum(table, "cost_usd")
        seconds = _sum(table, "seconds")
        found.append(
            CostLine(
                entry, rows, int(prompt), int(_sum(table, "completion_tokens")),
                numbers.percent(_sum(table, "cached_tokens"), prompt) if prompt else "-",
                numbers.duration(seconds), numbers.duration(seconds / rows),
                numbers.dollars(money), numbers.dollars(1000 * money / rows),
            )
        )  # fmt: skip
    return found


def stage_costs(data: StoredRun) -> list[Row]:
    """Rows, time, tokens and dollars by stage, from the events of this run."""
    found: dict[str, Row] = {}
    events = data.events()
    for event in (e for e in events if e["event"] == "receipt" and e.get("part") is None):
        row = found.setdefault(
            visible(str(event["stage"])),
            {"shards": 0, "seconds": 0.0, "gpu_hours": 0.0, "tokens": 0, "dollars": 0.0},
        )
        row["shards"] += 1
        row["tokens"] += int(event.get("completion_tokens") or 0) + int(
            event.get("prompt_tokens") or 0
        )
        row["dollars"] += float(event.get("cost_usd") or 0)
    for event in _units(events):
        if (stage := visible(str(event["stage"]))) in found:
            seconds, group = float(event.get("seconds") or 0), str(event.get("group", ""))
            gpus = data.plan.groups[group].resources.gpus if group in data.plan.groups else 0.0
            found[stage]["seconds"] += seconds
            found[stage]["gpu_hours"] += gpus * seconds / 3600
    return [{"stage": stage} | row for stage, row in found.items()]


def _sum(table: pa.Table, name: str) -> float:
    return float(pc.sum(table[name]).as_py() or 0.0)
