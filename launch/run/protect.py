"""`medgen run --protected`: what a run over data that must stay here may reach, and may say.

Models talk to loopback and to listed hosts only, the model hub is off in every process, and
errors are told by their kind (`Options.discreet`). Rows, pictures and the report stay in the
store, which is where the data is allowed to be.
"""

import contextlib
import os
import sys
import threading
import traceback as tracebacks
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from medgen.conf import RunConf
from medgen.conf.schema import ResourcesConf
from medgen.engine.codec import plain
from medgen.engine.errors import ConfigError, MedgenError
from medgen.launch.exits import code_of

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


def protect(conf: RunConf, allowed: Sequence[str]) -> None:
    """Refuse what may not be reached, and put this process and every worker offline.

    Args:
        conf: changed in place: workers get `OFFLINE` in their environment.
        allowed: hosts that models, judges and metrics may reach, beside loopback.

    Raises:
        ConfigError: a URL of the configuration leads elsewhere.
    """
    for where, url in _urls({"system": plain(conf.system), "judge": plain(conf.judge)}, ""):
        if not _may_reach(url, allowed):
            host = urlsplit(url).hostname or url
            raise ConfigError(
                f"{where}: --protected does not let a run reach {host}; name it with "
                f"`--allow-endpoint {host}` if the data may go there"
            )
    os.environ.update(OFFLINE)
    for resources in _all_resources(conf):
        variables = {**resources.runtime_env.get("env_vars", {}), **OFFLINE}
        resources.runtime_env = {**resources.runtime_env, "env_vars": variables}


# The command line's own ways out, and Python's.
_SPOKEN = (click.ClickException, click.Abort, click.exceptions.Exit, SystemExit, GeneratorExit)


@contextlib.contextmanager
def words_withheld() -> Iterator[None]:
    """Say of an error that nobody foresaw its kind and its place in the code, and nothing else.

    What it says, and the lines of a traceback, may quote a sample. Threads are held to the same.

    Raises:
        MedgenError: in place of that error, without a chain of causes.
    """
    before = threading.excepthook
    threading.excepthook = _tell_of_thread
    try:
        yield
    except BaseException as err:
        if code_of(err) is not None or isinstance(err, _SPOKEN):
            raise
        raise MedgenError(
            f"{_kind_and_place(err)} (words withheld). Nothing that was committed is lost, so the "
            "same command goes on from there; `medgen logs RUN --errors` says how often it came"
        ) from None
    finally:
        threading.excepthook = before


def _tell_of_thread(raised: threading.ExceptHookArgs) -> None:
    if raised.exc_value is not None:
        sys.stderr.write(f"medgen: a thread ended: {_kind_and_place(raised.exc_value)}\n")


def _kind_and_place(err: BaseException) -> str:
    frames = tracebacks.extract_tb(err.__traceback__)
    # The last place in our code; the innermost where there is none. `__file__` only passes it on.
    inner = [frame for frame in frames if frame.filename != __file__]
    ours = [frame for frame in inner if "medgen" in Path(frame.filename).parts] or inner
    at = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno} in {ours[-1].name}" if ours else ""
    return f"{type(err).__name__}{at}"


def _urls(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "allowed_hosts":
                yield from ((f"{where}.{key}", f"https://{host}") for host in inner)
            yield from _urls(inner, f"{where}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _urls(inner, f"{where}[{number}]")
    elif isinstance(value, str) and value.lower().startswith(
        ("http://", "https://", "ws://", "wss://")
    ):
        yield where, value


def _may_reach(url: str, allowed: Sequence[str]) -> bool:
    host = (urlsplit(url).hostname or "").lower()
    if host in {name.lower() for name in allowed} or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _all_resources(conf: RunConf) -> Iterator[ResourcesConf]:
    yield conf.scoring.resources
    for judge in conf.judge.values():
        yield judge.resources
    for system in conf.system.values():
        yield from (m.resources for m in (system.answer, system.render) if m is not None)
