"""What the code is that a component's rows depend on: a digest of each module, read and not run.

Of ours these are a metric with all that it reads texts and images with, and for models and judges
the prompts and how verdicts are read; for the rest of our code the semantics number of a component
speaks. Of another's component it is every module of its package that it imports, and every one that
is not installed, such as a file beside it. Comments, docstrings and layout count for nothing.
"""

import ast
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path

from medgen.engine.modules import place_of, source_of
from medgen.engine.syntax import parse_module

OURS = "medgen."
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_PROMPTS = ("medgen.engine.chat", "medgen.engine.judging")
_METRICS = ("medgen.metrics", "medgen.engine.answers", "medgen.engine.images", *_PROMPTS)
# Lists of names and checks at the start: an entry more changes no row.
_DECIDES_NOTHING = frozenset(
    f"medgen.metrics.{name}" for name in ("catalogue", "laws", "tiny", "versions", "weights")
)


def code_of(target: str) -> Mapping[str, str]:
    """16 hex digits for every module that decides the rows of `module:Class`.

    Empty where its source is not here.
    """
    start = target.partition(":")[0]
    decides = _rule(start)
    found: dict[str, str] = {}
    waiting, seen = [start], {start}
    while waiting:
        name = waiting.pop()
        if (file := source_of(name)) is None:
            continue
        at = file.stat()
        digest, imported = _look(file, name, (at.st_size, at.st_mtime_ns, at.st_ctime_ns))
        if decides(name):
            found[name] = digest
        new = {other for other in imported if decides(other)} - seen
        seen |= new
        waiting += new
    return dict(sorted(found.items()))


def _rule(start: str) -> Callable[[str], bool]:
    """Says of a module's name whether it decides rows of what is in the module `start`."""
    if start.startswith(OURS):
        parts = _METRICS if start.startswith(_METRICS[0]) else _PROMPTS
        return lambda name: _is_within(name, parts) and name not in _DECIDES_NOTHING
    package = start.partition(".")[0]
    is_loose = cache(_is_loose)  # by search paths of this moment

    def decides(name: str) -> bool:
        first = name.partition(".")[0]
        return first == package or is_loose(first)

    return decides


def _is_within(name: str, parts: tuple[str, ...]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def _is_loose(package: str) -> bool:
    """Whether a module or package is another's than ours, and not installed: it has no release."""
    if not package or package in sys.stdlib_module_names or package == OURS.rstrip("."):
        return False
    lies = place_of(package)
    return lies is not None and not _INSTALLED.intersection(lies.parts)


@lru_cache(maxsize=1024)
def _look(file: Path, module: str, mark: tuple[int, ...]) -> tuple[str, frozenset[str]]:
    """A module's digest and the names that it may import, as its file was at some time."""
    try:
        tree = parse_module(file.read_bytes())
    except SyntaxError:  # whoever builds the component says what is wrong
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16], frozenset()
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    imported = frozenset(name for node in ast.walk(tree) for name in _imports(node, package))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [s for s in node.body if not _is_docstring(s)] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16], imported


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _imports(node: ast.AST, package: str) -> Iterator[str]:
    """Modules that a statement imports, or that a name it imports may be."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, node.module or ""]).strip(".") if node.level else node.module or ""
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)
