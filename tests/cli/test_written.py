"""A file that cannot be written where a person wants it is told in a sentence, and ends with 6."""

from pathlib import Path

import pytest
from commands import medgen
from results.fake_runs import FakeRun, make_samples, steady

from medgen.engine.run.folder import RunFolder, Status, now
from medgen.engine.store.connect import connect


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = str(tmp_path / "store")
    reader = FakeRun(make_samples(48), score=steady(lambda s, x: len(s))).write(url)
    folder = RunFolder(connect(url), reader.plan.run_id)
    folder.save_plan(reader.plan, "name: fake\n")
    folder.save_status(Status("success", reader.plan.run_id, now(), now()))
    return url


COMMANDS = (
    ("export", "--format", "csv", "--to"),
    ("export", "--format", "parquet", "--to"),
    ("export", "--format", "jsonl", "--to"),
    ("export", "--format", "latex", "--to"),
    ("view", "--bundle"),
    ("gate", "bad", "good", "--markdown"),
    ("submit", "--render", "ray", "--to"),
    ("init",),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_place_that_cannot_be_written_is_named(
    store: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("no folder")
    place = str(tmp_path / "file" / "below")
    more = () if words[0] in ("init", "submit") else ("--store", store)
    done = medgen(*words, place, *more)
    assert done.returncode == 6, done.stderr
    assert place in done.stderr
    assert "Traceback" not in done.stderr


def test_a_verdict_is_written_into_a_folder_that_is_not_there(store: str, tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "verdict.md"
    done = medgen("gate", "bad", "bad", "--markdown", str(file), "--store", store)
    assert done.returncode in (0, 5), done.stderr
    assert file.read_text(encoding="utf-8")
