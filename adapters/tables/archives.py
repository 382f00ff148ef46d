"""Members of zip and tar files, read where they lie; parts of a file joined."""

import io
import struct
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, Protocol, cast

import pyarrow as pa

from medgen.adapters.sources.folder import FaultyContent, Folder
from medgen.adapters.tables.globs import matching

_BLOCK = 2**20
_MOST_MEMBERS = 5_000_000
_MOST_OPEN = 32  # archives; a set of many is read from the first to the last
_LONGEST_FIELDS = 2**20  # bytes of a tar's fields for one member; a name has some hundred
_LOOKED_AT = 100_000  # members, for one that may be meant
_MOST_UNPACKED, _ALWAYS_ALLOWED = 20, 2**28  # times the packed size; bytes
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}

# What else is found under an archive's name, by its first bytes.
_FOREIGN = {
    b"7z\xbc\xaf": "a 7z archive; pack it as zip or tar",
    b"Rar!": "a rar archive; pack it as zip or tar",
    b"\xfd7zX": "packed with xz; pack it with gzip or zstd",
    b"vers": "a pointer of Git LFS; fetch what it stands for (`git lfs pull`)",
    b"<": "a web page; was the address right, and did one have to log in?",
}


class Archive(Protocol):
    """Files inside a file."""

    def read(self, name: str, limit: int) -> bytes:
        """A member, of which no more than `limit` bytes are unpacked.

        Raises:
            FaultyContent: there is none of that name, it is no file, damaged, or too large.
        """
        ...

    def has(self, name: str) -> bool:
        """Whether there is a member of that name."""
        ...

    def names(self) -> Iterable[str]:
        """The files that it holds, without folders."""
        ...

    def spool(self, name: str) -> BinaryIO:
        """A member as a file of its own, which can be sought in.

        Raises:
            FaultyContent: see `read`; or it unpacks to far more than it should.
        """
        ...


class Archives:
    """Every archive below a folder by its name, opened once."""

    def __init__(self, folder: Folder) -> None:
        """Nothing is opened until it is asked for."""
        self._folder = folder
        self._opened: OrderedDict[str, Archive] = OrderedDict()
        self._faults: dict[str, str] = {}
        self._lock = threading.RLock()
        self._files: dict[str, list[BinaryIO]] = {}
        self._listed: dict[str, dict[str, list[str]]] = {}  # of the archive that was last asked

    def close(self) -> None:
        """Close every file."""
        for archive in [*self._files]:
            self._shut(archive)

    def read(self, archive: str, member: str, limit: int) -> bytes:
        """A member of an archive; see `Archive.read`."""
        with self._lock:  # one reader: a tar has one position, and many threads may ask
            return self.archive(archive).read(member, limit)

    def has(self, archive: str, member: str) -> bool:
        """Whether an archive has a member; see `Archive.has`."""
        with self._lock:
            return self.archive(archive).has(member)

    def within(self, archive: str, folder: str) -> list[str]:
        """The names of the files in a folder of an archive."""
        with self._lock:
            if archive not in self._listed:
                listed: dict[str, list[str]] = {}
                for name in self.archive(archive).names():
                    above, _, own = name.rpartition("/")
                    listed.setdefault(above, []).append(own)
                self._listed = {archive: listed}
            return self._listed[archive].get(folder, [])

    def archive(self, archive: str) -> Archive:
        """An archive, opened where it is not; those that were longest not asked for are closed.

        Raises:
            FaultyContent: there is none, or it is damaged.
        """
        if archive in self._faults:
            raise FaultyContent(self._faults[archive])
        if archive not in self._opened:
            try:
                self._opened[archive] = self._open(archive)
            except FaultyContent as err:
                self._shut(archive)
                self._faults[archive] = str(err)
                raise
            while len(self._opened) > _MOST_OPEN:
                self._shut(next(iter(self._opened)))
        self._opened.move_to_end(archive)
        return self._opened[archive]

    def _shut(self, archive: str) -> None:
        self._opened.pop(archive, None)
        for file in self._files.pop(archive, []):
            file.close()

    def _open(self, archive: str) -> Archive:
        names = list(matching(self._folder, archive))
        if not names:
            raise FaultyContent(f"archive {archive!r} is missing; was the copy complete?")
        parts = [self._folder.open(name) for name in names]
        self._files[archive] = [*parts]
        file: BinaryIO = parts[0] if len(parts) == 1 else io.BufferedReader(Joined(parts))
        begins = file.read(4)
        file.seek(0)
        packed = next((kind for sign, kind in _PACKED.items() if begins.startswith(sign)), None)
        try:
            if begins.startswith(b"PK"):
                return Zip(file, archive)
            if packed:
                target: BinaryIO = tempfile.TemporaryFile(prefix="medgen-archive-")  # noqa: SIM115
                self._files[archive].append(target)  # which closes it
                _unpack(file, packed, archive, target)
                file = target
            return Tar(file, archive)
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, ValueError) as err:
            for sign, what in _FOREIGN.items():
                if begins.startswith(sign):
                    raise FaultyContent(f"archive {archive!r} is {what}") from err
            raise FaultyContent(f"archive {archive!r} is damaged ({err})") from err


class Zip:
    """A zip file."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """`file` can be sought in.

        Raises:
            BadZipFile: it is none, or asks for what no reader here can do.
        """
        try:
            self._zip, self._name = zipfile.ZipFile(file), name
        except (NotImplementedError, struct.error) as err:  # a version that damage has raised
            raise zipfile.BadZipFile(str(err)) from err
        self._size = file.seek(0, io.SEEK_END)
        _check_members(len(self._zip.filelist), name)
        self._members = {_plain(entry.filename): entry for entry in self._zip.filelist}
        named = Counter(_plain(entry.filename) for entry in self._zip.filelist)
        self._twice = frozenset(member for member, count in named.items() if count > 1)

    def read(self, name: str, limit: int) -> bytes:
        """See `Archive.read`."""
        with self._open(name) as member:
            return _whole(member.read, limit, name)

    def has(self, name: str) -> bool:
        """See `Archive.has`."""
        return name in self._members

    def names(self) -> Iterable[str]:
        """See `Archive.names`."""
        return (name for name, entry in self._members.items() if not entry.is_dir())

    def spool(self, name: str) -> BinaryIO:
        """See `Archive.spool`."""
        with self._open(name) as member:
            # What an entry says of its own packed size is anybody's word.
            return _spool(member.read, min(self._members[name].compress_size, self._size), name)

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        entry = self._members.get(name)
        if entry is None or entry.is_dir():
            raise FaultyContent(_no_member(self._name, name, self._members))
        _check_once(name, self._twice, self._name)
        if entry.flag_bits & 1:
            raise FaultyContent(f"member {name!r} of {self._name!r} is encrypted")
        try:
            with self._zip.open(entry) as member:
                yield member
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as err:
            what = f"member {name!r} of {self._name!r} is damaged ({err})"
            raise FaultyContent(what) from err


class _Entry(tarfile.TarInfo):
    """A header whose long name or further fields are not read whatever length they claim."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in _FIELDS and self.size > _LONGEST_FIELDS:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


_FIELDS = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)


class Tar:
    """A tar file; links and devices in it do not exist."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """`file` can be sought in. Its headers are read once, through the whole file."""
        self._tar = tarfile.open(fileobj=file, mode="r:", tarinfo=_Entry)  # noqa: SIM115 - it stays
        self._name = name
        self._members: dict[str, tarfile.TarInfo] = {}
        self._twice: set[str] = set()
        for member in self._tar:
            if member.isreg():
                plain = _plain(member.name)
                if plain in self._members:
                    self._twice.add(plain)
                self._members[plain] = member
                _check_members(len(self._members), name)
        # What breaks off between members, or at a header that is damaged, is no error to tarfile.
        file.seek(self._tar.offset)
        if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            what = f"breaks off or is damaged behind {self._tar.offset:,} bytes"
            raise FaultyContent(f"archive {name!r} {what}, fetch it again")

    def read(self, name: str, limit: int) -> bytes:
        """See `Archive.read`."""
        with self._open(name) as content:
            return _whole(content.read, limit, name)

    def has(self, name: str) -> bool:
        """See `Archive.has`."""
        return name in self._members

    def names(self) -> Iterable[str]:
        """See `Archive.names`."""
        return iter(self._members)

    def spool(self, name: str) -> BinaryIO:
        """See `Archive.spool`."""
        with self._open(name) as content:
            return _spool(content.read, self._members[name].size, name)

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        member = self._members.get(name)
        content = self._tar.extractfile(member) if member else None
        if content is None:
            raise FaultyContent(_no_member(self._name, name, self._members))
        _check_once(name, self._twice, self._name)
        if member and member.issparse():  # it may claim any size, and its holes take no byte
            raise FaultyContent(f"member {name!r} of {self._name!r} is sparse; pack it whole")
        try:
            yield content
        except (tarfile.TarError, OSError) as err:
            what = f"member {name!r} of {self._name!r} is damaged ({err})"
            raise FaultyContent(what) from err


def _check_once(name: str, twice: Collection[str], archive: str) -> None:
    if name in twice:
        raise FaultyContent(
            f"member {name!r} stands twice in {archive!r}: nobody says which counts"
        )


def _no_member(archive: str, name: str, members: Iterable[str]) -> str:
    """That there is no such member, and one that may be meant."""
    first = ""
    own = f"/{name.rpartition('/')[2]}".casefold()
    for number, member in enumerate(members):
        if number > _LOOKED_AT:
            break
        first = first or ("" if member.endswith("/") else member)
        if f"/{member}".casefold().endswith(own):
            return f"{archive!r} has no member {name!r}; it has {member!r} (`below`?)"
    return f"{archive!r} has no member {name!r}; it has {first!r} …"


class Joined(io.RawIOBase):
    """Files one behind the other, as one."""

    def __init__(self, parts: list[BinaryIO]) -> None:
        """All of them can be sought in."""
        self._parts = parts
        self._ends: list[int] = []
        for part in parts:
            size = part.seek(0, io.SEEK_END)
            self._ends.append(size + (self._ends[-1] if self._ends else 0))
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of every file."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ends[-1]}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        """Bytes before the next one that is read."""
        return self._at

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        """Bytes of one part, as many as fit."""
        begin = 0
        for part, end in zip(self._parts, self._ends, strict=True):
            if self._at < end:
                part.seek(self._at - begin)
                data = part.read(min(len(buffer), end - self._at))
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
            begin = end
        return 0


def _unpack(file: BinaryIO, kind: str, name: str, target: BinaryIO) -> None:
    """The whole content on the local disk, since nothing can be sought in what is packed."""
    packed = file.seek(0, io.SEEK_END)
    file.seek(0)
    stream = pa.CompressedInputStream(file, kind)
    _pour(stream.read, target, max(_MOST_UNPACKED * packed, _ALWAYS_ALLOWED), f"archive {name!r}")


def _spool(read: Callable[[int], bytes], packed: int, name: str) -> BinaryIO:
    """A member on the local disk; in memory while it is small."""
    spool = tempfile.SpooledTemporaryFile(_BLOCK, prefix="medgen-member-")  # noqa: SIM115
    target = cast(BinaryIO, spool)
    try:
        _pour(read, target, max(_MOST_UNPACKED * packed, _ALWAYS_ALLOWED), f"member {name!r}")
    except BaseException:
        target.close()
        raise
    return target


def _pour(read: Callable[[int], bytes], target: BinaryIO, limit: int, what: str) -> None:
    size = 0
    while block := read(_BLOCK):
        size += len(block)
        if size > limit:
            raise FaultyContent(f"{what} unpacks to more than {limit:,} bytes: a bomb?")
        target.write(block)
    target.seek(0)


def _whole(read: Callable[[int], bytes], limit: int, name: str) -> bytes:
    data = read(limit + 1)  # its real size counts, not the one that it claims
    if len(data) > limit:
        raise FaultyContent(f"member {name!r} has more than {limit:,} bytes")
    return data


def _check_members(count: int, name: str) -> None:
    if count > _MOST_MEMBERS:
        raise FaultyContent(f"archive {name!r} has more than {_MOST_MEMBERS:,} members")


def _plain(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))
