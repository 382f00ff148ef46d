"""A model of a hub without a commit runs only when that is allowed, and its passport says so."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from fakes import Lines

from medgen.adapters.provenance import is_unpinned, weights
from medgen.conf.loading import load
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.errors import PlanError
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.launch.commands.running import plan_command
from medgen.launch.compose import plan_of
from medgen.launch.run.pinned import check_pinned

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def run_file(tmp_path: Path, systems: list[Any]) -> str:
    store = str(tmp_path / "store")
    import_benchmark(Lines(4), connect(store), ImportOptions("fake", 4))
    body = {"name": "e", "store": store, "benchmark": {"name": "fake"}, "systems": systems}
    body |= {"cluster": "in-process", "protocol": {"name": "t", "metrics": {"token_f1": {}}}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(body))
    return str(tmp_path / "run.yaml")


def check(tmp_path: Path, systems: list[Any], *overrides: str, stages: Any = ()) -> list[str]:
    conf = load(run_file(tmp_path, systems), overrides)
    objects = connect(conf.store)
    plan = plan_of(conf, objects)
    return check_pinned(conf, plan, survey(RunReader(objects, plan)), stages)


def vllm(model: str, revision: str) -> dict[str, Any]:
    kwargs = {"model": model, "revision": revision}
    chat = {"target": "vllm", "kwargs": kwargs}
    return {"name": "x", "answer": {"target": "answers", "kwargs": {"chat": chat}}}


@pytest.mark.parametrize("name", ["qwen3-vl-8b", "qwen-image-edit", "gpt-4o+qwen-image-edit"])
def test_a_preset_without_a_commit_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(PlanError, match=r"Qwen/.* at main.*models pin.*--allow-unpinned"):
        check(tmp_path, [name])
    (said,) = check(tmp_path, [name], "allow_unpinned=true")
    assert "at no commit" in said


def test_a_commit_a_folder_and_a_server_s_name_need_no_leave(tmp_path: Path) -> None:
    assert check(tmp_path, [vllm("a/b", COMMIT)]) == []
    assert check(tmp_path, [vllm("./models/a", "main")]) == []
    assert check(tmp_path, ["gpt-4o", "seedream-4", "served-vlm"]) == []


def test_only_what_is_carried_out_has_to_be_pinned(tmp_path: Path) -> None:
    assert check(tmp_path, ["qwen3-vl-8b"], stages=("score",)) == []


def test_a_plan_warns_and_the_option_is_known_to_it(tmp_path: Path) -> None:
    file = run_file(tmp_path, [vllm("a/b", "main")])
    told = CliRunner().invoke(plan_command, ["--config", file, "--no-tree"])
    assert told.exit_code == 0, told.output
    assert "a/b at main: runs with --allow-unpinned only" in told.output
    allowed = CliRunner().invoke(plan_command, ["--config", file, "--no-tree", "--allow-unpinned"])
    assert allowed.exit_code == 0, allowed.output


def test_a_passport_says_that_weights_are_not_pinned(tmp_path: Path) -> None:
    assert weights("a/b", "main")["unpinned"] is True
    assert "unpinned" not in weights("a/b", COMMIT)
    assert "unpinned" not in weights(str(tmp_path), None)
    assert is_unpinned("a/b", None)
    assert is_unpinned("a/b", COMMIT[:12]), "a short one may be another's tomorrow"
