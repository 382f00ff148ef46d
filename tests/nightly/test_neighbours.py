"""Retention in a store whose name holds signs removes nothing of the stores beside it."""

from pathlib import Path

import pytest
from fakes import benchmark, echo, recipe

from medgen.engine.plan.plan import System, make_plan
from medgen.engine.run.folder import RunFolder, Status, now, run_ids
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.launch.housekeeping.garbage import remove
from medgen.launch.nightly.history import Night
from medgen.launch.nightly.night import removable

NAMES = ("exp[1]", "exp*", "exp?", "exp{1,2}", "exp%31", "exp[!2]")


@pytest.fixture(params=["directory", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "directory":
        return str(tmp_path)
    url: str = request.getfixturevalue("s3_url")
    return url


def leave(objects: Objects, day: int) -> Night:
    plan = make_plan(recipe(System("echo", echo(prefix=str(day)))), benchmark(objects))
    folder = RunFolder(objects, plan.run_id)
    folder.save_plan(plan, "")
    folder.save_status(Status("success", plan.run_id, now(), now()))
    for node in plan.nodes.values():
        objects.create(f"stages/{node.stage}/{node.key}/stage.json", b"{}")
    return Night("n", f"2026-01-{day:02d}", "pass", 0, run_id=plan.run_id)


@pytest.mark.parametrize("name", NAMES)
def test_a_store_beside_one_with_signs_keeps_everything(root: str, name: str) -> None:
    here, beside = connect(f"{root}/{name}"), connect(f"{root}/exp1")
    nights = [leave(here, day) for day in (1, 2, 3)]
    for day in (1, 2, 3):
        leave(beside, day)
    going = removable(here, nights, keep=1)
    assert set(going.runs) == {nights[0].run_id, nights[1].run_id}
    remove(here, going)
    assert set(run_ids(here)) == {nights[2].run_id}
    assert set(run_ids(beside)) == {night.run_id for night in nights}
    stages = {(s, k) for s in beside.names("stages") for k in beside.names(f"stages/{s}")}
    assert len(stages) == 6, "an answer and a score stage of each run"
