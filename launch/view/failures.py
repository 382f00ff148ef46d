"""What went wrong: how often, whose, where it gathers, and why."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from medgen.engine.data import FINE
from medgen.engine.results.statistics import binomial_interval
from medgen.launch.report.escaping import shorten, visible
from medgen.launch.view import numbers
from medgen.launch.view.board import Axis
from medgen.launch.view.certain import headline
from medgen.launch.view.data import Row, StoredRun, SystemEntry, value_key, value_title
from medgen.launch.view.scripts import shard_at

Positions = npt.NDArray[np.int64]
_CAUSES = 40
_EXAMPLES = 4
_PLACES = 8
_TROUBLES = 50
# What differs between messages of one cause: numbers, paths, addresses, quoted ids, digests.
_PARTICULARS = re.compile(
    r"https?://\S+|(?:/[\w.-]+){2,}|\b[0-9a-f]{12,}\b|\d[\d.,:]*|'[^']{1,80}'"
)
_AGAIN = ("timeout", "unreachable", "model_error", "out_of_memory", "internal_error", "missing")


@dataclass(frozen=True, slots=True)
class Failure:
    """One prediction that is not ok."""

    entry: SystemEntry
    position: int
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A system's failures by status."""

    entry: SystemEntry
    cells: tuple[tuple[str, int, int], ...]  # status, how many, step of colour 0 to 4
    total: int
    owed: int


@dataclass(frozen=True, slots=True)
class Gathering:
    """A task or modality: its rate of failures with an interval, as places on an axis."""

    name: str
    failed: int
    owed: int
    at: float
    low: float
    high: float
    above: bool  # the interval lies above the rate of all


@dataclass(frozen=True, slots=True)
class Cause:
    """Messages that differ in particulars only."""

    status: str
    words: str
    count: int
    share: float  # of the largest cause, in percent
    systems: tuple[SystemEntry, ...]
    where: str
    again: str
    digests: tuple[str, ...]
    examples: tuple[tuple[str, str, bool], ...]  # digest, id, whether it has an input picture
    first: str  # the first message, whole
    first_id: str
    origin: str  # which shard it was in, who worked on it, and when
    raw: str  # what the model replied there, as far as it was kept
    others: str  # how the others did there


def failures(data: StoredRun) -> list[Failure]:
    """Every failed prediction of systems that are results or plumbing; controls as well."""
    found = []
    for entry in data.systems:
        table = data.predictions[entry.name]
        if not table.num_rows:
            continue
        columns = (table[n].to_pylist() for n in ("position", "status", "reason"))
        for position, status, reason in zip(*columns, strict=True):
            if status not in FINE:
                found.append(Failure(entry, position, str(status), str(reason or "")))
    return found


def _positions_asked(data: StoredRun, entry: SystemEntry) -> Positions:
    """Where a system is asked for something; what it cannot give is not owed."""
    table = data.predictions[entry.name]
    asked = pc.not_equal(table["status"], "not_applicable").to_numpy()
    found: Positions = table["position"].to_numpy()[asked].astype(np.int64)
    return found


def status_lines(
    data: StoredRun, found: Sequence[Failure]
) -> tuple[tuple[str, ...], list[StatusLine]]:
    """The statuses that occur, most frequent first, and a line a system."""
    by_status = Counter(f.status for f in found)
    statuses = tuple(s for s, _ in by_status.most_common())
    per: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        per[one.entry.name][one.status] += 1
    largest = max((n for c in per.values() for n in c.values()), default=1)
    lines = []
    for entry in data.systems:
        own = per[entry.name]
        owed = len(_positions_asked(data, entry))
        if own or entry.number:
            cells = tuple((s, own[s], min(4, int(4.99 * sqrt(own[s] / largest)))) for s in statuses)
            lines.append(StatusLine(entry, cells, own.total(), owed))
    return statuses, sorted(lines, key=lambda line: -line.total)


def title_words(failed: int, owed: int) -> str:
    """The heading of the page."""
    total = numbers.count(owed)
    return (
        f"{numbers.count(failed)} of {total} predictions have no value"
        if failed
        else f"No prediction failed, of {total}"
    )


def summary_words(lines: Sequence[StatusLine], failed: int) -> tuple[str, str, str]:
    """Whose most failures are: words before, the system's name, and words behind it."""
    if not failed:
        none = "What has no value all the same is listed below; it is never counted as 0."
        return "", "", none
    worst, never = lines[0], "None was scored 0; every mean says how many it stands on."
    status, many, _ = max(worst.cells, key=lambda cell: cell[1])
    kind = f", all of them {status}" if many == worst.total else f", most of them {status}"
    lost = f" lost {numbers.count(worst.total)}{kind if 2 * many > worst.total else ''}. {never}"
    share = "All" if worst.total == failed else numbers.percent(worst.total, failed)
    return f"{share} are one system's: ", worst.entry.name, lost


def gatherings(
    data: StoredRun, found: Sequence[Failure], lines: Sequence[StatusLine], kind: str
) -> tuple[list[Gathering], Axis, float]:
    """The groups of a kind by their rate of failures, the axis, and the rate of all."""
    words, codes = data.samples.facet(kind).words, data.samples.facet(kind).codes
    owed, failed = np.zeros(len(words)), np.zeros(len(words))
    for line in lines:
        own = codes[_positions_asked(data, line.entry)]
        owed += np.bincount(own, minlength=len(words))
    for one in found:
        failed[codes[one.position]] += 1
    rate = float(failed.sum() / owed.sum()) if owed.sum() else 0.0
    groups = [(words[i] or "(none)", int(failed[i]), int(owed[i]))
              for i in range(len(words)) if owed[i]]  # fmt: skip
    groups.sort(key=lambda g: -g[1] / g[2])
    rest = groups[_PLACES:]
    if len(rest) > 1:
        other = (f"{len(rest)} others", sum(g[1] for g in rest), sum(g[2] for g in rest))
        groups = [*groups[:_PLACES], other]
    return (*_gather(groups, rate), rate)


def _gather(groups: Sequence[tuple[str, int, int]], rate: float) -> tuple[list[Gathering], Axis]:
    """Rates of (name, failed, owed) with intervals on one axis, in their order."""
    ends = [binomial_interval(failed, owed, "wilson") for _, failed, owed in groups]
    axis = Axis(0.0, max([100 * high for _, high in ends] + [100 * rate, 0.1]))
    made = [
        Gathering(
            name, failed, owed, axis.at(100 * failed / owed), axis.at(100 * low),
            axis.at(100 * high), failed > 0 and low > rate,  # rounding may put 0 of 12 above 0
        )
        for (name, failed, owed), (low, high) in zip(groups, ends, strict=True)
    ]  # fmt: skip
    return made, axis


def by_time(data: StoredRun, lines: Sequence[StatusLine]) -> tuple[list[Gathering], Axis, float]:
    """Rates of failure by when answers were written, in at most eight spans of equal length."""
    keys = {key for line in lines for key in _last_keys(data, line.entry.name)}
    done = [
        (datetime.fromisoformat(str(e["time"])), dict(e.get("rows") or {}))
        for e in _receipts(data)
        if e.get("key") in keys
    ]
    total = sum(sum(rows.values()) for _, rows in done)
    if not total:
        return [], Axis(0.0, 1.0), 0.0
    start, end = min(at for at, _ in done), max(at for at, _ in done)
    width = ((end - start) / _PLACES) or timedelta(seconds=1)
    owed, failed = Counter[int](), Counter[int]()
    for at, rows in done:
        span = min(_PLACES - 1, int((at - start) / width))
        owed[span] += sum(rows.values())
        failed[span] += sum(n for status, n in rows.items() if status not in FINE)
    rate = failed.total() / total
    clock = "%H:%M:%S" if width < timedelta(minutes=1) else "%d %b %H:%M"
    names = {n: f"{start + n * width:{clock}}" for n in owed}
    groups = [(names[n], failed[n], owed[n]) for n in sorted(owed)]
    return (*_gather(groups, rate), rate)


def general(message: str) -> str:
    """A message without its particulars: what is left names the cause."""
    first = visible(message.strip().splitlines()[0] if message.strip() else "(no reason given)")
    return shorten(_PARTICULARS.sub("…", first), 160)


def causes(data: StoredRun, found: Sequence[Failure]) -> list[Cause]:
    """The causes, most frequent first."""
    grouped: dict[tuple[str, str], list[Failure]] = defaultdict(list)
    for one in found:
        grouped[one.status, general(one.reason)].append(one)
    order = sorted(grouped.items(), key=lambda pair: -len(pair[1]))
    largest = len(order[0][1]) if order else 1
    return [_cause(data, key, own, largest) for key, own in order[:_CAUSES]]


def _cause(data: StoredRun, key: tuple[str, str], own: Sequence[Failure], largest: int) -> Cause:
    samples = data.samples
    positions = list(dict.fromkeys(f.position for f in own))
    shown = [
        (samples.digests[p], samples.ids[p], data.picture_slots[p][0] > 0)
        for p in positions[:_EXAMPLES]
    ]
    return Cause(
        status=key[0],
        words=key[1],
        count=len(own),
        share=round(100 * len(own) / largest, 1),
        systems=tuple({f.entry.name: f.entry for f in own}.values()),
        where=_where(data, positions),
        again="may be asked again" if key[0] in _AGAIN else "settled",
        digests=tuple(samples.digests[p] for p in positions[:60]),
        examples=tuple(shown),
        first=shorten(visible(own[0].reason, lines=True), 4000),
        first_id=samples.ids[own[0].position],
        origin=_origin(data, own[0]),
        raw=_raw_reply(data, own[0]),
        others=_others(data, own),
    )


def _origin(data: StoredRun, one: Failure) -> str:
    """The shard of a failure, and the unit of work that wrote it, as far as it is recorded."""
    shard = shard_at(data, one.position)
    keys = _last_keys(data, one.entry.name)
    done = [e for e in _receipts(data) if e.get("key") in keys and e.get("shard") == shard]
    if not done:
        return f"shard {shard}"
    at = str(done[-1]["time"])[:19].replace("T", " ")
    return f"shard {shard}, {visible(str(done[-1].get('group', '')))}, {at} UTC"


def _last_keys(data: StoredRun, system: str) -> list[str]:
    """What makes the predictions of a system: rendering where a picture is made after an answer."""
    own = {k: n.stage for k, n in data.plan.nodes.items() if system in n.systems}
    drawn = [k for k, stage in own.items() if stage == "render"]
    return drawn or [k for k, stage in own.items() if stage == "answer"]


def _receipts(data: StoredRun) -> list[Row]:
    return [e for e in data.events() if e["event"] == "receipt" and e.get("time")]


def _raw_reply(data: StoredRun, one: Failure) -> str:
    rows = data.rows_at("predictions", one.entry.name, one.position)
    return shorten(visible(str(rows[0].get("text") or ""), lines=True), 4000) if rows else ""


def _where(data: StoredRun, positions: Sequence[int]) -> str:
    """The task in which most are, when it is far more than its share."""
    words, codes = data.samples.facet("task").words, data.samples.facet("task").codes
    counts = Counter(int(codes[p]) for p in positions)
    ((task, many),) = counts.most_common(1)
    share, usual = many / len(positions), float(np.mean(codes == task))
    if len(positions) < 3 or share < 1.5 * usual:
        return "even over tasks" if len(positions) >= 3 else words[task]
    return f"{numbers.percent(many, len(positions))} in {words[task]}"


def _others(data: StoredRun, own: Sequence[Failure]) -> str:
    """How the other systems did on the samples that were lost, and elsewhere."""
    formats = Counter(data.samples.column("format")[f.position] for f in own[:1])
    value = headline(data, next(iter(formats)))
    if value is None or value.key not in data.grid:
        return ""
    losers = {f.entry.place for f in own}
    rest = [s.place for s in data.eligible if s.place not in losers]
    if not rest:
        return ""
    word = data.samples.facet("format").words.index(next(iter(formats)))
    grid = data.grid[value.key][rest][:, data.samples.facet("format").codes == word]
    there = np.zeros(len(data.samples), dtype=bool)
    there[[f.position for f in own]] = True
    inside = there[data.samples.facet("format").codes == word]
    here, away = grid[:, inside], grid[:, ~inside]
    if not np.isfinite(here).any() or not np.isfinite(away).any():
        return ""
    a, b = float(np.nanmean(here)), float(np.nanmean(away))
    return (
        f"Where it fails, the others have {a:.3g} in {value.title} on average; elsewhere {b:.3g}."
    )


def score_failures(data: StoredRun, stage: str) -> list[Row]:
    """Values of a stage, score or judge, that are not there: by value, system and status."""
    found: list[Row] = []
    for row in data.summary:
        if row["group_kind"] == "all" and row["stage"] == stage:
            found += list(_lacking(row))
    return sorted(found, key=lambda r: -r["count"])


def _lacking(row: Mapping[str, object]) -> Iterator[Row]:
    quiet = ("status_ok", "status_not_applicable")
    for name, count in row.items():
        if name.startswith("status_") and name not in quiet and isinstance(count, int) and count:
            yield {
                "title": value_title(str(row["metric"]), value_key(row)), "system": row["system"],
                "format": row["format"], "status": name[7:], "count": count,
                "reason": visible(str(row["reason"] or "")),
            }  # fmt: skip


def troubles(data: StoredRun) -> list[Row]:
    """What befell workers: crashes, groups that were given up, shards put aside."""
    kinds = ("trouble", "gave_up", "quarantined")
    found = [e for e in data.events() if e.get("event") in kinds]
    return [
        {
            "time": str(e["time"])[:19].replace("T", " "),
            "event": e["event"],
            "group": visible(str(e.get("group", ""))),
            "words": visible(
                "; ".join(
                    f"{k} {v}"
                    for k, v in e.items()
                    if k not in ("event", "time", "group", "traceback", "error_id")
                )
            ),
            "traceback": shorten(visible(str(e.get("traceback") or ""), lines=True), 6000),
        }
        for e in found[-_TROUBLES:]
    ]
