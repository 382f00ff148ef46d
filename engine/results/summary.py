"""A run in numbers: one row for each system, format, group and value (schema `summary/1`).

    expected        samples that the system owes in the group: the locked denominator
    not_applicable  of these, samples of which the metric says nothing
    n               samples that have a value; mean, sd, interval and pass rate are of these
    coverage        n / (expected - not_applicable): 1 when nothing failed and nothing is missing
    sd              population standard deviation, as the benchmark's authors give it
    sources         patients, studies or images that the n values come from
    ci_low, ci_high 95 % interval of the mean in which whole sources are drawn
    ci_method       clustered bootstrap (1,000 resamples, seed 42), or normal above 20,000 sources
    ci_note         why there is none, or that it covers less than it says
    authors_ci_*    what the authors' evaluator gives: items drawn alone, in the source's order
    status_*        samples by the status of the score, or of the judge's verdict in the view
    prediction_*    samples by the status of the prediction
    reason          why values are not there: the first reason of the most frequent status
    making          what made the column: metric or judge, arguments, weights, libraries
    random_weights  a model, metric or judge behind the row has random weights: not a result

A failure is counted under its status and never as the number 0. Groups of which the metric says
nothing at all (a pixel metric for questions) have no row. What the plan owes has a row, also with
n 0: a judge without one verdict, a metric that could not be loaded, a system that was given up.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from medgen.engine.plan.plan import Node, Plan
from medgen.engine.results.coded import Coded
from medgen.engine.results.columns import (
    PREDICTION_STATUSES,
    STATUSES,
    Column,
    system_columns,
)
from medgen.engine.results.gaps import given_up, why_no_value
from medgen.engine.results.making import making
from medgen.engine.results.statistics import (
    BOOTSTRAP_LIMIT,
    Floats,
    Ints,
    bootstrap_means,
    clustered_means,
)
from medgen.engine.results.thresholds import Threshold
from medgen.engine.run.reader import RunReader
from medgen.engine.stages import SCORES, VERDICTS, stage_kind
from medgen.engine.store.schemas import columns, schema

_TEXT, _COUNT, _NUMBER = pa.string(), pa.int64(), pa.float64()
# `group_kind` is all, task or modality, and `group` its name or `all`. `label` is the metric or
# judge as the plan calls it, `output` its value, `metric` the name to show; `direction` is null
# where nobody said which is better, and `making` is JSON (`results.making`).
SUMMARY = schema(
    "summary/1",
    [
        ("system", _TEXT),
        ("control", pa.bool_()),
        *columns("format group_kind group stage label output metric direction"),
        *columns("n expected not_applicable", _COUNT),
        *columns("coverage mean sd ci_low ci_high", _NUMBER),
        *columns("ci_method ci_note"),
        ("sources", _COUNT),
        *columns("authors_ci_low authors_ci_high", _NUMBER),
        ("pass_when", _TEXT),
        ("threshold", _NUMBER),
        ("passed", _COUNT),
        ("pass_rate", _NUMBER),
        *((f"status_{s}", _COUNT) for s in STATUSES),
        *((f"prediction_{s}", _COUNT) for s in PREDICTION_STATUSES),
        ("reason", _TEXT),
        ("random_weights", pa.bool_()),
        ("making", _TEXT),
    ],
)
# Values that wait for a common bootstrap; results do not depend on where the cut falls.
_WAITING = 250_000

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ColumnGroup:
    """Some entries of a column: a whole format, or one of its tasks or modalities."""

    format: str
    kind: str
    name: str
    mask: NDArray[np.bool_]


_Group = tuple[str, str, str, str]  # of a metric: label, format, kind and name of the group


@dataclass(frozen=True, slots=True)
class SystemSummary:
    """One system's part of a summary."""

    rows: Sequence[Row]
    silent: frozenset[_Group]  # groups of which a metric says nothing
    predictions: Mapping[str, int] | None  # how many of each status; None: it has no values


class Summarizer:
    """Makes the summary of a system of columns that pass by, so that they are read once for all."""

    def __init__(self, reader: RunReader, system: str) -> None:
        """Raises CorruptError where the benchmark's index or an identity is damaged."""
        self._plan, self._failed = reader.plan, given_up(reader)
        self._random = random_labels(reader, system)
        gives = reader.plan.system(system).gives
        self._places = reader.benchmark.places(gives, reader.plan.shards)
        self._rows: list[Row] = []
        self._waiting: list[_Waiting] = []
        self._silent: set[_Group] = set()
        self._predictions: Mapping[str, int] | None = None

    def watch(self, columns: Iterable[Column]) -> Iterator[Column]:
        """The same columns, each taken in before it is handed on.

        Raises:
            ConfigError: a threshold of the plan cannot be read.
        """
        for column in columns:
            self._take_in(column)
            yield column

    def _take_in(self, column: Column) -> None:
        if self._predictions is None:
            self._predictions = column.context.prediction.counts()
        clusters = column.context.clusters
        for row, held in _column_rows(self._plan, column, self._random, self._silent):
            row["reason"] = _reason(self._plan, column, row, self._failed)
            self._rows.append(row)
            if np.count_nonzero(held) > BOOTSTRAP_LIMIT:  # no draws to share, and no order
                _interval([_waiting(row, column, held, clusters, None)])
                continue
            self._waiting.append(_waiting(row, column, held, clusters, self._places))
            if sum(len(w.values) for w in self._waiting) > _WAITING:
                _interval(self._waiting)

    def end(self) -> SystemSummary:
        """What came of it; to be called when all columns have passed."""
        _interval(self._waiting)
        return SystemSummary(self._rows, frozenset(self._silent), self._predictions)


def summarize_system(reader: RunReader, system: str) -> SystemSummary:
    """Read a system's values for its summary alone; raises as `summarize` does."""
    summarizer = Summarizer(reader, system)
    for _ in summarizer.watch(system_columns(reader, system)):
        pass
    return summarizer.end()


def summarize(reader: RunReader) -> pa.Table:
    """The summary of a run, complete or not; rows in the plan's order of systems and metrics.

    Raises:
        CorruptError: stored rows are damaged, or not as many as a system owes.
        ConfigError: a threshold of the plan cannot be read.
    """
    return summary_table(summarize_system(reader, s.name) for s in reader.plan.systems)


def summary_table(systems: Iterable[SystemSummary]) -> pa.Table:
    """Summaries of systems as one table (`SUMMARY`)."""
    every = list(systems)
    silent = frozenset[_Group]().union(*(one.silent for one in every))
    rows = (row for one in every for row in one.rows)
    owed = [row for row in rows if not (_is_unseen(row) and _group_of(row) in silent)]
    return pa.Table.from_pylist(owed, SUMMARY)


def _group_of(row: Row) -> _Group:
    return row["label"], row["format"], row["group_kind"], row["group"]


def _is_unseen(row: Row) -> bool:
    """Whether there is no row of any sample: whether the metric applies, other systems say."""
    return bool(row["stage"] == "score" and row["status_missing"] == row["expected"])


def _reason(plan: Plan, column: Column, row: Row, failed: Mapping[str, str]) -> str | None:
    """Why values are not there; None when all are."""
    quiet = ("ok", "not_applicable")
    counts = {s: row[f"status_{s}"] for s in STATUSES if s not in quiet and row[f"status_{s}"]}
    if not counts:
        return None
    status = max(counts, key=lambda word: int(counts[word]))
    if status == "missing":
        return why_no_value(plan, column.label, column.system, failed)
    view = column.output.rpartition("/")[2] if column.stage == "judge" else ""
    return column.reasons.get((row["format"], status, view)) or status


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A row that waits for its intervals, with its values."""

    row: Row
    values: Floats
    clusters: Ints
    as_they_came: Floats  # the values in the source's order


def _waiting(
    row: Row, column: Column, held: NDArray[np.bool_], clusters: Ints, places: Ints | None
) -> _Waiting:
    values = column.values[held]
    came = values if places is None else values[np.argsort(places[held], kind="stable")]
    return _Waiting(row, values, clusters[held], came)


def _interval(waiting: list[_Waiting]) -> None:
    """Give the waiting rows their means and intervals, and forget them."""
    ours = clustered_means([(w.values, w.clusters) for w in waiting])
    theirs = bootstrap_means([w.as_they_came for w in waiting])
    for held, interval, authors in zip(waiting, ours, theirs, strict=True):
        held.row.update(
            {
                "mean": interval.mean,
                "ci_low": interval.low,
                "ci_high": interval.high,
                "ci_method": interval.method,
                "ci_note": interval.note,
                "sources": len(np.unique(held.clusters)),
                "authors_ci_low": authors.low,
                "authors_ci_high": authors.high,
            }
        )
    waiting.clear()


def _column_rows(
    plan: Plan, column: Column, random: Mapping[str, bool], silent: set[_Group]
) -> Iterator[tuple[Row, NDArray[np.bool_]]]:
    """The column's rows, and which of its entries have a value that counts in each."""
    passing = column.passing(plan.thresholds)
    made = json.dumps(making(plan, column.made))
    for group in groups(column):
        statuses = column.status.counts(group.mask)
        expected = int(np.count_nonzero(group.mask))
        if statuses["not_applicable"] == expected:
            silent.add((column.label, group.format, group.kind, group.name))
            continue
        held = group.mask & np.isfinite(column.values)
        values = column.values[held]
        row: Row = {
            "system": column.system,
            "control": plan.system(column.system).control,
            "format": group.format,
            "group_kind": group.kind,
            "group": group.name,
            "stage": column.stage,
            "label": column.label,
            "output": column.output,
            "metric": column.name,
            "random_weights": random["predictions"] or random.get(column.label, False),
            "making": made,
        }
        row |= _counts(values, expected, statuses["not_applicable"])
        task = group.name if group.kind == "task" else ""
        mark = column.threshold(plan.thresholds, task)
        # Without a mark for all, some of a group of several tasks have none.
        hits = None if passing is None or mark.value is None else passing[held]
        row |= _passes(hits, mark)
        row |= {f"status_{s}": statuses.get(s, 0) for s in STATUSES}
        predicted = column.context.prediction.counts(group.mask)
        row |= {f"prediction_{s}": predicted.get(s, 0) for s in PREDICTION_STATUSES}
        del values
        yield row, held


def groups(column: Column) -> Iterator[ColumnGroup]:
    """Every format of a column, whole, then by task, then by modality; names sorted."""
    context = column.context
    for name in context.format.words:
        mask = context.format.where(name)
        yield ColumnGroup(name, "all", "all", mask)
        for kind, coded in (("task", context.task), ("modality", context.modality)):
            yield from _split(name, kind, coded, mask)


def _split(name: str, kind: str, coded: Coded, mask: NDArray[np.bool_]) -> Iterator[ColumnGroup]:
    for word in sorted(w for w, count in coded.counts(mask).items() if count):
        yield ColumnGroup(name, kind, word, mask & coded.where(word))


def _counts(values: Floats, expected: int, not_applicable: int) -> Row:
    applicable = expected - not_applicable
    return {
        "n": len(values),
        "expected": expected,
        "not_applicable": not_applicable,
        "coverage": len(values) / applicable,
        # Equal values have no spread, whatever the last bits of their mean make of it.
        "sd": (float(np.std(values)) if np.ptp(values) else 0.0) if len(values) else None,
    }


def _passes(hits: NDArray[np.bool_] | None, mark: Threshold) -> Row:
    passed = 0 if hits is None else int(np.count_nonzero(hits))
    return {
        "direction": mark.direction,
        "pass_when": mark.pass_when,
        "threshold": mark.value,
        "passed": None if hits is None else passed,
        "pass_rate": passed / len(hits) if hits is not None and len(hits) else None,
    }


def random_labels(reader: RunReader, system: str) -> dict[str, bool]:
    """Which of a system's parts ran on random weights: `predictions`, and metrics by label."""
    plan = reader.plan
    models = [_is_random(reader, n) for n in plan.predictions(system)]
    found = {"predictions": any(models)}
    judges = []
    for node in chain(plan.giving(system, SCORES), plan.giving(system, VERDICTS)):
        found[node.label] = _is_random(reader, node)
        judges += [found[node.label]] if stage_kind(node.stage).rows == VERDICTS else []
    return found | {"judges": any(judges)}


def _is_random(reader: RunReader, node: Node) -> bool:
    return any(has_random_weights(one.passport) for one in reader.identities(node))


def has_random_weights(passport: object) -> bool:
    """Whether anything in a passport says `random_weights: true`."""
    if isinstance(passport, Mapping):
        inner = map(has_random_weights, passport.values())
        return passport.get("random_weights") is True or any(inner)
    if isinstance(passport, Sequence) and not isinstance(passport, str):
        return any(map(has_random_weights, passport))
    return False


def read_summary(data: bytes, name: str = "the summary") -> pa.Table:
    """The table of a stored `summary.parquet`.

    Raises:
        CorruptError: it cannot be read; says its name.
    """
    from medgen.engine.store.parquet import parquet_table

    return parquet_table(data, name)
