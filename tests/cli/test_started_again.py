"""A run that is complete publishes nothing again, unless what it would publish is another."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from commands import medgen
from fakes import Lines

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.run.folder import RunFolder
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect
from medgen.launch.run.published import made_from

BODY = {
    "name": "again",
    "benchmark": {"name": "fake"},
    "systems": [{"name": "echo", "answer": {"target": "fakes:Echo"}}],
    "protocol": {"name": "text", "metrics": {"token_f1": {}}},
    "cluster": "in-process",
}
MADE = ("summary.parquet", "certainty.json", "report/index.md")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Starts the run, and gives what it prints but for the time that it took."""
    url = str(tmp_path / "store")
    import_benchmark(Lines(12), connect(url), ImportOptions("fake", 4))
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(BODY))

    def start(*more: str, code: int = 0) -> str:
        done = medgen("run", "--config", str(config), "--store", url, *more)
        assert done.returncode == code, done.stderr
        return re.sub(r"complete in [\d.]+ s", "complete", done.stdout)

    return start


def folder(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "store" / "runs").iterdir()
    return found


def stamps(tmp_path: Path) -> dict[str, int]:
    return {name: (folder(tmp_path) / name).stat().st_mtime_ns for name in MADE}


def test_a_start_with_nothing_to_do_says_the_same_and_writes_none_of_it(
    run: Callable[..., str], tmp_path: Path
) -> None:
    said, before = run(), stamps(tmp_path)
    assert run() == said
    assert stamps(tmp_path) == before


def test_it_is_of_the_very_shards_that_its_plan_names(
    run: Callable[..., str], tmp_path: Path
) -> None:
    run()
    objects = connect(str(tmp_path / "store"))
    reader = RunReader(objects, RunFolder(objects, folder(tmp_path).name).plan())
    made = made_from(reader, report=True)
    assert made == made_from(reader, report=True) != made_from(reader, report=False)
    first, *others = reader.plan.content
    for change in ({"digest": "0" * 32}, {"sha256": "0" * 64}):
        reader.plan = replace(reader.plan, content=(replace(first, **change), *others))
        assert made_from(reader, report=True) != made


def test_what_is_missing_or_damaged_of_it_is_made_again(
    run: Callable[..., str], tmp_path: Path
) -> None:
    run("report=false")
    assert not (folder(tmp_path) / "report").exists()
    assert "report: " in run(), "it was not asked for before"
    paths = [folder(tmp_path) / name for name in MADE]
    whole = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
        run()
        assert [path.read_bytes() for path in paths] == whole
    paths[0].write_bytes(whole[0][:-9])
    run()
    assert [path.read_bytes() for path in paths] == whole
    note = folder(tmp_path) / "published.json"
    note.write_text("{")
    run()
    assert note.read_text() != "{"


def test_a_run_that_allows_fewer_failures_is_told_so_without_being_published_again(
    run: Callable[..., str], tmp_path: Path
) -> None:
    faulty = "system.echo.answer.kwargs.faults={s0003: error}"
    run(faulty, "allowed_failures=0.3")
    before = stamps(tmp_path)
    run(faulty, code=3)
    assert stamps(tmp_path) == before
