"""The pages as files: they open from a disk, a bucket or a web server."""

from collections.abc import Callable

from medgen.engine.errors import ConfigError
from medgen.engine.store.objects import Objects
from medgen.launch.view.data import StoredRun
from medgen.launch.view.site import Site

Tell = Callable[[int, str], None]


def write_bundle(data: StoredRun, into: Objects, tell: Tell | None = None) -> tuple[int, int]:
    """Write every page, script and picture; how many files, and how many bytes.

    Pages come last, so that none points at what is not there yet.

    Raises:
        ConfigError: the folder holds something else already.
    """
    if (found := into.names("")) and "medgen-bundle.json" not in found:
        raise ConfigError(f"{into.url} is not empty, and holds no bundle; name a new folder")
    site = Site(data, meta_policy=True)
    into.replace("medgen-bundle.json", b'{"schema": "bundle/1"}\n')
    names = list(site.names())
    count = size = 0
    for name in sorted(names, key=lambda n: n.endswith(".html")):
        content = site.file(name)
        if content is None:
            continue
        into.replace(name, content)
        count, size = count + 1, size + len(content)
        if tell is not None:
            tell(count, name)
    return count, size
