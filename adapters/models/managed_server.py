"""A model in an environment of its own: a child server, owned, spoken to over loopback.

For models that need other versions than the engine's (vLLM-Omni, old transformers). The server is
started on a free port, waited for, and ended with its whole process group when its owner ends,
also when the owner is killed.
"""

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medgen.adapters import own
from medgen.adapters.models import server_guard
from medgen.adapters.models.settings import ServerExecution
from medgen.adapters.provenance import folder_digest, weights
from medgen.engine import environment
from medgen.engine.data import Prediction, Request
from medgen.engine.errors import AdapterError, ConfigError, EngineDied
from medgen.engine.plan.identity import Spec
from medgen.engine.ports import Generator
from medgen.engine.settings import read

_TAIL_LINES = 25
_TAIL_BYTES = 32 * 1024
_PORT_ATTEMPTS = 3
_LOCK_TIMEOUT_S = 60.0
_OWN = Path(own.__file__).parent
_BLANK = re.compile(r"\{[a-z_]+\}")


# Enough for Python, CUDA and caches; keys and tokens of the owner are not passed on by default.
_USUAL = re.compile(
    r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH|CUDA_\w+|NVIDIA_\w+|NCCL_\w+|HF_HOME|"
    r"HF_HUB_OFFLINE|HF_HUB_CACHE|TRANSFORMERS_OFFLINE|XDG_CACHE_HOME|VLLM_(?!API_KEY)\w+|"
    r"OMP_NUM_THREADS"
)


class ManagedServer:
    """A generator that owns a server, and speaks to it through an inner adapter."""

    def __init__(
        self,
        command: Sequence[str],
        inner: Mapping[str, Any],
        *,
        model: str = "",
        revision: str = "",
        path: str = "/v1",
        execution: Mapping[str, Any] | ServerExecution | None = None,
    ) -> None:
        """Start the server and wait until it is healthy.

        Args:
            command: the server's command line; `{python}`, `{bin}` (the interpreter's folder),
                `{port}`, `{model}`, `{revision}`, `{batch_size}` and `{own}` (the folder of
                `medgen.adapters.own`) are filled in.
            inner: `target` and `kwargs` of the adapter that speaks to it; its `endpoint` is
                given the server's URL.
            model: folder or hub name of the weights, where the command names them.
            revision: of a hub's model.
            path: what follows host and port in that URL.
            execution: fields of `medgen.adapters.models.settings.ServerExecution`.

        Raises:
            ConfigError: an impossible argument.
            AdapterError: the server did not start; holds the end of its log.
        """
        if not command or "{port}" not in " ".join(command):
            raise ConfigError("a managed server's command must hold {port}")
        self.execution = read(ServerExecution, execution, "execution")
        self._command = tuple(command)
        self._model, self._revision = model, revision
        self._lock = _environment(self._python())
        self._log = tempfile.NamedTemporaryFile(prefix="medgen-server-", suffix=".log")  # noqa: SIM115
        try:
            self._guard, self.port = self._start()
        except BaseException:
            self._log.close()
            raise
        self._finalizer = weakref.finalize(self, _stop, self._guard, self._log, self.execution)
        try:
            self._inner = self._speaker(inner, path)
        except BaseException:
            self.close()
            raise

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """What the inner adapter gives.

        Raises:
            EngineDied: the server has ended, or ended meanwhile; no row is made of that.
        """
        self._check_alive()
        try:
            rows = self._inner.predict(requests)
        except AdapterError:
            self._check_alive(doubtful=True)
            raise
        self._check_alive(doubtful=any(row.status != "ok" for row in rows))
        return rows

    def passport(self) -> Mapping[str, Any]:
        """The inner adapter's, with the command and the environment's lock."""
        inner = dict(self._inner.passport())
        inner.pop("base_url", None)  # another port at every start
        server: dict[str, Any] = {"command": list(self._command), "environment": self._lock}
        if any("{own}" in word for word in self._command):
            server["own_code_sha256"] = folder_digest(_OWN, "*.py")
        loaded = weights(self._model, self._revision) if self._model else {}
        return inner | {"server": server, **loaded}

    def close(self) -> None:
        """End the connections, the server and everything it started."""
        if callable(end := getattr(getattr(self, "_inner", None), "close", None)):
            end()
        self._finalizer()

    def log(self) -> str:
        """The last lines that the server wrote."""
        with open(self._log.name, "rb") as written:
            written.seek(max(0, written.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = written.read().decode("utf-8", "replace").splitlines()
        return "\n".join(_without_secrets(line, self._secrets()) for line in lines[-_TAIL_LINES:])

    def _name(self) -> str:
        return self._fill(self._command[0])

    def _fill(self, word: str) -> str:
        python = self._python()
        known = {
            "{python}": python,
            "{bin}": os.path.dirname(python),
            "{own}": str(_OWN),
            # A folder is one of ours, wherever the server runs.
            "{model}": os.path.abspath(self._model) if os.path.isdir(self._model) else self._model,
            "{revision}": self._revision,
            "{batch_size}": str(self.execution.batch_size),
        }
        # In one pass: what is filled in is not looked at again.
        return _BLANK.sub(lambda found: known.get(found[0], found[0]), word)

    def _python(self) -> str:
        python = self.execution.python or sys.executable
        if not os.access(python, os.X_OK):
            raise AdapterError(f"no interpreter at {python}; build the environment into the image")
        return python

    def _speaker(self, inner: Mapping[str, Any], path: str) -> Generator:
        url = f"http://127.0.0.1:{self.port}{path}"
        asks = any("{batch_size}" in word for word in self._command)
        least = self.execution.batch_size if asks else 1
        speaker: Generator = Spec(**_reaching(inner, url, least)).build()
        return speaker

    def _start(self) -> tuple["subprocess.Popen[bytes]", int]:
        """A healthy server and its port; a port that another process took meanwhile is replaced."""
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            port = _free_port()
            guard = self._spawn(port)
            with _end_on_error(guard, self.execution):
                if self._becomes_healthy(guard, port):
                    return guard, port
                _end(guard, self.execution)
                taken = "address already in use" in self.log().lower()
                if not taken or attempt == _PORT_ATTEMPTS:
                    raise AdapterError(
                        f"{self._name()} ended with code {guard.returncode} before it was "
                        f"healthy; its last words:\n{self.log()}"
                    )
        raise AssertionError("the last attempt returns or raises")

    def _spawn(self, port: int) -> "subprocess.Popen[bytes]":
        command = [self._fill(word).replace("{port}", str(port)) for word in self._command]
        grace = str(self.execution.grace_s)
        with open(self._log.name, "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", server_guard.__file__, grace, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment_variables(),
                cwd=self.execution.cwd,
                start_new_session=True,
            )

    def _environment_variables(self) -> dict[str, str]:
        named = set(self.execution.pass_env)
        kept = {k: v for k, v in os.environ.items() if k in named or _USUAL.fullmatch(k)}
        if absent := sorted(named - set(kept)):
            raise AdapterError(f"environment variables not set: {', '.join(absent)}")
        return kept | {"PYTHONUNBUFFERED": "1"} | dict(self.execution.env)

    def _becomes_healthy(self, guard: "subprocess.Popen[bytes]", port: int) -> bool:
        """True once the server answers; False when it ended first.

        Raises:
            AdapterError: it did neither within the time allowed.
        """
        until = time.monotonic() + self.execution.start_timeout_s
        wait = 0.05
        while time.monotonic() < until:
            if guard.poll() is not None:
                return False
            if _answers(f"http://127.0.0.1:{port}{self.execution.health}"):
                return guard.poll() is None
            time.sleep(wait)
            wait = min(1.0, wait * 1.5)
        raise AdapterError(
            f"{self._name()} was not healthy within {self.execution.start_timeout_s:g} s; "
            f"its last words:\n{self.log()}"
        )

    def _check_alive(self, doubtful: bool = False) -> None:
        if doubtful and not _listens(self.port):
            # The guard needs a moment to see the end of the server, and to tell its exit code.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guard.wait(self.execution.grace_s + 1.0)
        code = self._guard.poll()
        if code is not None:
            raise EngineDied(f"the server ended with code {code}; its last words:\n{self.log()}")

    def _secrets(self) -> list[str]:
        given = [os.environ.get(name, "") for name in self.execution.pass_env]
        return [secret for secret in given if len(secret) >= 8]


def _reaching(recipe: Mapping[str, Any], url: str, least: int) -> dict[str, Any]:
    """The recipe of an adapter whose endpoint, or that of its chat model, is at `url`.

    It asks at least so many requests at once as the server takes together.
    """
    kwargs = dict(recipe.get("kwargs") or {})
    if isinstance(kwargs.get("chat"), Mapping):
        kwargs["chat"] = _reaching(kwargs["chat"], url, least)
    else:
        # Few attempts: a server that does not answer has mostly ended, and is not coming back.
        endpoint = {"attempts": 3, "concurrency": 8, **kwargs.get("endpoint", {}), "base_url": url}
        endpoint["concurrency"] = max(least, endpoint["concurrency"])
        kwargs["endpoint"] = endpoint
    return {"target": str(recipe.get("target", "")), "kwargs": kwargs}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers(url: str) -> bool:
    # No proxy: loopback is never behind one.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(200 <= response.status < 300)
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False


def _environment(python: str) -> dict[str, Any]:
    """`medgen.engine.environment.environment_lock` of another interpreter's environment.

    Raises:
        AdapterError: the interpreter does not run.
    """
    try:
        done = subprocess.run(
            [python, "-c", Path(environment.__file__).read_text(encoding="utf-8")],
            capture_output=True,
            timeout=_LOCK_TIMEOUT_S,
            check=True,
            env={k: v for k, v in os.environ.items() if _USUAL.fullmatch(k)},
        )
        lock: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as err:
        raise AdapterError(f"{python} cannot say what its environment holds: {err}") from err
    return lock


@contextlib.contextmanager
def _end_on_error(guard: "subprocess.Popen[bytes]", run: ServerExecution) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _end(guard, run)
        raise


def _stop(
    guard: "subprocess.Popen[bytes]",
    log: "tempfile._TemporaryFileWrapper[bytes]",
    run: ServerExecution,
) -> None:
    _end(guard, run)
    log.close()


def _end(guard: "subprocess.Popen[bytes]", run: ServerExecution) -> None:
    """Close the guard's input, which ends the server's group; kill the guard if it dawdles."""
    if guard.stdin is not None:
        with contextlib.suppress(OSError):
            guard.stdin.close()
    try:
        guard.wait(run.grace_s + 5.0)
    except subprocess.TimeoutExpired:
        guard.kill()  # the kernel then ends the server
        guard.wait()


def _without_secrets(line: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, "***")
    return line
