"""A run's values as columns: one entry for every sample that a system owes, no picture read.

Shards stream through a few threads and leave only numbers and codes behind, so that memory is
some ten bytes a sample and value. A shard that is not in the store gives `missing` rows, taken
from the benchmark itself: every column has exactly the locked denominator's length.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, cast, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from medgen.engine.allocation import give_back
from medgen.engine.data import VIEWS, PredictionStatus, ScoreStatus, VerdictStatus, View
from medgen.engine.errors import CorruptError
from medgen.engine.judging.protocols import OVERALL
from medgen.engine.plan.effective import Effective
from medgen.engine.plan.plan import Node
from medgen.engine.results.coded import Coded, Words, put, stored_values
from medgen.engine.results.gaps import (
    Reasons,
    is_current,
    missing_rows,
    note_reasons,
    prediction_statuses,
    with_prediction_statuses,
)
from medgen.engine.results.making import Made, made_by
from medgen.engine.results.statistics import Floats, Ints
from medgen.engine.results.thresholds import Direction, Threshold, is_of_task, threshold
from medgen.engine.run.editions import Record
from medgen.engine.run.reader import RunReader
from medgen.engine.stages import SCORES, VERDICTS
from medgen.engine.store import schemas
from medgen.engine.store.shards import concat, labels

PREDICTION_STATUSES: tuple[str, ...] = get_args(PredictionStatus)
STATUSES: tuple[str, ...] = tuple(
    dict.fromkeys((*get_args(ScoreStatus), *get_args(VerdictStatus), "missing"))
)
_HEAD = tuple(schemas.score_schema(()).names)
# Shards read at once: enough to hide the latency of object storage, few enough for memory.
_THREADS = 8
_BATCH = 64
_DIRECTIONS: Mapping[object, Direction] = {True: "higher", False: "lower"}
# Of a judge's dimension.
RISES = Threshold(direction="higher")


@dataclass(frozen=True, slots=True)
class Context:
    """What the entries of a column are grouped and paired by.

    `clusters` numbers the source of each (patient, study, image): a sample without one is its own.
    """

    format: Coded
    task: Coded
    modality: Coded
    prediction: Coded
    clusters: NDArray[np.int32]
    ids: pa.ChunkedArray | None = None  # only when asked for


@dataclass(frozen=True, slots=True)
class Column:
    """One value of one system: NaN where there is none, and the status that says why.

    A status of a judge's column is that of the sample in the view, over repeats and judges.
    """

    system: str
    stage: str  # `score` or `judge`
    label: str  # the metric or the judge, as the plan calls it
    output: str  # the metric's value, or the judge's `dimension/view`
    name: str
    values: Floats
    status: Coded
    context: Context = field(repr=False)
    made: tuple[Made, ...] = field(default=(), repr=False)  # several for the mean of judges
    declared: Threshold = field(default_factory=Threshold, repr=False)  # the output's own
    reasons: Mapping[tuple[str, str, str], str] = field(default_factory=dict, repr=False)
    reason: Coded | None = field(default=None, repr=False)  # of each entry, when asked for

    def threshold_names(self) -> tuple[str, ...]:
        """Names under which a threshold may stand, the most special first."""
        if self.stage == "judge":
            return (f"{self.label}.{self.output}", self.output, self.output.rpartition("/")[0])
        return (f"{self.label}.{self.output}", self.label, self.output)

    def passing(self, thresholds: Mapping[str, Any]) -> NDArray[np.bool_] | None:
        """Which entries pass the mark of their own task; None where nothing has a mark.

        An entry of a task without a mark counts as not passing.
        """
        hits = self.threshold(thresholds).passing(self.values)
        for task in self.context.task.words:
            own = self.threshold(thresholds, task).passing(self.values)
            if own is not None and is_of_task(thresholds, task):
                before = np.zeros(len(self.values), np.bool_) if hits is None else hits
                hits = np.where(self.context.task.where(task), own, before)
        return hits

    def threshold(self, thresholds: Mapping[str, Any], task: str = "") -> Threshold:
        """How the value is read: what the protocol says of it, else what its maker says.

        With a task, what is said of that task (`ssim@region-edit`) goes before what is said of all.

        This is the one place that knows a value's direction. A metric says it of each of its
        outputs; a judge's scales all rise with quality.

        Raises:
            ConfigError: the entry cannot be read.
        """
        names = self.threshold_names()
        special = [f"{name}@{task}" for name in names] if task else []
        return threshold(thresholds, *special, *names).or_else(self.declared)


@dataclass(frozen=True, slots=True)
class More:
    """What a column is read with beside its values and their statuses."""

    ids: bool = False
    reasons: bool = False


def system_columns(reader: RunReader, system: str, more: More = More()) -> Iterator[Column]:
    """Every column of a system: its metrics, then its judges, then the judges' mean.

    Raises:
        CorruptError: the rows of a node are not those of the samples that the system owes.
    """
    for node in reader.plan.giving(system, SCORES):
        yield from score_columns(reader, system, node, more)
    judged = [verdict_columns(reader, system, n, more) for n in _judges(reader, system)]
    # Of the whole run: another system's judge must not stand under the same name.
    several = len({n.label for s in reader.plan.systems for n in _judges(reader, s.name)}) > 1
    for columns in judged:
        yield from (_rename(c) if several else c for c in columns)
    if len(judged) > 1:
        yield from judges_mean(judged)


def _judges(reader: RunReader, system: str) -> tuple[Node, ...]:
    return reader.plan.giving(system, VERDICTS)


def _rename(column: Column) -> Column:
    return replace(column, name=f"{column.label}:{column.name}")


# ---- scores --------------------------------------------------------------------------------


def score_columns(reader: RunReader, system: str, node: Node, more: More) -> tuple[Column, ...]:
    """The columns of one metric for one system.

    A null value beside the status ok is `not_applicable` (the metric says nothing about this
    output); a value that is no number, not finite or beyond `LARGEST_VALUE` is an `error`.
    """
    gather, told = _Gather(reader, system, node, more), more.reasons
    status = np.zeros(gather.due, np.uint8)
    why: Ints = np.zeros(gather.due if told else 0, np.uint8)
    outputs: dict[str, Floats] = {}
    for shards, table in _stream(reader, system, node, gather):
        place = gather.add(table, shards)
        status[place] = gather.statuses.encode(table["status"])
        if told:
            why = put(why, place, gather.encode_reasons(table))
        for name in (n for n in table.column_names if n not in _HEAD):
            if name not in outputs:  # a batch of nothing but gaps has no value columns
                outputs[name] = np.full(gather.due, np.nan)
            outputs[name][place] = stored_values(table[name])
    context, made = gather.context(), (made_by(node, gather.held),)
    declared = _output_thresholds([one.passport for one in gather.held])
    columns = []
    for output, values in (outputs or {node.label: np.full(gather.due, np.nan)}).items():
        said = _mark_not_applicable(_status_of_values(status, values, gather.statuses), context)
        values[~np.isfinite(values)] = np.nan
        name = node.label if len(outputs) < 2 else f"{node.label}.{output}"
        columns.append(
            Column(
                system=system,
                stage="score",
                label=node.label,
                output=output,
                name=name,
                values=values,
                status=said,
                context=context,
                made=made,
                declared=declared.get(output, Threshold()),
                reasons=gather.reasons,
                reason=Coded(tuple(gather.words_of_reasons.all), why) if told else None,
            )
        )
    return tuple(columns)


def _output_thresholds(passports: Sequence[Mapping[str, Any]]) -> dict[str, Threshold]:
    """Direction and range of a metric's outputs, as the metric itself says in its passport."""
    return {
        output["name"]: Threshold(
            direction=_DIRECTIONS.get(output.get("higher_is_better")),
            lowest=output.get("low"),
            highest=output.get("high"),
        )
        for passport in passports
        for output in passport.get("outputs", ())
    }


def _status_of_values(status: NDArray[np.integer], values: Floats, words: Words) -> Coded:
    ok = status == words.code("ok")
    codes = status.astype(np.uint8)
    codes[ok & np.isnan(values)] = words.code("not_applicable")
    codes[ok & np.isinf(values)] = words.code("error")
    return Coded(tuple(words.all), codes)


def _mark_not_applicable(status: Coded, context: Context) -> Coded:
    """Missing samples of a task of which the metric says nothing are not applicable either."""
    absent, missing = status.where("not_applicable"), status.where("missing")
    tasks = len(context.task.words)
    kinds = context.format.codes.astype(np.int32) * tasks + context.task.codes
    size = len(context.format.words) * tasks
    silent = np.bincount(kinds[absent], minlength=size)
    seen = np.bincount(kinds[~missing], minlength=size)
    wholly = (silent > 0) & (seen == silent)
    codes = status.codes.copy()
    codes[missing & wholly[kinds]] = status.words.index("not_applicable")
    return Coded(status.words, codes)


# ---- verdicts ------------------------------------------------------------------------------


def verdict_columns(reader: RunReader, system: str, node: Node, more: More) -> tuple[Column, ...]:
    """The columns of one judge for one system: one for every dimension in each view.

    The declared rule: a sample's value is the mean over the repeats that are ok for each model
    that judged, then the mean over those models. When one of them has no ok verdict the sample
    has no value in that view, and its status is that of the first verdict which is not ok.
    """
    gather, judged, told = _Gather(reader, system, node, more), _Judged(), more.reasons
    for shards, table in _stream(reader, system, node, gather):
        codes = table["sample_id"].combine_chunks().dictionary_encode().indices
        rows = codes.to_numpy(zero_copy_only=False)
        first = np.flatnonzero(np.diff(rows, prepend=-1))
        gather.add(table.take(first), shards)
        judged.add(table, rows, gather.statuses, gather.encode_reasons(table) if told else None)
    context, made = gather.context(), (made_by(node, gather.held),)
    return tuple(
        Column(
            system=system,
            stage="judge",
            label=node.label,
            output=f"{dimension}/{view}",
            name=f"{dimension}/{view}",
            values=values,
            status=status,
            context=context,
            made=made,
            declared=RISES,
            reasons=gather.reasons,
            reason=judged.reason(view, gather.words_of_reasons) if told else None,
        )
        for dimension, view, values, status in judged.columns(gather.statuses)
    )


class _Judged:
    """Verdicts of many shards, reduced to means and statuses as they come."""

    def __init__(self) -> None:
        self.views, self.judges, self.dimensions = Words(VIEWS), Words(), Words()
        self.means: list[Floats] = []  # (dimensions, views, judges, samples) so far
        self.fallen: list[Ints] = []  # (views, samples): the first status that is not ok
        self.reasons: list[Ints] = []  # and the code of its reason

    def add(self, table: pa.Table, rows: Ints, statuses: Words, why: Ints | None) -> None:
        """Take in one batch; `rows` gives the batch's sample number of every verdict."""
        samples = int(rows.max(initial=-1)) + 1
        status = statuses.encode(table["status"])
        view = self.views.encode(table["view"])
        ok = status == statuses.code("ok")
        # Backwards, so that the first verdict of a sample that is not ok is the one that stays.
        bad = np.flatnonzero(~ok & (view < len(VIEWS)))[::-1]
        fallen = np.full((len(VIEWS), samples), statuses.code("missing"), dtype=np.int64)
        fallen[view[bad], rows[bad]] = status[bad]
        self.fallen.append(fallen)
        if why is not None:
            first = np.zeros((len(VIEWS), samples), dtype=np.int64)
            first[view[bad], rows[bad]] = why[bad]
            self.reasons.append(first)
        scored = table.filter(pa.array(ok))
        judge = self.judges.encode(scored["judge"])
        cells = _entries(cast(pa.MapArray, scored["scores"].combine_chunks()))
        entry = cells.row
        dimension = self.dimensions.encode(cells.key)
        shape = (len(self.dimensions.all), len(self.views.all), len(self.judges.all), samples)
        at = np.ravel_multi_index(
            (dimension, view[ok][entry], judge[entry], rows[ok][entry]), (*shape[:3], samples)
        )
        size = int(np.prod(shape))
        sums = np.bincount(at, weights=cells.value, minlength=size)
        counts = np.bincount(at, minlength=size)
        mean = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
        self.means.append(mean.reshape(shape))

    def reason(self, view: str, words: Words) -> Coded:
        """The reason of every sample's first verdict in a view that is not ok."""
        at = VIEWS.index(cast(View, view))
        codes = np.concatenate([part[at] for part in self.reasons] or [np.zeros(0, int)])
        return Coded(tuple(words.all), codes)

    def columns(self, statuses: Words) -> Iterator[tuple[str, str, Floats, Coded]]:
        """Every (dimension, view) with its values and statuses.

        A judge owes both views. Without one verdict that is ok nobody can say its dimensions, but
        every protocol gives an overall score.
        """
        judges, dimensions = max(1, len(self.judges.all)), self.dimensions.all or [OVERALL]
        for at, view in enumerate(VIEWS):
            fallen = np.concatenate([part[at] for part in self.fallen] or [np.zeros(0, int)])
            present = np.zeros(len(fallen), dtype=bool)
            values = []
            for d in range(len(dimensions)):
                cells = np.concatenate([_pad(m, d, at, judges) for m in self.means], axis=1)
                present |= np.all(np.isfinite(cells), axis=0)
                values.append(np.mean(cells, axis=0))
            codes = np.where(present, statuses.code("ok"), fallen)
            for dimension, column in zip(dimensions, values, strict=True):
                yield dimension, view, column, _status_of_values(codes, column, statuses)


def _pad(mean: Floats, dimension: int, view: int, judges: int) -> Floats:
    # A batch knows only the dimensions and judges met until then; the others had no value in it.
    cells = np.full((judges, mean.shape[3]), np.nan)
    if dimension < mean.shape[0]:
        cells[: mean.shape[2]] = mean[dimension, view]
    return cells


@dataclass(frozen=True, slots=True)
class _Entries:
    row: Ints
    key: pa.ChunkedArray
    value: Floats


def _entries(maps: pa.MapArray) -> _Entries:
    offsets = maps.offsets.to_numpy()
    row = np.repeat(np.arange(len(maps)), np.diff(offsets))
    low, count = int(offsets[0]) if len(offsets) else 0, len(row)
    value = maps.items.slice(low, count).to_numpy(zero_copy_only=False)
    return _Entries(row, pa.chunked_array([maps.keys.slice(low, count)]), value)


def judges_mean(judged: Sequence[Sequence[Column]]) -> Iterator[Column]:
    """The mean of several judges, where every one of them has a value; label `judges`."""
    for column in judged[0]:
        others = [c for columns in judged[1:] for c in columns if c.output == column.output]
        if len(others) < len(judged) - 1:
            continue
        group = [column, *others]
        values = np.mean(np.stack([c.values for c in group]), axis=0)
        made = tuple(m for c in group for m in c.made)
        status, reason = _first_not_ok(group)
        yield replace(
            column, label="judges", values=values, status=status, made=made, reason=reason
        )


def _first_not_ok(group: Sequence[Column]) -> tuple[Coded, Coded | None]:
    """The status of the first judge that has no value, and its reason where reasons are known."""
    words, whys = Words(STATUSES), Words([""])
    ok = words.code("ok")
    codes = np.full(len(group[0].values), ok, dtype=np.int64)
    reasons = np.zeros(len(codes), dtype=np.int64)
    for column in reversed(group):
        own = words.codes_of(column.status)
        codes = np.where(own != ok, own, codes)
        if column.reason is not None:
            reasons = np.where(own != ok, whys.codes_of(column.reason), reasons)
    known = all(column.reason is not None for column in group)
    status = Coded(tuple(words.all), codes.astype(np.uint8))
    return status, Coded(tuple(whys.all), reasons) if known else None


# ---- reading -------------------------------------------------------------------------------


class _Gather:
    """The context columns of a node, filled batch by batch: their length is known beforehand."""

    def __init__(self, reader: RunReader, system: str, node: Node, more: More) -> None:
        self.due = reader.plan.rows_due(system)
        self.statuses = Words(STATUSES)
        self._reader = reader
        self._of = f"{node.stage}/{node.key} ({node.label})", system
        self._words = {n: Words() for n in ("format", "task", "modality")}
        self._words["prediction_status"] = Words(PREDICTION_STATUSES)
        self._codes: dict[str, Ints] = {n: np.zeros(self.due, np.uint8) for n in self._words}
        self._ids: list[pa.Array] | None = [] if more.ids else None
        self._rows = 0
        self.held: list[Effective] = []  # what made the shards that were read
        self.reasons: Reasons = {}
        self.words_of_reasons = Words([""])

    def add(self, table: pa.Table, shards: range) -> slice:
        """Take in the rows of some shards; their places in the column.

        Raises:
            CorruptError: they are not those of the samples that the system owes.
        """
        what, system = self._of
        if not table["sample_id"].equals(self._reader.due(system, shards)["sample_id"]):
            where = f"benchmark shards {shards.start} to {shards.stop - 1}"
            raise CorruptError(f"{what}: rows in {where} are not of the samples {system!r} owes")
        place = slice(self._rows, self._rows + len(table))
        self._rows = place.stop
        for name, words in self._words.items():
            self._codes[name] = put(self._codes[name], place, words.encode(table[name]))
        if self._ids is not None:
            self._ids += table["sample_id"].chunks
        return place

    def encode_reasons(self, table: pa.Table) -> Ints:
        """The code of every row's reason; that of a row that was never written is empty."""
        if "reason" not in table.column_names:
            return np.zeros(len(table), dtype=np.int64)
        return self.words_of_reasons.encode(table["reason"])

    def context(self) -> Context:
        """What was gathered."""
        return Context(
            format=self._encode("format"),
            task=self._encode("task"),
            modality=self._encode("modality"),
            prediction=self._encode("prediction_status"),
            clusters=self._reader.clusters(self._of[1]),
            ids=None if self._ids is None else pa.chunked_array(self._ids, pa.string()),
        )

    def _encode(self, name: str) -> Coded:
        return Coded(tuple(self._words[name].all), self._codes[name])


def _stream(
    reader: RunReader, system: str, node: Node, gather: "_Gather"
) -> Iterator[tuple[range, pa.Table]]:
    """A node's rows in the benchmark's order, some shards at a time; `missing` ones in the gaps.

    Passports of the shards that are there, and reasons of their rows, are left with `gather`.
    """

    def read(shard: int) -> tuple[pa.Table, list[Record | None]]:
        pieces = reader.pieces(node, shard)
        if pieces is None:
            return missing_rows(reader, system, node, shard), []
        found = [reader.identity(node, labels(p).get("identity", "")) for p in pieces]
        table, unread = concat(pieces), ("source", "explanations", "raw", "expected")
        if not is_current(reader, node, shard, pieces):
            table = with_prediction_statuses(table, prediction_statuses(reader, system, shard))
        return table.drop_columns([c for c in unread if c in table.column_names]), found

    for key in (node.key, *node.upstream):  # one listing each, before the threads share it
        reader.heads(reader.plan.nodes[key])
    with ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, reader.plan.shards, _BATCH):
            shards = range(start, min(start + _BATCH, reader.plan.shards))
            tables = list(threads.map(read, shards))
            plain = [table.replace_schema_metadata(None) for table, _ in tables]
            for effective in (r.effective for _, found in tables for r in found if r):
                if effective not in gather.held:
                    gather.held.append(effective)
            batch = pa.concat_tables(plain, promote_options="default").combine_chunks()
            note_reasons(batch, gather.reasons)
            yield shards, batch
    give_back()
