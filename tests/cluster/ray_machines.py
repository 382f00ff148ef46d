"""A Ray head and a second machine by `ray start`: token on, loopback, ports and folders its own."""

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
STARTS_IN_S = 100  # of a busy machine
STARTS = 2  # a port that was free may be taken when its turn comes
OURS = range(20_000, 32_768)  # above Ray's workers', below those that any connection is given


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, and that nobody is given by chance in the meantime."""
    found: list[int] = []
    for port in random.Random().sample(OURS, len(OURS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found


def elsewhere() -> dict[str, str]:
    """The environment of a machine that knows nothing of us; what a job has more, it was given."""
    ours = ("RAY_", "MEDGEN_", "PYTHONPATH")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)}


def bare_python(folder: Path) -> Path:
    """An interpreter with every dependency and without our packages.

    Its only path entry is the folder of the installed packages. Of the `.pth` files there it has
    the lines that start something, and no place: not the way to an editable install.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    installed = Path(next(p for p in sys.path if p.endswith("site-packages")))
    (own,) = folder.glob("lib/python*/site-packages")
    lines = [line for f in sorted(installed.glob("*.pth")) for line in f.read_text().splitlines()]
    starts = [line for line in lines if line.startswith("import ")]
    (own / "dependencies.pth").write_text("\n".join([str(installed), *starts]) + "\n")
    return folder / "bin" / "python"


@dataclass(frozen=True)
class Machines:
    """A running cluster."""

    url: str  # of the job API
    gcs: str
    metrics: str  # of the head's exporter
    python: Path
    token: Path
    folder: Path

    def environment(self, token: bool = True) -> dict[str, str]:
        """What a laptop's shell would have set."""
        named = elsewhere()
        named |= {"RAY_API_SERVER_ADDRESS": self.url, "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
        if token:
            named |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token)}
        else:
            named |= {"RAY_AUTH_MODE": "disabled"}
        return named


def _start(
    python: Path, words: list[str], env: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    command = [
        str(python),
        "-m",
        "ray.scripts.scripts",
        "start",
        "--block",
        "--disable-usage-stats",
    ]
    with log.open("wb") as sink:
        return subprocess.Popen(
            [*command, "--node-ip-address", "127.0.0.1", *words],
            env=env, cwd="/", stdout=sink, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask, then force; the whole group, which is ours alone."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait_for_two(url: str, token: Path, started: Mapping[Path, subprocess.Popen[bytes]]) -> None:
    headers = {"Authorization": f"Bearer {token.read_text()}"}
    until = time.monotonic() + STARTS_IN_S
    while time.monotonic() < until and all(each.poll() is None for each in started.values()):
        with contextlib.suppress(requests.RequestException):
            said = requests.get(f"{url}/nodes?view=summary", headers=headers, timeout=5)
            nodes = said.json()["data"]["summary"] if said.ok else []
            if sum(n["raylet"].get("state") == "ALIVE" for n in nodes) == 2:
                return
        time.sleep(0.5)
    ends = (f"{log.name}: {p.poll()}\n{log.read_text()[-2000:]}" for log, p in started.items())
    raise TimeoutError("\n".join([f"the cluster at {url} has no two machines", *ends]))


@contextlib.contextmanager
def machines() -> Iterator[Machines]:
    """Two machines of 4 logical CPUs each; both end with the context."""
    for left in reversed(range(STARTS)):
        with contextlib.ExitStack() as stack:
            try:
                cluster = _start_two(stack)
            except TimeoutError:
                if not left:
                    raise
                continue
            yield cluster
            return


def _start_two(stack: contextlib.ExitStack) -> Machines:
    """Each has a folder of its own, as real ones do.

    Two that share one unpack uploads over each other's while they are in use.
    """
    folder = Path(tempfile.mkdtemp(prefix="mg-two-", dir="/tmp"))  # short: Ray puts sockets there
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    python = bare_python(folder / "py")
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    gcs, dashboard, agent, client, metrics, metrics2, agent2 = free_ports(7)
    env = elsewhere() | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_metrics_report_interval_ms": "1000",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
    }
    size = ["--num-cpus", "4", "--object-store-memory", str(100 * 2**20)]
    first = [
        "--head", "--port", str(gcs), "--dashboard-host", "127.0.0.1",
        "--dashboard-port", str(dashboard), "--dashboard-agent-listen-port", str(agent),
        "--ray-client-server-port", str(client), "--metrics-export-port", str(metrics),
        "--temp-dir", str(folder / "ray"),
    ]  # fmt: skip
    second = [
        "--address", f"127.0.0.1:{gcs}", "--metrics-export-port", str(metrics2),
        "--dashboard-agent-listen-port", str(agent2), "--temp-dir", str(folder / "ray2"),
    ]  # fmt: skip
    started: dict[Path, subprocess.Popen[bytes]] = {}
    for name, words in (("head", first), ("second", second)):
        log = folder / f"{name}.log"
        started[log] = _start(python, [*words, *size], env, log)
        stack.callback(_end, started[log])
        time.sleep(4)
    url = f"http://127.0.0.1:{dashboard}"
    _wait_for_two(url, token, started)
    return Machines(
        url, f"127.0.0.1:{gcs}", f"http://127.0.0.1:{metrics}/metrics", python, token, folder
    )
