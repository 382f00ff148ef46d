"""Keys and protected data: what a run leaves behind and what it says holds none of them."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from fakes import Lines, answers
from models.loopback import Answer, Asked, serve

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.errors import ConfigError, MedgenError
from medgen.engine.store.connect import connect
from medgen.launch.commands.options import configuration
from medgen.launch.run.protect import OFFLINE, protect, words_withheld

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-live-4f9d2c7ab1e8036d5577"


def written(folder: Path, system: dict[str, Any], pool: str = "local") -> Path:
    store = str(folder / "store")
    import_benchmark(Lines(12), connect(store), ImportOptions("fake", 4))
    body = {
        "name": "quiet",
        "store": store,
        "benchmark": {"name": "fake"},
        "systems": [{"name": "asked", "gives": ["text", "choice"], "answer": system}],
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "cluster": {"name": "here", "pool": pool, "num_cpus": 4},
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def medgen(path: Path, *more: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    inherited = {k: v for k, v in os.environ.items() if k != "RAY_AUTH_MODE"}
    return subprocess.run(
        [sys.executable, "-m", "medgen", "run", "--config", str(path), *more],
        env={**inherited, "PYTHONPATH": paths, **variables},
        cwd=ROOT, capture_output=True, timeout=200, check=False,
    )  # fmt: skip


def endpoint(url: str) -> dict[str, Any]:
    kwargs = {
        "model": "m",
        "endpoint": {
            "base_url": f"{url}/v1", "api_key_env": "SECRET_OF_A_TEST", "attempts": 2,
            "backoff_s": 0.01,
        },
    }  # fmt: skip
    return answers("openai", **kwargs)


def command_lines() -> Iterator[bytes]:
    """Of every process of this machine, which anybody on it may read."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            yield file.read_bytes()


SHOWN: list[bytes] = []  # command lines that held the key while a request was under way


def gossip(asked: Asked) -> Answer:
    """An endpoint that repeats the key it was given, in replies, errors and headers."""
    heard = asked.headers.get("Authorization", "")
    assert KEY in heard, "the key does arrive"
    SHOWN.extend(line for line in command_lines() if KEY.encode() in line)
    if "say 3" in asked.body.decode():
        return Answer({"error": {"message": f"bad request by {heard}"}}, 400, {"X-Key": heard})
    if "say 6" in asked.body.decode():
        return Answer({"error": {"message": f"overloaded, {heard}"}}, 503)
    message = {"role": "assistant", "content": "fine"}
    return Answer({"model": "m", "choices": [{"message": message, "finish_reason": "stop"}]})


def files_with(folder: Path, secret: bytes) -> list[str]:
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and secret in path.read_bytes()
    ]


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name, for Ray puts sockets below it."""
    with tempfile.TemporaryDirectory(prefix="mg-", dir="/tmp") as place:
        yield Path(place)


@pytest.mark.parametrize("pool", ["local", pytest.param("ray", marks=pytest.mark.cluster)])
def test_a_key_is_nowhere_in_what_a_run_leaves(short: Path, pool: str) -> None:
    with serve(gossip) as server:
        path = written(short, endpoint(server.url), pool)
        home = short / "home"
        home.mkdir()
        done = medgen(path, "--json", SECRET_OF_A_TEST=KEY, RAY_TMPDIR=str(short), HOME=str(home))
    assert done.returncode == 3, done.stderr[-1500:]
    assert SHOWN == []
    events = [json.loads(line) for line in done.stdout.splitlines()]
    rows = [e["rows"] for e in events if e["event"] == "receipt" and e["stage"] == "answer"]
    assert sum(row.get("model_error", 0) + row.get("unreachable", 0) for row in rows) == 2
    assert sum(row.get("ok", 0) for row in rows) == 2
    assert KEY.encode() not in done.stdout + done.stderr
    assert files_with(short, KEY.encode()) == []
    stored = connect(str(short / "store"))
    reasons = _texts(short / "store")
    assert b"bad request by Bearer ***" in reasons, "the reason is kept without the key"
    assert stored.names("runs")
    if pool == "ray":
        assert list(home.rglob("auth_token")), "Ray was started with a token"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_key_on_a_command_line_would_be_seen() -> None:
    says_so = "print(flush=True); input()"  # before it runs, the kernel may not have its words yet
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", says_so, KEY], stdin=pipe, stdout=pipe) as shows:
        assert shows.stdout is not None
        assert shows.stdout.readline()
        assert any(KEY.encode() in line for line in command_lines())
        shows.communicate(b"\n")


def _texts(store: Path) -> bytes:
    """The reasons of all predictions."""
    import pyarrow as pa

    tables = [pa.ipc.open_file(p).read_all() for p in store.glob("stages/answer/*/*/shard-*.arrow")]
    return "\n".join(r or "" for t in tables for r in t["reason"].to_pylist()).encode()


@pytest.mark.parametrize("pool", ["local", pytest.param("ray", marks=pytest.mark.cluster)])
def test_an_open_run_quotes_samples_in_its_errors(short: Path, pool: str) -> None:
    path = written(short, {"target": "faults.talkative:Talkative"}, pool)
    done = medgen(path, "--json", RAY_TMPDIR=str(short), RAY_AUTH_MODE="disabled")
    assert b"say 3" in done.stdout
    assert files_with(short / "store" / "runs", b"say 3")
    of_workers = b"".join(file.read_bytes() for file in short.rglob("worker-*.err"))
    log = done.stderr if pool == "local" else of_workers
    assert b" ERROR medgen.engine.run.logged: answer/" in log
    assert b"in predict" in log
    assert b"AdapterError: no idea about 'say 3'" in log


@pytest.mark.parametrize("pool", ["local", pytest.param("ray", marks=pytest.mark.cluster)])
def test_a_protected_run_says_nothing_of_its_samples(short: Path, pool: str) -> None:
    path = written(short, {"target": "faults.talkative:Talkative"}, pool)
    done = medgen(path, "--json", "--protected", RAY_TMPDIR=str(short), RAY_AUTH_MODE="disabled")
    assert done.returncode == 3
    assert b"AdapterError (words withheld)" in done.stdout
    assert b"say 3" not in done.stdout + done.stderr
    assert b"Traceback" not in done.stdout + done.stderr
    told = [name for name in files_with(short, b"say 3") if not name.endswith(".arrow")]
    # The report shows samples, as the rows do: both stay in the store.
    assert [name for name in told if "/report/" not in name] == []


def test_what_ends_a_protected_driver_is_told_by_kind_and_place(short: Path) -> None:
    path = written(short, {"target": "faults.talkative:Ending"})
    free = medgen(path)
    assert b"Traceback" in free.stderr
    assert b"no idea about 'say " in free.stderr
    done = medgen(path, "--protected")
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert b"medgen: Quoting at " in done.stderr
    assert b"(words withheld)" in done.stderr
    assert b"medgen logs RUN --errors" in done.stderr
    assert b"Traceback" not in said
    assert b"no idea" not in said
    assert b"'say " not in said


@pytest.mark.parametrize(
    "raised",
    [
        ValueError("say 3"),
        KeyError("say 3"),
        UnicodeDecodeError("utf-8", b"say 3", 0, 1, "say 3"),
        ExceptionGroup("say 3", [OSError("say 3"), TypeError("say 3")]),
        RecursionError("say 3"),
        MemoryError("say 3"),
        AssertionError("say 3"),
        json.JSONDecodeError("say 3", "say 3", 0),
    ],
    ids=lambda err: type(err).__name__,
)
def test_an_error_of_the_driver_keeps_its_words(raised: Exception) -> None:
    def end() -> None:
        try:
            raise OSError("say 3")
        except OSError:
            raised.add_note("say 3")
            raise raised from ValueError("say 3")

    with pytest.raises(MedgenError) as told, words_withheld():
        end()
    shown = "".join(traceback.format_exception(told.value))
    assert str(told.value).startswith(f"{type(raised).__name__} at test_secrets.py:")
    assert "say 3" not in shown.replace('"say 3"', "")  # this test's own lines
    assert told.value.__suppress_context__


@pytest.mark.parametrize(
    "raised", [ConfigError("a key"), KeyboardInterrupt(), SystemExit(3), click.UsageError("no")]
)
def test_what_is_said_on_purpose_stays(raised: BaseException) -> None:
    with pytest.raises(type(raised)) as told, words_withheld():
        raise raised
    assert told.value is raised


def test_a_thread_of_a_protected_driver_keeps_its_words(capfd: pytest.CaptureFixture[str]) -> None:
    def end() -> None:
        raise ValueError("say 3")

    before = threading.excepthook
    with words_withheld():
        thread = threading.Thread(target=end)
        thread.start()
        thread.join()
    assert threading.excepthook is before
    said = capfd.readouterr().err
    assert said.startswith("medgen: a thread ended: ValueError at ")
    assert "say 3" not in said


def test_the_dashboard_is_only_ever_on_loopback() -> None:
    from medgen.actors.session import RaySession

    assert RaySession(dashboard=True)._options["dashboard_host"] == "127.0.0.1"
    assert not RaySession()._options["include_dashboard"]


@pytest.mark.parametrize(
    ("url", "allowed", "fine"),
    [
        ("http://127.0.0.1:8000/v1", [], True),
        ("http://localhost:8000/v1", [], True),
        ("http://[::1]:8000/v1", [], True),
        ("https://api.example.org/v1", [], False),
        ("https://api.example.org/v1", ["api.example.org"], True),
        ("https://API.example.org/v1", ["api.example.org"], True),
        ("https://api.example.org.evil.net/v1", ["api.example.org"], False),
        ("https://127.0.0.1.evil.net/v1", [], False),
        ("HTTPS://api.example.org/v1", [], False),
        ("http://10.0.0.7/v1", [], False),
    ],
)
def test_a_protected_run_reaches_listed_hosts_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, allowed: list[str], fine: bool
) -> None:
    for name in OFFLINE:
        monkeypatch.setenv(name, "0")
    system = answers("openai", model="m", endpoint={"base_url": url})
    conf = configuration(str(written(tmp_path, system)), None, ())
    if fine:
        protect(conf, allowed)
        assert os.environ["HF_HUB_OFFLINE"] == "1"
        answer = conf.system["asked"].answer
        assert answer is not None
        assert OFFLINE.items() <= answer.resources.runtime_env["env_vars"].items()
        assert OFFLINE.items() <= conf.scoring.resources.runtime_env["env_vars"].items()
    else:
        with pytest.raises(ConfigError, match="--allow-endpoint"):
            protect(conf, allowed)


def test_an_image_host_of_a_reply_counts_as_an_endpoint(tmp_path: Path) -> None:
    settings = {"base_url": "http://127.0.0.1:1/v1", "allowed_hosts": ["cdn.example.org"]}
    system = {"target": "medgen.adapters.models.openai_images:X", "kwargs": {"endpoint": settings}}
    conf = configuration(str(written(tmp_path, system)), None, ())
    with pytest.raises(ConfigError, match=r"cdn\.example\.org"):
        protect(conf, [])
