"""The wheel alone, in an environment of its own, in a folder that has our folders' names too."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from medgen.launch.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
OURS = ("engine", "actors", "adapters", "metrics", "conf", "launch")
pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

# A system of another package, which uses a `metrics` of its own and says what its process holds.
SPY = """
import json, os, sys
from pathlib import Path
import metrics
from medgen.engine.data import Prediction

class Spy:
    def __init__(self, into):
        self.into = Path(into)

    def predict(self, requests):
        held = {n: getattr(m, "__file__", None) for n, m in list(sys.modules.items())}
        (self.into / f"{os.getpid()}.json").write_text(json.dumps(held))
        return [Prediction(r.sample.id, text=metrics.WORD) for r in requests]

    def passport(self):
        return {"model": "spy"}
"""


@dataclass(frozen=True)
class Outside:
    """A user's folder and environment."""

    folder: Path
    python: Path
    site: Path

    def medgen(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.python_runs("-m", "medgen", *words)

    def python_runs(
        self, *words: str, said: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MEDGEN"))}
        return subprocess.run(
            [self.python, *words],
            cwd=self.folder,
            env={**kept, **more},
            input=said,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Outside:
    """The wheel installed where our tree cannot be seen; what it needs is this environment's."""
    there = tmp_path_factory.mktemp("outside")
    script = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", script, str(there)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", there / "env"], check=True)
    python = there / "env" / "bin" / "python"
    words = ["install", "--quiet", "--no-deps", "--no-index", str(there / built.stdout.split()[-1])]
    pip(python, *words)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = there / "env" / "lib" / version / "site-packages"
    # A line in a `.pth` file adds a folder, but not what that folder's own `.pth` files would.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    folder = there / "work"
    for name in OURS:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise ImportError('the user imports this')\n")
    (site / "metrics.py").write_text("WORD = 'theirs'\n")
    (folder / "metrics" / "__init__.py").write_text("WORD = 'theirs'\n")
    (site / "their_spy.py").write_text(SPY)
    record = site / "their_spy-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: their-spy\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[medgen.systems]\nspy = their_spy:Spy\n")
    return Outside(folder, python, site)


def pip(python: Path, *words: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), *words]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def run(outside: Outside, cluster: str) -> Path:
    """Run the other package's system; the folder where it said what its process holds."""
    said = outside.folder / f"said-{cluster}"
    said.mkdir()
    spy = {"target": "spy", "kwargs": {"into": str(said)}, "resources": {"cpus": 0.5}}
    conf = {
        "name": f"spied-{cluster}",
        "store": str(outside.folder / "store"),
        "benchmark": "mini",
        "systems": [{"name": "spy", "gives": ["text", "choice"], "answer": spy}],
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "cluster": cluster,
        "nonce": cluster,
    }
    (outside.folder / f"{cluster}.yaml").write_text(yaml.safe_dump(conf))
    done = outside.medgen("run", "--config", f"{cluster}.yaml", "--json")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return said


def names_by_file(held: Mapping[str, Any]) -> dict[str, set[str]]:
    """Under which names a process has loaded each file of our package."""
    names = defaultdict(set)
    for name, file in held.items():
        if file and "/medgen/" in file and name != "__main__":
            names[file].add(name)
    return names


PAGE = (ROOT / "docs" / "your-own.md").read_text(encoding="utf-8")


@pytest.mark.trial
def test_a_model_metric_and_judge_of_ones_own_run_from_the_wheel(outside: Outside) -> None:
    """docs/your-own.md as it stands, from another folder."""
    own = outside.folder / "own"
    own.mkdir()
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    (own / "mine.py").write_text(found[1])
    files = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (own / "run.yaml").write_text(files[0])
    (own / "first.yaml").write_text(files[1])
    store = str(outside.folder / "own-store")
    given = ("--config", "own/run.yaml", "cluster=in-process", f"store={store}")
    done = outside.medgen("run", *given, "allowed_failures=1.0")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    shown = outside.medgen("report", "--all", "--store", store).stdout
    for name in ("words", "overall", "first"):
        assert name in shown


@pytest.mark.parametrize("cluster", ["in-process", "local"])
def test_no_module_has_two_names_in_a_worker(outside: Outside, cluster: str) -> None:
    said = run(outside, cluster)
    reports = list(said.iterdir())
    assert reports
    held = json.loads(reports[0].read_text())
    ours = names_by_file(held)
    assert len(ours) > 20
    assert {file: names for file, names in ours.items() if len(names) != 1} == {}
    assert all(Path(file).is_relative_to(outside.site) for file in ours)
    assert "metrics" in held, "the other package got its own"
    assert not set(OURS) - {"metrics"} & set(held)


# Hides packages from an interpreter, as if they had not been installed.
HIDE = """
from importlib.machinery import PathFinder
found = PathFinder.find_spec
def find_spec(name, path=None, target=None):
    hidden = name.partition(".")[0] in {"torch", "torchvision", "transformers", "nltk", "vllm"}
    return None if hidden else found(name, path, target)
PathFinder.find_spec = find_spec
"""


@dataclass(frozen=True)
class Demo:
    """What `medgen demo` said, the store that it left, and how long it took."""

    done: subprocess.CompletedProcess[str]
    store: Path
    seconds: float


def demo(outside: Outside, name: str) -> Demo:
    store, started = outside.folder / name, time.monotonic()
    done = outside.medgen("demo", "--store", str(store))
    return Demo(done, store, time.monotonic() - started)


@pytest.fixture(scope="module")
def whole(outside: Outside) -> Demo:
    """With all that this environment has."""
    return demo(outside, "whole")


@pytest.fixture(scope="module")
def lean(outside: Outside) -> Demo:
    """Without PyTorch and what stands on it."""
    hide = outside.site / "sitecustomize.py"
    hide.write_text(HIDE)
    try:
        return demo(outside, "lean")
    finally:
        hide.unlink()


@pytest.mark.parametrize("kind", ["lean", "whole"])
def test_the_demo_runs_with_and_without_pytorch(kind: str, request: pytest.FixtureRequest) -> None:
    found: Demo = request.getfixturevalue(kind)
    done = found.done
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert found.seconds < 60
    (report,) = found.store.glob("runs/*/report/index.md")
    assert f"report: {report}" in done.stdout
    shown = report.read_text(encoding="utf-8")
    assert all(name in shown for name in ("oracle", "classical", "copy-input", "blank"))
    assert ("left out" in done.stderr) == (kind == "lean")
    assert ("psnr" in shown) != (kind == "lean")


# Every verb's help in one process; a verb loads its module when it is used.
HELP = """
import contextlib, sys
from medgen.launch.cli import COMMANDS, main
for verb in COMMANDS:
    with contextlib.suppress(SystemExit):
        main([verb, "--help"])
"""


def test_every_verb_is_there(outside: Outside) -> None:
    done = outside.python_runs("-c", HELP)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^Usage: medgen (\S+)", done.stdout, re.MULTILINE)
    assert found == list(COMMANDS)


# A command a line, in one process; it says how each ended.
USE = """
import shlex, sys
from medgen.launch.cli import main
for line in sys.stdin:
    print("$ medgen", line.strip(), flush=True)
    try:
        main(shlex.split(line))
    except SystemExit as end:
        print("exit", end.code or 0, flush=True)
"""
ORACLE = "benchmark=mini systems=[oracle] protocol=weight-free cluster=in-process"
COMMANDS_USED = {
    "status": 0,
    "report": 0,
    "export --format csv --to csv": 0,
    "compare oracle classical": 0,
    "compare oracle blank": 0,
    "gate oracle blank": 4,
    "gate blank oracle": 5,
    "view --bundle pages": 0,
    "logs": 0,
    "logs --errors": 0,
    "attach": 0,
    "cancel": 0,
    "list runs": 0,
    "list benchmarks": 0,
    "list systems": 0,
    "list metrics": 0,
    f"plan {ORACLE}": 0,
    f"score {ORACLE}": 0,
    f"run {ORACLE} report=false": 0,
    f"judge {ORACLE}": 0,
    "build layouts --to layouts": 0,
    "validate layouts/view": 0,
    "import layouts/view --name again": 0,
    f"nightly --history {ORACLE}": 0,
    "submit --render docker-cpu --to docker": 0,
    "weights list": 0,
    "sets --model nothing-of-that-name": 6,
    "doctor": 0,
    "psrn": 2,
}


@pytest.mark.trial
def test_verbs_work_from_the_wheel(outside: Outside, whole: Demo) -> None:
    environment = {"MEDGEN_STORE": str(whole.store), "COLUMNS": "200"}
    done = outside.python_runs("-c", USE, said="\n".join(COMMANDS_USED), **environment)
    ended = re.findall(r"^\$ medgen (.*?)$.*?^exit (\d+)$", done.stdout, re.MULTILINE | re.DOTALL)
    assert {line: int(code) for line, code in ended} == COMMANDS_USED, done.stderr[-3000:]
    assert "Traceback" not in done.stdout + done.stderr
    assert "make " not in done.stdout.rpartition("$ medgen doctor")[2], "it has no Makefile"


def test_uninstalling_leaves_what_is_not_ours(outside: Outside) -> None:
    pip(outside.python, "uninstall", "--yes", "--quiet", "medgen-engine")
    assert not (outside.site / "medgen").exists()
    assert (outside.site / "metrics.py").exists()
    assert all((outside.folder / name / "__init__.py").exists() for name in OURS)
    wheel = next(outside.folder.parent.glob("*.whl"))
    pip(outside.python, "install", "--quiet", "--no-deps", "--no-index", str(wheel))
