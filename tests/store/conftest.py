"""Places for the contract of stores: also a directory that behaves as one of NFS does."""

import errno
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest
from store import azurite, ceph, google

from medgen.engine.store import objects as objects_module
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import RetryingObjects


class StaleDisk:
    """`os` on a disk of NFS: handles go stale once a path, and each second link is asked twice."""

    def __init__(self) -> None:
        self.struck: Counter[str] = Counter()
        self._seen: set[tuple[str, str]] = set()
        self._links = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def stale(self, what: str, path: object) -> None:
        """Fail the first time that a path is used so."""
        if (what, str(path)) not in self._seen:
            self._seen.add((what, str(path)))
            self.struck[what] += 1
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    def listdir(self, path: Path) -> list[str]:
        self.stale("listdir", path)
        return os.listdir(path)

    def link(self, source: Path, target: Path) -> None:
        os.link(source, target)
        self._links += 1
        if self._links % 3 == 1:  # made, and the server's word was lost
            self.struck["EEXIST"] += 1
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        if self._links % 3 == 2:
            self.stale("link", target)


@pytest.fixture
def nfs_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A directory with stale handles and links that are answered wrongly."""
    disk, read = StaleDisk(), Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path.is_relative_to(tmp_path):
            disk.stale("read", path)
        return read(path)

    monkeypatch.setattr(objects_module, "os", disk)
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr(RetryingObjects, "pause_s", 0.0001)
    yield str(tmp_path / "nfs")
    if disk._links > 3:
        assert disk.struck["EEXIST"] > 0
        assert disk.struck["link"] > 0
        assert disk.struck["listdir"] + disk.struck["read"] > 0


@pytest.fixture(scope="session")
def ceph_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Ceph gateway that was started for these tests."""
    if why := ceph.missing():
        pytest.skip(why)
    with ceph.gateway(tmp_path_factory.mktemp("ceph")) as url:
        yield url


@pytest.fixture
def ceph_url(ceph_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new bucket on Ceph's gateway, as an `s3://` URL; it goes when the gateway does."""
    yield from _new_bucket("s3", ceph.environment(ceph_endpoint), monkeypatch)


@pytest.fixture(scope="session")
def azure_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an Azurite that was started for these tests."""
    if why := azurite.missing():
        pytest.skip(why)
    with azurite.server(tmp_path_factory.mktemp("azurite")) as url:
        yield url


@pytest.fixture
def azure_url(azure_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new container on Azurite, as an `az://` URL; it goes when the emulator does."""
    yield from _new_bucket("az", azurite.environment(azure_endpoint), monkeypatch)


@pytest.fixture(scope="session")
def google_endpoint() -> Iterator[str]:
    """The URL of an emulator of Google's storage that was started for these tests."""
    if why := google.missing():
        pytest.skip(why)
    with google.server() as url:
        yield url


@pytest.fixture
def gcs_url(google_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new bucket on that emulator, as a `gs://` URL; it goes when the emulator does."""
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
    yield from _new_bucket("gs", google.environment(google_endpoint), monkeypatch)


def _new_bucket(
    scheme: str, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A bucket that a client with this environment makes; who comes next means another place."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    kind = fsspec.get_filesystem_class(scheme)
    kind.clear_instance_cache()
    bucket = f"test-{uuid4().hex}"
    fsspec.filesystem(scheme, use_listings_cache=False).mkdir(bucket)
    yield f"{scheme}://{bucket}"
    kind.clear_instance_cache()


@pytest.fixture(
    params=[
        *("directory", "nfs", "memory", "s3"),
        *(pytest.param(name, marks=pytest.mark.trial) for name in ("ceph", "azure", "gcs")),
    ]
)
def any_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty root in each kind of place; with `--store-url`, below that URL only."""
    if given := request.config.getoption("--store-url"):
        if request.param != "s3":
            pytest.skip("one place is asked for")
        name = f"contract-{uuid4().hex}"
        yield f"{given.rstrip('/')}/{name}"
        connect(given).delete(name)
    elif request.param == "directory":
        yield str(tmp_path / "store")
    else:
        yield request.getfixturevalue(f"{request.param}_url")
