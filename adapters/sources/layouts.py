"""Which layout lies at a URL.

A layout is a module of this folder that names its source class `LAYOUT`, or a class of another
package behind an entry point `medgen.sources`. Nothing else lists them.
"""

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import ClassVar, Protocol

from medgen.adapters import sources
from medgen.adapters.sources.folder import Folder
from medgen.engine import registry
from medgen.engine.benchmark.source import Source
from medgen.engine.errors import BenchmarkError

_TABLES = (
    *(".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".feather"),
    *(".xlsx", ".xls", ".ods"),
)
_LISTED = 5


class Layout(Protocol):
    """The class of a source that reads one layout."""

    name: ClassVar[str]
    marks: ClassVar[str]  # for messages: what is looked for at the URL

    def __call__(self, url: str) -> Source:
        """The source of the benchmark at a URL."""
        ...

    def recognises(self, folder: Folder) -> bool:
        """Whether a folder holds this layout, from names alone; a static or class method."""
        ...


def layouts() -> Mapping[str, Layout]:
    """Every layout by name: ours, then those of other packages."""
    found: dict[str, Layout] = {}
    for module in pkgutil.iter_modules(sources.__path__, f"{sources.__name__}."):
        layout = vars(import_module(module.name)).get("LAYOUT")
        if layout is not None:
            found[layout.name] = layout
    for component in registry.components("sources").values():
        found.setdefault(component.name, component.load())
    return found


def is_recognised(url: str) -> bool:
    """Whether one of the layouts lies at a URL."""
    folder = Folder(url)
    return any(layout.recognises(folder) for layout in layouts().values())


def open_source(url: str, layout: str | None = None) -> Source:
    """The benchmark at a directory or any fsspec URL, in the layout given or found there.

    Raises:
        BenchmarkError: nothing is there, none or several of the layouts are, or none is so named.
    """
    known = layouts()
    if layout is not None and layout not in known:
        raise BenchmarkError(f"layout {layout!r} is not one of {', '.join(known)}")
    if not url:
        raise BenchmarkError("no source was given; name the URL of one of the layouts")
    folder = Folder(url)
    try:
        found = [layout] if layout else [n for n, k in known.items() if k.recognises(folder)]
        missing = not folder.exists()
    except Exception as err:  # fsspec back ends raise whatever their vendor does
        raise BenchmarkError(f"cannot read {folder.url}: {err}") from err
    if missing:
        raise BenchmarkError(f"there is nothing at {folder.url}; is the path right?")
    if not found:
        marks = ", ".join(f"no {kind.marks} ({name})" for name, kind in known.items())
        what = f"{folder.url} holds none of the known layouts: {marks}"
        raise BenchmarkError(what + _instead(folder))
    if len(found) > 1:
        raise BenchmarkError(f"{folder.url} holds {' and '.join(found)}; say which with a layout")
    return known[found[0]](url)


def _instead(folder: Folder) -> str:
    """What else may be meant by a folder: one of its tables, or a preset that describes it."""
    tables = [name for name in folder.names() if name.lower().endswith(_TABLES)]
    if not tables:
        return ". A preset says how to read any other: docs/benchmarks.md"
    some = ", ".join(tables[:_LISTED]) + (" …" if len(tables) > _LISTED else "")
    return f". Of its tables ({some}) name the one that is meant"
