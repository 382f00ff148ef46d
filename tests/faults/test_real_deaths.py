"""Real processes that die in mid-commit, that race, that run out of disk or lose their rights."""

import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import Lines, echo, plan, run_file
from faults.stumbling import COUNT, victim

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.plan.plan import Plan, System
from medgen.engine.run.editions import edition_names
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import StagePlace

ROOT = Path(__file__).resolve().parents[2]


def environment() -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return {**os.environ, "PYTHONPATH": paths, "RAY_AUTH_MODE": "disabled"}


def stumbling(store: str, step: str, stage: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "faults.stumbling", store, step, stage],
        env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def texts(store: str, work: Plan) -> list[tuple[str, str, str | None]]:
    reader = RunReader(connect(store), work)
    rows = [p for shard in range(work.shards) for p in reader.predictions("echo", shard)]
    return [(p.sample_id, p.status, p.text) for p in rows]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["answer", "score"])
@pytest.mark.parametrize("step", ["before", "during", "after"])
def test_a_driver_killed_at_a_step_of_a_commit_leaves_whole_shards_only(
    shared_url: str, step: str, stage: str
) -> None:
    assert stumbling(shared_url, step, stage).returncode == -signal.SIGKILL
    objects = connect(shared_url)
    work = plan(objects, System("echo", echo()), count=COUNT)
    (node,) = (n for n in work.nodes.values() if n.stage == stage)
    committed = RunReader(objects, work).stage(node).revisions()
    assert (1 in committed) == (step == "after")
    for shard in committed:
        RunReader(objects, work).stage(node).read(shard)
    left = survey(RunReader(objects, work)).shards
    done = stumbling(shared_url, "never", stage)
    assert done.returncode == 0, done.stderr[-2000:]
    assert left > 0
    rows = texts(shared_url, work)
    assert sorted(rows) == [(f"s{i:04d}", "ok", f"say {i}") for i in range(COUNT)]
    reader = RunReader(objects, work)
    names = objects.names(reader.stage(node).place.folder)
    assert victim(reader, stage).rpartition("/")[2] in names
    assert len([n for n in names if n.startswith("shard-")]) == work.shards


def config(folder: Path, store: str, **more: Any) -> Path:
    answer = {"target": "fakes:Echo", "kwargs": {"execution": {"pause": "0.01"}}}
    systems = [{"name": "echo", "answer": answer}]
    return run_file(folder, store, "stressed", **({"systems": systems} | more))


def medgen(path: Path, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "medgen", "run", "--config", str(path), "--json"],
        env=environment(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=before,
    )  # fmt: skip


@pytest.mark.slow
def test_two_drivers_that_race_both_end_well_with_one_set_of_rows(
    shared_url: str, tmp_path: Path
) -> None:
    import_benchmark(Lines(48), connect(shared_url), ImportOptions("fake", 4))
    path = config(tmp_path, shared_url)
    racers = [medgen(path) for _ in range(2)]
    for racer in racers:
        _, error = racer.communicate(timeout=200)
        assert racer.returncode == 0, error[-2000:]
    objects = connect(shared_url)
    for stage in ("answer", "score"):
        (key,) = objects.names(f"stages/{stage}")
        (edition,) = edition_names(objects, stage, key)
        names = objects.names(StagePlace(stage, key, edition).folder)
        assert names[0] == "identity.json"
        assert len([n for n in names[1:] if n.startswith("shard-")]) == len(names) - 1 == 12


def limited() -> None:
    """No file of this process may grow beyond 64 KB, as if the disk were full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))


def test_a_full_disk_ends_the_run_with_a_sentence_and_keeps_what_is_there(tmp_path: Path) -> None:
    store = tmp_path / "store"
    manifest = import_benchmark(Lines(48), connect(str(store)), ImportOptions("fake", 24))
    systems = [
        {"name": "short", "answer": {"target": "fakes:Echo"}},
        {"name": "long", "answer": {"target": "faults.verbose:Verbose"}},
    ]
    path = config(tmp_path, str(store), systems=systems)
    process = medgen(path, before=limited)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 6
    assert re.search(r"medgen: .*cannot write .*(too large|No space).*full", error), error[-600:]
    assert "Traceback" not in error
    assert list((store / "stages").rglob("shard-*.arrow")), "what was short enough is there"
    assert not list((store / "stages").rglob(".*")), "no half of a shard is left"
    assert medgen(path).communicate(timeout=120)[0].count('"event": "done"') == 1
    assert manifest.samples == 48


def no_override() -> None:
    """Root without the capability to write where permissions forbid it."""
    drop, dac_override = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    if os.getuid() == 0 and ctypes.CDLL(None, use_errno=True).prctl(drop, dac_override, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot drop a capability")


def test_a_store_without_the_right_to_write_is_refused_with_a_sentence(tmp_path: Path) -> None:
    store = tmp_path / "store"
    import_benchmark(Lines(12), connect(str(store)), ImportOptions("fake", 4))
    for part in (store, *store.rglob("*")):
        part.chmod(0o555 if part.is_dir() else 0o444)
    process = medgen(config(tmp_path, str(store)), before=no_override)
    _, error = process.communicate(timeout=120)
    for part in (store, *store.rglob("*")):
        part.chmod(0o755)
    assert process.returncode == 6, error[-2000:]
    assert "cannot write" in error
    assert "right to" in error
    assert "Traceback" not in error
