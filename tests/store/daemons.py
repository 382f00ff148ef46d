"""Servers of others on loopback: started with their output in a file, awaited, ended by pid."""

import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen


def start(
    place: Path, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A process whose output goes to `NAME.out` in a folder."""
    with (place / f"{Path(words[0]).name}.out").open("wb") as sink:
        return subprocess.Popen(words, stdout=sink, stderr=sink, env=environment)


def wait(url: str, daemons: Sequence[subprocess.Popen[bytes]]) -> None:
    """Until a URL answers, whatever it says.

    Raises:
        RuntimeError: a process has ended, or 40 s have passed.
    """
    until = time.monotonic() + 40
    while time.monotonic() < until:
        dead = [str(d.args) for d in daemons if d.poll() is not None]
        if dead:
            raise RuntimeError(f"ended: {dead}")
        with suppress(URLError, OSError):
            try:
                urlopen(url, timeout=5).close()
            except HTTPError as answer:
                answer.close()
            return
        time.sleep(0.2)
    raise RuntimeError(f"{url} does not answer")


def end(daemon: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and end it after 10 s."""
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
