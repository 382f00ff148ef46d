"""The pages as files: they open from a disk, a bucket or a web server."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from medgen.engine.errors import ConfigError
from medgen.engine.store.objects import Objects
from medgen.launch.view.data import StoredRun
from medgen.launch.view.site import SAMPLE_DATA, STATIC, Site

Tell = Callable[[int, str], None]
_AT_ONCE = 256  # files that are given out before any more are thought of
_WORKERS = min(8, os.cpu_count() or 1)  # a bucket waits for each file, a disk for each picture


def write_bundle(data: StoredRun, into: Objects, tell: Tell | None = None) -> tuple[int, int]:
    """Write every page, script and picture; how many files, and how many bytes.

    The first page comes before all else that takes time; pictures come after the pages, and maps of
    LPIPS, which a network draws, last. `tell` hears of each file, in this order.

    Raises:
        ConfigError: the folder holds something else already.
    """
    if (found := into.names("")) and "medgen-bundle.json" not in found:
        raise ConfigError(f"{into.url} is not empty, and holds no bundle; name a new folder")
    site = Site(data, meta_policy=True)
    into.replace("medgen-bundle.json", b'{"schema": "bundle/1"}\n')

    def write(name: str) -> tuple[str, int | None]:
        content = site.file(name)
        if content is not None:
            into.replace(name, content)
        return name, None if content is None else len(content)

    count = size = 0
    with ThreadPoolExecutor(_WORKERS) as pool:
        for names in _in_turn(site):
            for name, length in pool.map(write, names):
                if length is None:
                    continue
                count, size = count + 1, size + length
                if tell is not None:
                    tell(count, name)
    return count, size


def _in_turn(site: Site) -> Iterator[list[str]]:
    """The names, some at a time: those of a turn are written before the next begins."""
    names = list(site.names())
    for turn in range(_TURNS):
        own = [name for name in names if _turn(name) == turn]
        yield from (own[at : at + _AT_ONCE] for at in range(0, len(own), _AT_ONCE))


_TURNS = 6


def _turn(name: str) -> int:
    """When a file is written: each stands before what points at it, pictures left out."""
    if name in STATIC:
        return 0
    if name.endswith(".html"):
        return 1 if name == "index.html" else 3
    if name.startswith("p/"):
        return 5 if name.endswith("-lpips.webp") else 4
    return 4 if name.startswith(SAMPLE_DATA) else 2
