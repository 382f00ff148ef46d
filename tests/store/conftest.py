"""Places for the contract of stores: also a directory that behaves as one of NFS does."""

import errno
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from store import ceph

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
    import s3fs

    for name, value in ceph.environment(ceph_endpoint).items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"test-{uuid4().hex}"
    s3fs.S3FileSystem(use_listings_cache=False).mkdir(bucket)
    yield f"s3://{bucket}"
    s3fs.S3FileSystem.clear_instance_cache()  # whoever comes next means another place


@pytest.fixture(
    params=["directory", "nfs", "memory", "s3", pytest.param("ceph", marks=pytest.mark.trial)]
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
