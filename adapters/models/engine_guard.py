"""Ends vLLM's processes once the process that made them is gone. `guard_engines` starts it.

They speak over sockets in files that vLLM leaves behind, in the folder for everybody's temporary
files; here they lie in one of their own, which goes with them.

vLLM runs a model in processes of its own, which go on when their owner is killed (by the kernel
for its memory, by Ray for its machine): nobody asks them anything, and they hold a GPU's memory.
The owner holds the other end of standard input; what descends from it is looked at as long as it
lives. Only the standard library is imported, so that the guard is small and there at once.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
# vLLM's processes give themselves a title, and where they cannot look as they were started.
_MARKS = (b"VLLM::", b"multiprocessing.spawn")
_POLL_S = 1.0
_SOCKETS = "VLLM_RPC_BASE_PATH"
_LONGEST_FOLDER = 107 - 37  # of a socket's path, less a name of vLLM's
_Started = dict[int, str]  # process -> when it started, so that no later one is taken for it


@cache
def guard_engines() -> "subprocess.Popen[bytes] | None":
    """The one guard of all that vLLM starts from this process on; None without a /proc."""
    if not _PROC.joinpath("self", "stat").exists():
        return None
    return subprocess.Popen(
        [sys.executable, "-I", __file__, str(os.getpid()), *_own_sockets()],
        stdin=subprocess.PIPE,
        start_new_session=True,  # what ends the owner's group ends it first
    )


def _own_sockets() -> list[str]:
    """A folder that vLLM is told to put its sockets into, unless it was told of one."""
    if Path(os.environ.get(_SOCKETS, os.devnull)).is_dir():
        return []
    folder = tempfile.mkdtemp(prefix="medgen-vllm-")
    if len(folder) > _LONGEST_FOLDER:
        os.rmdir(folder)
        return []
    os.environ[_SOCKETS] = folder
    return [folder]


def main(owner: int, *folders: str) -> None:
    """Look at what descends from `owner` until that ends, then end vLLM's processes among it.

    Args:
        owner: the process.
        folders: what is removed then.
    """
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    seen: _Started = {}
    # A child that the owner forked may hold the pipe open; its parent's id tells all the same.
    while not _is_closed() and os.getppid() == owner:
        seen |= _descendants(owner)
    now = _processes()
    for process, started in seen.items():
        title = _title(process)
        if now.get(process, (0, ""))[1] == started and any(mark in title for mark in _MARKS):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _is_closed() -> bool:
    ready, _, _ = select.select([sys.stdin], [], [], _POLL_S)
    return bool(ready) and not os.read(sys.stdin.fileno(), 1)


def _descendants(owner: int) -> _Started:
    processes = _processes()
    found: _Started = {}
    parents = {owner}
    while parents:
        children = {p: start for p, (parent, start) in processes.items() if parent in parents}
        parents = children.keys() - found.keys()
        found |= children
    return found


def _processes() -> dict[int, tuple[int, str]]:
    """Every process, with its parent and when it started."""
    return dict(_each())


def _each() -> Iterator[tuple[int, tuple[int, str]]]:
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):  # it ended meanwhile
                fields = entry.joinpath("stat").read_text(errors="replace").rpartition(")")[2]
                parts = fields.split()
                yield int(entry.name), (int(parts[1]), parts[19])


def _title(process: int) -> bytes:
    try:
        return _PROC.joinpath(str(process), "cmdline").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
