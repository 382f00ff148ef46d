"""A share of finished samples asked or judged again, and held against what is there.

Whether a model repeats itself is no property of its recipe: batches, kernels and vendors decide it.
So it is measured, by stages of their own over the rows of another; nothing of those is changed.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import pyarrow as pa
from msgspec import Meta

from medgen.engine.data import Prediction, Request, Sample, Verdict
from medgen.engine.guard import Unforeseen, in_halves_unless_all, internal_error
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Node
from medgen.engine.ports import Generator, Judge
from medgen.engine.run.guarding import guard_verdicts
from medgen.engine.run.pool import Target, Unit
from medgen.engine.run.stages import reason_untried
from medgen.engine.run.worker import StageWorker
from medgen.engine.settings import Nested, Settings
from medgen.engine.stages import VERDICTS, stage_kind
from medgen.engine.store import schemas

SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("status", pa.string()),  # ok: asked again; skipped: not of the share; error: no new row
        ("same", pa.bool_()),  # of rows that are ok: whether nothing is another
        ("difference", pa.float64()),  # the largest between two scores of a judge
        ("words", pa.string()),  # what is another
        ("cost_usd", pa.float64()),
    ],
    metadata={"medgen.schema": "again/1"},
)
_Share = Annotated[float, Meta(gt=0, le=1)]


class AuditedSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `Audited`."""

    inner: Nested
    share: _Share = 0.05


class Audited:
    """A generator or judge, and which share of the samples it is asked about again."""

    def __init__(self, inner: Mapping[str, Any], *, share: float = 0.05) -> None:
        """Build what is audited.

        Args:
            inner: its `target` and `kwargs`.
            share: of the finished samples.
        """
        self.inner: Any = Spec(**inner).build()
        self.share = share

    def passport(self) -> Mapping[str, Any]:
        """That of what is audited."""
        found: Mapping[str, Any] = self.inner.passport()
        return found

    def chooses(self, sample_id: str) -> bool:
        """Whether a sample is of the share: the same ones in every run."""
        digest = hashlib.sha256(f"again {sample_id}".encode()).digest()
        return int.from_bytes(digest[:4], "big") < self.share * 2**32


@dataclass(frozen=True, slots=True)
class _Row:
    """What asking again came to."""

    status: str
    same: bool | None = None
    difference: float | None = None
    words: str = ""
    cost_usd: float = 0.0


class AgainWorker(StageWorker):
    """What both audits share: which samples, and rows for all."""

    def __init__(self, url: str, plan: Any, group: str) -> None:
        """See `StageWorker`."""
        super().__init__(url, plan, group)
        self.audited: Audited = self.group.spec.build()

    def work(self, unit: Unit) -> dict[Target, pa.Table]:
        (target,) = unit.targets
        node = self.node(target)
        samples = [s for s in self.samples(unit) if s.asks in node.gives]
        found = self.again(node, unit, [s for s in samples if self.audited.chooses(s.id)])
        return {target: _table(samples, found)}

    def again(self, node: Node, unit: Unit, samples: Sequence[Sample]) -> Mapping[str, _Row]:
        """Ask again; samples without a finished row are left out."""
        raise NotImplementedError

    def above(self, node: Node, rows: str) -> Node:
        """The first node upstream with rows of a kind."""
        every = (self.plan.nodes[key] for key in node.upstream)
        return next(n for n in every if stage_kind(n.stage).rows == rows)

    def untried_rows(self, node: Node, unit: Unit) -> pa.Table:
        samples = [s for s in self.samples(unit) if s.asks in node.gives]
        reason, _ = reason_untried(unit)
        return _table(samples, {s.id: _Row("error", words=reason) for s in samples})

    def passport(self, node: Node) -> Mapping[str, Any]:
        return self.audited.passport()


class AnswerAgainWorker(AgainWorker):
    """Asks a system's first model again."""

    def again(self, node: Node, unit: Unit, samples: Sequence[Sample]) -> Mapping[str, _Row]:
        """See `AgainWorker.again`."""
        first = self.plan.nodes[node.upstream[0]]
        shard = unit.shard // node.split
        before = {p.sample_id: p for p in schemas.predictions(self.rows(first, shard, unit))}
        asked = [s for s in samples if s.id in before and before[s.id].status == "ok"]
        generator: Generator = self.audited.inner
        after = in_halves_unless_all(
            generator.predict, [Request(s) for s in asked], _no_row, lambda r: r.sample.id
        )
        return {p.sample_id: _compare(before[p.sample_id], p) for p in after}


class JudgeAgainWorker(AgainWorker):
    """Has a judge judge the same predictions again."""

    def again(self, node: Node, unit: Unit, samples: Sequence[Sample]) -> Mapping[str, _Row]:
        """See `AgainWorker.again`."""
        judged, shard = self.above(node, VERDICTS), unit.shard // node.split
        before: dict[str, list[Verdict]] = {}
        for verdict in schemas.verdicts(self.rows(judged, shard, unit)):
            before.setdefault(verdict.sample_id, []).append(verdict)
        given = self.predictions(node, unit, samples)
        asked = [s for s in samples if any(v.status == "ok" for v in before.get(s.id, ()))]
        judge: Judge = self.audited.inner
        repeats = max((v.repeat for rows in before.values() for v in rows), default=0) + 1
        found = guard_verdicts(judge, judged.label, repeats, [(s, given[s.id]) for s in asked])
        pairs = zip(asked, found, strict=True)
        return {s.id: _compare_verdicts(before[s.id], after) for s, after in pairs}


def _no_row(request: Request, found: Unforeseen) -> Sequence[Prediction]:
    return [internal_error(request.sample.id, found)]


def _compare(before: Prediction, after: Prediction) -> _Row:
    cost = after.usage.cost_usd
    if after.status != "ok":
        return _Row("error", words=f"{after.status}: {after.reason}", cost_usd=cost)
    parts = {
        "text": (before.text, after.text),
        "image prompt": (before.image_prompt, after.image_prompt),
        "images": ([i.data for i in before.images], [i.data for i in after.images]),
    }
    other = [name for name, (one, two) in parts.items() if (one or None) != (two or None)]
    return _Row("ok", not other, words=", ".join(other), cost_usd=cost)


def _compare_verdicts(before: Sequence[Verdict], after: Sequence[Verdict]) -> _Row:
    """Verdicts of one sample, view by view; one that is given no more is another, too."""
    cost = sum(v.usage.cost_usd for v in after)
    now = {(v.view, v.repeat): v for v in after}
    pairs = [(v, now[v.view, v.repeat]) for v in before if (v.view, v.repeat) in now]
    statuses = [f"{a.view}: {a.status}, then {b.status}" for a, b in pairs if a.status != b.status]
    found = list(_differences(pairs))
    largest = max(found, default=0.0)
    words = "; ".join([*statuses, *(["scores"] if largest else [])])
    return _Row("ok", not words, largest if found else None, words, cost)


def _differences(pairs: Sequence[tuple[Verdict, Verdict]]) -> Iterator[float]:
    for one, two in pairs:
        yield from (abs(one.scores[n] - two.scores[n]) for n in one.scores if n in two.scores)


def _table(samples: Sequence[Sample], found: Mapping[str, _Row]) -> pa.Table:
    rows = [(s.id, found.get(s.id, _Row("skipped"))) for s in samples]
    columns = {
        "sample_id": [identity for identity, _ in rows],
        **{name: [getattr(row, name) for _, row in rows] for name in SCHEMA.names[1:]},
    }
    return pa.table(columns, SCHEMA)
