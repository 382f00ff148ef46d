"""The limits that keep the code readable, and the names that it does not use."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "actors", "adapters", "metrics", "conf", "launch")
LONGEST_FILE = 500
LONGEST_FUNCTION = 50
MOST_PARAMETERS = 5
BANNED = re.compile(
    r"Manager|Handler|Helper|Util|Processor|Data(?!set|class|Frame)|Info|Base|Abstract"
)
BANNED_START = re.compile(r"_*(process|do)_(?!request$)")  # `_do_request` is a method of Ray's
# A function is named by a verb in the infinitive or by a noun: `settle`, `settled_rows`.
PARTICIPLE = re.compile(
    r"_*(?!embed|need|seed|feed|exceed)([a-z]*[a-z]{2}ed|made|kept|held|told|said|given|taken|shown|struck)"
)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# A clone's place on one machine, written so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|home|root|Users)/\w")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that belongs to the project, goldens left out: they are other people's words."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    files = (ROOT / name for name in listed if name and not name.startswith("tests/goldens/"))
    return tuple(sorted(file for file in files if file.is_file()))


def sources() -> list[Path]:
    return [file for file in tracked() if file.suffix == ".py"]


def ours() -> list[Path]:
    return [file for file in sources() if file.relative_to(ROOT).parts[0] in PACKAGES]


def nodes(file: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(file.read_text(encoding="utf-8"), filename=str(file)))


def functions(files: list[Path]) -> Iterator[tuple[str, Function]]:
    for file in files:
        for node in nodes(file):
            if isinstance(node, Function):
                yield f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", node


def body_lines(node: Function) -> int:
    """Lines from `def` to the end, the docstring not counted: documentation has no limit."""
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


def test_the_tree_is_found() -> None:
    assert len(ours()) > 10
    assert ROOT / "engine" / "ports.py" in ours()


def test_no_file_is_too_long() -> None:
    long = {str(f.relative_to(ROOT)): len(f.read_text().splitlines()) for f in sources()}
    assert {name: lines for name, lines in long.items() if lines > LONGEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    long = {where: body_lines(node) for where, node in functions(sources())}
    assert {where: lines for where, lines in long.items() if lines > LONGEST_FUNCTION} == {}


def test_no_function_takes_too_many_parameters() -> None:
    many = {}
    for where, node in functions(ours()):
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        count = len([name for name in names if name not in ("self", "cls")])
        # A constructor is a recipe's door: its keywords are what a YAML file may say.
        if count > MOST_PARAMETERS and node.name != "__init__" and not node.decorator_list:
            many[where] = count
    assert many == {}


def test_names_say_what_things_are() -> None:
    found = []
    for file in ours():
        for node in nodes(file):
            if isinstance(node, ast.ClassDef) and BANNED.search(node.name):
                found.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.name}")
            if isinstance(node, Function) and BANNED_START.match(node.name):
                found.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert found == []


def test_functions_are_not_named_by_what_was_done() -> None:
    found = [where for where, node in functions(ours()) if PARTICIPLE.fullmatch(node.name)]
    assert found == []


@pytest.mark.parametrize("name", ["settled", "_kept", "_told", "decoded"])
def test_a_bare_participle_would_be_seen(name: str) -> None:
    assert PARTICIPLE.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["Manager", "ResultHandler", "ImageUtils", "BaseModel", "DataHolder"]
)
def test_a_banned_name_would_be_seen(name: str) -> None:
    assert BANNED.search(name)


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in ours()
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert found == []


def test_nothing_names_a_place_on_one_machine() -> None:
    found = []
    for file in tracked():
        if file.suffix in (".png", ".jpg", ".dcm", ".arrow", ".parquet", ".npz"):
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        found += [f"{file.relative_to(ROOT)}: {m[0]}" for m in MACHINE_PATH.finditer(text)]
    assert found == []


def test_only_the_command_line_prints() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in ours()
        if file.relative_to(ROOT).parts[:2] != ("launch", "cli.py")
        for node in nodes(file)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert found == []


def test_tests_shadow_no_package() -> None:
    tests = ROOT / "tests"
    found = [file.relative_to(tests) for file in tracked() if tests in file.parents]
    inside = [file for file in found if file.parts[0] != "stubs"]  # only mypy looks there
    assert [file for file in inside if file.name == "__init__.py"] == []
    assert [file for file in inside if set(file.parts[:-1]) & set(PACKAGES)] == []
    names = [file.name for file in inside if file.name.startswith("test_")]
    assert sorted({name for name in names if names.count(name) > 1}) == []
