"""Three Ray nodes in network namespaces, each with an IP of its own; token on, store on S3.

Needs root on Linux. A bridge joins the namespaces with the process of the test, which has the S3
server and the endpoint; links can be cut and nodes killed.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.ray_machines import ROOT, elsewhere

NET = "10.231.7"
OURS = f"{NET}.1"  # of the process of the test
STARTS_IN_S = 400  # on a busy machine
MISSING = "needs root on Linux, and `ip` with network namespaces"


def can_make() -> bool:
    """Whether namespaces can be made here."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"mg-try-{os.getpid()}"  # several processes ask at the same moment
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return made.returncode == 0


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@dataclass
class Node:
    """A machine: a namespace with a Ray node in it."""

    number: int
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def name(self) -> str:
        return f"mg-{self.number}"

    @property
    def address(self) -> str:
        return f"{NET}.{self.number + 1}"

    def make(self) -> None:
        ip("netns", "add", self.name)
        inside = f"{self.name}p"
        ip("link", "add", self.name, "type", "veth", "peer", "name", inside)
        ip("link", "set", inside, "netns", self.name)
        ip("link", "set", self.name, "master", "mg-bridge")
        ip("link", "set", self.name, "up")
        ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", inside)
        ip("-n", self.name, "link", "set", inside, "up")
        ip("-n", self.name, "link", "set", "lo", "up")

    def link(self, state: str) -> None:
        """`up` or `down`."""
        ip("link", "set", self.name, state)

    def start(self, head: "Node | None") -> None:
        """A Ray node; without a head it is one itself."""
        self.starts += 1
        own = self.folder / f"{self.name}-{self.starts}"
        place = ["--node-ip-address", self.address, "--temp-dir", str(own)]
        joins = ["--address", f"{head.address}:6379"] if head else ["--head", "--port", "6379"]
        size = ["--num-cpus", "2", "--object-store-memory", str(80 * 2**20)]
        command = ["-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        with (self.folder / f"{self.name}.log").open("ab") as sink:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, sys.executable, *command, *place, *joins, *size,
                 *([] if head else ["--dashboard-host", self.address])],
                env=self.environment, cwd="/", stdout=sink, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def run(self, *words: str) -> subprocess.Popen[str]:
        """A Python process on this machine."""
        return subprocess.Popen(
            ["ip", "netns", "exec", self.name, sys.executable, *words],
            env=self.environment, cwd="/", text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def pids(self, comm: str = "") -> list[int]:
        """The processes of this machine, or those of a name."""
        found = []
        for pid in map(int, ip("netns", "pids", self.name).split()):
            with contextlib.suppress(OSError):
                if not comm or Path(f"/proc/{pid}/comm").read_text().strip() == comm:
                    found.append(pid)
        return found

    def kill(self, comm: str = "") -> None:
        """SIGKILL to all processes of this machine, or to those of a name."""
        for pid in self.pids(comm):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """All of it ends, and the namespace goes."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop()
            ip("netns", "del", self.name)

    def stop(self) -> None:
        """All of it ends, as by a power cut."""
        self.kill()
        if self.process is not None:
            self.process.wait(30)


@dataclass
class Cluster:
    """The nodes, the first of which is the head."""

    nodes: list[Node]
    folder: Path

    def start(self) -> None:
        head, *others = self.nodes
        head.start(None)
        self._wait_for(1)
        for node in others:
            node.start(head)
        self._wait_for(len(self.nodes))

    def begin_anew(self) -> None:
        """The same machines, and another cluster: nothing is left of the one before."""
        for node in self.nodes:
            node.stop()
            node.link("up")
        self.start()

    def client(self) -> dict[str, str]:
        """The environment of a machine beside the cluster, which has the token."""
        head = self.nodes[0]
        return {**head.environment, "RAY_API_SERVER_ADDRESS": f"http://{head.address}:8265"}

    def _wait_for(self, count: int) -> None:
        head = self.nodes[0]
        look = (
            f"import ray; ray.init(address='{head.address}:6379', logging_level='ERROR'); "
            "print(sum(n['Alive'] for n in ray.nodes()))"
        )
        until = time.monotonic() + STARTS_IN_S
        said = ""
        while time.monotonic() < until:
            with head.run("-c", look) as asks:
                try:
                    out, said = asks.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    asks.kill()  # Ray waits for what may never come
                    continue
            if out.strip() == str(count):
                return
            time.sleep(1)
        raise TimeoutError(f"the cluster has no {count} nodes after {STARTS_IN_S} s: {said[-800:]}")


def _clear() -> None:
    """What a killed run of these tests left goes, unless something lives in it."""
    left = [line.split()[0] for line in ip("netns", "list").splitlines() if line.startswith("mg-")]
    if any(ip("netns", "pids", name).strip() for name in left):
        raise RuntimeError(f"machines of another run of these tests are at work: {left}")
    for name in left:
        ip("netns", "del", name)
    subprocess.run(["ip", "link", "del", "mg-bridge"], capture_output=True, check=False)


@contextlib.contextmanager
def network() -> Iterator[None]:
    """The bridge, with an address of ours on it."""
    _clear()
    ip("link", "add", "mg-bridge", "type", "bridge")
    try:
        ip("addr", "add", f"{OURS}/24", "dev", "mg-bridge")
        ip("link", "set", "mg-bridge", "up")
        yield
    finally:
        ip("link", "del", "mg-bridge")


@contextlib.contextmanager
def machines(count: int = 3, **variables: str) -> Iterator[Cluster]:
    """A running cluster over a `network`; all of it ends with the context."""
    folder = Path(tempfile.mkdtemp(prefix="mg-net-", dir="/tmp"))  # short: Ray puts sockets there
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    env = elsewhere() | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        **variables,
    }
    nodes = [Node(number, folder, env) for number in range(1, count + 1)]
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for node in nodes:
            stack.callback(node.end)
            node.make()
        cluster = Cluster(nodes, folder)
        cluster.start()
        yield cluster
