"""Own classes as their files are now, in a process that lives on: a notebook, several runs of one.

Python imports a module once. What decides rows is known by its files, so a class that was edited
since its import would give rows in the name of what it is not.
"""

import contextlib
import importlib
import sys
import threading
import time
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

from medgen.engine.modules import source_of
from medgen.engine.source import OURS, code_of

_BEGAN = time.time()  # what is older than that was not edited since it was imported
_one_at_a_time = threading.RLock()
_imported: dict[str, str] = {}  # digests of the modules that were imported here


def import_as_it_is(module: str) -> ModuleType:
    """Import a module, anew if it was edited since, or what it imports and is not installed.

    Raises:
        ImportError: it cannot be imported; whatever its code raises.
    """
    if module.startswith(OURS):
        return importlib.import_module(module)
    with _one_at_a_time:
        now = code_of(module)
        edited = {name for name, digest in now.items() if _is_edited(name, digest)}
        if edited:
            _forget({name for name in now if edited & code_of(name).keys()})
        _imported.update(now)
        for name in now.keys() - sys.modules.keys():
            _drop_older_bytecode(name)
        return importlib.import_module(module)


def _is_edited(name: str, digest: str) -> bool:
    if name not in sys.modules:
        return False
    if name in _imported:
        return _imported[name] != digest
    file = source_of(name)
    return file is not None and file.stat().st_mtime > _BEGAN


def _forget(names: set[str]) -> None:
    """Have what was edited, and what imports it, imported anew."""
    for name in names:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


def _drop_older_bytecode(name: str) -> None:
    """Have Python compile a module whose file was changed after its bytecode was written.

    Python itself looks at size and time alone, which copies and unpacked archives keep.
    """
    file = source_of(name)
    if file is None or not (bytecode := Path(cache_from_source(str(file)))).is_file():
        return
    if file.stat().st_ctime_ns >= bytecode.stat().st_ctime_ns:
        with contextlib.suppress(PermissionError):  # who may not write here has not edited it here
            bytecode.unlink()
