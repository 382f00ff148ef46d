"""Commands that a person is told to run find the store that was meant."""

from pathlib import Path

import pytest
from commands import medgen
from results.fake_runs import FakeRun, make_samples, steady

from medgen.engine.run.folder import RunFolder, RunStatus, Status, now
from medgen.engine.store.connect import connect
from medgen.launch.hints import retry_words, view_command


@pytest.mark.parametrize(
    ("unasked", "store", "said"),
    [
        ("", "var/store", ""),
        ("", "{here}/var/store", ""),
        ("", "s3://b/x", " --store s3://b/x"),
        ("", "a b", " --store 'a b'"),
        ("s3://b/x", "s3://b/x", ""),
        ("s3://b/x", "var/store", " --store var/store"),
        ("s3://b/x", "{here}/var/store", " --store {here}/var/store"),
        ("kept", "{here}/kept", ""),
    ],
)
def test_a_store_is_named_where_the_command_would_take_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unasked: str, store: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDGEN_STORE", unasked)
    here = str(tmp_path)
    assert view_command("r", store.format(here=here)) == f"medgen view r{said.format(here=here)}"


def test_a_command_is_named_only_where_it_is_known() -> None:
    assert retry_words("demo-123", "var/store") == "medgen run --config demo --retry-errors"
    assert retry_words("demo-123", "a b").endswith("demo --store 'a b' --retry-errors")
    assert retry_words("mine-123", "a b") == "the command that started it, with --retry-errors"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("started", "follow  medgen attach {run} --store '{store}'"),
        ("partial", "go on   the command that started it"),
        ("success", ""),
    ],
)
def test_a_run_that_goes_on_is_followed_and_one_that_stands_is_started(
    tmp_path: Path, state: RunStatus, said: str
) -> None:
    store = str(tmp_path / "a store")
    reader = FakeRun(make_samples(8), score=steady(lambda s, x: 1.0)).write(store)
    run = reader.plan.run_id
    folder = RunFolder(connect(store), run)
    folder.save_plan(reader.plan, "name: fake\n")
    folder.save_status(Status(state, run, now(), now()))
    lines = medgen("status", "--store", store).stdout.splitlines()
    hints = [line for line in lines if line.startswith(("follow ", "go on "))]
    assert hints == ([said.format(run=run, store=store)] if said else [])
