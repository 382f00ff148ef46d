"""What the project's host runs is what a machine at home runs: targets of the Makefile."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def jobs(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())["jobs"]
    return found


def commands(file: Path) -> list[str]:
    return [step["run"] for job in jobs(file).values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_each_job_calls_one_target(file: Path) -> None:
    for name, job in jobs(file).items():
        (command,) = [step["run"] for step in job["steps"] if "run" in step]
        assert re.fullmatch(r"make [a-z-]+( ARGS='[^']*')?", command), f"{file.name}: {name}"
        assert command.split()[1] in TARGETS, f"{file.name}: {name}"
        assert job["timeout-minutes"] <= 240


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_no_job_may_write_unasked(file: Path) -> None:
    """And none runs code of a pull request with the secrets of the repository."""
    body = yaml.safe_load(file.read_text())
    assert body["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in file.read_text()


def test_what_the_checkout_is_tested_with_is_among_them() -> None:
    (told,) = re.findall(r"^exec (make \S+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert all(told in commands(file) for file in WORKFLOWS)


def test_python_is_named_alike_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    least = project["requires-python"].removeprefix(">=")
    said = {c.rpartition(" ")[2] for c in project["classifiers"] if "Python :: 3." in c}
    tried = set(jobs(ROOT / ".github/workflows/ci.yml")["quick"]["strategy"]["matrix"]["python"])
    assert least in tried <= said


def test_the_citation_is_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
