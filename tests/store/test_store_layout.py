"""Every path of the store is made in one module: no other of the six packages spells one."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from medgen.engine.store import layout, pack_layout

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "actors", "adapters", "metrics", "conf", "launch")
HOMES = [ROOT / "engine" / "store" / f"{name}.py" for name in ("layout", "pack_layout")]
KNOWS = ROOT / "engine" / "store" / "known_layout.py"  # reads them back
CALLS = {"create", "read", "replace", "names", "delete"}
STORES = {"objects", "_objects", "inner"}
# What is spelled like one: other people's data and addresses, and folders of this machine.
FOREIGN = {
    "adapters/own/llm_cxr.py": "config.yaml",
    "adapters/batches/anthropic.py": "messages/batches",
    "adapters/batches/openai.py": "batches/",
    "adapters/mini/layouts.py": "manifest.json",
    "adapters/sources/directory.py": "manifest.json",
    "launch/commands/data.py": "var/weights",
    "launch/setup/doctor.py": "var/weights",
    "launch/view/site.py": "data/sample-",
    "metrics/weights.py": "~/.cache/medgen/weights",
}
VERSION = re.compile(r"[\w-]+/\d+")  # of a schema or a protocol, such as `sentinels/1`
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def literals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The text between the braces of f-strings, and every other string but docstrings."""
    said = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, Documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.lineno, node.value


def spelled(tree: ast.Module, known: set[str]) -> Iterator[tuple[int, str]]:
    """Literals with a part of a known path: a file's name, or a folder's beside a slash."""
    for line, text in literals(tree):
        parts = text.split("/")
        found = {p for p in parts if p in known and (re.search(r"[.-]", p) or len(parts) > 1)}
        if found and not VERSION.fullmatch(text):
            yield line, text


def given_to_a_store(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Calls of a store with a path that is written where it is used."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        owner = node.func.value
        name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        path = node.args[0]
        written = isinstance(path, ast.JoinedStr | ast.BinOp | ast.Constant)
        if node.func.attr in CALLS and name in STORES and written:
            yield node.lineno, ast.unparse(path)


def parts_of_the_layout() -> set[str]:
    trees = [ast.parse(home.read_text()) for home in HOMES]
    parts = {p for tree in trees for _, text in literals(tree) for p in text.split("/")}
    endings = {".arrow", ".json", "json", ".md", ".parquet", ".png", ".jsonl"}  # others' as well
    return {part for part in parts if re.search(r"[a-z]{3}", part)} - endings


def others() -> list[Path]:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return sorted(file for file in files if file not in (*HOMES, KNOWS))


def test_the_layout_knows_its_names() -> None:
    known = parts_of_the_layout()
    assert {"benchmarks", "stages", "runs", "nightly", "sentinels", "chaos"} <= known
    assert {"manifest.json", "stage.json", "plan.json", "summary.parquet", "shard-"} <= known


def test_no_other_module_spells_a_path_of_the_store() -> None:
    known = parts_of_the_layout()
    found = [
        f"{file.relative_to(ROOT)}:{line} {text}"
        for file in others()
        for tree in [ast.parse(file.read_text(encoding="utf-8"))]
        for line, text in (*spelled(tree, known), *given_to_a_store(tree))
        if FOREIGN.get(str(file.relative_to(ROOT))) != text
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'objects.create(f"{folder}/{name}", data)',
        'self.objects.names("runs")',
        'path = f"stages/{stage}/{key}"',
        'path = f"{folder}/plan.json"',
        'path = "summary.parquet"',
        'path = f"{folder}/shard-{number:05d}.arrow"',
    ],
)
def test_a_path_elsewhere_would_be_seen(source: str) -> None:
    tree = ast.parse(source)
    assert [*spelled(tree, parts_of_the_layout()), *given_to_a_store(tree)]


def paths(place: object) -> list[str]:
    """Every path of a place that needs no more than the place."""
    kind = type(place)
    names = [
        name for name, value in vars(kind).items() if isinstance(value, property | layout._Below)
    ]
    assert fields(place)  # type: ignore[arg-type]
    return [getattr(place, name) for name in names]


def test_no_two_things_share_a_path() -> None:
    places = (
        layout.BenchmarkPlace("one"),
        layout.StagePlace("score", "one", "0123456789abcdef"),
        pack_layout.PackPlace("score", "one"),
        layout.RunPlace("one"),
        layout.SentinelPlace("one"),
        layout.NightlyPlace("one"),
    )
    found = [path for place in places for path in paths(place)]
    assert len(found) >= 20
    assert len(set(found)) == len(found)


def test_names_are_read_back_as_they_are_written() -> None:
    stage = layout.StagePlace("answer", "abc")
    names = ("0" * 32, "9f" * 16, layout.piece_name("9f" * 16, 1, 4))
    for name, revision in ((name, revision) for name in names for revision in (0, 3, 12)):
        path = stage.shard(name, revision)
        assert layout.shard_of(path.removeprefix(f"{stage.folder}/")) == (name, revision)
    assert layout.lease_number(layout.lease("here", 7).removeprefix("here/")) == 7
    assert layout.benchmark_name(layout.benchmark_ref("medgen-mini", "0123")) == "medgen-mini"


@pytest.mark.parametrize("name", ["stage.json", "quarantine", "parts-00001", "shard-1"])
def test_what_is_no_shard_is_not_read_as_one(name: str) -> None:
    assert layout.shard_of(name) is None
    assert layout.lease_number(name) is None


def test_commits_of_rows_are_known_from_other_writes() -> None:
    stage = layout.StagePlace("judge", "abc", "0123456789abcdef")
    assert layout.commit_of(stage.shard("3f", 1)) == ("judge", "shard", "3f")
    assert layout.is_edition(stage.edition)
    assert not layout.is_edition("quarantine")
    parts = stage.parts("4a-1of2", 0, "inputs")
    assert layout.commit_of(layout.part(parts, (0, 8))) == ("judge", "parts", "4a-1of2")
    pack = pack_layout.PackPlace("score", "abc").pack(pack_layout.pack_of_shard("3f"), 0)
    assert pack_layout.commit_of_pack(pack) == ("score", "shard", "3f")
    parts = pack_layout.PackPlace("judge", "abc").pack(pack_layout.pack_of_parts("3f", (0, 8)), 1)
    assert pack_layout.commit_of_pack(parts) == ("judge", "parts", "3f")
    assert pack_layout.pack_name(pack.rpartition("/")[2]) == ("shard-3f", 0)
    assert layout.commit_of(stage.recipe) is None
    assert layout.commit_of(layout.RunPlace("one").plan) is None
