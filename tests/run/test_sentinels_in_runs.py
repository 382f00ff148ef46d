"""A judge that judges otherwise than in the run before is noticed, and the run says so."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FixedJudge, echo, plan

from medgen.actors.local_pool import LocalPool
from medgen.engine.data import Prediction, Sample, Verdict
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.sentinels import drifts
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects


def judged(objects: Objects, prefix: str, session: str) -> Plan:
    """A run of another system under the same judge, in a session of its own."""
    judge = Model(Spec("fakes:FixedJudge", {"name": "j"}))
    work = plan(objects, System("echo", echo(prefix=prefix)), judges={"j": judge})
    reader = RunReader(objects, work)
    carry_out(reader, survey(reader), LocalPool(), Options(session=session))
    return work


def test_a_judge_that_moved_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = connect(str(tmp_path / "store"))
    first = judged(objects, "a", "20260101T0-x")
    assert drifts(objects, first, "20260101T0-x") == {}, "nothing to compare with yet"
    same = judged(objects, "b", "20260102T0-x")
    assert not drifts(objects, same, "20260102T0-x")["judge/j"].moved

    steady = FixedJudge.judge

    def milder(
        self: FixedJudge, samples: Sequence[Sample], predictions: Sequence[Prediction]
    ) -> list[Verdict]:
        rows = steady(self, samples, predictions)
        return [replace(v, scores={k: x - 1 for k, x in v.scores.items()}) for v in rows]

    monkeypatch.setattr(FixedJudge, "judge", milder)
    moved = judged(objects, "c", "20260103T0-x")
    drift = drifts(objects, moved, "20260103T0-x")["judge/j"]
    assert drift.moved
    assert drift.shift["overall"] == -1
    assert "the judge moved" in drift.words


def test_a_run_without_anything_to_judge_wakes_no_judge(tmp_path: Path) -> None:
    objects = connect(str(tmp_path / "store"))
    judged(objects, "a", "20260101T0-x")
    again = judged(objects, "a", "20260102T0-x")
    assert drifts(objects, again, "20260102T0-x") == {}
