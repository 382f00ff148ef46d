"""Nothing of ours loads what can run code: no pickle, no full YAML, no evaluation of text."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "actors", "adapters", "metrics", "conf", "launch")
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
CALLS = {"eval", "exec", "compile", "__import__"}
UNSAFE = {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "torch.hub.load"}
# A call that is safe only with this argument, and one that is unsafe with it.
NEEDED = {"torch.load": ("weights_only", True)}
FORBIDDEN = (("allow_pickle", True), ("weights_only", False), ("shell", True))


def findings(source: str) -> Iterator[str]:
    """What is unsafe in a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            yield from _call(node)


def _call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    given = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
    if name in CALLS or name in UNSAFE:
        yield name
    if name in NEEDED and NEEDED[name] not in given.items():
        yield f"{name} without {NEEDED[name][0]}"
    yield from (f"{name}({k}={v})" for k, v in FORBIDDEN if (k, v) in given.items())


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_loads_code_from_outside(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = {str(f.relative_to(ROOT)): list(findings(f.read_text(encoding="utf-8"))) for f in files}
    assert {file: what for file, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "yaml.load(x)",
        "eval('1')",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p, allow_pickle=True)",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert list(findings(source))
