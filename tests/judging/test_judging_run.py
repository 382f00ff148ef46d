"""The judge stage of a run: rubbish becomes rows, and a retry fills exactly those."""

from pathlib import Path
from typing import Any

from fakes import PAIR, Lines, echo, recipe

from medgen.actors.local_pool import LocalPool
from medgen.adapters.judges.chat_judge import cases_in_order
from medgen.adapters.judges.rule_judge import strikes
from medgen.adapters.judges.settings import Faults
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.data import Prediction, Sample, Verdict
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System, make_plan
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store import schemas
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

RUBBISH = {"rubbish": 0.3, "seed": 7}


class Questions(Lines):
    """Only samples that are answered in words."""

    def __iter__(self) -> Any:
        return (s for s in super().__iter__() if isinstance(s, Sample) and s.format == "VQA")


def planned(objects: Objects, execution: dict[str, float]) -> Plan:
    kwargs = {"name": "rule", "protocol": "table-iv/1", "repeats": 2, "execution": execution}
    judges = {"rule": Model(Spec("rule-judge", kwargs), PAIR)}
    manifest = import_benchmark(Questions(180), objects, ImportOptions("questions", 16))
    return make_plan(
        recipe(System("echo", echo(), gives=("text", "choice")), judges=judges), manifest
    )


def go(objects: Objects, plan: Plan, retry: bool = False) -> int:
    """Carry the plan out; how many shards that took."""
    reader = RunReader(objects, plan)
    todo = survey(reader, "errors" if retry else "outside")
    pool = LocalPool()
    carry_out(reader, todo, pool, Options())
    pool.shutdown()
    return todo.shards


def verdicts(objects: Objects, plan: Plan) -> list[Verdict]:
    reader = RunReader(objects, plan)
    (node,) = (n for n in plan.nodes.values() if n.stage == "judge")
    tables = (reader.table(node, shard) for shard in range(plan.shards))
    return [v for table in tables if table is not None for v in schemas.verdicts(table)]


def struck(found: list[Verdict]) -> set[tuple[str, str, int]]:
    """The verdicts that the injected fault spoils, computed apart from the run."""
    faults = Faults(**RUBBISH)  # type: ignore[arg-type]
    ids = dict.fromkeys(v.sample_id for v in found)
    samples = [
        Sample(i, "text", "question-answering", "CT", "", reference_texts=("r",)) for i in ids
    ]
    cases = cases_in_order(samples, [Prediction(i) for i in ids], repeats=2)
    return {(c.sample.id, c.view, c.repeat) for c in cases if strikes(faults, c, "rule")}


def slot(verdict: Verdict) -> tuple[str, str, int]:
    return verdict.sample_id, verdict.view, verdict.repeat


def test_rubbish_is_exactly_its_share_of_rows_and_a_retry_fills_them(tmp_path: Path) -> None:
    objects = connect(str(tmp_path / "store"))
    faulty = planned(objects, RUBBISH)
    go(objects, faulty)
    before = verdicts(objects, faulty)
    assert len(before) == 60 * 2 * 2
    failed = {slot(v) for v in before if v.status in ("parse_error", "schema_error")}
    assert failed == struck(before)
    assert 0.2 < len(failed) / len(before) < 0.4
    assert {v.status for v in before} == {"ok", "parse_error", "schema_error"}
    assert not any(v.scores for v in before if v.status != "ok")

    well = planned(objects, {})
    assert well.nodes.keys() == faulty.nodes.keys(), "the fault is no part of the judge"
    assert go(objects, well) == 0, "failed rows are not retried silently"
    go(objects, well, retry=True)
    after = verdicts(objects, well)
    assert {v.status for v in after} == {"ok"}
    assert [slot(v) for v in after] == [slot(v) for v in before]
    assert all(a == b for a, b in zip(after, before, strict=True) if b.status == "ok")
    assert survey(RunReader(objects, well), "errors").shards == 0
