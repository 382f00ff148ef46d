"""Whole objects under one fsspec URL: created once, read whole, listed.

An object is published by one atomic step: a conditional PUT (`If-None-Match: *`) on object
storage, a temporary file and an exclusive hard link on a POSIX disk. Never a stream, which
publishes a truncated object when an exception passes through it.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import fsspec

from engine.errors import StoreError


class Objects(Protocol):
    """What the store needs of a place. Paths are relative and use forward slashes."""

    url: str

    def create(self, path: str, data: bytes) -> bool:
        """Publish an object; False when it already existed, and is then left as it was."""
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


def connect(url: str) -> Objects:
    """The objects under a directory path or any fsspec URL (`s3://`, `memory://` …).

    Raises:
        StoreError: the protocol is unknown or its package is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme in ("", "file"):
        return PosixObjects(url.removeprefix("file://"))
    return RemoteObjects(url)


@contextlib.contextmanager
def _explained(action: str, where: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as err:  # fsspec back ends raise whatever their vendor does
        raise StoreError(f"cannot {action} {where}: {err}. Is the store reachable?") from err


class PosixObjects:
    """Objects in a directory of a local or shared disk."""

    def __init__(self, root: str) -> None:
        """`root` need not exist yet."""
        self.root = Path(root).expanduser().absolute()
        self.url = str(self.root)

    def create(self, path: str, data: bytes) -> bool:
        """See `Objects.create`."""
        target = self.root / path
        with _explained("write", str(target)):
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
        with _explained("write", str(target)):
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
        with _explained("read", path):
            return (self.root / path).read_bytes()

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        with _explained("list", folder):
            try:
                return sorted(n for n in os.listdir(self.root / folder) if not n.startswith("."))
            except FileNotFoundError:
                return []

    def delete(self, path: str) -> None:
        """See `Objects.delete`."""
        target = self.root / path
        with _explained("delete", str(target)):
            if target.is_dir():
                for name in os.listdir(target):
                    self.delete(f"{path}/{name}")
                target.rmdir()
            else:
                target.unlink(missing_ok=True)


class RemoteObjects:
    """Objects behind an fsspec file system: S3 and its kin, and `memory://`."""

    def __init__(self, url: str) -> None:
        """Connect with the usual environment variables or fsspec profiles; reads nothing yet."""
        try:
            self.fs, self.root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as err:
            raise StoreError(f"cannot use the store {url!r}: {err}") from err
        self.url = url.rstrip("/")

    def _path(self, path: str) -> str:
        return f"{self.root.rstrip('/')}/{path}" if path else self.root

    def create(self, path: str, data: bytes) -> bool:
        """See `Objects.create`.

        After any error the object is read back: a PUT that was answered too late may have won,
        and stores differ in how they refuse a second one.
        """
        full = self._path(path)
        try:
            self.fs.pipe_file(full, data, mode="create")
        except Exception as err:  # whatever the vendor raises; the read below decides
            with _explained("read back", f"{self.url}/{path}"):
                self.fs.invalidate_cache()
                if not self.fs.exists(full):
                    raise StoreError(f"cannot write {self.url}/{path}: {err}") from err
                # Ours or another driver's: the address is the identity, either will do.
                return bool(self.fs.cat_file(full) == data and not isinstance(err, FileExistsError))
        return True

    def replace(self, path: str, data: bytes) -> None:
        """See `Objects.replace`."""
        with _explained("write", f"{self.url}/{path}"):
            self.fs.pipe_file(self._path(path), data)

    def read(self, path: str) -> bytes:
        """See `Objects.read`."""
        with _explained("read", f"{self.url}/{path}"):
            return bytes(self.fs.cat_file(self._path(path)))

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        with _explained("list", f"{self.url}/{folder}"):
            self.fs.invalidate_cache()
            try:
                found: list[Any] = self.fs.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return []
            here = self._path(folder).strip("/")
            names = {str(f).rstrip("/").rsplit("/", 1)[-1] for f in found if f.strip("/") != here}
            return sorted(names)

    def delete(self, path: str) -> None:
        """See `Objects.delete`."""
        with _explained("delete", f"{self.url}/{path}"):
            full = self._path(path)
            if self.fs.exists(full):
                self.fs.rm(full, recursive=True)
