"""Whether tests notice: small changes of the code, each tried by the tests that reach its line.

    python -m benchmarks.mutants --count 300          # engine, metrics and launch; two hours
    python -m benchmarks.mutants --count 40 --under engine/results --tests tests/results

First the tests run once under coverage, which keeps which test ran which line (`var/mutants`, kept
for the next time; --again). Changes are drawn from the lines that a test ran, with a seed, and the
same ones while their code stays. Each is written into a copy of the tree, and its tests run until
one fails, the most particular first. What became of each is kept: a run that was stopped goes on.
A change that nothing notices is a survivor: a test is missing, or the change is none, which
`equivalent.yaml` then says.
"""

import argparse
import contextlib
import gc
import hashlib
import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks._mutating import Mutant, mutants, mutate
from benchmarks._reaching import CHEAP, PLACE, ROOT, TREE, Reach, copy_tree, cover, reached

EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
MOST_TESTS, MOST_S = 25, 20.0  # of a change: the most particular ones that fit into the time
SLACK_S, SLOWER = 60.0, 6  # a change may make tests slow, and the machine be busy
HEAVY = ("hypothesis", "xdist", "numpy", "pyarrow.dataset", "torch", "scipy.stats", "omegaconf")
Ends = dict[str, dict[str, Any]]


def main() -> None:
    """Draw, try, and say who survived."""
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--count", type=int, default=300)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--under", nargs="+", default=["engine", "metrics", "launch"])
    words.add_argument("--tests", nargs="+", default=["tests"])
    words.add_argument("--jobs", type=int, default=2)
    words.add_argument("--again", action="store_true", help="run the tests under coverage anew")
    words.add_argument("--more", nargs="+", help="run these tests too, and try survivors again")
    said = words.parse_args()
    copy_tree(TREE)
    if said.again or not list(PLACE.glob("coverage.*")):
        for old in [*PLACE.glob("coverage.*"), *PLACE.glob("times.*"), *PLACE.glob("ends.*")]:
            old.unlink()
        cover(said.tests, said.under, said.jobs)
    if said.more:
        cover(said.more, said.under, said.jobs)
    reach = reached()
    drawn = draw(reach, said.under, said.count, said.seed)
    print(f"{sum(map(len, reach.lines.values()))} lines that tests ran, {len(drawn)} changes drawn")
    ends = kept()
    known = {key for key, row in ends.items() if row["end"] != "survived" or not said.more}
    attempt_all([m for m in drawn if m.key not in known | equivalent().keys()], reach, said.jobs)
    show(drawn, kept())


def draw(reach: Reach, under: Sequence[str], count: int, seed: int) -> list[Mutant]:
    """As many changes as there are or were asked for, in an order that a seed fixes."""
    every = [
        mutant
        for file in sorted(reach.lines)
        if any(Path(file).is_relative_to(folder) for folder in under) and (TREE / file).exists()
        for mutant in mutants(file, (TREE / file).read_text(encoding="utf-8"))
        if mutant.line in reach.lines[file]
    ]
    every.sort(key=lambda m: hashlib.sha256(f"{seed} {m.key}".encode()).digest())
    return every[:count]


def equivalent() -> dict[str, str]:
    """Changes that change nothing anybody could see, with the reason."""
    return {row["change"]: row["why"] for row in yaml.safe_load(EQUIVALENT.read_text("utf-8"))}


def kept() -> Ends:
    """What became of changes that were tried, the last time each."""
    file = PLACE / "ends.jsonl"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return {row["change"]: row for row in map(json.loads, text.splitlines())}


def attempt_all(todo: Sequence[Mutant], reach: Reach, jobs: int) -> None:
    """Each change once, in processes with a tree of their own."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in HEAVY:  # forked children have it already
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else each child looks through all of it, many times
    context = multiprocessing.get_context("fork")
    share = [(todo[job::jobs], reach, PLACE / f"tree-{job}") for job in range(jobs)]
    running = [context.Process(target=_attempt_share, args=part) for part in share]
    for process in running:
        process.start()
    for process in running:
        process.join()


def _attempt_share(todo: Sequence[Mutant], reach: Reach, tree: Path) -> None:
    copy_tree(tree)
    for mutant in todo:
        begun = time.monotonic()
        end, by = attempt(mutant, reach, tree)
        row = {"change": mutant.key, "line": mutant.line, "end": end, "by": by}
        row["s"] = round(time.monotonic() - begun, 1)
        with (PLACE / "ends.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if end == "survived":
            print(f"survived {mutant.file}:{mutant.line}  {mutant.before}  ->  {mutant.after}")


def choose(reach: Reach, mutant: Mutant) -> list[list[str]]:
    """The most particular tests of a line that fit into the time; and some of all the others."""
    tests = reach.lines[mutant.file][mutant.line]
    cost = {test: reach.seconds.get(test, 1.0) for test in tests}
    first = _fit(tests, cost, MOST_TESTS, MOST_S) or [min(tests, key=cost.__getitem__)]
    rest = [test for test in tests if test not in first]
    apart = max(1, len(rest) // (2 * MOST_TESTS))
    return [part for part in (first, _fit(rest[::apart], cost, 2 * MOST_TESTS, 2 * MOST_S)) if part]


def _fit(tests: Sequence[str], cost: Mapping[str, float], count: int, left_s: float) -> list[str]:
    chosen = list[str]()
    for test in tests:
        if len(chosen) < count and cost[test] <= left_s:
            chosen.append(test)
            left_s -= cost[test]
    return sorted(chosen, key=cost.__getitem__)


def attempt(mutant: Mutant, reach: Reach, tree: Path) -> tuple[str, str]:
    """`killed` and by which test, `survived`, `timeout`; `gone`: the code is another by now."""
    file = tree / mutant.file
    if not file.exists():  # a change of what removes files may have removed these
        copy_tree(tree)
    text = file.read_text(encoding="utf-8")
    here = next((m for m in mutants(mutant.file, text) if m.key == mutant.key), None)
    if here is None:
        return "gone", ""
    file.write_text(mutate(text, here), encoding="utf-8")
    _forget(file)
    end = "survived", ""
    for tests in choose(reach, mutant):
        limit_s = SLACK_S + SLOWER * sum(reach.seconds.get(test, 1.0) for test in tests)
        end = in_child(tests, tree, limit_s)
        if end[0] == "timeout":  # the machine may have been busy
            end = in_child(tests, tree, limit_s)
        if end[0] != "survived":
            break
    if not file.exists():
        return "untried", "the files of the project were removed"
    file.write_text(text, encoding="utf-8")
    _forget(file)
    if end[0] == "untried" and in_child(tests, tree, limit_s)[0] == "survived":
        return "killed", "what the tests import does not load"
    return end


def _forget(file: Path) -> None:
    """Bytecode goes by second and size, which a change may keep."""
    for made in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        made.unlink()


def in_child(tests: Sequence[str], tree: Path, limit_s: float) -> tuple[str, str]:
    """A fork of this process runs the tests: what it has imported is not imported again."""
    first = tree.with_suffix(".first")
    first.unlink(missing_ok=True)
    child = multiprocessing.get_context("fork").Process(target=_run, args=(tests, tree, first))
    child.start()
    child.join(limit_s)
    late = child.is_alive()
    assert child.pid is not None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # with what it started
    child.join()
    if late:
        return "timeout", ""
    by = first.read_text(encoding="utf-8") if first.exists() else ""
    if child.exitcode in (3, 4, 5) and not by:
        return "untried", f"exit code {child.exitcode} of pytest"
    return ("killed", by or f"exit code {child.exitcode}") if child.exitcode else ("survived", "")


class _First:
    """Notes the test that fails first, or the file that cannot be imported."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self._file.write_text(report.nodeid, encoding="utf-8")

    pytest_collectreport = pytest_runtest_logreport


def _run(tests: Sequence[str], tree: Path, first: Path) -> None:
    os.setsid()
    os.chdir(tree)
    os.environ["PYTHONPATH"] = str(tree)
    sys.path[:] = [str(tree), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    import pytest

    options = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--timeout=0", "-m", CHEAP]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is imported already
    os._exit(int(pytest.main([*options, "--rootdir", str(tree), *tests], [_First(first)])))


def show(drawn: Sequence[Mutant], ends: Ends) -> None:
    """Shares by folder, and the survivors."""
    said = equivalent()
    end = {m: "equivalent" if m.key in said else ends[m.key]["end"] for m in drawn}
    for folder in sorted({mutant.file.split("/")[0] for mutant in drawn}):
        counts = Counter(e for m, e in end.items() if m.file.startswith(f"{folder}/"))
        print(f"{folder:8} {dict(counts)}")
    counts = Counter(end.values())
    noticed = counts["killed"] + counts["timeout"]
    print(f"{noticed} of {len(drawn)} noticed ({noticed / max(1, len(drawn)):.1%}), {dict(counts)}")
    for mutant in (m for m, e in end.items() if e == "survived"):
        print(f"survived {mutant.file}:{mutant.line}  {mutant.before}  ->  {mutant.after}")


if __name__ == "__main__":
    main()
