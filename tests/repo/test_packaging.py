"""What is installed, what it pulls in, and whose names it uses."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("engine", "actors", "adapters", "metrics", "conf", "launch")
HEAVY = ("ray", "torch", "vllm", "transformers", "diffusers")
HELP_SECONDS = 0.5


def test_nobody_else_ships_our_names() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {n: owners[n] for n in OURS if set(owners.get(n, [])) - {"medgen-engine"}} == {}


@pytest.mark.parametrize("module", OURS)
def test_our_names_lead_to_this_tree(module: str) -> None:
    """Also from another folder and without the test runner's paths: what a user's shell sees."""
    where = subprocess.run(
        [sys.executable, "-P", "-c", f"import {module}; print({module}.__file__)"],
        cwd="/",
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).resolve() == ROOT / module / "__init__.py"


def _help() -> subprocess.CompletedProcess[str]:
    script = (
        "import json, sys\n"
        "from launch.cli import main\n"
        "sys.argv = ['medgen', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})), file=sys.stderr)"
    )
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )


def test_help_loads_nothing_heavy() -> None:
    answer = _help()
    assert "Usage" in answer.stdout
    loaded = set(json.loads(answer.stderr.splitlines()[-1]))
    assert "launch" in loaded
    assert loaded & set(HEAVY) == set()


def test_help_answers_at_once() -> None:
    """Best of five, as processor time of the child: a busy machine makes nothing slower."""
    command = [sys.executable, "-m", "launch.cli", "--help"]
    spent = []
    for _ in range(5):
        before = os.times()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        after = os.times()
        spent.append(after.children_user + after.children_system)
        spent[-1] -= before.children_user + before.children_system
    assert min(spent) < HELP_SECONDS


def test_the_arrows_between_folders_hold() -> None:
    checked = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout[-3000:]


def test_the_wheel_holds_configuration_and_templates_and_no_tests() -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
        command = [sys.executable, "-c", script, folder]
        built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        with zipfile.ZipFile(Path(folder, built.stdout.split()[-1])) as wheel:
            inside = set(wheel.namelist())
    files = [*(ROOT / "conf").rglob("*.yaml"), *(ROOT / "launch").rglob("*.j2")]
    wanted = {file.relative_to(ROOT).as_posix() for file in files}
    assert len(wanted) > 20
    assert wanted <= inside
    tops = {name.partition("/")[0] for name in inside}
    assert {top for top in tops if not top.startswith("medgen_engine-")} <= set(OURS)
    assert not {"tests", "benchmarks", "var"} & tops


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tables = text[text.index("\ndependencies = [") : text.index("\n[project.scripts]")]
    requirements = [line for line in tables.splitlines() if line.startswith('    "')]
    assert len(requirements) > 20
    assert [line for line in requirements if not re.search(r'",\s+# \w+', line)] == []
