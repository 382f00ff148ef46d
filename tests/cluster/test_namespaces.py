"""Three machines with IPs of their own: links are cut, nodes, drivers, heads and servers killed.

Every run ends with the rows and scores of one that nobody disturbed, and each priced call is made
once, but for those that were in the hands of what was killed.
"""

import hashlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from cluster.net_machines import MISSING, OURS, Cluster, can_make, machines, network
from cluster.served import Served
from fakes import Lines, answers

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.run.folder import RunFolder, find_run
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.trial,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not can_make(), reason=MISSING),
]

COUNT, SHARD = 96, 4
IN_HAND = SHARD  # samples of the one unit that a worker of an endpoint has
SAID_WITHIN_S = 30.0
HERE = {"name": "in-process", "pool": "local"}
Started = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def place() -> Iterator[dict[str, str]]:
    """The network and an S3 server on it; the variables that lead there."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    with ExitStack() as stack:
        stack.enter_context(network())
        server = ThreadedMotoServer(OURS, 0, verbose=False)
        server.start()
        stack.callback(server.stop)
        host, port = server.get_host_and_port()
        said = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in said.items():
            patch.setenv(name, value)
        yield said


@pytest.fixture(scope="module")
def three(place: dict[str, str]) -> Iterator[Cluster]:
    with machines(3, **place) as cluster:
        yield cluster


@pytest.fixture
def endpoint(place: dict[str, str], tmp_path: Path) -> Iterator[Served]:
    served = Served(OURS, tmp_path / "answered")
    served.start()
    yield served
    served.kill()


@pytest.fixture
def store(place: dict[str, str]) -> str:
    return filled()


def filled() -> str:
    """A bucket with the benchmark in it."""
    import boto3

    bucket = f"net-{uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    url = f"s3://{bucket}/store"
    import_benchmark(Lines(COUNT), connect(url), ImportOptions("fake", SHARD))
    return url


@pytest.fixture(scope="module")
def undisturbed(three: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of a run in one process, with a server that answers at once."""
    folder, store = tmp_path_factory.mktemp("undisturbed"), filled()
    served = Served(OURS, folder / "answered", seconds=0.0)
    served.start()
    path = config(folder, store, served, HERE)
    finish(three.nodes[0].run("-m", "medgen", "run", "--config", str(path), "--json"))
    served.kill()
    return digest(store)


@pytest.fixture
def client(three: Cluster, tmp_path: Path) -> Iterator[Started]:
    """Starts `medgen` on a machine beside the cluster."""
    with ExitStack() as stack:

        def start(*words: str, **variables: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "medgen", *words],
                env=three.client() | variables, cwd=tmp_path, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def on(cluster: Cluster) -> Mapping[str, Any]:
    head = cluster.nodes[0]
    return {"name": "net", "pool": "ray", "address": f"{head.address}:6379", "lease_s": 12}


def config(
    folder: Path, store: str, server: Served, cluster: Mapping[str, Any], **patience: float
) -> Path:
    endpoint = {"base_url": f"{server.url}/v1", "concurrency": SHARD, **patience}
    kwargs = {"model": "vlm", "prices": {"request": 0.01}, "endpoint": endpoint}
    answer = answers("openai", **kwargs) | {"resources": {"cpus": 1.0, "workers": 1}}
    body = {
        "name": "netted",
        "store": store,
        "benchmark": {"name": "fake"},
        "systems": [{"name": "dear", "answer": answer}],
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "scoring": {"resources": {"cpus": 0.5}},
        "cluster": dict(cluster),
        "report": False,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def until(what: Callable[[], bool], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to it"
        time.sleep(0.1)


def finish(process: subprocess.Popen[str], code: int = 0) -> None:
    out, error = process.communicate(timeout=500)
    assert process.returncode == code, (error or out)[-3000:]


def committed(store: str) -> int:
    return sum("/shard-" in path for path in connect(store).walk("stages/answer"))


def rows(store: str) -> dict[str, list[dict[str, Any]]]:
    """Statuses, words and values of every sample, by stage."""
    objects = connect(store)
    reader = RunReader(objects, RunFolder(objects, find_run(objects, "netted")).plan())
    found: dict[str, list[dict[str, Any]]] = {}
    kept = ("sample_id", "status", "reason", "text", "token_f1")
    for node in reader.plan.nodes.values():
        tables = [reader.table(node, n) for n in range(reader.plan.shards)]
        every = [row for table in tables if table is not None for row in table.to_pylist()]
        plain = [{name: row[name] for name in kept if name in row} for row in every]
        found[node.stage] = sorted(plain, key=lambda row: str(row["sample_id"]))
    return found


def digest(store: str) -> str:
    """What stands for all rows of a run, none of which may be missing or a failure."""
    found = rows(store)
    ids = [f"s{n:04d}" for n in range(COUNT)]
    assert {stage: [row["sample_id"] for row in of] for stage, of in found.items()} == {
        "answer": ids,
        "score": ids,
    }
    assert {row["status"] for row in found["answer"]} == {"ok"}
    values = [row["token_f1"] for row in found["score"]]
    assert 0.0 not in values
    assert 1.0 in values
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def assert_paid_once(server: Served, again: int = 0) -> None:
    counted = server.answered()
    assert len(counted) == COUNT
    assert sum(counted.values()) <= COUNT + again


def test_two_drivers_over_a_cut_link_and_a_lost_node_pay_once(
    three: Cluster, endpoint: Served, store: str, undisturbed: str, tmp_path: Path
) -> None:
    head, second, third = three.nodes
    path = config(tmp_path, store, endpoint, on(three))
    drivers = [head.run("-m", "medgen", "run", "--config", str(path), "--json") for _ in range(2)]
    until(lambda: len(endpoint.answered()) > 8)
    second.link("down")
    cut = time.monotonic()
    third.kill("raylet")
    until(lambda: time.monotonic() - cut > 60)
    second.link("up")
    for driver in drivers:
        finish(driver)
    assert_paid_once(endpoint, again=2 * 2 * IN_HAND)
    assert digest(store) == undisturbed


def test_a_driver_killed_five_times_in_mid_write_and_a_second_beside_it(
    three: Cluster, endpoint: Served, store: str, undisturbed: str, tmp_path: Path
) -> None:
    head = three.nodes[0]
    path = config(tmp_path, store, endpoint, on(three))
    words = ("-m", "medgen", "run", "--config", str(path), "--json")
    for kill in range(5):
        before = committed(store)
        driver = head.run(*words)
        until(lambda before=before: committed(store) > before)
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
        assert committed(store) < COUNT // SHARD, f"it was over before kill {kill + 1}"
    finish(head.run(*words))
    assert_paid_once(endpoint, again=5 * IN_HAND)
    assert digest(store) == undisturbed


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_server_killed_in_mid_run_costs_no_row_and_no_second_call(
    three: Cluster, endpoint: Served, store: str, undisturbed: str, tmp_path: Path, comes_back: bool
) -> None:
    head = three.nodes[0]
    patience = {} if comes_back else {"attempts": 2, "backoff_s": 0.1}  # else that of half a minute
    path = config(tmp_path, store, endpoint, on(three), **patience)
    words = ("-m", "medgen", "run", "--config", str(path), "--json")
    driver = head.run(*words)
    until(lambda: len(endpoint.answered()) > 8)
    endpoint.kill()
    if comes_back:
        time.sleep(10)
        endpoint.start()
        finish(driver)
    else:
        finish(driver, code=3)
        assert 0 < len(endpoint.answered()) < COUNT
        assert 0.0 not in [row["token_f1"] for row in rows(store)["score"]]
        endpoint.start()
        finish(head.run(*words))
    assert_paid_once(endpoint)
    assert digest(store) == undisturbed


def test_a_submitted_run_is_attached_to_cancelled_and_taken_up(
    three: Cluster, endpoint: Served, store: str, undisturbed: str, tmp_path: Path, client: Started
) -> None:
    path = config(tmp_path, store, endpoint, on(three))
    finish(client("submit", "--config", str(path)))
    until(lambda: committed(store) > 1)
    attached = client("attach", "--store", store)
    finish(client("cancel", "--store", store))
    finish(attached, code=143)
    assert committed(store) < COUNT // SHARD, "it was over before it was cancelled"
    finish(client("submit", "--config", str(path), "--wait"))
    assert_paid_once(endpoint)
    assert digest(store) == undisturbed


class Told:
    """The lines of a process, each with the moment at which it came."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.lines = process, list[tuple[float, str]]()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), line))

    def when(self, words: str) -> float | None:
        return next((at for at, line in self.lines if words in line), None)


def test_a_head_that_goes_dark_is_said_and_another_cluster_finishes(
    three: Cluster, endpoint: Served, store: str, undisturbed: str, tmp_path: Path, client: Started
) -> None:
    head = three.nodes[0]
    path = config(tmp_path, store, endpoint, on(three))
    over_ray = Told(client("submit", "--config", str(path), "--wait"))
    until(lambda: committed(store) > 1)
    nobody = {"RAY_API_SERVER_ADDRESS": "http://127.0.0.1:9"}
    from_store = Told(client("attach", "--store", store, **nobody))
    until(lambda: from_store.when("answer") is not None)
    head.link("down")  # first, so that no connection is closed in good order
    head.kill()
    died = time.monotonic()
    for told, words in ((over_ray, "out of sight"), (from_store, "nothing was heard")):
        until(lambda told=told, words=words: told.when(words) is not None)
        assert (told.when(words) or died) - died < SAID_WITHIN_S
    assert committed(store) < COUNT // SHARD, "it was over before its head died"
    three.begin_anew()
    finish(client("submit", "--config", str(path), "--wait"))
    assert_paid_once(endpoint, again=IN_HAND)
    assert digest(store) == undisturbed
