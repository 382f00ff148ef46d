"""vLLM's processes end with the process that made them, however that ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from models.vllm_processes import alive

# Writes who it is, and starts what its further arguments name, each under the one before.
PROCESS = """
import os, subprocess, sys, time
with open(sys.argv[1], "a") as told:
    told.write(f"{sys.argv[2]} {os.getpid()}\\n")
if sys.argv[3:]:
    subprocess.Popen([sys.executable, *sys.orig_argv[1:3], sys.argv[1], *sys.argv[3:]])
time.sleep(120)
"""
OWNER = """
import os, socket, subprocess, sys, time
from medgen.adapters.models.engine_guard import guard_engines
assert guard_engines() is guard_engines()
sockets = os.environ["VLLM_RPC_BASE_PATH"]
assert os.stat(sockets).st_mode & 0o077 == 0
with open(f"{sys.argv[1]}-sockets", "w") as told:
    told.write(sockets)
socket.socket(socket.AF_UNIX).bind(f"{sockets}/a-name-of-vllm")
for names in (["VLLM::EngineCore", "VLLM::Worker"], ["decoder"]):
    command = [sys.executable, "-c", sys.argv[2], sys.argv[1], *names]
    subprocess.Popen(command, start_new_session=True)
time.sleep(float(sys.argv[3]))
"""
Start = Callable[[float], tuple["subprocess.Popen[bytes]", dict[str, int]]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an owner that lives for so many seconds, and tells what it started."""
    told = tmp_path / "told"
    begun: list[subprocess.Popen[bytes]] = []

    def begin(seconds: float) -> tuple["subprocess.Popen[bytes]", dict[str, int]]:
        command = [sys.executable, "-c", OWNER, str(told), PROCESS, str(seconds)]
        # A process whose parent holds an engine uses its folder: here it is the first one.
        own = {k: v for k, v in os.environ.items() if k != "VLLM_RPC_BASE_PATH"}
        begun.append(subprocess.Popen(command, env=own))
        until = time.monotonic() + 60
        while not told.exists() or len(told.read_text().split("\n")) < 4:
            assert time.monotonic() < until
            time.sleep(0.05)
        return begun[0], {n: int(p) for n, p in map(str.split, told.read_text().splitlines())}

    yield begin
    for owner in begun:
        owner.kill()
        owner.wait()
    for line in told.read_text().splitlines():
        if alive(process := int(line.split()[1])):
            os.kill(process, signal.SIGKILL)


def ended(process: int) -> bool:
    until = time.monotonic() + 20
    while alive(process) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(process)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, None])
def test_an_engine_ends_with_its_owner_and_nothing_else_does(
    start: Start, by: signal.Signals | None, tmp_path: Path
) -> None:
    owner, processes = start(120 if by else 4)
    time.sleep(2.5)  # the guard looks every second
    assert all(map(alive, processes.values()))
    sockets = Path((tmp_path / "told-sockets").read_text())
    assert sockets.is_dir()
    if by:
        owner.send_signal(by)
    owner.wait(60)
    assert ended(processes["VLLM::EngineCore"])
    assert ended(processes["VLLM::Worker"])
    assert alive(processes["decoder"])
    until = time.monotonic() + 20
    while sockets.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not sockets.exists()
