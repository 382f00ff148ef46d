"""Runs a server for as long as its owner lives. Started as a script, by `ManagedServer`.

The owner holds the other end of standard input. When the owner ends, by whatever signal, the
pipe closes, and the server's whole process group is ended. Should the guard itself be killed, the
kernel ends the server. Only the standard library is imported, so that any interpreter can run it.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.2


def main(arguments: list[str]) -> int:
    """Run `arguments[1:]`; `arguments[0]` is the grace in seconds between TERM and KILL.

    Returns:
        The server's exit code, or 128 + the signal that ended it.
    """
    grace, command = float(arguments[0]), arguments[1:]
    owner = os.getppid()
    # The guard is ended by closing its input, so that it can end the server first.
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_parent
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_end(server, grace)))
    while server.poll() is None:
        # A child that the owner forked may hold the pipe open; its parent's id tells all the same.
        if _is_closed() or os.getppid() != owner:
            break
    return _end(server, grace)


def _is_closed() -> bool:
    ready, _, _ = select.select([sys.stdin], [], [], _POLL_S)
    return bool(ready) and not os.read(sys.stdin.fileno(), 1)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(server: "subprocess.Popen[bytes]", grace: float) -> int:
    """End what is left of the group: ask, wait, then kill."""
    _signal(server.pid, signal.SIGTERM)
    until = time.monotonic() + grace
    while server.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    _signal(server.pid, signal.SIGKILL)
    code = server.wait()
    return code if code >= 0 else 128 - code


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
