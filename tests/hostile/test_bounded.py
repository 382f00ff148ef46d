"""No input takes a parser 10 s or 1 GiB, or makes it raise what nobody catches."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hostile.outside_tables import TABLES
from hostile.parsers import ADAPTERS, FOLDERS, hosted, inputs

from medgen.adapters.sources.layouts import layouts
from medgen.engine.bounds import RECORD

TESTS = Path(__file__).resolve().parents[1]
MOST_MIB = RECORD.memory_bytes / 2**20


def feed(*words: str, timeout: float = 560) -> list[dict[str, Any]]:
    """What a process of its own says that feeds parsers."""
    place = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "hostile.bounded", *words],
        capture_output=True, text=True, timeout=timeout, check=False, cwd=TESTS,
        env={**os.environ, "PYTHONPATH": place},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def hold(said: Sequence[dict[str, Any]]) -> None:
    told = [found for found in said if "input" in found]
    assert [f for f in told if f["raised"]] == []
    assert [f for f in told if f["s"] > RECORD.seconds or f["mib"] > MOST_MIB] == []


def test_every_registered_parser_is_fed() -> None:
    """A new one needs a sound folder, or the shape of its replies, to be fed."""
    assert set(layouts()) == set(FOLDERS)
    assert hosted() == set(ADAPTERS)


def test_the_corpus_holds_what_is_costly() -> None:
    names = [name for name, _ in inputs()]
    assert len(names) == len(set(names)) > 250


@pytest.mark.slow
@pytest.mark.timeout(3700)  # the whole is some 13,000 inputs
@pytest.mark.parametrize("mode", ["sample", pytest.param("corpus", marks=pytest.mark.trial)])
def test_the_corpus_is_fed_to_every_parser_within_bounds(mode: str) -> None:
    said = feed(mode, timeout=3600)
    assert len([f for f in said if "inputs" in f]) >= 17 + len(TABLES)
    hold(said)


@pytest.mark.trial
@pytest.mark.timeout(900)
def test_ten_minutes_of_wounded_inputs_end_well() -> None:
    said = feed("fuzz", "600", timeout=800)
    assert sum(f["inputs"] for f in said if "inputs" in f) > 10_000
    hold(said)
