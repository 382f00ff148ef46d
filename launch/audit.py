"""Which systems and judges of a run repeat themselves, and by how much not."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from medgen.engine.plan.identity import Spec, reads_benchmark
from medgen.engine.plan.plan import Model, Node, Recipe, Step
from medgen.engine.results.statistics import binomial_interval
from medgen.engine.run.reader import RunReader
from medgen.engine.stages import JUDGE_AGAIN, PREDICT_AGAIN

STAGES = (PREDICT_AGAIN.name, JUDGE_AGAIN.name)


def with_audit(asked: Recipe, share: float) -> Recipe:
    """The recipe with an audit of each judge, and of each system's first model but controls'."""
    steps = []
    for system in asked.systems:
        model = system.answer or system.render
        if model is not None and not system.control and not reads_benchmark(model.spec):
            name = f"{PREDICT_AGAIN.name}-{system.name}"
            audit = _audit_of(model, share)
            steps.append(Step(name, PREDICT_AGAIN.name, audit, systems=(_literal(system.name),)))
    for name, judge in asked.judges.items():
        step = f"{JUDGE_AGAIN.name}-{name}"
        systems = asked.judged.get(name, ("*",))
        audit = _audit_of(judge, share)
        steps.append(Step(step, JUDGE_AGAIN.name, audit, after=(name,), systems=systems))
    return replace(asked, steps=(*asked.steps, *steps))


def _audit_of(model: Model, share: float) -> Model:
    inner = {"target": model.spec.target, "kwargs": dict(model.spec.kwargs)}
    return replace(model, spec=Spec("audited", {"inner": inner, "share": share}), split=1)


def _literal(name: str) -> str:
    """A pattern that only this name fits."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


@dataclass(frozen=True, slots=True)
class Repetition:
    """How far one model repeated itself over one system's samples."""

    who: str
    again: int  # samples that were asked again
    other: int  # of these, with another row
    failed: int  # without one
    largest: float | None  # difference between two scores of a judge
    mean: float | None

    @property
    def words(self) -> str:
        """As a line."""
        if not self.again:
            return f"{self.who}: nothing to ask again"
        low, high = binomial_interval(self.other, self.again)
        share = f"{100 * self.other / self.again:.1f} %, 95 % {100 * low:.1f} to {100 * high:.1f}"
        line = f"{self.who}: {self.other} of {self.again} are others ({share})"
        if self.largest is not None:
            line += f"; scores differ by {self.mean:.2f} in the mean, {self.largest:g} at most"
        return line + (f"; {self.failed} failed" if self.failed else "")


def repetitions(reader: RunReader) -> Iterator[Repetition]:
    """What the audits of a run found, in the order of its plan.

    Raises:
        CorruptError: stored rows are damaged.
    """
    for node in reader.plan.nodes.values():
        if node.stage in STAGES:
            yield _sum(reader, node)


def _sum(reader: RunReader, node: Node) -> Repetition:
    tables = [reader.table(node, shard) for shard in range(reader.plan.shards)]
    rows = [row for table in tables if table is not None for row in table.to_pylist()]
    fine = [row for row in rows if row["status"] == "ok"]
    differences = [row["difference"] for row in fine if row["difference"] is not None]
    subject = node.systems[0]
    if node.stage == JUDGE_AGAIN.name:
        judge = node.label.removeprefix(f"{JUDGE_AGAIN.name}-")
        subject = f"judge {judge} over {subject}"
    return Repetition(
        subject,
        len(fine),
        sum(not row["same"] for row in fine),
        sum(row["status"] not in ("ok", "skipped") for row in rows),
        max(differences, default=None),
        sum(differences) / len(differences) if differences else None,
    )
