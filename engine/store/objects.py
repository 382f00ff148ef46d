"""Whole objects under one fsspec URL: created once, read whole, listed.

An object is published by one atomic step: a conditional PUT (`If-None-Match: *`) on object
storage, a temporary file and an exclusive hard link on a POSIX disk. Never a stream, which
publishes a truncated object when an exception passes through it.
"""

import contextlib
import errno
import hashlib
import itertools
import os
import random
import re
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from medgen.engine.errors import BusyError, StoreError
from medgen.engine.store.clouds import as_sent, check_signs, check_size, file_system
from medgen.engine.store.refusals import explain, refusal, vendor_code

T = TypeVar("T")

# Ours, while they are written, and those that NFS keeps of files that were removed while open.
_HIDDEN = re.compile(r"\.medgen-[0-9a-f]{32}\.part|\.nfs[0-9a-f]{8,}")

_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)  # of file systems without fsync of folders

# Of file systems without hard links, which say so in many ways.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_LINKS = "Does this file system make hard links, which a store needs? Name another directory"
_DANGLING = "something of that name is there that cannot be read, perhaps a link to nothing"
# Another's object may be removed between the attempt that it refuses and the look at it: whether
# that was the last attempt.
_LEFT_AGAIN = (*(False,) * 9, True)


class Objects(Protocol):
    """What the store needs of a place. Paths are relative and use forward slashes."""

    url: str
    tells_md5: bool  # whether `md5s` knows any

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

    def read_end(self, path: str, most: int) -> bytes:
        """The last bytes of an object, at most so many. Raises as `read` does."""
        ...

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """So many bytes of an object from a place in it. Raises as `read` does."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names directly under a folder, sorted; empty when there is none."""
        ...

    def walk(self, folder: str) -> list[str]:
        """The paths of all objects below a folder, however deep, sorted; empty when none is."""
        ...

    def md5s(self, folder: str) -> dict[str, str]:
        """The MD5 of each object below a folder, by its path in it; empty where it is not told."""
        ...

    def delete(self, path: str) -> None:
        """Remove an object or a folder; nothing happens when there is none."""
        ...

    def remove(self, path: str) -> None:
        """Remove this very object, whatever is below it, and look for nothing before."""
        ...


def sha256_at(objects: Objects, path: str) -> str:
    """The sha256 of an object's bytes, read now; empty where there is none."""
    try:
        return hashlib.sha256(objects.read(path)).hexdigest()
    except FileNotFoundError:
        return ""


def inside(path: str) -> str:
    """A path that leads to one place below the root, whatever signs its names are made of.

    Raises:
        StoreError: it has an empty name, `.` or `..` in it, or a NUL.
    """
    if any(name in ("", ".", "..") for name in path.split("/")) or "\0" in path:
        raise StoreError(f"{path!r} is no path in a store")
    return path


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
        self.inner, self.url, self.tells_md5 = inner, inner.url, inner.tells_md5

    def create(self, path: str, data: bytes) -> bool:
        """See `Objects.create`."""
        return self._persist(lambda: self.inner.create(path, data))

    def replace(self, path: str, data: bytes) -> None:
        """See `Objects.replace`."""
        self._persist(lambda: self.inner.replace(path, data))

    def read(self, path: str) -> bytes:
        """See `Objects.read`."""
        return self._persist(lambda: self.inner.read(path))

    def read_end(self, path: str, most: int) -> bytes:
        """See `Objects.read_end`."""
        return self._persist(lambda: self.inner.read_end(path, most))

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """See `Objects.read_range`."""
        return self._persist(lambda: self.inner.read_range(path, start, size))

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        return self._persist(lambda: self.inner.names(folder))

    def walk(self, folder: str) -> list[str]:
        """See `Objects.walk`."""
        return self._persist(lambda: self.inner.walk(folder))

    def md5s(self, folder: str) -> dict[str, str]:
        """See `Objects.md5s`."""
        return self._persist(lambda: self.inner.md5s(folder))

    def delete(self, path: str) -> None:
        """See `Objects.delete`."""
        self._persist(lambda: self.inner.delete(path))

    def remove(self, path: str) -> None:
        """See `Objects.remove`."""
        self._persist(lambda: self.inner.remove(path))

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

    tells_md5 = False

    def __init__(self, root: str) -> None:
        """`root` need not exist yet."""
        self.root = Path(root).expanduser().absolute()
        self.url = str(self.root)

    def _target(self, path: str) -> Path:
        return self.root / inside(path)

    def create(self, path: str, data: bytes) -> bool:
        """See `Objects.create`.

        A link that NFS made and answered too late is asked for again, and is there already.
        """
        target = self._target(path)
        with explain("write", str(target)):
            temporary = self._temporary(target, data)
            try:
                if not _link(temporary, target, data):
                    return False
            except OSError as err:
                if err.errno in _NO_LINKS:
                    raise StoreError(f"cannot write {target}: {err.strerror}. {_LINKS}") from err
                raise
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(target.parent)
        return True

    def replace(self, path: str, data: bytes) -> None:
        """See `Objects.replace`."""
        target = self._target(path)
        with explain("write", str(target)):
            self._temporary(target, data).replace(target)
            _sync_folder(target.parent)

    def _temporary(self, target: Path, data: bytes) -> Path:
        temporary = target.with_name(f".medgen-{uuid.uuid4().hex}.part")
        try:
            _write(temporary, data)
        except (FileNotFoundError, NotADirectoryError):
            _make_folder(target.parent)  # which is there in most cases
            _write(temporary, data)
        return temporary

    def read(self, path: str) -> bytes:
        """See `Objects.read`."""
        target = self._target(path)
        with explain("read", str(target)):
            return target.read_bytes()

    def read_end(self, path: str, most: int) -> bytes:
        """See `Objects.read_end`."""
        target = self._target(path)
        with explain("read", str(target)), target.open("rb") as source:
            source.seek(max(0, source.seek(0, os.SEEK_END) - most))
            return source.read()

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """See `Objects.read_range`."""
        target = self._target(path)
        with explain("read", str(target)), target.open("rb") as source:
            source.seek(start)
            return source.read(size)

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        target = self._target(folder) if folder else self.root
        with explain("list", str(target)):
            try:
                return sorted(n for n in os.listdir(target) if not _HIDDEN.fullmatch(n))
            except FileNotFoundError:
                return []
            except NotADirectoryError:
                if self.root.is_dir():
                    return []  # an object has nothing below it
                raise

    def walk(self, folder: str) -> list[str]:
        """See `Objects.walk`."""
        target = self._target(folder)
        with explain("list", str(target)):
            found: list[str] = []
            for at, _, names in os.walk(target, onerror=_raise_unless_gone):
                inside = folder + at.removeprefix(str(target)).replace(os.sep, "/")
                found += (f"{inside}/{name}" for name in names if not _HIDDEN.fullmatch(name))
            return sorted(found)

    def md5s(self, folder: str) -> dict[str, str]:
        """See `Objects.md5s`: no listing has any."""
        return {}

    def delete(self, path: str) -> None:
        """See `Objects.delete`."""
        target = self._target(path)
        with explain("delete", str(target)):
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target, ignore_errors=True)  # another may be removing it as well
                with contextlib.suppress(FileNotFoundError):
                    target.rmdir()  # says why it is still there
            else:
                target.unlink(missing_ok=True)

    def remove(self, path: str) -> None:
        """See `Objects.remove`."""
        target = self._target(path)
        with explain("delete", str(target)):
            target.unlink(missing_ok=True)


def _write(new: Path, data: bytes) -> None:
    try:
        with new.open("xb") as sink:
            sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _link(whole: Path, target: Path, data: bytes) -> bool:
    """Give a file with this data its name; False when one with other bytes has it.

    Raises:
        StoreError: something has the name, and it cannot be looked at.
        OSError: as `os.link` does.
    """
    for last in _LEFT_AGAIN:
        try:
            os.link(whole, target)
        except FileExistsError:
            try:
                return target.samefile(whole) or target.read_bytes() == data
            except FileNotFoundError as err:
                if last:
                    raise StoreError(f"cannot write {target}: {_DANGLING}") from err
        else:
            return True
    raise AssertionError  # the last attempt has ended it


def _raise_unless_gone(err: OSError) -> None:
    if not isinstance(err, (FileNotFoundError, NotADirectoryError)):
        raise err


def _make_folder(folder: Path) -> None:
    """A folder with those above it, each of which survives a power cut from now on.

    Raises:
        StoreError: the file system has no place for folders there, as below /proc.
    """
    missing = list(itertools.takewhile(lambda p: not p.exists(), (folder, *folder.parents)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as err:
        raise StoreError(f"cannot make the folder {folder}; name another place") from err
    for made in missing:
        _sync_folder(made.parent)


def _sync_folder(folder: Path) -> None:
    """Have the disk keep the names in a folder: without it a file may be whole and nowhere."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as err:
        if err.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


class RemoteObjects:
    """Objects behind an fsspec file system: `memory://`, `gs://`, `az://` and others but S3.

    Every call is one attempt; `RetryingObjects` makes more of it.
    """

    tells_md5 = False

    def __init__(self, url: str) -> None:
        """Connect with the usual environment variables or fsspec profiles; reads nothing yet."""
        self.fs, self.root = file_system(url)
        self.url = url.rstrip("/")
        self._scheme = url.partition("://")[0]

    def _path(self, path: str) -> str:
        sound = inside(path)
        check_signs(self._scheme, sound)
        return f"{self.root.rstrip('/')}/{sound}"

    def create(self, path: str, data: bytes) -> bool:
        """See `Objects.create`; after any error the object is read back, which may be ours."""
        full, where = self._path(path), f"{self.url}/{path}"
        check_size(self._scheme, where, len(data))
        for _ in _LEFT_AGAIN:
            try:
                self.fs.pipe_file(full, data, mode="create", **as_sent(self._scheme, data))
                return True
            except Exception as err:
                stored = self._standing(full, where)
                if stored is not None:
                    return stored == data
                if not isinstance(err, FileExistsError):
                    raise refusal("write", where, err) from err
        raise BusyError(f"cannot write {where}: others take this name and leave it again")

    def _standing(self, full: str, where: str) -> bytes | None:
        with explain("read back", where):
            try:
                return bytes(self.fs.cat_file(full))
            except FileNotFoundError:
                return None

    def replace(self, path: str, data: bytes) -> None:
        """See `Objects.replace`."""
        full, where = self._path(path), f"{self.url}/{path}"
        check_size(self._scheme, where, len(data))
        with explain("write", where):
            self.fs.pipe_file(full, data, **as_sent(self._scheme, data))

    def read(self, path: str) -> bytes:
        """See `Objects.read`."""
        with explain("read", f"{self.url}/{path}"):
            return bytes(self.fs.cat_file(self._path(path)))

    def read_end(self, path: str, most: int) -> bytes:
        """See `Objects.read_end`."""
        with explain("read", f"{self.url}/{path}"):
            full = self._path(path)
            size = self.fs.size(full)
            if not size:
                return b""  # of which Azure's client has no range
            return bytes(self.fs.cat_file(full, start=max(0, size - most), end=size))

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """See `Objects.read_range`."""
        with explain("read", f"{self.url}/{path}"):
            try:
                return bytes(self.fs.cat_file(self._path(path), start=start, end=start + size))
            except Exception as err:  # whatever a vendor raises
                if vendor_code(err)[0] != "InvalidRange":
                    raise
                return b""  # it ends before

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        with explain("list", f"{self.url}/{folder}"):
            full = self._path(folder) if folder else self.root
            try:
                found: list[Any] = self.fs.ls(full, detail=False)
            except FileNotFoundError:
                return []
            here = full.strip("/")
            names = {str(f).rstrip("/").rsplit("/", 1)[-1] for f in found if f.strip("/") != here}
            return sorted(names)

    def walk(self, folder: str) -> list[str]:
        """See `Objects.walk`."""
        full = self._path(folder)
        with explain("list", f"{self.url}/{folder}"):
            found = [str(name).lstrip("/") for name in self.fs.find(full)]
        begin = f"{full.strip('/')}/"
        return sorted(f"{folder}/{n[len(begin) :]}" for n in found if n.startswith(begin))

    def md5s(self, folder: str) -> dict[str, str]:
        """See `Objects.md5s`: no listing has any."""
        return {}

    def delete(self, path: str) -> None:
        """See `Objects.delete`; `rm` would read a pattern in the name, `rm_file` does not."""
        full = self._path(path)
        with explain("delete", f"{self.url}/{path}"):
            for name in self.fs.find(full):
                if name.strip("/") == full.strip("/") or name.startswith(f"{full}/"):
                    with contextlib.suppress(FileNotFoundError):
                        self.fs.rm_file(name)

    def remove(self, path: str) -> None:
        """See `Objects.remove`."""
        full = self._path(path)
        with explain("delete", f"{self.url}/{path}"), contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(full)
