"""What runs in a worker: read a shard, do the stage, commit, and return receipts.

A worker is made once in its process from the plan and the name of its group. Rows never travel
through the driver: they are read from the store and written to it.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine import schemas
from medgen.engine.benchmark import Benchmark
from medgen.engine.environment import environment_lock
from medgen.engine.errors import AdapterError, StoreError
from medgen.engine.nouns import VIEWS, Prediction, Request, Sample, Score, Verdict
from medgen.engine.objects import connect
from medgen.engine.plan import Node, Plan, StageName
from medgen.engine.ports import (
    Generator,
    Judge,
    Receipt,
    Scorer,
    Target,
    Unit,
    UsesBenchmark,
    Worker,
)
from medgen.engine.reading import combine, part_of, stage_shards
from medgen.engine.sentries import stand_guard
from medgen.engine.stages import Parts, Stage, concat, label

# Rows of these kinds are what they are; `--retry-errors` repeats the others.
SETTLED = {
    "answer": ("ok",),
    "render": ("ok",),
    "score": ("ok", "not_applicable", "unparseable"),
    "judge": ("ok", "skipped"),
}

# What Arrow and JSON raise for values that they cannot hold.
_UNSTORABLE = (pa.ArrowException, UnicodeError, OverflowError, ValueError, TypeError)
Row = TypeVar("Row", Prediction, Verdict)


def make_worker(url: str, plan: Plan, group: str, session: str = "") -> Worker:
    """Build the worker of a group in this process.

    In a session, which one driver names, a judge first judges the benchmark's sentinels.
    """
    kinds: dict[StageName, type[StageWorker]] = {
        "answer": PredictWorker,
        "render": PredictWorker,
        "score": ScoreWorker,
        "judge": JudgeWorker,
    }
    worker = kinds[plan.groups[group].stage](url, plan, group)
    if isinstance(worker, JudgeWorker) and session:
        stand_guard(worker.objects, plan, worker.group, worker.judge, session)
    return worker


def worker_recipe(url: str, plan: Plan, group: str, session: str = "") -> partial[Worker]:
    """How another process makes the worker."""
    return partial(make_worker, url, plan, group, session)


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

    def __call__(self, unit: Unit) -> Sequence[Receipt]:
        """Do a unit and commit it."""
        start = time.monotonic()
        if unit.merge:
            tables = {t: self._merged(unit, t) for t in unit.targets}
        else:
            tables = self._work(unit)
        return [self._commit(unit, t, table, start) for t, table in tables.items()]

    @abstractmethod
    def _work(self, unit: Unit) -> dict[Target, pa.Table]: ...

    @abstractmethod
    def _quarantined(self, node: Node, unit: Unit) -> pa.Table: ...

    @abstractmethod
    def _passport(self, node: Node) -> Mapping[str, Any]: ...

    def _node(self, target: Target) -> Node:
        return self.plan.nodes[target.key]

    def _stage(self, node: Node) -> Stage:
        return Stage(self.objects, node.stage, node.key)

    def _shard(self, shard: int) -> list[Sample]:
        # A unit reads its shard more than once; one tuple, so that threads cannot mix two.
        read = self._read
        if read[0] != shard:
            read = self._read = (shard, self.benchmark.samples(shard))
        return read[1]

    def _samples(self, unit: Unit) -> Sequence[Sample]:
        """The unit's samples, whatever their format."""
        split = self._node(unit.targets[0]).split
        samples = part_of(self._shard(unit.shard // split), split, unit.shard)
        low, high = unit.positions or (0, len(samples))
        return samples[low:high]

    def _rows(self, node: Node, shard: int, unit: Unit) -> pa.Table:
        """The rows of an upstream node for one benchmark shard, at the revisions given."""
        stage = self._stage(node)
        indexes = stage_shards(node, shard)
        given = {i: unit.inputs.get(f"{node.key}/{i}", 0) for i in indexes}
        try:
            return concat([stage.read(i, revision) for i, revision in given.items()])
        except FileNotFoundError as err:
            raise StoreError(
                f"{stage.folder}: a shard that this stage needs is gone ({err})"
            ) from err

    def _predictions(
        self, node: Node, unit: Unit, samples: Sequence[Sample]
    ) -> dict[str, Prediction]:
        """The upstream predictions of the node's samples, by sample id."""
        shard = unit.shard // node.split
        upstream = [self.plan.nodes[key] for key in node.upstream]
        tables = [(n, self._rows(n, shard, unit)) for n in upstream]
        rows = combine(self._shard(shard), tables)
        return {s.id: rows[s.id] for s in samples if s.format in node.formats}

    def _previous(
        self, node: Node, target: Target, unit: Unit, samples: Sequence[Sample]
    ) -> pa.Table | None:
        """The samples' rows in the revision before, when this unit retries; else None."""
        if not target.retry:
            return None
        table = self._stage(node).read(unit.shard, target.revision - 1)
        return table.filter(pc.is_in(table["sample_id"], pa.array([s.id for s in samples])))

    def _merged(self, unit: Unit, target: Target) -> pa.Table:
        node = self._node(target)
        try:
            # A worker that died after it had put the parts together may have dropped them, too.
            return self._stage(node).read(unit.shard, target.revision)
        except FileNotFoundError:
            committed = self._parts(node, unit, target)
        parts = [(span, committed.read(span)) for span in unit.parts]
        samples = self._samples(unit)
        for position in unit.quarantined:
            lone = Unit(
                unit.group,
                unit.shard,
                (target,),
                (position, position + 1),
                {position: unit.quarantined[position]},
            )
            parts.append(((position, position + 1), self._quarantined(node, lone)))
        return concat([table for _, table in _tiling(parts, len(samples), node)])

    def _commit(self, unit: Unit, target: Target, table: pa.Table, start: float) -> Receipt:
        node = self._node(target)
        if unit.positions is not None:
            size = self._parts(node, unit, target).write(unit.positions, table)
        else:
            table = label(table, self._labels(node, unit, target))
            size = self._stage(node).write(unit.shard, table, target.revision)
        if unit.merge:
            self._parts(node, unit, target).drop()
        return _receipt(node, unit, table, size, time.monotonic() - start)

    def _parts(self, node: Node, unit: Unit, target: Target) -> Parts:
        return self._stage(node).parts(unit.shard, target.revision, _made_from(node, unit))

    def _labels(self, node: Node, unit: Unit, target: Target) -> dict[str, Any]:
        return {
            "stage": node.stage,
            "key": node.key,
            "shard": unit.shard,
            "revision": target.revision,
            "inputs": _made_from(node, unit),
            "passport": self._passport(node),
            "engine": _version(),
        }


class PredictWorker(StageWorker):
    """Holds one generator, for an answer or a render stage."""

    def __init__(self, url: str, plan: Plan, group: str) -> None:
        """See `StageWorker`."""
        super().__init__(url, plan, group)
        self.generator: Generator = self.group.spec.build()
        if isinstance(self.generator, UsesBenchmark):
            self.generator.use(self.benchmark)

    def _work(self, unit: Unit) -> dict[Target, pa.Table]:
        (target,) = unit.targets
        node = self._node(target)
        samples = [s for s in self._samples(unit) if s.format in node.formats]
        before = self._previous(node, target, unit, samples)
        kept = [] if before is None else schemas.predictions(_settled(before, node))
        done = {p.sample_id: p for p in kept}
        answers = self._predictions(node, unit, samples) if node.upstream else {}
        requests = [Request(s, answers.get(s.id)) for s in samples if s.id not in done]
        fresh = {p.sample_id: p for p in self._predict(requests)}
        rows = [(done | fresh)[s.id] for s in samples]
        return {target: _tabled(rows, schemas.prediction_table, _unstorable_prediction)}

    def _predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        if not requests:
            return []
        predictions = self.generator.predict(requests)
        if [p.sample_id for p in predictions] != [r.sample.id for r in requests]:
            raise AdapterError(
                f"{self.group.spec.target} broke its contract: "
                f"{len(requests)} requests, other ids or another order came back"
            )
        return predictions

    def _quarantined(self, node: Node, unit: Unit) -> pa.Table:
        (reason,) = unit.quarantined.values()
        samples = [s for s in self._samples(unit) if s.format in node.formats]
        return schemas.prediction_table(Prediction(s.id, "quarantined", reason) for s in samples)

    def _passport(self, node: Node) -> Mapping[str, Any]:
        return self.generator.passport()

    def _labels(self, node: Node, unit: Unit, target: Target) -> dict[str, Any]:
        # A system may run its workers in an environment of its own, so its rows say what it holds.
        return super()._labels(node, unit, target) | {"environment": environment_lock()}


class ScoreWorker(StageWorker):
    """Holds the scorer; does one benchmark shard for every system that is ready."""

    def __init__(self, url: str, plan: Plan, group: str) -> None:
        """See `StageWorker`."""
        super().__init__(url, plan, group)
        self.scorer: Scorer = self.group.spec.build()

    def _work(self, unit: Unit) -> dict[Target, pa.Table]:
        samples = self._samples(unit)
        predictions: dict[str, list[Prediction]] = {}
        wanted: dict[str, list[str]] = {}
        for target in unit.targets:
            node = self._node(target)
            system = node.systems[0]
            if system not in predictions:
                given = self._predictions(node, unit, samples)
                # A sample that the system need not answer keeps its place and gives no row.
                predictions[system] = [
                    given.get(s.id, Prediction(s.id, "missing", "not asked")) for s in samples
                ]
            wanted.setdefault(system, []).append(node.label)
        scores = self.scorer.score(samples, predictions, wanted)
        return {
            t: self._table(t, unit, samples, predictions, scores[_asked(self._node(t))])
            for t in unit.targets
        }

    def _table(
        self,
        target: Target,
        unit: Unit,
        samples: Sequence[Sample],
        predictions: Mapping[str, Sequence[Prediction]],
        scores: Sequence[Score],
    ) -> pa.Table:
        node = self._node(target)
        if [s.sample_id for s in scores] != [s.id for s in samples]:
            raise AdapterError(f"metric {node.label} broke its contract: one score a sample")
        due = [i for i, s in enumerate(samples) if s.format in node.formats]
        context = schemas.context(samples, predictions[node.systems[0]])
        table = schemas.score_table(
            (scores[i] for i in due), self.scorer.outputs(node.label), context
        )
        before = self._previous(node, target, unit, samples)
        return table if before is None else _keeping(_settled(before, node), table)

    def _quarantined(self, node: Node, unit: Unit) -> pa.Table:
        samples = [s for s in self._samples(unit) if s.format in node.formats]
        given = self._predictions(node, unit, samples)
        (reason,) = unit.quarantined.values()
        context = schemas.context(samples, [given[s.id] for s in samples])
        rows = [Score(s.id, "error", reason) for s in samples]
        return schemas.score_table(rows, self.scorer.outputs(node.label), context)

    def _passport(self, node: Node) -> Mapping[str, Any]:
        return self.scorer.passport(node.label)


class JudgeWorker(StageWorker):
    """Holds one judge."""

    def __init__(self, url: str, plan: Plan, group: str) -> None:
        """See `StageWorker`."""
        super().__init__(url, plan, group)
        self.judge: Judge = self.group.spec.build()

    def _work(self, unit: Unit) -> dict[Target, pa.Table]:
        (target,) = unit.targets
        node = self._node(target)
        samples = [s for s in self._samples(unit) if s.format in node.formats]
        given = self._predictions(node, unit, samples)
        before = self._previous(node, target, unit, samples)
        again = samples if before is None else _unsettled(samples, before)
        verdicts = self.judge.judge(again, [given[s.id] for s in again]) if again else []
        context = schemas.context(samples, [given[s.id] for s in samples])
        rows = _in_order(again, verdicts)
        table = _tabled(rows, lambda v: schemas.verdict_table(v, context), _unstorable_verdict)
        return {target: table if before is None else _replacing(before, table, samples)}

    def _quarantined(self, node: Node, unit: Unit) -> pa.Table:
        samples = [s for s in self._samples(unit) if s.format in node.formats]
        given = self._predictions(node, unit, samples)
        (reason,) = unit.quarantined.values()
        repeats = int(self.group.spec.kwargs.get("repeats", 1))
        rows = [
            Verdict(s.id, view, node.label, repeat, status="skipped", reason=reason)
            for s in samples
            for repeat in range(repeats)
            for view in VIEWS
        ]
        return schemas.verdict_table(rows, schemas.context(samples, [given[s.id] for s in samples]))

    def _passport(self, node: Node) -> Mapping[str, Any]:
        return self.judge.passport()


@cache
def _version() -> str:
    try:
        return version("medgen-engine")
    except PackageNotFoundError:  # the code came as an upload and was never installed
        return "not installed"


def _tabled(
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
            sound.append(blank(row, f"cannot be stored ({type(err).__name__})"))
    return table(sound)


def _unstorable_prediction(row: Prediction, why: str) -> Prediction:
    return Prediction(row.sample_id, "model_error", why)


def _unstorable_verdict(row: Verdict, why: str) -> Verdict:
    return Verdict(row.sample_id, row.view, row.judge, row.repeat, "schema_error", why)


def _made_from(node: Node, unit: Unit) -> dict[str, int]:
    return {k: r for k, r in unit.inputs.items() if k.split("/")[0] in node.upstream}


def _asked(node: Node) -> tuple[str, str]:
    return node.systems[0], node.label


def _settled(table: pa.Table, node: Node) -> pa.Table:
    return table.filter(pc.is_in(table["status"], pa.array(SETTLED[node.stage])))


def _keeping(settled: pa.Table, table: pa.Table) -> pa.Table:
    """The new rows, but the settled ones where there are any, in the new rows' order."""
    ids = table["sample_id"].to_pylist()
    fresh = table.filter(pc.invert(pc.is_in(table["sample_id"], settled["sample_id"])))
    return _ordered(concat([fresh, settled]), ids)


def _replacing(before: pa.Table, redone: pa.Table, samples: Sequence[Sample]) -> pa.Table:
    """The rows before, with those of the redone samples in place of theirs."""
    rest = before.filter(pc.invert(pc.is_in(before["sample_id"], redone["sample_id"])))
    return _ordered(concat([redone, rest]), [s.id for s in samples])


def _ordered(table: pa.Table, ids: Sequence[str]) -> pa.Table:
    """Rows sorted by the given order of sample ids; rows of one sample keep their order."""
    place = {sample_id: i for i, sample_id in enumerate(ids)}
    where = [place[i] for i in table["sample_id"].to_pylist()]
    return table.take(sorted(range(len(where)), key=lambda row: where[row]))


def _unsettled(samples: Sequence[Sample], before: pa.Table) -> list[Sample]:
    """Samples with a verdict that is not settled; their views are judged again together."""
    open_rows = before.filter(pc.invert(pc.is_in(before["status"], pa.array(SETTLED["judge"]))))
    open_ids = set(open_rows["sample_id"].to_pylist())
    return [s for s in samples if s.id in open_ids]


def _in_order(samples: Sequence[Sample], verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
    seen = list(dict.fromkeys(v.sample_id for v in verdicts))
    if seen != [s.id for s in samples]:
        raise AdapterError("the judge broke its contract: verdicts for every sample, in order")
    return verdicts


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
        raise StoreError(f"stages/{node.stage}/{node.key}: no part begins at row {at} of {count}")
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
