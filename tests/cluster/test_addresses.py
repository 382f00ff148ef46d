"""A named cluster is the cluster meant, whatever the environment says."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import ray
from fakes import plan

from medgen.engine.errors import ConfigError
from medgen.engine.run.folder import RunFolder, Status, now
from medgen.engine.store.connect import connect
from medgen.launch.cli import main
from medgen.launch.cluster.jobs import HERE, Cluster, NoDashboard, address

VARIABLES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
PLAN = ["benchmark=mini", "systems=[oracle]", "protocol=weight-free"]


@contextmanager
def job_api() -> Iterator[tuple[str, list[str]]]:
    """A job API that knows no job and takes every one; its URL, and what it was asked."""
    heard: list[str] = []

    class Api(BaseHTTPRequestHandler):
        def answer(self) -> None:
            heard.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            said: object = {"ray_version": ray.__version__}
            if self.path == "/api/jobs/":
                said = [] if self.command == "GET" else {"submission_id": "a", "job_id": "a"}
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *words: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def two() -> Iterator[list[tuple[str, list[str]]]]:
    """The cluster of the environment, and the one that is named."""
    with ExitStack() as stack:
        yield [stack.enter_context(job_api()) for _ in range(2)]


def medgen(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return int(str(end.value.code))


def finished_run(store: str) -> None:
    work = plan(connect(store))
    folder = RunFolder(connect(store), work.run_id)
    folder.save_plan(work, "")
    folder.save_status(Status("success", work.run_id, now(), now(), exit_code=0))


@pytest.mark.parametrize("how", ["option", "setting", "file"])
def test_a_job_goes_to_the_named_cluster(
    two: list[tuple[str, list[str]]], how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (theirs, not_asked), (ours, asked) = two
    for variable in (*VARIABLES, "MEDGEN_SUBMIT_ADDRESS"):
        monkeypatch.setenv(variable, theirs)
    named = {"option": ["--address", ours], "setting": [f"submit.address={ours}"], "file": []}[how]
    if how == "file":
        file = tmp_path / "run.yaml"
        file.write_text(f"submit:\n  address: {ours}\n", encoding="utf-8")
        named = ["--config", str(file)]
    assert medgen("submit", "--store", str(tmp_path / "store"), *named, *PLAN) == 0
    assert not_asked == []
    assert "POST /api/jobs/" in asked


@pytest.mark.parametrize("command", [["attach"], ["cancel", "--now"], ["logs", "--driver"]])
def test_every_command_asks_the_named_cluster(
    two: list[tuple[str, list[str]]],
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (theirs, not_asked), (ours, asked) = two
    for variable in (*VARIABLES, f"MEDGEN_{command[0].upper()}_ADDRESS"):
        monkeypatch.setenv(variable, theirs)
    store = str(tmp_path / "store")
    finished_run(store)
    medgen(*command, "--store", store, "--address", ours)
    assert not_asked == []
    assert "GET /api/jobs/" in asked


@pytest.mark.parametrize("variable", VARIABLES)
def test_without_a_name_the_environment_is_asked(
    two: list[tuple[str, list[str]]], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (theirs, asked), _ = two
    monkeypatch.setenv(variable, theirs)
    Cluster(address(None))
    assert asked == ["GET /api/version"]


@pytest.mark.parametrize("elsewhere", ["10.255.255.1:6379", "auto", "ray://10.255.255.1:10001"])
def test_a_refused_connection_is_said_at_once(
    elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", elsewhere)
    began = time.monotonic()
    with pytest.raises(NoDashboard, match=r"no job API answers at http://127.0.0.1:9: .*Forward"):
        Cluster("http://127.0.0.1:9")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "wrong",
    [
        "head:8265", "ray://head:10001", "auto", "http://", "https:///path", "http://head:99999",
        "http://head:port", "http://[::1", "ftp://head", "10.0.0.1:6379", "http://head:0",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="no address of the job API"):
        address(wrong)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, HERE),
        ("http://head:8265/", "http://head:8265"),
        (" http://head:8265\n", "http://head:8265"),
        ("https://head/ray", "https://head/ray"),
        ("http://[::1]:8265", "http://[::1]:8265"),
        ("HTTP://head", "HTTP://head"),
    ],
)
def test_an_address_is_taken_as_it_is(
    given: str | None, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    assert address(given) == meant
