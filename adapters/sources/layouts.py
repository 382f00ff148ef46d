"""Which layout lies at a URL, and the named subsets of MedGEN-Bench."""

from collections.abc import Mapping
from typing import Any

from medgen.adapters.sources import directory as medgen_directory
from medgen.adapters.sources import hub as medgen_hub
from medgen.adapters.sources import view as medgen_view
from medgen.adapters.sources.folder import Folder
from medgen.engine.benchmark.source import Source
from medgen.engine.errors import BenchmarkError

LAYOUTS: Mapping[str, Any] = {
    "hub": medgen_hub.HubSource,
    "directory": medgen_directory.DirectorySource,
    "view": medgen_view.ViewSource,
}


def open_source(url: str, layout: str | None = None) -> Source:
    """The benchmark at a directory or any fsspec URL, in the layout given or found there.

    Raises:
        BenchmarkError: nothing is there, none or several of the layouts are, or none is so named.
    """
    if layout is not None and layout not in LAYOUTS:
        raise BenchmarkError(f"layout {layout!r} is not one of {', '.join(LAYOUTS)}")
    if not url:
        raise BenchmarkError("no source was given; name the URL of one of the layouts")
    folder = Folder(url)
    try:
        found = [layout] if layout else _layouts(folder)
        missing = not folder.exists()
    except Exception as err:  # fsspec back ends raise whatever their vendor does
        raise BenchmarkError(f"cannot read {folder.url}: {err}") from err
    if missing:
        raise BenchmarkError(f"there is nothing at {folder.url}; is the path right?")
    if not found:
        raise BenchmarkError(
            f"{folder.url} holds none of the known layouts: no manifest.json (directory), no "
            f"{', '.join(medgen_view.FILES)} (view), no parquet/{{{','.join(medgen_hub.FOLDERS)}}} "
            "(hub)"
        )
    if len(found) > 1:
        raise BenchmarkError(f"{folder.url} holds {' and '.join(found)}; say which with a layout")
    source: Source = LAYOUTS[found[0]](url)
    return source


def _layouts(folder: Folder) -> list[str]:
    names = set(folder.names())
    tables = [f"{place}{kind}" for place in ("", "parquet/") for kind in medgen_hub.FOLDERS]
    marks = {
        "hub": any(n.endswith(".parquet") for place in tables for n in folder.names(place)),
        "directory": medgen_directory.MANIFEST in names,
        "view": bool(names & set(medgen_view.FILES)),
    }
    return [layout for layout, marked in marks.items() if marked]
