"""How this process keeps memory that it no longer needs."""

import ctypes
import os
import sys
from importlib.abc import MetaPathFinder

import pyarrow as pa

POOL = "ARROW_DEFAULT_MEMORY_POOL"
# glibc's options (malloc.h), and what they are set to.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGE = 128 * 2**10  # bytes; what is larger goes back to the system when it is freed
_ARENAS = 2


def keep_little() -> None:
    """Have memory that is freed given back to the system, not kept for what comes next.

    For a process that makes a table of millions of rows now and then, and little between. Arrow's
    own pool keeps most of what it ever had, and glibc keeps the more the larger pieces get and the
    more threads there are. Elsewhere than on glibc only Arrow's pool is changed.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    if os.environ.get(POOL) == "system":  # as a command sets it; another is somebody's choice
        del os.environ[POOL]  # workers hold little, and are faster with Arrow's own
    if sys.platform != "linux":
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:  # musl has none
        for option, value in (
            (_TRIM_THRESHOLD, _LARGE),
            (_MMAP_THRESHOLD, _LARGE),
            (_ARENA_MAX, _ARENAS),
        ):
            set_option(option, value)


def give_back() -> None:
    """Give what is free back to the system, also between what is not: a table leaves such holes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


class _WithoutPandas(MetaPathFinder):
    """Finds every module but one."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("nobody has asked for a data frame")


def spare_pandas() -> None:
    """Have PyArrow do without pandas until somebody asks it for a data frame.

    At its first array it imports pandas where that is installed, to know a series when it is given
    one: 50 MiB and half a second, of a process that gives it none.
    """
    without = _WithoutPandas()
    sys.meta_path.insert(0, without)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(without)
