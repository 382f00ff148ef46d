"""Systems and judges that a run chooses, and settings that reach only those."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from medgen.conf import load
from medgen.conf.reading import ConfError
from medgen.engine.errors import ConfigError
from medgen.launch.compose import recipe

HEAD = {"store": "memory://x", "benchmark": "mini", "protocol": "table-iv", "cluster": "local"}


def run_file(tmp_path: Path, **body: Any) -> str:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({**HEAD, **body}))
    return str(path)


def test_a_file_s_settings_of_one_judge_do_not_bind_who_chooses_another(tmp_path: Path) -> None:
    path = run_file(
        tmp_path,
        systems=["oracle"],
        judges=["tiny-vlm"],
        judge={"tiny-vlm": {"systems": ["oracle"]}},
    )
    assert load(path).judge["tiny-vlm"].systems == ["oracle"]
    assert list(load(path, ["judges=[rule]"]).judge) == ["rule"]
    assert load(path, ["judges=[]"]).judge == {}


def test_a_system_that_the_file_writes_out_stays_beside_those_of_the_command_line(
    tmp_path: Path,
) -> None:
    own = {"mine": {"answer": {"target": "fakes:Echo"}}}
    path = run_file(tmp_path, systems=["oracle"], system=own)
    assert set(load(path).system) == {"oracle", "mine"}
    assert set(load(path, ["systems=[blank]"]).system) == {"blank", "mine"}


def test_a_file_s_settings_of_a_system_that_nobody_chose_are_refused(tmp_path: Path) -> None:
    stray = {"oracel": {"answer": {"resources": {"cpus": 2}}}}
    path = run_file(tmp_path, systems=["oracle", "blank"], system=stray)
    with pytest.raises(ConfError) as refused:
        load(path)
    assert str(refused.value) == (
        "system.oracel: no system of that name is chosen; `systems` has oracle, blank. "
        "Did you mean 'oracle'?"
    )


def test_a_whole_system_may_stand_on_the_command_line(tmp_path: Path) -> None:
    words = ["system.new.name=new", "system.new.answer.target=fakes:Echo"]
    assert "new" in load(run_file(tmp_path, systems=["oracle"]), words).system
    with pytest.raises(ConfError, match="no system of that name is chosen"):
        load(run_file(tmp_path, systems=["oracle"]), words[1:])


SPREAD = "execution.engine={tensor_parallel_size: 2, pipeline_parallel_size: 2}"


@pytest.mark.parametrize(
    ("member", "model"),
    [
        ("systems=[qwen3-vl-8b]", "system.qwen3-vl-8b.answer"),
        ("judges=[qwen3-vl-8b]", "judge.qwen3-vl-8b"),
    ],
)
def test_a_spread_model_needs_as_many_gpus(member: str, model: str, tmp_path: Path) -> None:
    path = run_file(tmp_path)
    overrides = [member, f"{model}.kwargs.chat.kwargs.{SPREAD}"]
    with pytest.raises(ConfigError, match=r"2 x pipeline_parallel_size 2 is 4 GPUs a worker"):
        recipe(load(path, overrides))
    recipe(load(path, [*overrides, f"{model}.resources.gpus=4"]))
    recipe(load(path, [*overrides, f"{model}.resources.gpus=0"]))  # processes on the CPU
