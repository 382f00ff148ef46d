"""Which test runs which line, and how long it takes: the tests once under coverage, kept.

Of a test of hypothesis coverage sees the search alone, so such tests are not among those tried.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import coverage

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "var" / "mutants"
TREE = PLACE / "tree"
CHEAP = "not (cluster or vllm or gpu or trial)"
# They build wheels and sites, read the code as text, or take a browser many minutes when traced.
LEFT_OUT = (
    *(f"tests/repo/test_{name}.py" for name in ("wheel", "site", "shape")),
    *(f"tests/view/test_{name}.py" for name in ("pages_in_chromium", "leads_questions", "look")),
)


@dataclass(frozen=True)
class Reach:
    """What the tests ran: lines by file, seconds by test, of tests that pass."""

    lines: Mapping[str, Mapping[int, Sequence[str]]]  # file -> line -> tests, particular ones first
    seconds: Mapping[str, float]


def copy_tree(to: Path) -> None:
    """The files of the project, links as links, where they may be changed."""
    shutil.rmtree(to, ignore_errors=True)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if os.path.lexists(ROOT / name):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name, follow_symlinks=False)
    (to / "var").symlink_to(ROOT / "var")  # made weights and predictions
    subprocess.run(["git", "init", "-q"], cwd=to, check=True)  # tests ask git for the files


def cover(tests: Sequence[str], under: Sequence[str], jobs: int) -> None:
    """Run these cheap tests in some processes; what they ran stands beside what is there."""
    files = sorted({file for name in tests for file in _files(TREE / name)})
    first = len(list(PLACE.glob("coverage.*")))
    running = [_cover(files[job::jobs], under, first + job) for job in range(jobs) if files[job:]]
    for process in running:
        process.wait()


def _files(place: Path) -> Iterator[str]:
    """Test files at or below a place, as they are named from the tree."""
    for file in place.rglob("test_*.py") if place.is_dir() else [place]:
        if (name := str(file.relative_to(TREE))) not in LEFT_OUT:
            yield name


def _cover(files: Sequence[str], under: Sequence[str], part: int) -> subprocess.Popen[bytes]:
    settings = PLACE / f"settings.{part}"
    include = "".join(f"\n    {TREE.resolve()}/{folder}/*" for folder in under)
    settings.write_text(
        f"[run]\ndynamic_context = test_function\ndata_file = {PLACE}/coverage.{part}\n"
        f"include ={include}\n"
    )
    command = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}", "-m", "pytest"]
    more = ["-q", "-n", "0", "-m", CHEAP, "-p", "no:cacheprovider", "--timeout", "600"]
    environment = {**os.environ, "PYTHONPATH": str(TREE)}
    return subprocess.Popen(
        [*command, *more, f"--junitxml={PLACE}/times.{part}.xml", *files], cwd=TREE, env=environment
    )


def reached() -> Reach:
    """Lines by the tests that ran them; those of an import by all tests of the file."""
    names = _node_ids()
    seconds, failed = _costs()
    found: dict[str, dict[int, set[str]]] = {}
    for part in sorted(PLACE.glob("coverage.*")):
        data = coverage.CoverageData(str(part))
        data.read()
        for measured in filter(lambda name: name.endswith(".py"), data.measured_files()):
            lines = found.setdefault(measured.removeprefix(f"{TREE.resolve()}/"), {})
            for line, contexts in data.contexts_by_lineno(measured).items():
                tests = {names.get(_short(c), "") for c in contexts} - failed
                lines.setdefault(line, set()).update(tests)
    size = Counter(test for lines in found.values() for tests in lines.values() for test in tests)
    return Reach({file: _ranked(lines, size) for file, lines in found.items()}, seconds)


def _ranked(lines: Mapping[int, set[str]], size: Mapping[str, int]) -> dict[int, list[str]]:
    every = set().union(*lines.values())
    ranked = {}
    for line, tests in lines.items():
        known = (tests - {""}) or (every - {""})
        if known:
            ranked[line] = sorted(known, key=lambda test: (size[test], test))
    return ranked


def _short(dotted: str) -> str:
    """`test_gate.test_x` of `results.test_gate.test_x` and of `tests.results.test_gate.test_x`."""
    return ".".join(dotted.split(".")[-2:])


def _node_ids() -> dict[str, str]:
    """Tests of one file and function by their short name; names of test files are unique here."""
    found = {}
    for path in (TREE / "tests").rglob("test_*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.removeprefix("async ").partition("(")[0].split()
            if words[:1] == ["def"] and words[1].startswith("test_"):
                found[f"{path.stem}.{words[1]}"] = f"{path.relative_to(TREE)}::{words[1]}"
    return found


def _costs() -> tuple[dict[str, float], set[str]]:
    """Seconds of each test, all its cases together, and those that fail without any change."""
    names, seconds, failed = _node_ids(), defaultdict[str, float](float), set[str]()
    for part in sorted(PLACE.glob("times.*.xml")):
        for case in ElementTree.parse(part).iter("testcase"):
            short = _short(f"{case.get('classname')}.{case.get('name', '').partition('[')[0]}")
            name = names.get(short, "")
            seconds[name] += float(case.get("time", 0))
            if case.find("failure") is not None or case.find("error") is not None:
                failed.add(name)
    return dict(seconds), failed - {""}
