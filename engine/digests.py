"""Digests of files and folders: what weights, templates and tokenizers really are.

Everything is read, for weights may differ in their middle alone. What was read once on this
machine is remembered by the file's size, times and inode, once some seconds have passed since it
was changed, so that a start does not read 40 GB again: under `$MEDGEN_CACHE`,
`$XDG_CACHE_HOME/medgen` or `~/.cache/medgen`.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from medgen.engine.threads import in_threads

_THREADS = 4  # hashing is bound by the disk, and lets other threads go on
_SETTLED_S = 3.0
# Of a folder: what tools leave beside weights, with times in it, and no loader reads.
_BESIDE = frozenset({".git", ".cache", "__pycache__"})


def digest_of(path: Path) -> str:
    """64 hex digits of a file's content, or of a folder's: every file's name and content.

    Links are followed, so that a link that leads elsewhere now is another folder. Times count for
    nothing: a file that was touched or copied is the same.

    Raises:
        OSError: it cannot be read.
    """
    files = dict(_files(path)) if path.is_dir() else {"": path}
    known = _Known(path)
    digests = dict(zip(files, in_threads(known.digest, files.values(), _THREADS), strict=True))
    known.save()
    if not path.is_dir():
        return digests[""]
    whole = hashlib.sha256()
    for name in sorted(digests):
        whole.update(f"{name}\0{digests[name]}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file below a folder by its relative name; a circle of links is walked once."""
    seen: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if name not in _BESIDE)
        for name in files:
            found = Path(here, name)
            if found.is_file():
                yield found.relative_to(folder).as_posix(), found


class _Known:
    """What this machine has read of a path before; losing it costs time and nothing else."""

    def __init__(self, path: Path) -> None:
        place = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
        self._file = _cache() / "digests" / f"{place}.json"
        self._before: Mapping[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            said = json.loads(self._file.read_text(encoding="utf-8"))
            self._before = said if isinstance(said, dict) else {}
        self._now: dict[str, str] = {}

    def digest(self, file: Path) -> str:
        mark = _mark(file)
        found = self._before.get(mark) or sha256(file)
        if _mark(file) == mark and _is_settled(file):  # and was not written meanwhile
            self._now[mark] = found
        return found

    def save(self) -> None:
        if self._now == self._before:
            return
        with contextlib.suppress(OSError):  # a home that cannot be written
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as sink:
                json.dump(self._now, sink)
            os.replace(name, self._file)


def _mark(file: Path) -> str:
    """Changes with a file's content: whoever sets its time back changes the inode's own time."""
    at = file.stat()
    return f"{at.st_dev}:{at.st_ino}:{at.st_size}:{at.st_mtime_ns}:{at.st_ctime_ns}"


def _is_settled(file: Path) -> bool:
    """Whether what is written now gives a file another time: some disks count in seconds."""
    return time.time() - file.stat().st_ctime > _SETTLED_S


def sha256(file: Path) -> str:
    """The sha256 of a file's bytes, read now."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _cache() -> Path:
    if own := os.environ.get("MEDGEN_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "medgen"
