"""What runs in a worker: read a shard, do the stage, commit, and return receipts.

A worker is made once in its process from the plan and the name of its group. Rows never travel
through the driver: they are read from the store and written to it.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.data import Prediction, Sample, Score, Verdict
from medgen.engine.environment import code_digest
from medgen.engine.errors import StoreError
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.pool import Receipt, Target, Unit
from medgen.engine.run.reader import combine, part_of, stage_shards
from medgen.engine.stages import stage_kind
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import StagePlace
from medgen.engine.store.shards import Parts, Stage, concat, label
from medgen.engine.trouble import log_failed_row

log = logging.getLogger(__name__)

# Requests that a unit has under way: one after another, those of 25 systems and nine metrics take
# seven seconds at 30 ms each.
AT_ONCE = 16
# What Arrow and JSON raise for values that they cannot hold.
_UNSTORABLE = (pa.ArrowException, UnicodeError, OverflowError, ValueError, TypeError)
Row = TypeVar("Row", Prediction, Score, Verdict)


class StageWorker(ABC):
    """What all stages share: parts, merging, labels, committing."""

    def __init__(self, url: str, plan: Plan, group: str) -> None:
        """Open the store and build what the group holds.

        Raises:
            AdapterError: the model, weights or endpoint cannot be used.
        """
        self.plan = plan
        self.group = plan.groups[group]
        self.objects = connect(url)
        self.benchmark = Benchmark(self.objects, plan.benchmark)
        self._read: tuple[int, list[Sample]] = (-1, [])
        self._names: dict[str, tuple[str, ...]] = {}  # of shards, by key

    def __call__(self, unit: Unit) -> Sequence[Receipt]:
        """Do a unit and commit it."""
        start = time.monotonic()
        tables = {t: self._merge(unit, t) for t in unit.targets} if unit.merge else self.work(unit)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            made = threads.map(lambda t: self._commit(unit, t, tables[t], start), tables)
        return list(made)

    @abstractmethod
    def work(self, unit: Unit) -> dict[Target, pa.Table]: ...

    @abstractmethod
    def quarantine_rows(self, node: Node, unit: Unit) -> pa.Table: ...

    @abstractmethod
    def passport(self, node: Node) -> Mapping[str, Any]: ...

    def node(self, target: Target) -> Node:
        return self.plan.nodes[target.key]

    def stage(self, node: Node) -> Stage:
        if node.key not in self._names:
            self._names[node.key] = self.plan.shard_names(node)
        return Stage(self.objects, node.stage, node.key, self._names[node.key])

    def _shard(self, shard: int) -> list[Sample]:
        # A unit reads its shard more than once; one tuple, so that threads cannot mix two.
        read = self._read
        if read[0] != shard:
            read = self._read = (shard, self.benchmark.samples(shard))
        return read[1]

    def samples(self, unit: Unit) -> Sequence[Sample]:
        """The unit's samples, whatever they ask."""
        split = self.node(unit.targets[0]).split
        samples = part_of(self._shard(unit.shard // split), split, unit.shard)
        low, high = unit.positions or (0, len(samples))
        return samples[low:high]

    def rows(self, node: Node, shard: int, unit: Unit) -> pa.Table:
        """The rows of an upstream node for one benchmark shard, at the revisions given."""
        stage = self.stage(node)
        indexes = stage_shards(node, shard)
        given = {i: unit.inputs.get(f"{node.key}/{stage.names[i]}", 0) for i in indexes}
        try:
            return concat([stage.read(i, revision) for i, revision in given.items()])
        except FileNotFoundError as err:
            raise StoreError(
                f"{stage.place.folder}: a shard that this stage needs is gone ({err})"
            ) from err

    def predictions(
        self, node: Node, unit: Unit, samples: Sequence[Sample]
    ) -> dict[str, Prediction]:
        """The upstream predictions of the node's samples, by sample id."""
        shard = unit.shard // node.split
        above = (self.plan.nodes[key] for key in node.upstream)
        upstream = [n for n in above if stage_kind(n.stage).predicts]
        tables = [(n, self.rows(n, shard, unit)) for n in upstream]
        rows = combine(self._shard(shard), tables)
        return {s.id: rows[s.id] for s in samples if s.asks in node.gives}

    def previous(
        self, node: Node, target: Target, unit: Unit, samples: Sequence[Sample]
    ) -> pa.Table | None:
        """The samples' rows in the revision before, when it repeats some of them; else None."""
        if not target.redo:
            return None
        table = self.stage(node).read(unit.shard, target.revision - 1)
        return table.filter(pc.is_in(table["sample_id"], pa.array([s.id for s in samples])))

    def _merge(self, unit: Unit, target: Target) -> pa.Table:
        node = self.node(target)
        try:
            # A worker that died after it had put the parts together may have dropped them, too.
            return self.stage(node).read(unit.shard, target.revision)
        except FileNotFoundError:
            committed = self._parts(node, unit, target)
        parts = [(span, committed.read(span)) for span in unit.parts]
        samples = self.samples(unit)
        for position in unit.quarantined:
            lone = Unit(
                unit.group,
                unit.shard,
                (target,),
                (position, position + 1),
                {position: unit.quarantined[position]},
            )
            parts.append(((position, position + 1), self.quarantine_rows(node, lone)))
        return concat([table for _, table in _tiling(parts, len(samples), node)])

    def _commit(self, unit: Unit, target: Target, table: pa.Table, start: float) -> Receipt:
        node = self.node(target)
        if unit.positions is not None:
            size = self._parts(node, unit, target).write(unit.positions, table)
        else:
            table = label(table, self.labels(node, unit, target))
            if self.is_owed(node, table):
                self.stage(node).note_owed(unit.shard, target.revision)
            size = self.stage(node).write(unit.shard, table, target.revision)
        if unit.merge:
            self._parts(node, unit, target).drop()
        return _receipt(node, unit, table, size, time.monotonic() - start)

    def is_owed(self, node: Node, table: pa.Table) -> bool:
        """Whether a plain start may repeat some of the rows: they are no result of the system's."""
        kind = stage_kind(node.stage)
        owed = pa.array([*kind.outside, *kind.unforeseen], pa.string())
        return bool(pc.any(pc.is_in(table["status"], owed)).as_py())

    def _parts(self, node: Node, unit: Unit, target: Target) -> Parts:
        return self.stage(node).parts(unit.shard, target.revision, _input_revisions(node, unit))

    def labels(self, node: Node, unit: Unit, target: Target) -> dict[str, Any]:
        return {
            "stage": node.stage,
            "key": node.key,
            "shard": self.stage(node).names[unit.shard],
            "revision": target.revision,
            "inputs": _input_revisions(node, unit),
            "passport": self.passport(node),
            "engine": _version(),
            "code": code_digest(),
        }


@cache
def _version() -> str:
    try:
        return version("medgen-engine")
    except PackageNotFoundError:  # the code came as an upload and was never installed
        return "not installed"


def to_table(
    rows: Sequence[Row],
    table: Callable[[Sequence[Row]], pa.Table],
    blank: Callable[[Row, str], Row],
) -> pa.Table:
    """The rows as a table; one that no table can hold becomes a row that says so.

    Half a surrogate pair, NaN among details, a count of tokens beyond 64 bits: adapters keep them
    out, but one that does not must cost its sample and not the shard.
    """
    try:
        return table(rows)
    except _UNSTORABLE:
        sound = []
    for row in rows:
        try:
            table([row])
            sound.append(row)
        except _UNSTORABLE as err:
            log_failed_row(log, err, row.sample_id)
            sound.append(blank(row, f"cannot be stored ({type(err).__name__})"))
    return table(sound)


def _input_revisions(node: Node, unit: Unit) -> dict[str, int]:
    return {k: r for k, r in unit.inputs.items() if k.split("/")[0] in node.upstream}


def _tiling(
    parts: Iterable[tuple[tuple[int, int], pa.Table]], count: int, node: Node
) -> list[tuple[tuple[int, int], pa.Table]]:
    """The parts in order, when they cover 0..count once each.

    Raises:
        StoreError: a stretch of rows has no part, or two.
    """
    ordered = sorted(parts, key=lambda part: part[0])
    at = 0
    for (low, high), _ in ordered:
        if low != at:
            break
        at = high
    if at != count:
        raise StoreError(
            f"{StagePlace(node.stage, node.key).folder}: no part begins at row {at} of {count}"
        )
    return ordered


def _receipt(node: Node, unit: Unit, table: pa.Table, size: int, seconds: float) -> Receipt:
    counts = pc.value_counts(table["status"]).to_pylist()

    def total(column: str) -> Any:
        return pc.sum(table[column]).as_py() or 0 if column in table.column_names else 0

    return Receipt(
        stage=node.stage,
        key=node.key,
        shard=unit.shard,
        rows={c["values"]: c["counts"] for c in counts},
        size=size,
        seconds=seconds,
        prompt_tokens=total("prompt_tokens"),
        completion_tokens=total("completion_tokens"),
        cached_tokens=total("cached_tokens"),
        cost_usd=float(total("cost_usd")),
        part=unit.positions,
    )
