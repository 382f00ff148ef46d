"""What the installed model libraries know, read from their source: nothing of them is imported.

Importing vLLM takes longer than everything that the doctor says of all presets; and where it
cannot be imported, what it would know is still worth saying.
"""

import ast
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# Tables of vLLM's registry; the others embed, classify or guess ahead.
_WRITING = ("_TEXT_GENERATION_MODELS", "_MULTIMODAL_MODELS", "_TRANSFORMERS_SUPPORTED_MODELS")


def version(*distributions: str) -> str:
    """The version of the first of these distributions that is installed; empty for none."""
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


@cache
def folder(package: str) -> Path | None:
    """Where a package's source lies; None where it is not installed."""
    found = importlib.util.find_spec(package)
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0]) if places else None


def folder_of_module(module: str) -> str | None:
    """Where a module lies, as a path; None where it cannot be found. It is not imported."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return found.origin if found else None


def own_classes(module: str) -> frozenset[str]:
    """The classes in a file of `medgen.adapters.own`; none where there is no such file."""
    package = folder_of_module("medgen.adapters.own")
    file = Path(package or "").parent / f"{module}.py"
    if not package or not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.ClassDef))


@cache
def vllm_architectures() -> frozenset[str]:
    """Every architecture that writes in the installed vLLM; empty where there is no vLLM."""
    return frozenset(key for table, node in _tables() if table in _WRITING for key in _keys(node))


@cache
def dropped_architectures() -> dict[str, str]:
    """Architectures that vLLM served once: the last version that did."""
    for table, node in _tables():
        if table == "_PREVIOUSLY_SUPPORTED_MODELS":
            pairs = zip(node.keys, node.values, strict=True)
            return {
                str(k.value): str(v.value)
                for k, v in pairs
                if isinstance(k, ast.Constant) and isinstance(v, ast.Constant)
            }
    return {}


def _tables() -> Iterator[tuple[str, ast.Dict]]:
    for node in _tree("model_executor/models/registry.py").body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if isinstance(value, ast.Dict):
            yield from ((t.id, value) for t in targets if isinstance(t, ast.Name))


def _keys(node: ast.Dict) -> Iterator[str]:
    return (k.value for k in node.keys if isinstance(k, ast.Constant) and isinstance(k.value, str))


@cache
def vllm_arguments() -> frozenset[str]:
    """The names of the engine's arguments; empty where there is no vLLM."""
    classes = {"EngineArgs", "AsyncEngineArgs"}
    found = [
        inner.target.id
        for node in _tree("engine/arg_utils.py").body
        if isinstance(node, ast.ClassDef) and node.name in classes
        for inner in node.body
        if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name)
    ]
    return frozenset(found)


@cache
def _pipelines() -> dict[str, Path]:
    """Every pipeline class of the installed diffusers, and where it is written."""
    place = folder("diffusers")
    files = place.glob("pipelines/*/pipeline_*.py") if place else ()
    found = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        for name in re.findall(r"^class (\w+Pipeline)\(", text, re.MULTILINE):
            found[name] = file
    return found


def is_pipeline(name: str) -> bool:
    """Whether the installed diffusers has a pipeline of that name."""
    return name in _pipelines()


@cache
def pipeline_arguments(name: str) -> frozenset[str]:
    """What a pipeline takes when it draws; empty for one that is not there."""
    if name not in _pipelines():
        return frozenset()
    tree = ast.parse(_pipelines()[name].read_text(encoding="utf-8"))
    calls = [
        inner
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == name
        for inner in node.body
        if isinstance(inner, ast.FunctionDef) and inner.name == "__call__"
    ]
    given = (a for call in calls for a in (*call.args.args, *call.args.kwonlyargs))
    return frozenset(a.arg for a in given if a.arg != "self")


@cache
def is_transformers_class(name: str) -> bool:
    """Whether the installed transformers has a model class of that name."""
    place = folder("transformers")
    if place is None:
        return False
    wanted = f"class {name}("
    return any(
        wanted in file.read_text(encoding="utf-8") for file in place.glob("models/*/modeling_*.py")
    )


@cache
def _tree(file: str) -> ast.Module:
    place = folder("vllm")
    if place is None or not (place / file).is_file():
        return ast.Module([], [])
    return ast.parse((place / file).read_bytes())
