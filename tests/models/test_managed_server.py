import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from medgen.adapters.models import managed_server
from medgen.adapters.models.managed_server import ManagedServer
from medgen.engine.data import Request, Sample
from medgen.engine.errors import AdapterError, ConfigError, EngineDied

SERVER = str(Path(__file__).with_name("toy_server.py"))
ROOT = Path(__file__).resolve().parents[2]
COMMAND = ["{python}", SERVER, "--port", "{port}"]
PAINTER = {
    "target": "openai-images",
    "kwargs": {
        "model": "toy",
        "mode": "generate",
        "endpoint": {"backoff_s": 0.01, "backoff_max_s": 0.02, "timeout_s": 10.0},
    },
}


def wheel(folder: Path, version: str) -> Path:
    """A pure Python wheel of a package named toymodel, made by hand."""
    tag = f"toymodel-{version}"
    file = folder / f"{tag}-py3-none-any.whl"
    members = {
        "toymodel.py": f"VERSION = {version!r}\n",
        f"{tag}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: toymodel\nVersion: {version}\n",
        f"{tag}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{tag}.dist-info/RECORD"
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
        archive.writestr(record, "".join(f"{name},,\n" for name in (*members, record)))
    return file


def environment(folder: Path, version: str) -> str:
    """A real virtual environment that holds one version of toymodel; returns its interpreter."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = str(folder / "bin" / "python")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-index"),
            *("--no-deps", "--disable-pip-version-check", str(wheel(folder, version))),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return python


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("environments")
    return {v: environment(root / v, v) for v in ("1.4.2", "2.0.7")}


@pytest.fixture
def server(environments: dict[str, str]) -> Iterator[Callable[..., ManagedServer]]:
    opened: list[ManagedServer] = []

    def start(version: str = "1.4.2", *options: str, **execution: Any) -> ManagedServer:
        run = {"python": environments[version], "start_timeout_s": 60.0, "grace_s": 2.0}
        one = ManagedServer([*COMMAND, *options], PAINTER, execution=run | execution)
        opened.append(one)
        return one

    yield start
    for one in opened:
        one.close()


def paint(server: ManagedServer, words: str = "anything") -> tuple[int, ...]:
    sample = Sample("s1", "image+text", "instruction-editing", "CT", words)
    (row,) = server.predict([Request(sample)])
    assert row.status == "ok", row.reason
    colour = Pillow.open(io.BytesIO(row.images[0].data)).getpixel((0, 0))
    assert isinstance(colour, tuple)
    return tuple(int(c) for c in colour)


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def gone(pids: list[int], within_s: float = 10.0) -> bool:
    until = time.monotonic() + within_s
    while any(alive(p) for p in pids) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(alive(p) for p in pids)


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_two_models_with_conflicting_packages_serve_side_by_side(
    server: Callable[..., ManagedServer],
) -> None:
    old, new = server("1.4.2"), server("2.0.7")
    assert (paint(old), paint(new), paint(old)) == ((1, 4, 2), (2, 0, 7), (1, 4, 2))
    locks = [s.passport()["server"]["environment"] for s in (old, new)]
    assert [lock["packages"] for lock in locks] == [["toymodel==1.4.2"], ["toymodel==2.0.7"]]
    assert locks[0]["sha256"] != locks[1]["sha256"]
    assert locks[0]["python"] == ".".join(map(str, sys.version_info[:3]))


def test_the_passport_is_the_same_at_every_start(server: Callable[..., ManagedServer]) -> None:
    passports = [server().passport() for _ in range(2)]
    assert passports[0] == passports[1]
    assert passports[0]["adapter"] == "openai_images"
    json.dumps(passports[0])


def test_closing_ends_the_server_and_its_children(
    server: Callable[..., ManagedServer], tmp_path: Path
) -> None:
    one = server("1.4.2", "--children", str(tmp_path))
    pids = [int(p) for p in (tmp_path / "pids").read_text().split()]
    assert all(alive(p) for p in pids)
    one.close()
    assert gone(pids)
    assert not listening(one.port)


def test_a_server_that_ignores_term_is_killed(
    server: Callable[..., ManagedServer], tmp_path: Path
) -> None:
    one = server("1.4.2", "--children", str(tmp_path), "--stubborn", grace_s=0.5)
    pids = [int(p) for p in (tmp_path / "pids").read_text().split()]
    one.close()
    assert gone(pids)


_OWNER = """
import json, sys, time
from medgen.adapters.models.managed_server import ManagedServer
command, inner, run = json.loads(sys.argv[1])
server = ManagedServer(command, inner, execution=run)
print(server.port, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_owner_takes_the_server_along(
    environments: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    run = {"python": environments["1.4.2"], "grace_s": 1.0}
    order = json.dumps([[*COMMAND, "--children", str(tmp_path)], PAINTER, run])
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, order], stdout=subprocess.PIPE, cwd=ROOT
    )
    with owner:
        assert owner.stdout is not None
        port = int(owner.stdout.readline())
        pids = [int(p) for p in (tmp_path / "pids").read_text().split()]
        assert all(alive(p) for p in pids)
        os.kill(owner.pid, number)
        owner.wait(20)
    assert gone(pids)
    assert not listening(port)


def test_a_killed_guard_takes_the_server_along(
    server: Callable[..., ManagedServer], tmp_path: Path
) -> None:
    one = server("1.4.2", "--children", str(tmp_path))
    pids = [int(p) for p in (tmp_path / "pids").read_text().split()]
    os.kill(one._guard.pid, signal.SIGKILL)
    assert gone(pids[:1])
    os.kill(pids[1], signal.SIGKILL)  # the kernel ends the server, not what the server started


def test_a_server_that_dies_is_no_row(server: Callable[..., ManagedServer]) -> None:
    one = server()
    with pytest.raises(EngineDied, match="code 7"):
        paint(one, "die now")
    with pytest.raises(EngineDied, match="code 7"):
        paint(one)


def test_a_server_that_does_not_start_says_why_without_its_secret(
    server: Callable[..., ManagedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_SECRET", "hush-hush-0123456789")
    with pytest.raises(AdapterError, match="no such weights") as caught:
        server("1.4.2", "--fail", "no such weights:", pass_env=["TOY_SECRET"])
    assert "code 1" in str(caught.value)
    assert "hush-hush" not in str(caught.value)
    assert "***" in str(caught.value)


def test_a_server_that_never_gets_healthy_is_ended(
    server: Callable[..., ManagedServer], tmp_path: Path
) -> None:
    with pytest.raises(AdapterError, match="not healthy within 2 s"):
        server("1.4.2", "--children", str(tmp_path), start_timeout_s=2.0, health="/sick")
    assert gone([int(p) for p in (tmp_path / "pids").read_text().split()])


def test_a_port_that_was_taken_meanwhile_is_replaced(
    server: Callable[..., ManagedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = managed_server._free_port
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        ports = [squatter.getsockname()[1]]
        monkeypatch.setattr(managed_server, "_free_port", lambda: ports.pop() if ports else real())
        assert paint(server()) == (1, 4, 2)


def test_secrets_of_the_owner_are_not_passed_on(
    server: Callable[..., ManagedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TOY_SECRET", "VLLM_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, "hush-hush-0123456789")
    one = server(env={"TOY_SETTING": "1"})
    (child,) = Path(f"/proc/{one._guard.pid}/task/{one._guard.pid}/children").read_text().split()
    for pid in (one._guard.pid, int(child)):
        variables = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"hush-hush" not in variables
        assert b"TOY_SETTING=1" in variables


@pytest.mark.parametrize(
    ("command", "execution", "error"),
    [
        (["{python}", SERVER], {}, ConfigError),
        ([], {}, ConfigError),
        (COMMAND, {"pyhton": "x"}, ConfigError),
        (COMMAND, {"python": "/nowhere/bin/python"}, AdapterError),
        (COMMAND, {"pass_env": ["NO_SUCH_VARIABLE"]}, AdapterError),
        (["/nowhere/serve", "{port}"], {"grace_s": 0.1}, AdapterError),
    ],
)
def test_a_wrong_setting_is_refused(
    command: list[str], execution: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        ManagedServer(command, PAINTER, execution=execution)
