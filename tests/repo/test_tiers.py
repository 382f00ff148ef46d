"""The tiers of tests: what is put off to the trial is there."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import tiers

ROOT = Path(__file__).parents[2]


@cache
def collected() -> tuple[str, ...]:
    """Every test of the files that the trial's patterns name."""
    names = {pattern.partition("::")[0] for pattern in tiers.TRIAL.values()}
    files = [str(file) for name in sorted(names) for file in (ROOT / "tests").glob(f"*/{name}")]
    assert len(files) >= len(names), f"a file of {sorted(names)} is gone"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return tuple(line for line in done.stdout.splitlines() if "::" in line)


@pytest.mark.parametrize("kind", tiers.TRIAL)
def test_what_is_put_off_to_the_trial_is_there(kind: str) -> None:
    pattern = tiers.TRIAL[kind]
    assert [name for name in collected() if re.search(pattern, name)], (
        f"tests/tiers.py puts {kind!r} off to the trial, but no test is called {pattern}"
    )


def test_a_file_stays_in_one_process() -> None:
    files = ("tests/repo/test_budget.py", "tests/run/test_reckoning.py")
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    told = re.findall(r"\[(gw\d)\].*(tests/\w+/\w+\.py)::", done.stdout)
    assert {file for _, file in told} == set(files), done.stdout + done.stderr
    assert len(set(told)) == len(files)


def test_all_that_asks_vllm_shares_one_process() -> None:
    names = ("test_vllm_serve", "test_vlm_presets")
    assert {tiers.scope_of(f"tests/models/{name}.py::test_x[a::b@c]") for name in names} == {"vllm"}
