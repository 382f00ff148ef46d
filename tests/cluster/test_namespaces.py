"""Three machines with IPs of their own: a link is cut, a node lost, drivers are killed.

Every run ends with the same rows, and each priced call is made once, but for those that were in the
hands of what was killed.
"""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from cluster.net_machines import MISSING, OURS, Cluster, can_make, machines, network
from fakes import Lines, answers
from models.loopback import Answer, Asked, Server, serve

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
REPLY = {
    "model": "vlm",
    "choices": [{"message": {"content": "reference"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5},
}


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
def endpoint(place: dict[str, str]) -> Iterator[Server]:
    def reply(_: Asked) -> Answer:
        return Answer(REPLY, pause_s=1.0)

    with serve(reply, host=OURS) as server:
        yield server


@pytest.fixture
def store(place: dict[str, str], request: pytest.FixtureRequest) -> str:
    """A bucket with the benchmark in it."""
    import boto3

    bucket = f"net-{abs(hash(request.node.name)):x}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    url = f"s3://{bucket}/store"
    import_benchmark(Lines(COUNT), connect(url), ImportOptions("fake", SHARD))
    return url


def config(folder: Path, store: str, server: Server, cluster: Cluster) -> Path:
    kwargs = {"model": "vlm", "prices": {"request": 0.01}}
    kwargs["endpoint"] = {"base_url": f"{server.url}/v1", "concurrency": SHARD}
    answer = answers("openai", **kwargs) | {"resources": {"cpus": 1.0, "workers": 1}}
    head = cluster.nodes[0]
    body = {
        "name": "netted",
        "store": store,
        "benchmark": {"name": "fake"},
        "systems": [{"name": "dear", "answer": answer}],
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "scoring": {"resources": {"cpus": 0.5}},
        "cluster": {"name": "net", "pool": "ray", "address": f"{head.address}:6379", "lease_s": 12},
        "report": False,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def calls(server: Server) -> Counter[bytes]:
    return Counter(a.body for a in list(server.asked) if a.method == "POST")


def until(what: Callable[[], bool], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to it"
        time.sleep(0.1)


def finish(process: subprocess.Popen[str]) -> None:
    _, error = process.communicate(timeout=500)
    assert process.returncode == 0, error[-3000:]


def rows(store: str) -> pa.Table:
    """Ids, statuses and words of every answer."""
    objects = connect(store)
    reader = RunReader(objects, RunFolder(objects, find_run(objects, "netted")).plan())
    (node,) = reader.plan.predictions("dear")
    tables = [reader.table(node, n) for n in range(reader.plan.shards)]
    assert all(table is not None for table in tables)
    return pa.concat_tables(tables).select(["sample_id", "status", "text"]).sort_by("sample_id")


def assert_whole(store: str, server: Server, again: int) -> None:
    found = rows(store).to_pylist()
    assert [row["sample_id"] for row in found] == [f"s{n:04d}" for n in range(COUNT)]
    assert {row["status"] for row in found} == {"ok"}
    counted = calls(server)
    assert len(counted) == COUNT
    assert sum(counted.values()) <= COUNT + again


def test_two_drivers_over_a_cut_link_and_a_lost_node_pay_once(
    three: Cluster, endpoint: Server, store: str, tmp_path: Path
) -> None:
    head, second, third = three.nodes
    path = config(tmp_path, store, endpoint, three)
    drivers = [head.run("-m", "medgen", "run", "--config", str(path), "--json") for _ in range(2)]
    until(lambda: len(calls(endpoint)) > 8)
    second.link("down")
    cut = time.monotonic()
    third.kill("raylet")
    until(lambda: time.monotonic() - cut > 60)
    second.link("up")
    for driver in drivers:
        finish(driver)
    assert_whole(store, endpoint, again=2 * 2 * IN_HAND)


def test_a_driver_killed_five_times_in_mid_write_and_a_second_beside_it(
    three: Cluster, endpoint: Server, store: str, tmp_path: Path
) -> None:
    head = three.nodes[0]
    path = config(tmp_path, store, endpoint, three)
    words = ("-m", "medgen", "run", "--config", str(path), "--json")
    objects = connect(store)

    def committed() -> int:
        return sum("/shard-" in p for p in objects.walk("stages/answer"))

    for kill in range(5):
        before = committed()
        driver = head.run(*words)
        until(lambda before=before: committed() > before)
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
        assert committed() < COUNT // SHARD, f"it was over before kill {kill + 1}"
    finish(head.run(*words))
    assert_whole(store, endpoint, again=5 * IN_HAND)
