"""A process that lives on runs own code as its files are now, and never says that it did else."""

import os
import py_compile
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from medgen.engine import fresh
from medgen.engine.plan.identity import Spec

Write = Callable[..., None]
MODEL = """
import {helper}

LOADED = []

class Model:
    def __init__(self):
        self.words = {helper}.WORDS
        LOADED.append(self)
"""
SAY = "from medgen.engine.plan.identity import Spec; print(Spec('{model}:Model').build().words)"


@pytest.fixture
def names(tmp_path: Path) -> Mapping[str, str]:
    """Names of modules that no other test has."""
    return {role: f"{role}_{tmp_path.name}".replace("-", "_") for role in ("model", "helper")}


@pytest.fixture
def write(tmp_path: Path, names: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the helper, as of some time."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"{names['model']}.py").write_text(MODEL.format(**names))

    def helper(words: str, when: int = 0) -> None:
        file = tmp_path / f"{names['helper']}.py"
        file.write_text(f"WORDS = {words!r}\n")
        if when:
            os.utime(file, (when, when))

    return helper


def build(names: Mapping[str, str]) -> str:
    return str(Spec(f"{names['model']}:Model").build().words)


def test_a_helper_that_was_edited_is_imported_anew(names: Mapping[str, str], write: Write) -> None:
    write("one")
    assert build(names) == "one"
    write("two")
    assert build(names) == "two"
    write("one")
    assert build(names) == "one"


def test_what_was_imported_by_the_user_and_edited_then_is_imported_anew(
    names: Mapping[str, str], write: Write
) -> None:
    write("one")
    __import__(names["model"])
    write("two")
    assert build(names) == "two"


def test_what_was_not_edited_is_the_same_module(names: Mapping[str, str], write: Write) -> None:
    write("one")
    for _ in range(3):
        build(names)
    assert len(sys.modules[names["model"]].LOADED) == 3


def test_bytecode_of_the_same_size_and_time_is_not_taken_for_the_file(
    tmp_path: Path, names: Mapping[str, str], write: Write
) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    env |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": ""}

    def said() -> str:
        done = subprocess.run(
            [sys.executable, "-c", SAY.format(**names)],
            check=True,
            capture_output=True,
            text=True,
            env=env,
        )
        return done.stdout.strip()

    write("one", when=1_700_000_000)
    assert said() == "one"
    assert list(tmp_path.glob("__pycache__/helper*")), "Python has kept what it compiled"
    write("two", when=1_700_000_000)
    assert said() == "two"


def test_bytecode_that_is_older_than_its_file_goes_however_alike_the_files_are(
    tmp_path: Path, names: Mapping[str, str], write: Write
) -> None:
    write("first", when=1_700_000_000)
    source = tmp_path / f"{names['helper']}.py"
    kept = Path(py_compile.compile(str(source)))
    fresh._drop_older_bytecode("no_such_module_at_all")
    os.utime(kept)  # written after its file
    fresh._drop_older_bytecode(names["helper"])
    assert kept.is_file()
    write("other", when=1_700_000_000)  # as large, and of the same second
    fresh._drop_older_bytecode(names["helper"])
    assert not kept.is_file()
