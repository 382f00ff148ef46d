"""The command line as a person and a program meet it: words, JSON lines and exit codes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import medgen
from fakes import Lines

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.store.connect import connect

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = str(tmp_path / "store")
    import_benchmark(Lines(12), connect(url), ImportOptions("fake", 4))
    return url


def written(tmp_path: Path, faults: dict[str, str] | None = None, **more: Any) -> str:
    kwargs = {"faults": faults or {}}
    body = {
        "name": "cli",
        "benchmark": {"name": "fake"},
        "systems": [{"name": "echo", "answer": {"target": "fakes:Echo", "kwargs": kwargs}}],
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "cluster": "in-process",
        **more,
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(body))
    return str(path)


def test_a_run_speaks_json_lines_from_launch_to_done(store: str, tmp_path: Path) -> None:
    config = written(tmp_path)
    done = medgen("run", "--config", config, "--store", store, "--json")
    assert done.returncode == 0, done.stderr
    lines = done.lines()
    assert lines[0]["event"] == "launch"
    assert lines[-1]["event"] == "done"
    assert lines[-1]["exit_code"] == 0
    receipts = [line for line in lines if line["event"] == "receipt"]
    assert sum(sum(r["rows"].values()) for r in receipts if r["stage"] == "answer") == 12
    assert "answer 0/" not in done.stderr  # nobody counts for people, so nobody sums up
    (finished,) = [line for line in lines if line["event"] == "system_finished"]
    assert finished["system"] == "echo"
    assert finished["means"]["VQA"]["token_f1"]["n"] == 4
    again = medgen("run", "--config", config, "--store", store, "--json").lines()
    assert [line["event"] for line in again] == ["launch", "done"]


def test_a_run_with_nothing_to_do_starts_no_ray(no_ray: None, store: str, tmp_path: Path) -> None:
    config = written(tmp_path)
    assert medgen("run", "--config", config, "--store", store).returncode == 0
    # No Ray can be started with this address, so a run that tried would fail.
    nowhere = ("cluster=ray", "cluster.address=127.0.0.1:1")
    done = medgen("run", "--config", config, "--store", store, *nowhere)
    assert done.returncode == 0, done.stderr
    unfinished = ("protocol.metrics.bleu.target=bleu", *nowhere)
    tried = medgen("run", "--config", config, "--store", store, *unfinished)
    assert tried.returncode == 6
    assert "no Ray at '127.0.0.1:1'" in tried.stderr


def test_the_table_and_the_report_show_every_count(store: str, tmp_path: Path) -> None:
    done = medgen("run", "--config", written(tmp_path), "--store", store, COLUMNS="200")
    assert "token F1" in done.stdout
    assert "report: " in done.stdout
    index = Path(done.stdout.rpartition("report: ")[2].strip())
    assert index.name == "index.md"
    assert index.is_file()


def test_rows_that_are_not_ok_end_in_code_3(store: str, tmp_path: Path) -> None:
    config = written(tmp_path, faults={"s0003": "error"})
    done = medgen("run", "--config", config, "--store", store)
    assert done.returncode == 3, done.stderr
    allowed = medgen("run", "--config", config, "--store", store, "allowed_failures=0.3")
    assert allowed.returncode == 0


def test_a_system_given_up_is_named_with_its_reason(store: str, tmp_path: Path) -> None:
    config = written(tmp_path, faults={"start": "x"})
    done = medgen("run", "--config", config, "--store", store)
    assert done.returncode == 3
    assert "given up: answer of echo (Echo): no such model" in done.stderr


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("systems=[orcale]", "Did you mean 'oracle'?"),
        ("sistems=[oracle]", "Did you mean 'systems'?"),
        ("jugdes=[rule]", "Did you mean 'judges'?"),
        ("system.eco.answer.resources.cpus=1", "`systems` has echo. Did you mean 'echo'?"),
        ("judge.rule.kwargs.x=1", "no judge of that name is chosen; `judges` is empty"),
        ("benchmark.nmae=x", "Did you mean: 'name'?"),
        ("cluster.num_cpus=many", "could not be converted to Integer"),
        ("protocol.metrics.psrn.kwargs={}", "no metric 'psrn'"),
        ("name=${oc.env:HOME}", "is an interpolation, which is not allowed"),
        ("benchmark.name=absent", "no benchmark 'absent'"),
        ("benchmark.subset.tasks=[a]", "benchmark.subset.name has no value; write it in the"),
        ("novalue", "is not of the form key.subkey=value"),
    ],
)
def test_a_mistake_in_the_configuration_is_said_plainly(
    store: str, tmp_path: Path, override: str, words: str
) -> None:
    done = medgen("plan", "--config", written(tmp_path), "--store", store, override)
    assert done.returncode == 2
    assert words.replace(": '", " '") in done.stderr.replace(": '", " '")
    assert "Traceback" not in done.stderr


def test_a_plan_that_cannot_fit_is_refused_before_anything_starts(
    store: str, tmp_path: Path
) -> None:
    big = "system.echo.answer.resources.gpus=8"
    config = written(tmp_path, cluster={"name": "here", "pool": "ray", "num_cpus": 2})
    done = medgen("plan", "--config", config, "--store", store, big)
    assert done.returncode == 6
    assert "asks for 1 CPU, 8 GPU a worker" in done.stderr
    assert "The cluster offers machine 0: 2 CPU" in done.stderr


def test_options_come_from_the_environment_too(store: str, tmp_path: Path) -> None:
    config = written(tmp_path)
    done = medgen("run", "--json", MEDGEN_RUN_CONFIG=config, MEDGEN_RUN_STORE=store)
    assert done.lines()[-1]["event"] == "done"


def test_status_works_from_the_store_alone(store: str, tmp_path: Path) -> None:
    medgen("run", "--config", written(tmp_path), "--store", store)
    (line,) = medgen("status", "--store", store, "--json").lines()
    assert line["status"] == "success"
    assert set(line["shards_to_do"].values()) == {0}
    assert line["forecast"]["unknown"], "no speed was known before"
    assert line["taken"]["seconds"] > 0
    listed = medgen("list", "runs", "--store", store)
    assert line["run"] in listed.stdout
    assert medgen("status", "nosuch", "--store", store).returncode == 6


def test_scoring_alone_runs_no_model(store: str, tmp_path: Path) -> None:
    config = written(tmp_path, faults={"s0003": "raise"})
    nothing = medgen("score", "--config", config, "--store", store, "--json")
    assert [line["event"] for line in nothing.lines()] == ["launch", "done"]
    assert nothing.returncode == 3, "there is nothing to score, and that is not success"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_drains_and_the_next_run_finishes(
    store: str, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    config = written(tmp_path)
    body = yaml.safe_load(Path(config).read_text())
    body["systems"][0]["answer"]["kwargs"] = {"execution": {"pause": "0.2"}}
    Path(config).write_text(yaml.safe_dump(body))
    child = subprocess.Popen(
        [sys.executable, "-m", "medgen", "run", "-c", config, "--store", store, "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        for line in child.stdout:
            if json.loads(line)["event"] == "receipt":
                break
        child.send_signal(number)
        rest = [json.loads(line) for line in child.stdout]
        assert child.wait(timeout=60) == code
    assert rest[-1]["event"] == "done"
    (line,) = medgen("status", "--store", store, "--json").lines()
    assert line["status"] == "cancelled"
    assert medgen("run", "-c", config, "--store", store).returncode == 0


# Ray takes SIGTERM while it starts, and exits with its bare number.
STARTING = """
import os, signal, sys
from medgen.launch import compose

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it

def opening(*_):
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
    os.kill(os.getpid(), int(os.environ["SIGNAL"]))
    raise AssertionError("the signal was not heard")

compose.open_pool = opening
from medgen.launch.cli import main
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_machines_are_made_ready_cancels_the_run(
    store: str, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    config = written(tmp_path)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", STARTING, "run", "-c", config, "--store", store],
        env={**os.environ, "PYTHONPATH": path, "SIGNAL": str(int(number))},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = medgen("status", "--store", store, "--json").lines()
    assert (line["status"], line["exit_code"]) == ("cancelled", code)
    assert medgen("run", "-c", config, "--store", store).returncode == 0


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The miniature benchmark in every layout, as `medgen build` made it."""
    made = medgen("build", "layouts", "--to", str(tmp_path_factory.mktemp("mini")))
    assert made.returncode == 0, made.stderr
    lines = (line.partition(": ") for line in made.stdout.splitlines())
    return {layout: Path(path) for layout, _, path in lines}


def test_importing_the_miniature_benchmark_and_validating_it(
    layouts: dict[str, Path], tmp_path: Path
) -> None:
    for layout, place in layouts.items():
        path = str(place)
        valid = medgen("validate", path, "--layout", layout)
        assert valid.returncode == 0, valid.stdout
        made = medgen("import", path, "--name", layout, "--store", str(tmp_path / "s"), "--json")
        assert made.lines()[0]["samples"] >= 96


def test_validation_lists_every_problem(layouts: dict[str, Path], tmp_path: Path) -> None:
    sound = next(p for p in layouts.values() if (p / "vqa.jsonl").exists())
    view = shutil.copytree(sound, tmp_path / "view")
    lines = (view / "vqa.jsonl").read_text().splitlines()
    first, second = json.loads(lines[0]), json.loads(lines[1])
    first["modality"], first["input_images"] = first["modality"], ["../../etc/passwd"]
    second["paper_task"] = second["category"] = "palmistry"
    (view / "vqa.jsonl").write_text("\n".join([json.dumps(first), json.dumps(second), *lines[2:]]))
    done = medgen("validate", str(view), "--json")
    assert done.returncode == 2
    *problems, last = done.lines()
    assert (last["event"], last["problems"]) == ("validated", len(problems))
    assert {p["row"] for p in problems} >= {1, 2}
    assert all(p["file"].endswith("vqa.jsonl") for p in problems)
    refused = medgen("import", str(view), "--store", str(tmp_path / "s"))
    assert refused.returncode == 2
    assert "vqa.jsonl:1" in refused.stderr
