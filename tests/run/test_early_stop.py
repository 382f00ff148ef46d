"""A system that cannot win any more is stopped on request, said to be, and finished without it."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import SMALL, plan

from medgen.actors.local_pool import LocalPool
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.results.comparison import Side, compare
from medgen.engine.results.gaps import STOPPED, given_up, stopped_early
from medgen.engine.results.gate import GateRules, gate
from medgen.engine.results.summary import summarize_system, summary_table
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.events import Event
from medgen.engine.run.folder import RunFolder
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.launch.run.early import EarlyStop
from medgen.launch.run.progress import Recorder
from medgen.launch.view.comparing import comparison_lines

SAMPLES = 144


def model(calls: Path, prefix: str, pause: float) -> Model:
    how = {"calls": str(calls), "pause": str(pause)}
    return Model(Spec("fakes:Echo", {"prefix": prefix, "execution": how}), SMALL)


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def sweep(objects: Objects, folder: Path) -> Plan:
    """The longer answer is the better one; the worse system is slow, and asked again with seeds."""
    worse = System("worse", model(folder / "worse", "", 0.01))
    systems = (
        System("better", model(folder / "better", "more ", 0.0)),
        worse,
        replace(worse, name="worse~2", of="worse", repeat=1, control=True),
    )
    higher = {"length": {"direction": "higher"}}
    return plan(objects, *systems, count=SAMPLES, shard_size=3, thresholds=higher)


def go(objects: Objects, work: Plan, stops: bool) -> tuple[Ending, list[str]]:
    reader, said = RunReader(objects, work), list[str]()
    todo = survey(reader)
    folder = RunFolder(objects, work.run_id)
    folder.save_plan(work, "{}")
    recorder = Recorder(folder, work, todo, "session")

    def tell(event: Event) -> None:
        said.extend(str(w) for w in event.details.values() if event.kind == "warning")

    options = Options()
    if stops:
        early = EarlyStop(reader, todo, GateRules())

        def watch(event: Event) -> None:
            recorder(event)
            early(event)

        options = Options(
            orders=lambda: early.orders(Options().orders(), tell),
            watch=watch,
            judge_wait_s=0.0,
            score_wait_s=0.0,
        )
        with early:
            ending = carry_out(reader, todo, LocalPool(), options)
    else:
        ending = carry_out(reader, todo, LocalPool(), replace(options, watch=recorder))
    recorder.publish(status="partial" if stops else "success", failed=ending.failed)
    return ending, said


def asked(folder: Path) -> int:
    return len((folder / "worse").read_text().split())


def test_a_system_that_cannot_win_is_stopped_and_finished_by_a_plain_start(
    objects: Objects, tmp_path: Path
) -> None:
    work = sweep(objects, tmp_path)
    ending, said = go(objects, work, stops=True)
    assert asked(tmp_path) < 2 * SAMPLES
    (why,) = ending.failed.values()
    assert why.startswith(f"{STOPPED}: after ")
    assert [words.partition(": ")[0] for words in said] == ["worse"]

    # It is said wherever it is shown.
    reader = RunReader(objects, work)
    assert stopped_early(work, given_up(reader)) == {"worse": why, "worse~2": why}
    rows = summary_table([summarize_system(reader, "worse")]).to_pylist()
    assert all(
        row["n"] < row["expected"] and STOPPED in row["reason"]
        for row in rows
        if row["group_kind"] == "all"
    )
    sides = Side(reader, "better"), Side(reader, "worse")
    assert "is not complete: stopped early" in "\n".join(comparison_lines(compare(*sides)))
    assert "worse is not complete" in "\n".join(gate(*sides).stopped)

    # The same once more comes to the same before anything is asked, a plain start owes the rest.
    before = asked(tmp_path)
    again, _ = go(objects, work, stops=True)
    assert (again.failed, asked(tmp_path)) == (ending.failed, before)
    assert go(objects, work, stops=False)[0] == Ending(False, {})
    assert asked(tmp_path) == 2 * SAMPLES
    # And a system that is whole is not stopped any more.
    assert go(objects, work, stops=True) == (Ending(False, {}), [])
