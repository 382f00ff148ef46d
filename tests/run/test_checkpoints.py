"""Checkpoints of a training are systems, each evaluated once, and drawn as curves."""

import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Done, medgen
from fakes import Lines

from medgen.conf.schema import ModelConf, SystemConf
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.errors import ConfigError
from medgen.engine.store.connect import connect
from medgen.launch.checkpoints import SETTLED_S, at_checkpoints, checkpoints

SAMPLES = 6


def save(folder: Path, name: str, age_s: float = 2 * SETTLED_S) -> Path:
    """A checkpoint whose last file was written so long ago."""
    made = folder / name
    made.mkdir(parents=True)
    (made / "weights").write_text(name)
    for path in (made / "weights", made):
        os.utime(path, times=(time.time() - age_s,) * 2)
    return made


def echo(calls: Path, prefix: str, **more: Any) -> dict[str, Any]:
    kwargs = {"prefix": prefix, "execution": {"calls": str(calls)}}
    return {"answer": {"target": "fakes:Echo", "kwargs": kwargs}, **more}


def run(folder: Path, systems: list[dict[str, Any]]) -> Done:
    store = str(folder / "store")
    import_benchmark(Lines(SAMPLES), connect(store), ImportOptions("fake", 3))
    body = {
        "name": "training",
        "store": store,
        "benchmark": {"name": "fake"},
        "systems": systems,
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "cluster": "in-process",
        "report": False,
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(body))
    return medgen("run", "--config", str(folder / "run.yaml"))


def test_each_start_takes_what_has_appeared_and_repeats_nothing(tmp_path: Path) -> None:
    training, calls, other = tmp_path / "training", tmp_path / "calls", tmp_path / "other"
    mine = echo(calls, "{checkpoint} ", name="mine", checkpoints=str(training))
    for name in ("checkpoint-10", "checkpoint-9"):
        save(training, name)
    fresh = save(training, "checkpoint-30", age_s=0)
    (training / "logs").mkdir()
    done = run(tmp_path, [mine])
    assert done.returncode == 0, done.stderr
    assert len(calls.read_text().split()) == 2 * SAMPLES
    for path in (fresh / "weights", fresh):
        os.utime(path, times=(time.time() - 2 * SETTLED_S,) * 2)
    # The trainer is done with a third one, and the sweep has another system.
    done = run(tmp_path, [mine, echo(other, "", name="plain")])
    assert done.returncode == 0, done.stderr
    assert len(calls.read_text().split()) == 3 * SAMPLES
    assert len(other.read_text().split()) == SAMPLES
    names = [s for s in ("mine-9", "mine-10", "mine-30", "plain") if s in done.stdout]
    assert len(names) == 4

    done = medgen("view", "--store", str(tmp_path / "store"), "--bundle", str(tmp_path / "pages"))
    assert done.returncode == 0, done.stderr
    page = next((tmp_path / "pages").rglob("index.html")).read_text()
    titles = re.findall(r"<title>([^<]*over 3 checkpoints[^<]*)</title>", page)
    assert titles
    assert all("mine: " in title and "plain: " not in title for title in titles)


def test_checkpoints_are_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for name in ("epoch=2-step=100", "epoch=10-step=20", "final"):
        save(tmp_path, name)
    (tmp_path / "step-7").write_text("no folder")
    assert [one.step for one in checkpoints(str(tmp_path))] == [20, 100]
    assert [one.step for one in checkpoints(f"{tmp_path}/epoch=2*")] == [100]
    assert checkpoints(f"{tmp_path}/none*") == []


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder of checkpoints"):
        checkpoints(str(tmp_path / "nowhere"))
    save(tmp_path, "a-1")
    unplaced = SystemConf("m", answer=ModelConf("fakes:Echo"), checkpoints=str(tmp_path))
    with pytest.raises(ConfigError, match=re.escape("{checkpoint}")):
        list(at_checkpoints(unplaced))
    save(tmp_path, "b-1")
    with pytest.raises(ConfigError, match="two checkpoints are of step 1"):
        list(at_checkpoints(unplaced))


@pytest.mark.parametrize("name", ["tmp-checkpoint-20", "checkpoint-20.tmp", "checkpoint-20_tmp"])
def test_what_a_trainer_left_half_written_is_no_checkpoint(tmp_path: Path, name: str) -> None:
    for made in ("checkpoint-10", name):
        save(tmp_path, made)
    (tmp_path / "checkpoint-30").mkdir()
    os.utime(tmp_path / "checkpoint-30", times=(0, 0))
    assert [one.step for one in checkpoints(str(tmp_path))] == [10]


def test_a_link_to_a_checkpoint_is_no_other(tmp_path: Path) -> None:
    made = save(tmp_path, "checkpoint-10")
    (tmp_path / "best-10").symlink_to(made)
    (tmp_path / "latest-1").symlink_to(made)
    (tmp_path / "gone-7").symlink_to(tmp_path / "nowhere")
    assert [Path(one.folder).name for one in checkpoints(str(tmp_path))] == ["checkpoint-10"]


def test_a_checkpoint_with_a_link_to_nothing_in_it_is_one(tmp_path: Path) -> None:
    made = save(tmp_path, "checkpoint-10")
    (made / "optimizer").symlink_to(tmp_path / "nowhere")
    os.utime(made / "optimizer", times=(0, 0), follow_symlinks=False)
    os.utime(made, times=(0, 0))
    assert [one.step for one in checkpoints(str(tmp_path))] == [10]


def test_a_checkpoint_that_is_removed_while_it_is_looked_at_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("checkpoint-10", "checkpoint-20"):
        save(tmp_path, name)
    really = Path.rglob

    def listed(folder: Path, pattern: str) -> list[Path]:
        found = [*really(folder, pattern)]
        if folder.name == "checkpoint-10":
            shutil.rmtree(folder)
        return found

    monkeypatch.setattr(Path, "rglob", listed)
    assert [one.step for one in checkpoints(str(tmp_path))] == [20]


def test_a_training_without_a_checkpoint_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    system = SystemConf("m", answer=ModelConf("fakes:Echo"), checkpoints=str(tmp_path))
    assert list(at_checkpoints(system)) == []
    assert f"system m: no checkpoint in {tmp_path} is whole yet" in caplog.text
