"""What each stage does with a unit: predict, score, judge."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine import registry
from medgen.engine.batching import patience_s
from medgen.engine.benchmark.source import UsesBenchmark
from medgen.engine.data import (
    Prediction,
    PredictionStatus,
    Request,
    Sample,
    Score,
    Verdict,
    VerdictStatus,
)
from medgen.engine.errors import AdapterError
from medgen.engine.guard import Unforeseen, in_halves_unless_all, internal_error
from medgen.engine.occasion import during
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.ports import Generator, Judge, Scorer
from medgen.engine.redaction import redact_all
from medgen.engine.run.editions import Terms
from medgen.engine.run.guarding import Case, every_verdict, guard_scores, guard_verdicts
from medgen.engine.run.logged import LoggedWorker, place_of
from medgen.engine.run.pool import Target, Unit, Worker
from medgen.engine.run.sentinels import Guarded, stand_guard
from medgen.engine.run.worker import StageWorker, to_table
from medgen.engine.stages import stage_kind
from medgen.engine.store import schemas
from medgen.engine.store.shards import concat
from medgen.engine.threads import in_threads


class PredictWorker(StageWorker):
    """Holds one generator, for an answer or a render stage."""

    def __init__(self, url: str, plan: Plan, group: str) -> None:
        """See `StageWorker`."""
        super().__init__(url, plan, group)
        self.generator: Generator = self.group.spec.build()
        if isinstance(self.generator, UsesBenchmark):
            self._refuse_unkeyed()
            self.generator.use(self.benchmark)

    def _refuse_unkeyed(self) -> None:
        nodes = [n for n in self.plan.nodes.values() if n.group == self.group.name]
        if not all("benchmark" in node.recipe for node in nodes):
            raise AdapterError(
                f"{self.group.spec.target} looks at the whole benchmark, and its key does not hold "
                "it: say `reads_benchmark=True` in its Component"
            )

    def work(self, unit: Unit) -> dict[Target, pa.Table]:
        (target,) = unit.targets
        node = self.node(target)
        samples = [s for s in self.samples(unit) if s.asks in node.gives]
        before = self.previous(target, unit, samples)
        kept = [] if before is None else schemas.predictions(kept_rows(before, target.redo))
        done = {p.sample_id: p for p in kept}
        answers = self.predictions(node, unit, samples) if node.upstream else {}
        asked = {s.id: self.shown.sample(node.condition, s) for s in samples if s.id not in done}
        requests = [
            Request(s, answers.get(i), node.repeat)
            for i, s in asked.items()
            if not isinstance(s, str)
        ]
        fresh = {p.sample_id: p for p in self._predict(requests)}
        left = {i: why for i, why in asked.items() if isinstance(why, str)}
        fresh |= {i: Prediction(i, "not_applicable", why) for i, why in left.items()}
        if node.condition:
            fresh = {i: self.shown.note(node.condition, asked[i], p) for i, p in fresh.items()}
        rows = _without_secrets([(done | fresh)[s.id] for s in samples])
        return {target: to_table(rows, schemas.prediction_table, _unstorable_prediction)}

    def _predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        if not requests:
            return []
        predictions = in_halves_unless_all(
            self.generator.predict, requests, _unforeseen_prediction, lambda r: r.sample.id
        )
        if fault := _breach(requests, predictions):
            raise AdapterError(f"{self.group.spec.target} broke its contract: {fault}")
        return predictions

    def untried_rows(self, node: Node, unit: Unit) -> pa.Table:
        reason, late = reason_untried(unit)
        samples = [s for s in self.samples(unit) if s.asks in node.gives]
        status: PredictionStatus = "timeout" if late else "quarantined"
        return schemas.prediction_table(Prediction(s.id, status, reason) for s in samples)

    def is_owed(self, node: Node, table: pa.Table) -> bool:
        # What stands in a file is what it is: reading it again gives the same.
        return not getattr(self.generator, "replays", False) and super().is_owed(node, table)

    def passport(self, node: Node) -> Mapping[str, Any]:
        return self.generator.passport()


class ScoreWorker(StageWorker):
    """Holds the scorer; does one benchmark shard for every system that is ready."""

    def __init__(self, url: str, plan: Plan, group: str) -> None:
        """See `StageWorker`."""
        super().__init__(url, plan, group)
        self.scorer: Scorer = self.group.spec.build()

    def work(self, unit: Unit) -> dict[Target, pa.Table]:
        samples = self.samples(unit)
        nodes = {t: self.node(t) for t in unit.targets}
        of = {node.systems[0]: node for node in nodes.values()}
        read = in_threads(lambda node: self.predictions(node, unit, samples), of.values())
        # A sample that the system need not answer keeps its place and gives no row.
        predictions = {
            system: [given.get(s.id) or Prediction(s.id, "missing", "not asked") for s in samples]
            for system, given in zip(of, read, strict=True)
        }
        wanted: dict[str, list[str]] = {}
        for node in nodes.values():
            wanted.setdefault(node.systems[0], []).append(node.label)
        scores = self._scores(samples, predictions, wanted, nodes.values())
        contexts = {s: schemas.context(samples, given) for s, given in predictions.items()}
        return {
            t: self._table(t, unit, samples, contexts[n.systems[0]], scores[_system_and_label(n)])
            for t, n in nodes.items()
        }

    def _scores(
        self,
        samples: Sequence[Sample],
        predictions: Mapping[str, Sequence[Prediction]],
        wanted: Mapping[str, Sequence[str]],
        nodes: Iterable[Node],
    ) -> Mapping[tuple[str, str], Sequence[Score]]:
        """The scores of all systems; under a condition that moves the right answer, of those."""
        found: dict[tuple[str, str], Sequence[Score]] = {}
        under = {node.systems[0]: node.condition for node in nodes}
        for condition in dict.fromkeys(under.values()):
            systems = [system for system in wanted if under[system] == condition]
            shown = [self.shown.sample(condition, s) for s in samples]
            found |= guard_scores(
                self.scorer,
                [s if isinstance(g, str) else g for s, g in zip(samples, shown, strict=True)],
                {system: predictions[system] for system in systems},
                {system: wanted[system] for system in systems},
            )
        return found

    def _table(
        self,
        target: Target,
        unit: Unit,
        samples: Sequence[Sample],
        context: schemas.Context,
        scores: Sequence[Score],
    ) -> pa.Table:
        node = self.node(target)
        if [s.sample_id for s in scores] != [s.id for s in samples]:
            raise AdapterError(f"metric {node.label} broke its contract: one score a sample")
        due = [i for i, s in enumerate(samples) if s.asks in node.gives]
        outputs = self.scorer.outputs(node.label)
        mine = [scores[i] for i in due]
        table = to_table(
            mine, lambda s: schemas.score_table(s, outputs, context), _unstorable_score
        )
        before = self.previous(target, unit, samples)
        return table if before is None else keep_rows(kept_rows(before, target.redo), table)

    def untried_rows(self, node: Node, unit: Unit) -> pa.Table:
        samples = [s for s in self.samples(unit) if s.asks in node.gives]
        given = self.predictions(node, unit, samples)
        reason, _ = reason_untried(unit)
        context = schemas.context(samples, [given[s.id] for s in samples])
        rows = [Score(s.id, "error", reason) for s in samples]
        return schemas.score_table(rows, self.scorer.outputs(node.label), context)

    def passport(self, node: Node) -> Mapping[str, Any]:
        return self.scorer.passport(node.label)


@dataclass(frozen=True, slots=True)
class _Due:
    """What one system gives to judge in a unit."""

    node: Node
    samples: Sequence[Sample]
    given: Mapping[str, Prediction]
    before: pa.Table | None  # the revision of which some rows stay
    shown: Mapping[str, Case | str]  # by sample to be judged, or why it cannot be shown


class JudgeWorker(StageWorker):
    """Holds one judge; asks it sample by sample, of each for every system that is ready."""

    def __init__(self, url: str, plan: Plan, group: str) -> None:
        """See `StageWorker`."""
        super().__init__(url, plan, group)
        self.judge: Judge = self.group.spec.build()

    def work(self, unit: Unit) -> dict[Target, pa.Table]:
        self.samples(unit)  # read once, and not by each of the threads
        dues = in_threads(lambda target: self._due(target, unit), unit.targets)
        due = dict(zip(unit.targets, dues, strict=True))
        ask = self._in_batches if patience_s(self.group.spec.kwargs) else self._verdicts
        verdicts = ask(unit, due)
        return {target: self._table(one, verdicts[target]) for target, one in due.items()}

    def _due(self, target: Target, unit: Unit) -> _Due:
        node = self.node(target)
        samples = [s for s in self.samples(unit) if s.asks in node.gives]
        given = self.predictions(node, unit, samples)
        before = self.previous(target, unit, samples)
        again = samples if before is None else open_samples(samples, before, target.redo)
        shown: dict[str, Case | str] = {s.id: (s, given[s.id]) for s in again}
        if node.condition:
            # Images change places within the whole shard, however little of it the unit is.
            whole = [s for s in self._shard(unit.shard) if s.asks in node.gives]
            answers = self.predictions(node, unit, whole)
            shown = {s.id: self.shown.pair(node.condition, whole, answers, s) for s in again}
        return _Due(node, samples, given, before, shown)

    def _in_batches(
        self, unit: Unit, due: Mapping[Target, _Due]
    ) -> Mapping[Target, Mapping[str, Sequence[Verdict]]]:
        """Verdicts by target and sample; each target by itself, however many a unit has.

        They are asked for in files, where nothing is shared, and are found there by their rows.
        """

        def one(target: Target) -> Mapping[Target, Mapping[str, Sequence[Verdict]]]:
            with during(self.occasion(target, unit)):
                return self._verdicts(unit, {target: due[target]})

        every = in_threads(one, due, len(due))
        return {target: found for made in every for target, found in made.items()}

    def _verdicts(
        self, unit: Unit, due: Mapping[Target, _Due]
    ) -> Mapping[Target, Mapping[str, Sequence[Verdict]]]:
        """Verdicts by target and sample. What a sample shows alike is asked one after the other."""
        name, repeats = next(iter(due.values())).node.label, self._repeats()
        made: dict[Target, dict[str, Sequence[Verdict]]] = {target: {} for target in due}
        asked: list[tuple[Target, Case]] = []
        for sample, (target, one) in product(self.samples(unit), due.items()):
            case = one.shown.get(sample.id)
            if isinstance(case, str):
                made[target][sample.id] = every_verdict(sample.id, name, repeats, case)
            elif case is not None:
                asked.append((target, case))
        found = guard_verdicts(self.judge, name, repeats, [case for _, case in asked])
        for (target, (sample, _)), verdicts in zip(asked, found, strict=True):
            made[target][sample.id] = verdicts
        return made

    def _table(self, due: _Due, verdicts: Mapping[str, Sequence[Verdict]]) -> pa.Table:
        rows = [_verdict_without_secrets(verdict) for i in due.shown for verdict in verdicts[i]]
        context = schemas.context(due.samples, [due.given[s.id] for s in due.samples])
        table = to_table(rows, lambda v: schemas.verdict_table(v, context), _unstorable_verdict)
        return table if due.before is None else replace_rows(due.before, table, due.samples)

    def _repeats(self) -> int:
        return int(self.group.spec.kwargs.get("repeats", 1))

    def untried_rows(self, node: Node, unit: Unit) -> pa.Table:
        samples = [s for s in self.samples(unit) if s.asks in node.gives]
        given = self.predictions(node, unit, samples)
        reason, late = reason_untried(unit)
        repeats = self._repeats()
        status: VerdictStatus = "transport_error" if late else "skipped"
        every = [every_verdict(s.id, node.label, repeats, reason, status) for s in samples]
        rows = [verdict for verdicts in every for verdict in verdicts]
        return schemas.verdict_table(rows, schemas.context(samples, [given[s.id] for s in samples]))

    def passport(self, node: Node) -> Mapping[str, Any]:
        return self.judge.passport()


def reason_untried(unit: Unit) -> tuple[str, bool]:
    """Why the one sample that a unit spans gets a row without being tried; whether it was late."""
    (position, _) = unit.positions or (0, 1)
    return unit.late.get(position) or unit.quarantined[position], position in unit.late


@dataclass(frozen=True, slots=True)
class Manner:
    """How a run's workers are made. Changes no row."""

    discreet: bool  # log of errors only their kind
    session: str = ""  # one driver's run; in it a judge first judges the benchmark's sentinels
    terms: Terms = field(default_factory=Terms)


def recipe_of(url: str, plan: Plan, manner: Manner, group: str) -> Callable[[], Worker]:
    """How a worker of a group is made, wherever it is called."""
    return partial(make_worker, url, plan, group, manner)


def make_worker(url: str, plan: Plan, group: str, manner: Manner) -> Worker:
    """Build the worker of a group in this process."""
    made = partial(_make_stage_worker, url, plan, group, manner)
    return LoggedWorker(made, place_of(plan, group, manner.discreet))


def _make_stage_worker(url: str, plan: Plan, group: str, manner: Manner) -> Worker:
    kind = registry.load(stage_kind(plan.groups[group].stage).worker)
    worker: StageWorker = kind(url, plan, group)
    worker.introduce(manner.terms)
    if isinstance(worker, JudgeWorker) and manner.session:
        guarded = Guarded(plan, worker.group, worker.judge)
        stand_guard(worker.objects, worker.benchmark, guarded, manner.session)
    return worker


def _without_secrets(rows: Sequence[Prediction]) -> list[Prediction]:
    """The rows without keys that a server gave back in its replies; looked for once for all."""
    given = [(row.reason, row.text, row.image_prompt, row.details) for row in rows]
    return [
        row
        if said == own and not row.details
        else replace(row, reason=said[0], text=said[1], image_prompt=said[2], details=said[3])
        for row, own, said in zip(rows, given, redact_all(given), strict=True)
    ]


def _verdict_without_secrets(row: Verdict) -> Verdict:
    reason, raw, explanations = redact_all((row.reason, row.raw, row.explanations))
    return replace(row, reason=reason, raw=raw, explanations=explanations)


def _unstorable_prediction(row: Prediction, why: str) -> Prediction:
    return Prediction(row.sample_id, "model_error", why)


def _unforeseen_prediction(request: Request, found: Unforeseen) -> Sequence[Prediction]:
    return [internal_error(request.sample.id, found)]


def _unstorable_score(row: Score, why: str) -> Score:
    return Score(row.sample_id, "internal_error", why)


def _unstorable_verdict(row: Verdict, why: str) -> Verdict:
    return Verdict(row.sample_id, row.view, row.judge, row.repeat, "schema_error", why)


def _system_and_label(node: Node) -> tuple[str, str]:
    return node.systems[0], node.label


def kept_rows(table: pa.Table, redo: Sequence[str]) -> pa.Table:
    """The rows that are not repeated."""
    return table.filter(pc.invert(pc.is_in(table["status"], pa.array(redo, pa.string()))))


def keep_rows(done: pa.Table, table: pa.Table) -> pa.Table:
    """The new rows, but the kept ones where there are any, in the new rows' order."""
    ids = table["sample_id"].to_pylist()
    fresh = table.filter(pc.invert(pc.is_in(table["sample_id"], done["sample_id"])))
    return _sort(concat([fresh, done]), ids)


def replace_rows(before: pa.Table, redone: pa.Table, samples: Sequence[Sample]) -> pa.Table:
    """The rows before, with those of the redone samples in place of theirs."""
    rest = before.filter(pc.invert(pc.is_in(before["sample_id"], redone["sample_id"])))
    return _sort(concat([redone, rest]), [s.id for s in samples])


def _sort(table: pa.Table, ids: Sequence[str]) -> pa.Table:
    """Rows sorted by the given order of sample ids; rows of one sample keep their order."""
    place = {sample_id: i for i, sample_id in enumerate(ids)}
    where = [place[i] for i in table["sample_id"].to_pylist()]
    return table.take(sorted(range(len(where)), key=lambda row: where[row]))


def open_samples(samples: Sequence[Sample], before: pa.Table, redo: Sequence[str]) -> list[Sample]:
    """Samples with a verdict that is repeated; their views are judged again together."""
    open_rows = before.filter(pc.is_in(before["status"], pa.array(redo, pa.string())))
    open_ids = set(open_rows["sample_id"].to_pylist())
    return [s for s in samples if s.id in open_ids]


def _breach(requests: Sequence[Request], predictions: Sequence[object]) -> str:
    """How what a model gave is not one prediction for each request, in order; empty: it is."""
    wanted = [request.sample.id for request in requests]
    found: list[str] = []
    for given in predictions:
        if not isinstance(sample_id := getattr(given, "sample_id", None), str):
            return f"a {type(given).__name__} came back where a Prediction belongs"
        found.append(sample_id)
    if len(found) != len(wanted):
        return f"{len(found)} predictions came back for {len(wanted)} requests"
    for here, there in zip(wanted, found, strict=True):
        if here != there:
            return f"a prediction for {there!r} came back where {here!r} was asked"
    return ""
