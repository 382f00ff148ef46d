"""Where Python modules lie, without importing any."""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


def source_of(module: str) -> Path | None:
    """Where a module's source lies; its parents are not imported either."""
    found = _spec_of(module)
    origin = Path(found.origin) if found and found.origin else None
    return origin if origin and origin.suffix == ".py" else None


def place_of(package: str) -> Path | None:
    """The file or folder of a module or package, compiled or not; None: there is none here."""
    found = _spec_of(package)
    if found is None:
        return None
    places = [*(found.submodule_search_locations or ()), *([found.origin] if found.origin else ())]
    return Path(places[0]) if places and Path(places[0]).exists() else None


def _spec_of(module: str) -> ModuleSpec | None:
    first, *others = module.split(".")
    found = next(
        (spec for finder in sys.meta_path if (spec := finder.find_spec(first, None))), None
    )
    for name in others:
        folders = found.submodule_search_locations if found else None
        # By its last name alone: a finder looks for the parents of a whole one where they are
        # imported, and none of them is.
        found = PathFinder.find_spec(name, list(folders)) if folders else None
    return found
