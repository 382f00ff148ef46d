"""What a shell is offered after a word that is begun."""

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from medgen.launch.cli import cli


def offers(*words: str) -> list[str]:
    """What click gives a shell for the last of the words."""
    asked = ShellComplete(cli, {}, "medgen", "_MEDGEN_COMPLETE")
    return [found.value for found in asked.get_completions(list(words[:-1]), words[-1])]


@pytest.fixture
def store(tmp_path: Path) -> str:
    from results.fake_runs import FakeRun, make_samples, steady

    from medgen.engine.run.folder import RunFolder, Status

    run = FakeRun(make_samples(4), systems=("alder", "birch+fern"), score=steady(lambda s, x: 1.0))
    reader = run.write(str(tmp_path / "store"))
    folder = RunFolder(reader.objects, reader.plan.run_id)
    folder.save_plan(reader.plan, "name: fake\n")
    stamp = "2026-01-01T00:00:00+00:00"
    status = Status(run_id=reader.plan.run_id, status="success", started=stamp, updated=stamp)
    folder.save_status(status)
    return str(tmp_path / "store")


def test_commands_configurations_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").touch()
    assert offers("rep") == ["report"]
    assert "demo" in offers("run", "--config", "")
    assert offers("run", "--config", "mi") == ["mine.yaml"]


def test_presets_in_overrides() -> None:
    assert offers("run", "sys") == ["systems=["]
    assert offers("run", "systems=[oracle,small-r") == ["systems=[oracle,small-reader"]
    assert "systems=[small-reader+small-editor" in offers("run", "systems=[small-reader+small")
    assert offers("plan", "protocol=table") == ["protocol=table-iv"]
    assert offers("plan", "nonsense=x") == []


def test_runs_and_systems_of_the_store(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDGEN_STORE", store)
    (run,) = offers("view", "")
    assert offers("status", run[:3]) == [run]
    assert offers("compare", "al") == ["alder"]
    assert offers("compare", "alder", f"{run}/b") == [f"{run}/birch+fern"]


def test_a_store_that_is_not_there_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDGEN_STORE", "nowhere://bucket")
    assert offers("view", "") == []
    assert offers("compare", "") == []
