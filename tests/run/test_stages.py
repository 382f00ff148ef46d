"""A stage is a description: one of another package runs like the four of ours."""

import os
from pathlib import Path

import pytest
from fakes import PAIR, echo, plan

from medgen.engine import registry
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, Step, System
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.pool import Pool
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.stages import StageKind, stage_kind
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

JUDGE = Model(Spec("fakes:FixedJudge", {"name": "fixed"}), PAIR)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package of the stage, as an installer leaves it."""
    place = tmp_path / "site"
    record = place / "auditing-1.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: auditing\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[medgen.stages]\naudit = auditing:AUDIT\n")
    monkeypatch.syspath_prepend(str(place))
    return place


def audited(objects: Objects, site: Path, above: float = 9.0) -> Plan:
    """A plan whose verdicts are audited; its workers find the package on their own path."""
    paths = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    resources = Resources(cpus=0.1, runtime_env={"env_vars": {"PYTHONPATH": paths}})
    model = Model(Spec("auditing:Doubter", {"above": above}), resources)
    step = Step("second-look", "audit", model, after=("fixed",))
    return plan(objects, System("echo", echo()), judges={"fixed": JUDGE}, steps=(step,))


def test_a_stage_of_another_package_runs_and_resumes(
    installed: Path, pool: Pool, tmp_path: Path
) -> None:
    objects = connect(str(tmp_path / "store"))
    work = audited(objects, installed)
    reader = RunReader(objects, work)
    assert carry_out(reader, survey(reader), pool, Options()) == Ending(False, {})
    reader = reader.anew()
    assert not survey(reader).shards
    (node,) = (n for n in work.nodes.values() if n.stage == "audit")
    assert node.label == "second-look"
    assert {work.nodes[k].stage for k in node.upstream} == {"answer", "judge"}
    tables = [reader.table(node, shard) for shard in range(work.shards)]
    rows = [row for table in tables if table is not None for row in table.to_pylist()]
    # The fake judge gives 9 in one of the two views.
    assert {r["sample_id"]: r["doubted"] for r in rows} == {f"s{i:04d}": 1 for i in range(24)}
    stricter = audited(objects, installed, above=9.5)
    redone = survey(RunReader(objects, stricter))
    stages = {stricter.nodes[key].stage for key, left in redone.targets.items() if left}
    assert stages == {"audit"}, "another audit repeats neither answers nor verdicts"


def test_what_a_stage_may_read_is_held(installed: Path, tmp_path: Path) -> None:
    objects = connect(str(tmp_path / "store"))
    model = Model(Spec("auditing:Doubter", {"above": 9.0}))
    with pytest.raises(ConfigError, match="comes after 'nobody', which this run does not make"):
        plan(objects, steps=(Step("look", "audit", model, after=("nobody",)),))
    with pytest.raises(ConfigError, match=r"stage 'audit' reads .*; 'length' gives score/2"):
        plan(objects, steps=(Step("look", "audit", model, after=("length",)),))
    with pytest.raises(ConfigError, match="share a name: length"):
        plan(objects, steps=(Step("length", "audit", model),))
    with pytest.raises(ConfigError, match=r"no stage 'adit'. Did you mean 'audit'"):
        plan(objects, steps=(Step("look", "adit", model),))


def test_the_stages_of_ours_are_descriptions_too() -> None:
    kinds = [stage_kind(name) for name in registry.components("stages")]
    assert all(isinstance(kind, StageKind) for kind in kinds)
    assert {kind.name for kind in kinds if kind.predicts} == {"answer", "render"}
    assert {kind.name for kind in kinds if kind.shard_major} == {"score"}
