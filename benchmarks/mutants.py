"""Whether tests notice: small changes of the code, each tried by the tests that reach its line.

    python -m benchmarks.mutants --count 300          # engine, metrics and launch; hours
    python -m benchmarks.mutants --count 40 --under engine/results --tests tests/results

First the tests run once under coverage, which keeps which test ran which line (`var/mutants`, kept
for the next time; --again). Changes are drawn from the lines that a test ran, with a seed. Each is
written into a copy of the tree, and its tests run until one fails, the most particular first. A
change that nothing notices is a survivor: a test is missing, or the change is none.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import coverage

from benchmarks._mutating import Mutant, mutants, mutate

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "var" / "mutants"
TREE, DATA = PLACE / "tree", PLACE / "coverage"
MOST_TESTS = 25  # of a change, the most particular ones
LONGEST_S = 300.0
CHEAP = "not (cluster or vllm or gpu or trial)"
Reach = Mapping[str, Mapping[int, Sequence[str]]]  # file -> line -> tests


def main() -> None:
    """Draw, try, and say who survived."""
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--count", type=int, default=300)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--under", nargs="+", default=["engine", "metrics", "launch"])
    words.add_argument("--tests", nargs="+", default=["tests"])
    words.add_argument("--minutes", type=float, default=600.0, help="then no further one is tried")
    words.add_argument("--again", action="store_true", help="run the tests under coverage anew")
    said = words.parse_args()
    copy_tree()
    if said.again or not DATA.exists():
        cover(said.tests)
    reach = reached(said.under)
    drawn = draw(reach, said.count, said.seed)
    print(f"{sum(map(len, reach.values()))} lines that tests ran, {len(drawn)} changes drawn")
    until = time.monotonic() + said.minutes * 60
    ends = [(m, attempt(m, reach)) for m in drawn if time.monotonic() < until]
    show(ends)
    rows = [{"file": m.file, "line": m.line, "change": f"{m.before} -> {m.after}", "end": end}
            for m, end in ends]  # fmt: skip
    (PLACE / "ends.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


def copy_tree() -> None:
    """The files of the project, links as links, where they may be changed."""
    shutil.rmtree(TREE, ignore_errors=True)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if os.path.lexists(ROOT / name):
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, TREE / name, follow_symlinks=False)
    subprocess.run(["git", "init", "-q"], cwd=TREE, check=True)  # tests ask git for the files


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(TREE)}


def cover(tests: Sequence[str]) -> None:
    """The cheap tests once, with the test that ran each line."""
    settings = PLACE / "coveragerc"
    settings.write_text(f"[run]\ndynamic_context = test_function\ndata_file = {DATA}\n")
    command = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}", "-m", "pytest"]
    more = ["-q", "-n", "0", "-m", CHEAP, "-p", "no:cacheprovider", "--timeout", "600", *tests]
    subprocess.run([*command, *more], cwd=TREE, env=environment(), check=False)


def reached(under: Sequence[str]) -> Reach:
    """Lines of these folders by the tests that ran them; those of an import by all of the file."""
    data = coverage.CoverageData(str(DATA))
    data.read()
    size = Counter[str]()
    found: dict[str, dict[int, list[str]]] = {}
    for measured in data.measured_files():
        file = str(Path(measured).resolve()).removeprefix(f"{TREE.resolve()}/")
        if any(Path(file).is_relative_to(folder) for folder in under):
            lines = data.contexts_by_lineno(measured)
            every = sorted({name for names in lines.values() for name in names if name})
            size.update(name for names in lines.values() for name in names)
            found[file] = {n: [c for c in names if c] or every for n, names in lines.items()}
    return {
        file: {n: sorted(tests, key=lambda t: (size[t], t)) for n, tests in lines.items() if tests}
        for file, lines in found.items()
    }


def draw(reach: Reach, count: int, seed: int) -> list[Mutant]:
    """As many changes as there are or were asked for, in a random order that a seed fixes."""
    every = [
        mutant
        for file in sorted(reach)
        for mutant in mutants(file, (TREE / file).read_text(encoding="utf-8"))
        if mutant.line in reach[file]
    ]
    return random.Random(seed).sample(every, min(count, len(every)))


def attempt(mutant: Mutant, reach: Reach) -> str:
    """`killed`, `survived` or `timeout`; the tree is afterwards as it was."""
    file = TREE / mutant.file
    text = file.read_text(encoding="utf-8")
    names = list(node_ids(reach[mutant.file][mutant.line]))[:MOST_TESTS]
    file.write_text(mutate(text, mutant), encoding="utf-8")
    _forget(file)
    try:
        end = in_child(names)
    finally:
        file.write_text(text, encoding="utf-8")
        _forget(file)
    if end == "survived":
        print(f"survived {mutant.file}:{mutant.line}  {mutant.before}  ->  {mutant.after}")
    return end


def _forget(file: Path) -> None:
    """Bytecode goes by second and size, which a change may keep."""
    for made in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        made.unlink()


def node_ids(contexts: Sequence[str]) -> Iterator[str]:
    """`results.test_gate.test_x` as pytest names it; names of test files are unique here."""
    files = {path.stem: path for path in (TREE / "tests").rglob("test_*.py")}
    for context in contexts:
        module, _, name = context.rpartition(".")
        path = files.get(module.rpartition(".")[2])
        if path is not None and name.startswith("test_"):
            yield f"{path.relative_to(TREE)}::{name}"


def in_child(names: Sequence[str]) -> str:
    """A fork of this process runs the tests: what it has imported is not imported again."""
    child = multiprocessing.get_context("fork").Process(target=_run, args=(list(names),))
    child.start()
    child.join(LONGEST_S)
    if child.is_alive():
        child.kill()
        child.join()
        return "timeout"
    return "survived" if child.exitcode == 0 else "killed"


def _run(names: list[str]) -> None:
    os.setsid()
    os.chdir(TREE)
    os.environ["PYTHONPATH"] = str(TREE)
    sys.path[:] = [str(TREE), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    import pytest

    options = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--timeout", "120"]
    os._exit(int(pytest.main([*options, "--rootdir", str(TREE), *names])))


def show(ends: Sequence[tuple[Mutant, str]]) -> None:
    """Shares by folder."""
    folders = sorted({mutant.file.split("/")[0] for mutant, _ in ends})
    for folder in folders:
        counts = Counter(end for m, end in ends if m.file.startswith(f"{folder}/"))
        print(f"{folder:8} {dict(counts)}")
    noticed = sum(end != "survived" for _, end in ends)
    print(f"{noticed} of {len(ends)} noticed ({noticed / max(1, len(ends)):.1%})")


if __name__ == "__main__":
    main()
