"""Places and clusters that tests share: real servers on loopback, each made once a session."""

import gc
import itertools
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import budget
import pytest
import tiers
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from medgen.engine.run.pool import Pool

# A busy machine is no counter-example.
settings.register_profile("medgen", deadline=None)
settings.load_profile("medgen")

ROOT = Path(__file__).resolve().parent.parent
# Quick answers first: what a marker says about the time a test takes.
_ORDER = ("slow", "cluster", "vllm", "gpu")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The place that the contract of stores is held against, instead of those made here."""
    parser.addoption("--store-url", default="", help="s3://BUCKET/PREFIX, a directory …")


@pytest.hookimpl(tryfirst=True)  # before -m selects by the tier
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put quick tests first, and keep those that need a GPU from machines without one."""
    absent = pytest.mark.skip(reason="no NVIDIA device on this machine")
    kinds = (f"ignore::{kind}" for kind in ("DeprecationWarning", "FutureWarning", "UserWarning"))
    # What vLLM and its libraries find old-fashioned in each other is not ours to mend.
    old_fashioned = pytest.mark.filterwarnings(*kinds)
    for item in items:
        tiers.mark(item)
        if item.get_closest_marker("vllm"):
            item.add_marker(old_fashioned)
        if item.get_closest_marker("gpu") and not Path("/dev/nvidiactl").exists():
            item.add_marker(absent)
    items.sort(key=_rank)


class Scopes(LoadScopeScheduling):
    """Tests of a scope in one process; marks of groups do not reach xdist under pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return tiers.scope_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Whatever `--dist` says."""
    return Scopes(config, log)


def _rank(item: pytest.Item) -> int:
    return max((i for i, name in enumerate(_ORDER, 1) if item.get_closest_marker(name)), default=0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what each folder cost; a whole `make test` is also kept, for `make check`."""
    stats = terminalreporter.stats.values()
    reports = [r for kind in stats for r in kind if isinstance(r, pytest.TestReport)]
    seconds = budget.by_folder(reports)
    terminalreporter.section("seconds by folder")
    terminalreporter.write_line("  ".join(f"{name} {spent:.0f}" for name, spent in seconds.items()))
    config = terminalreporter.config
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if whole and config.option.markexpr == "not trial" and not config.option.keyword:
        budget.SECONDS.parent.mkdir(exist_ok=True)
        budget.SECONDS.write_text(json.dumps(seconds, indent=1), encoding="utf-8")
        budget.SLOW.write_text("\n".join([*budget.slow(reports), ""]), encoding="utf-8")


def pytest_unconfigure() -> None:
    """What `_frozen` kept may go, so that libraries find nothing left of theirs."""
    gc.unfreeze()


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> None:
    """Keep what the session holds already out of collections of garbage.

    statsmodels collects it all in each correction for many tests, and a session holds much.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _short_pauses() -> Iterator[None]:
    """Workers that cannot start here are meant not to: nothing gets better by waiting."""
    from medgen.engine.run import starts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starts, "BACK_OFF_S", 0.02)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_power_cuts() -> Iterator[None]:
    """What is synced outlives a power cut, which no test makes; one test asks that it is synced."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tensors this small gain nothing from threads, and lose much on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ---- object storage ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 API server on a free loopback port, and the environment that leads to it.

    The environment stays for the whole session, so that child processes and Ray workers reach
    the same server.
    """
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer
    from moto.s3.responses import S3Response

    put, one_at_a_time = S3Response.put_object, threading.Lock()

    def put_object(response: S3Response) -> Any:
        """A conditional write is one step; moto looks, sums up the body, and then writes."""
        with one_at_a_time:
            return put(response)

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Response, "put_object", put_object)
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
            patch.delenv(name, raising=False)
        yield endpoint
    server.stop()


@pytest.fixture
def s3_url(s3_endpoint: str) -> Iterator[str]:
    """A new bucket, as an `s3://` URL; emptied afterwards."""
    import s3fs

    fs = s3fs.S3FileSystem(use_listings_cache=False)
    bucket = f"test-{uuid4().hex}"
    fs.mkdir(bucket)
    yield f"s3://{bucket}"
    for key in fs.find(bucket):
        fs.call_s3("delete_object", Bucket=bucket, Key=key.removeprefix(f"{bucket}/"))
    fs.rmdir(bucket)


@pytest.fixture
def memory_url() -> Iterator[str]:
    """A new `memory://` root, seen by this process only; emptied afterwards."""
    import fsspec

    url = f"memory://test-{uuid4().hex}"
    yield url
    fs, path = fsspec.core.url_to_fs(url)
    if fs.exists(path):
        fs.rm(path, recursive=True)


@pytest.fixture(params=["directory", "memory", "s3"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store root in every kind of place; the same test must hold in all of them."""
    if request.param == "directory":
        return str(tmp_path / "store")
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["directory", "s3"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store root that other processes and Ray workers see too."""
    if request.param == "directory":
        return str(tmp_path / "store")
    url: str = request.getfixturevalue("s3_url")
    return url


# ---- Ray -----------------------------------------------------------------------------------


class LocalRay:
    """One Ray of the test session's own; started when first asked for, restarted when ended."""

    cpus = 8  # logical: actors here wait more than they compute

    def __init__(self) -> None:
        """Starts nothing yet."""
        self._numbers = itertools.count()
        # Short, because Ray puts sockets under it; our own, because other Rays may be running.
        self.folder = Path(tempfile.mkdtemp(prefix="mg-ray-", dir="/tmp"))

    def start(self) -> str:
        """The address of the running Ray."""
        import ray

        if not ray.is_initialized():
            ray.init(
                address="local",
                num_cpus=self.cpus,
                object_store_memory=200 * 2**20,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
                _temp_dir=str(self.folder / str(next(self._numbers))),
                _system_config={"prestart_worker_first_driver": False},
            )
        return str(ray.get_runtime_context().gcs_address)

    def stop(self) -> None:
        """End it, with everything that runs in it."""
        import ray

        ray.shutdown()


@pytest.fixture(scope="session")
def _local_ray(s3_endpoint: str) -> Iterator[LocalRay]:
    """Environment first: what Ray's processes inherit is what this process had at the start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("RAY_AUTH_MODE", "disabled")  # on for a local Ray when nothing is said
        patch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Ray's announced new default; with the old one it warns at every start.
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(p for p in paths if p))
        local = LocalRay()
        yield local
        local.stop()
        shutil.rmtree(local.folder, ignore_errors=True)


@pytest.fixture
def local_ray(_local_ray: LocalRay) -> str:
    """A running Ray that this process is connected to; its address."""
    return _local_ray.start()


@pytest.fixture
def no_ray(_local_ray: LocalRay) -> Iterator[None]:
    """No Ray in this process, for tests that start or connect to one of their own."""
    _local_ray.stop()
    yield
    _local_ray.stop()


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.cluster)])
def pool(request: pytest.FixtureRequest) -> "Iterator[Pool]":
    """Each kind of pool: what holds for one holds for the other."""
    from medgen.actors.local_pool import LocalPool

    if request.param == "local":
        made: Pool = LocalPool()
    else:
        request.getfixturevalue("local_ray")
        from medgen.actors.ray_pool import RayPool

        made = RayPool()
    yield made
    made.shutdown()


@pytest.fixture
def ray_pool(local_ray: str) -> "Iterator[Pool]":
    """Ray's pool alone, for what only processes do."""
    from medgen.actors.ray_pool import RayPool

    made = RayPool()
    yield made
    made.shutdown()
