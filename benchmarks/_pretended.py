"""Ray clusters on this machine whose GPUs are pretended: nobody uses them, so Ray counts anything.

Ray's own helper for tests of its autoscaler (`ray.cluster_utils.AutoscalingCluster`) ends every Ray
of the machine when it starts, and reads a file that its wheels leave out. So its provider of
machines that are processes (`fake_multinode`) is started here by hand.
"""

import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray

GPUS = 8  # of a machine
_STORE = 80 * 2**20  # bytes of object store: nothing is put there
_STARTS_S = 240.0
_OURS = "MEDGEN_PRETENDED"  # in the environment of all that a cluster starts, to find it again


@contextlib.contextmanager
def pretended_machines(count: int) -> Iterator[Callable[[], None]]:
    """A connected Ray of so many machines of eight GPUs; yields what adds one more."""
    with _head([]) as (address, start):

        def add() -> None:
            start([f"--address={address}", *_offering(GPUS)])

        _connect(address)
        for number in range(count):  # several at once would be late for Ray on a few cores
            add()
            _wait_for_machines(number + 1)
        yield add


@contextlib.contextmanager
def autoscaled_machines(most: int) -> Iterator[None]:
    """A connected Ray of a head without GPUs, whose autoscaler adds machines when asked."""
    with tempfile.TemporaryDirectory(prefix="mg-scaled-", dir="/tmp") as folder:
        config, port = Path(folder) / "scaling.json", _free_port()
        config.write_text(json.dumps(_scaling(most, f"127.0.0.1:{port}")))
        with _head([f"--autoscaling-config={config}"], port) as (address, _):
            _connect(address)
            yield


Start = Callable[[list[str]], None]


@contextlib.contextmanager
def _head(words: list[str], port: int = 0) -> Iterator[tuple[str, Start]]:
    """A Ray without CPUs and GPUs, its address, and what starts more processes of `ray start`."""
    mark, port = secrets.token_hex(8), port or _free_port()
    env = os.environ | {
        _OURS: mark,
        "RAY_AUTH_MODE": "disabled",  # as a Ray that is started from within a process has it
        "RAY_memory_monitor_refresh_ms": "0",  # sleepers hold nothing, whoever fills the memory
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    started: list[subprocess.Popen[bytes]] = []
    # Its sockets' paths must be short, and may still be in use when it is removed.
    with tempfile.TemporaryDirectory(prefix="mg-", dir="/tmp", ignore_cleanup_errors=True) as at:

        def start(more: list[str]) -> None:
            command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *more]
            command += ["--node-ip-address=127.0.0.1", "--disable-usage-stats"]
            with (Path(at) / "ray.log").open("ab") as log:
                started.append(subprocess.Popen(command, env=env, stdout=log, stderr=log))

        try:
            first = ["--head", f"--port={port}", "--include-dashboard=false", *_offering(0)]
            start([*first, f"--temp-dir={at}/ray", *words])
            _wait_for(port, started[0])
            yield f"127.0.0.1:{port}", start
        finally:
            ray.shutdown()
            _end_all(mark)
            for process in started:
                process.wait()


def _offering(amount: int) -> list[str]:
    return [f"--num-cpus={amount}", f"--num-gpus={amount}", f"--object-store-memory={_STORE}"]


def _wait_for_machines(count: int) -> None:
    until = time.monotonic() + _STARTS_S
    while sum(node["Resources"].get("GPU", 0) > 0 for node in ray.nodes() if node["Alive"]) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"not {count} machines within {_STARTS_S:g} s")
        time.sleep(0.2)


def _connect(address: str) -> None:
    until = time.monotonic() + _STARTS_S
    while True:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError:  # the head answers before it has told of itself
            if time.monotonic() > until:
                raise
            time.sleep(1.0)
        else:
            return


def _scaling(most: int, gcs_address: str) -> dict[str, Any]:
    machine = {"CPU": GPUS, "GPU": GPUS, "object_store_memory": _STORE}
    # Ray's autoscaler reads them all, though nothing is done on a machine of this kind.
    nothing = ("initialization", "setup", "head_setup", "worker_setup")
    commands: dict[str, list[str]] = {
        f"{name}_commands": [] for name in (*nothing, "head_start_ray", "worker_start_ray")
    }
    return {
        **commands,
        "auth": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "upscaling_speed": 1.0,
        "cluster_name": "pretended",
        "max_workers": most,
        "idle_timeout_minutes": 5,
        "provider": {"type": "fake_multinode", "gcs_address": gcs_address, "launch_multiple": True},
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "gpus": {"resources": machine, "node_config": {}, "max_workers": most},
        },
    }


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _wait_for(port: int, head: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _STARTS_S
    while time.monotonic() < until and head.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.2)
    raise TimeoutError(f"Ray's head does not answer at port {port}")


def _end_all(mark: str) -> None:
    """End every process that carries the mark: pretended machines outlive their autoscaler."""
    line = f"{_OURS}={mark}".encode()
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if line in (place / "environ").read_bytes().split(b"\0"):
                os.kill(int(place.name), signal.SIGKILL)
