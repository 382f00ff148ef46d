"""`medgen eval` is about a table as it is now, not as it once was imported."""

import shutil
from pathlib import Path

import pytest
from commands import medgen
from models.loopback import Answer, Asked, serve

import medgen as package
from medgen.engine.errors import ConfigError
from medgen.launch.notebook import Run
from medgen.launch.quick import Quick, quick_run


def lay(file: Path, *answers: str) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"What is {n}?,{answer}\n" for n, answer in enumerate(answers))
    file.write_text(f"question,answer\n{rows}")
    return str(file)


def answers_of(run: Run) -> list[str]:
    rows = run.predictions().select(["system", "text"]).to_pylist()
    return sorted(row["text"] for row in rows if row["system"] == "oracle")


def test_a_table_that_was_changed_is_read_anew(tmp_path: Path) -> None:
    """The second run was about the rows of the first, and said so nowhere."""
    store, file = str(tmp_path / "store"), tmp_path / "q.csv"
    first = package.evaluate(lay(file, "lung"), "blank", store=store)
    assert answers_of(first) == ["lung"]
    second = package.evaluate(lay(file, "lung", "liver"), "blank", store=store)
    assert answers_of(second) == ["liver", "lung"]
    assert package.evaluate(str(file), "blank", store=store).id == second.id


def test_another_table_of_the_same_name_is_another_benchmark(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    one, two = lay(tmp_path / "a" / "q.csv", "lung"), lay(tmp_path / "b" / "q.csv", "liver", "eye")
    found = [answers_of(package.evaluate(t, "blank", store=store)) for t in (one, two, one)]
    assert found == [["lung"], ["eye", "liver"], ["lung"]]


def test_a_folder_of_the_name_of_another_is_refused(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    done = medgen("build", "layouts", "--to", str(tmp_path / "a"))
    assert done.returncode == 0, done.stderr
    view = tmp_path / "a" / "view"
    shutil.copytree(view, tmp_path / "b" / "view")
    assert medgen("import", str(view), "--store", store).returncode == 0
    assert quick_run(Quick(str(view), "blank", store=store)).benchmark.name == "view"
    other = str(tmp_path / "b" / "view")
    with pytest.raises(ConfigError, match="puts it beside"):
        quick_run(Quick(other, "blank", store=store))


def test_a_preset_that_was_changed_since_its_import_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    store = f"store={tmp_path / 'store'}"
    lay(tmp_path / "q.csv", "lung", "liver")
    assert medgen("import", "q.csv", "--store", store.removeprefix("store=")).returncode == 0
    given = ("plan", "benchmark=q", "systems=[oracle]", store, "cluster=in-process")
    assert medgen(*given).returncode == 0
    assert "another mapping" not in caplog.text
    preset = tmp_path / "q.yaml"
    preset.write_text(preset.read_text().replace("task: open-vqa", "task: short-vqa"))
    assert medgen(*given).returncode == 0
    assert "was imported by another mapping than benchmark 'q' has now" in caplog.text


def test_python_takes_paths_and_refuses_what_is_neither_path_nor_name(tmp_path: Path) -> None:
    file, store = Path(lay(tmp_path / "q.csv", "lung")), tmp_path / "store"
    run = package.evaluate(file, "blank", store=store)
    assert package.open(store).runs() == [run.id]
    with pytest.raises(ConfigError, match="`data` is dict, and should be a path or a name; write"):
        package.evaluate({"question": ["Q"]}, "blank", store=store)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a limit of 0 leaves no sample"):
        package.evaluate(file, "blank", store=store, limit=0)


def refuse(asked: Asked) -> Answer:
    """It says what it serves, and has no credit for more."""
    if asked.path.endswith("/models"):
        return Answer({"data": [{"id": "poor"}]})
    return Answer({"error": {"message": "no credit", "code": "insufficient_quota"}}, status=401)


def test_python_says_what_a_run_gave_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serve(refuse) as server:
        url = f"{server.url.removesuffix('/v1')}/v1"
        run = package.evaluate(lay(tmp_path / "q.csv", "lung"), url, store=tmp_path / "store")
    assert "given up" in caplog.text
    assert f"run {run.id} is not complete; the same call goes on" in caplog.text
