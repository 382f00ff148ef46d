"""Rows that no table can hold cost their own sample, never the shard they are in."""

from pathlib import Path

import pytest
from fakes import SMALL, plan
from faults.unstorable import KINDS

from medgen.actors.local_pool import LocalPool
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, System
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.stages import VERDICTS
from medgen.engine.store.connect import connect


@pytest.mark.parametrize("kind", KINDS)
def test_a_prediction_that_cannot_be_stored_is_one_row(tmp_path: Path, kind: str) -> None:
    objects = connect(str(tmp_path))
    model = Model(Spec("faults.unstorable:Careless", {"kind": kind}), SMALL)
    judge = Model(Spec("faults.unstorable:CarelessJudge", {"name": "j", "kind": kind}), SMALL)
    work = plan(objects, System("careless", model), count=12, judges={"j": judge})
    reader = RunReader(objects, work)
    assert carry_out(reader, survey(reader), LocalPool(), Options()) == Ending(False, {})
    reader = reader.anew()
    found = [p for shard in range(work.shards) for p in reader.predictions("careless", shard)]
    bad = {p.sample_id: p for p in found if p.status != "ok"}
    assert set(bad) == {"s0003"}
    assert bad["s0003"].status == "model_error"
    assert "cannot be stored" in bad["s0003"].reason
    (node,) = work.giving("careless", VERDICTS)
    tables = [reader.table(node, shard) for shard in range(work.shards)]
    verdicts = [row for table in tables for row in table.to_pylist()]  # type: ignore[union-attr]
    assert len(verdicts) == 24
    assert [v["status"] for v in verdicts if v["sample_id"] == "s0003"] == ["skipped"] * 2
    spoilt = [v["status"] for v in verdicts if v["sample_id"] == "s0004"]
    assert spoilt == ["schema_error"] * 2
