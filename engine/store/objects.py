"""Whole objects under one fsspec URL: created once, read whole, listed.

An object is published by one atomic step: a conditional PUT (`If-None-Match: *`) on object
storage, a temporary file and an exclusive hard link on a POSIX disk. Never a stream, which
publishes a truncated object when an exception passes through it.
"""

import contextlib
import errno
import os
import random
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import fsspec

from medgen.engine.errors import BusyError, StoreError

T = TypeVar("T")

# What asking again cannot help, whatever the vendor: rights, names, arguments.
_FINAL = (PermissionError, FileNotFoundError, FileExistsError, TypeError, ValueError, ImportError)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FINAL_CODES = _FULL | {
    *(errno.ENOSYS, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.EMSGSIZE),
}
_FINAL_WORDS = ("Credential", "NoRegion", "Profile")
# The client of S3 would try up to 25 times on its own, for minutes: `RetryingObjects` decides.
_S3_OPTIONS = {
    "config_kwargs": {
        "connect_timeout": 10,
        "read_timeout": 30,
        "retries": {"mode": "standard", "total_max_attempts": 2},
    }
}


class Objects(Protocol):
    """What the store needs of a place. Paths are relative and use forward slashes."""

    url: str

    def create(self, path: str, data: bytes) -> bool:
        """Publish an object; False when another stands there, which is then left as it was.

        Object storage cannot always tell who was first: an object that is there with the very
        same bytes may count as created.
        """
        ...

    def replace(self, path: str, data: bytes) -> None:
        """Publish an object, whole, in place of what was there."""
        ...

    def read(self, path: str) -> bytes:
        """The whole object.

        Raises:
            FileNotFoundError: there is none.
            StoreError: the place cannot be read.
        """
        ...

    def names(self, folder: str) -> list[str]:
        """Names directly under a folder, sorted; empty when there is none."""
        ...

    def delete(self, path: str) -> None:
        """Remove an object or a folder; nothing happens when there is none."""
        ...


@contextlib.contextmanager
def _explain(action: str, where: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, StoreError):
        raise
    except Exception as err:  # fsspec back ends raise whatever their vendor does
        raise _refusal(action, where, err) from err


def _refusal(action: str, where: str, err: Exception) -> StoreError:
    final = isinstance(err, _FINAL) or any(w in type(err).__name__ for w in _FINAL_WORDS)
    code = err.errno if isinstance(err, OSError) else None
    why = str(err) or type(err).__name__
    if isinstance(err, PermissionError) or code == errno.EROFS:
        return StoreError(f"cannot {action} {where}: {why}. Has this user the right to?")
    if code in _FULL:
        return StoreError(f"cannot {action} {where}: {why}. Is the disk full?")
    if final or code in _FINAL_CODES:
        return StoreError(f"cannot {action} {where}: {why}")
    return BusyError(f"cannot {action} {where}: {why}. Is the store reachable?")


class RetryingObjects:
    """Objects of a place that may fail for a moment: every call is tried again for a while.

    All calls can be repeated: an object is created once, and replacing or deleting twice is the
    same as once.
    """

    tries = 6
    pause_s = 0.5  # before the second try, doubled each time, with jitter
    longest_s = 120.0  # nothing is tried anew after so long

    def __init__(self, inner: Objects) -> None:
        """Calls nothing yet."""
        self.inner, self.url = inner, inner.url

    def create(self, path: str, data: bytes) -> bool:
        """See `Objects.create`."""
        return self._persist(lambda: self.inner.create(path, data))

    def replace(self, path: str, data: bytes) -> None:
        """See `Objects.replace`."""
        self._persist(lambda: self.inner.replace(path, data))

    def read(self, path: str) -> bytes:
        """See `Objects.read`."""
        return self._persist(lambda: self.inner.read(path))

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        return self._persist(lambda: self.inner.names(folder))

    def delete(self, path: str) -> None:
        """See `Objects.delete`."""
        self._persist(lambda: self.inner.delete(path))

    def _persist(self, call: Callable[[], T]) -> T:
        until = time.monotonic() + self.longest_s
        for number in range(1, self.tries):
            try:
                return call()
            except BusyError:
                if time.monotonic() > until:
                    raise
            time.sleep(self.pause_s * 2 ** (number - 1) * random.uniform(0.5, 1.0))
        return call()


class PosixObjects:
    """Objects in a directory of a local or shared disk."""

    def __init__(self, root: str) -> None:
        """`root` need not exist yet."""
        self.root = Path(root).expanduser().absolute()
        self.url = str(self.root)

    def create(self, path: str, data: bytes) -> bool:
        """See `Objects.create`."""
        target = self.root / path
        with _explain("write", str(target)):
            temporary = self._temporary(target, data)
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            finally:
                temporary.unlink()
        return True

    def replace(self, path: str, data: bytes) -> None:
        """See `Objects.replace`."""
        target = self.root / path
        with _explain("write", str(target)):
            self._temporary(target, data).replace(target)

    def _temporary(self, target: Path, data: bytes) -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with temporary.open("xb") as sink:
                sink.write(data)
                sink.flush()
                os.fsync(sink.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def read(self, path: str) -> bytes:
        """See `Objects.read`."""
        with _explain("read", path):
            return (self.root / path).read_bytes()

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        with _explain("list", folder):
            try:
                return sorted(n for n in os.listdir(self.root / folder) if not n.startswith("."))
            except FileNotFoundError:
                return []

    def delete(self, path: str) -> None:
        """See `Objects.delete`."""
        target = self.root / path
        with _explain("delete", str(target)):
            if target.is_dir():
                shutil.rmtree(target, ignore_errors=True)  # another may be removing it as well
                if target.is_dir():
                    target.rmdir()  # says why it is still there
            else:
                target.unlink(missing_ok=True)


class RemoteObjects:
    """Objects behind an fsspec file system: S3 and its kin, and `memory://`.

    Every call is one attempt; `RetryingObjects` makes more of it.
    """

    def __init__(self, url: str) -> None:
        """Connect with the usual environment variables or fsspec profiles; reads nothing yet."""
        options = _S3_OPTIONS if urlsplit(url).scheme in ("s3", "s3a") else {}
        try:
            # A cached listing would hide what other processes have written since.
            self.fs, self.root = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
        except (ImportError, ValueError) as err:
            raise StoreError(f"cannot use the store {url!r}: {err}") from err
        if options:
            self.fs.retries = 1
        self.url = url.rstrip("/")
        self._conditional = True

    def _path(self, path: str) -> str:
        return f"{self.root.rstrip('/')}/{path}" if path else self.root

    def create(self, path: str, data: bytes) -> bool:
        """See `Objects.create`.

        After any error the object is read back: a PUT that was answered too late may have won,
        and stores differ in how they refuse a second one. A store that does not know conditional
        PUTs (501) is asked whether the object is there instead; two writers at the same moment
        then both write, each a whole object of the same rows.
        """
        full, where = self._path(path), f"{self.url}/{path}"
        if not self._conditional:
            return self._create_unless_there(full, data, where)
        try:
            self.fs.pipe_file(full, data, mode="create")
        except Exception as err:
            if isinstance(err, OSError) and err.errno == errno.ENOSYS:
                self._conditional = False
                return self._create_unless_there(full, data, where)
            stored = self._standing(full, where)
            if stored is None:
                raise _refusal("write", where, err) from err
            # Ours or another driver's: the address is the identity, either will do.
            return stored == data
        return True

    def _standing(self, full: str, where: str) -> bytes | None:
        with _explain("read back", where):
            try:
                return bytes(self.fs.cat_file(full))
            except FileNotFoundError:
                return None

    def _create_unless_there(self, full: str, data: bytes, where: str) -> bool:
        with _explain("write", where):
            if self.fs.exists(full):
                return False
            self.fs.pipe_file(full, data)
        return True

    def replace(self, path: str, data: bytes) -> None:
        """See `Objects.replace`."""
        with _explain("write", f"{self.url}/{path}"):
            self.fs.pipe_file(self._path(path), data)

    def read(self, path: str) -> bytes:
        """See `Objects.read`."""
        with _explain("read", f"{self.url}/{path}"):
            return bytes(self.fs.cat_file(self._path(path)))

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        with _explain("list", f"{self.url}/{folder}"):
            try:
                found: list[Any] = self.fs.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return []
            here = self._path(folder).strip("/")
            names = {str(f).rstrip("/").rsplit("/", 1)[-1] for f in found if f.strip("/") != here}
            return sorted(names)

    def delete(self, path: str) -> None:
        """See `Objects.delete`."""
        with _explain("delete", f"{self.url}/{path}"), contextlib.suppress(FileNotFoundError):
            full = self._path(path)
            if self.fs.exists(full):
                self.fs.rm(full, recursive=True)
