"""How many lines of product code there are, and how many of them stand for what stood at a commit.

    python -m benchmarks.lines                 # all of it, by room
    python -m benchmarks.lines --since COMMIT  # and what has become of the code of then; minutes

A line counts that holds a token of code: comments, docstrings and empty lines do not. Of the code
of then those lines are told that nobody has touched (`git blame -w -M -C`), and the lines of the
definitions (functions, methods, classes without them, statements of a module), as they are now, of
which at least such a share is lines of then.
"""

import argparse
import ast
import io
import json
import subprocess
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("engine", "actors", "adapters", "metrics", "conf", "launch")
SHARES = (0.1, 0.25, 0.5)
_NO_CODE = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
)
_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def code_lines(text: str) -> set[int]:
    r"""The numbers of a module's lines of code.

    >>> sorted(code_lines("'What it is.'\n\nx = [  # two\n    1,\n]\n"))
    [3, 4, 5]
    """
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = {n for t in tokens if t.type not in _NO_CODE for n in range(t.start[0], t.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (*_DEFINES, ast.Module)) and ast.get_docstring(node) is not None:
            said = node.body[0]
            found -= set(range(said.lineno, (said.end_lineno or said.lineno) + 1))
    return found


def definitions(text: str) -> dict[int, str]:
    r"""The innermost definition, or statement of the module, that each line belongs to.

    >>> definitions("import os\nclass A:\n    def f(self):\n        return os\n")
    {1: '1', 2: 'A', 3: 'A.f', 4: 'A.f'}
    """
    found: dict[int, str] = {}

    def walk(node: ast.AST, name: str) -> None:
        for inner in ast.iter_child_nodes(node):
            if not isinstance(inner, ast.stmt):
                continue
            own = f"{name}.{inner.name}".strip(".") if isinstance(inner, _DEFINES) else ""
            if own or not name:
                first = min(n.lineno for n in (inner, *getattr(inner, "decorator_list", ())))
                lines = range(first, (inner.end_lineno or first) + 1)
                found.update(dict.fromkeys(lines, own or str(first)))
            if own:
                walk(inner, own)

    walk(ast.parse(text), "")
    return found


def _git(*words: str) -> str:
    call = ["git", "-C", str(ROOT), *words]
    return subprocess.run(call, capture_output=True, text=True, check=True).stdout


def _files(commit: str) -> list[str]:
    every = _git("ls-tree", "-r", "--name-only", commit, *ROOMS).splitlines()
    return [path for path in every if path.endswith(".py")]


def _total(commit: str) -> Counter[str]:
    """The lines of each room at a commit."""
    found: Counter[str] = Counter()
    for path in _files(commit):
        found[path.partition("/")[0]] += len(code_lines(_git("show", f"{commit}:{path}")))
    return found


def _untouched(path: str, old: frozenset[str]) -> set[int]:
    """The lines of a file that stand there since one of the old commits."""
    told = _git("blame", "-w", "-M", "-C", "--line-porcelain", "HEAD", "--", path)
    heads = (line.split(" ") for line in told.splitlines() if line[:40].isalnum())
    return {int(words[2]) for words in heads if words[0] in old and len(words) > 2}


def _units(commit: str) -> Iterator[tuple[int, int]]:
    """Of every definition: its lines, and how many of them stood at that commit."""
    old = frozenset(_git("rev-list", commit).split())
    for path in _files("HEAD"):
        text = _git("show", f"HEAD:{path}")
        whose, stood = definitions(text), _untouched(path, old)
        lines: defaultdict[str, list[bool]] = defaultdict(list)
        for number in code_lines(text):
            lines[whose[number]].append(number in stood)
        yield from ((len(one), sum(one)) for one in lines.values())


def since(commit: str) -> dict[str, object]:
    """What has become of the code of then."""
    units = list(_units(commit))
    return {
        "commit": commit,
        "then": _total(commit).total(),
        "untouched": sum(old for _, old in units),
        "of_its_definitions": {
            f"at least {share:.0%}": sum(n for n, old in units if old >= share * n)
            for share in SHARES
        },
    }


def main() -> None:
    """Print it as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--since", metavar="COMMIT")
    asked = parser.parse_args()
    rooms = _total("HEAD")
    found: dict[str, object] = {"lines": rooms.total(), "by_room": dict(rooms)}
    print(json.dumps(found | (since(asked.since) if asked.since else {}), indent=1))


if __name__ == "__main__":
    main()
