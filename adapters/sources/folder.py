"""Outside files under one root, read as the hostile things they may be."""

import json
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from urllib.parse import urlsplit

import fsspec

from medgen.engine.bounds import RECORD, Budget
from medgen.engine.errors import BenchmarkError

_BLOCK = 2**20
_MOST_BLANK = 1_000_000
_BOM = b"\xef\xbb\xbf"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class FaultyContent(Exception):
    """One thing that is wrong in outside data; becomes a `Problem` where it is caught."""


class Folder:
    """Reads files below a directory or any fsspec URL; nothing above it can be reached."""

    def __init__(self, url: str) -> None:
        """Connect with the usual environment variables or fsspec profiles.

        Raises:
            BenchmarkError: the protocol is unknown or its package is not installed.
        """
        try:
            self._fs, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as err:
            raise BenchmarkError(f"cannot read {public_url(url)!r}: {err}") from err
        self._root = str(root).rstrip("/")
        self._local = "file" in self._fs.protocol
        self.url = public_url(url)

    def exists(self, path: str = "") -> bool:
        """Is there a file or folder of this name?"""
        return bool(self._fs.exists(self._full(path)))

    def names(self, path: str = "") -> list[str]:
        """Names directly under a folder, sorted; empty when there is none."""
        try:
            found = self._fs.ls(self._full(path), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        here = self._full(path).strip("/")
        names = {str(f).rstrip("/").rsplit("/", 1)[-1] for f in found if f.strip("/") != here}
        return sorted(n for n in names if not n.startswith("."))

    def open(self, path: str) -> BinaryIO:
        """A file opened for binary reading, after its links were followed and found inside.

        Raises:
            FaultyContent: it is missing, leads out of the root, or is no ordinary file.
            BenchmarkError: the place as a whole cannot be reached.
        """
        full = self._inside(path) if self._local else self._full(path)
        try:
            return self._fs.open(full, "rb")
        except FileNotFoundError as err:
            raise FaultyContent(f"file {path!r} is missing; was the copy complete?") from err
        except (IsADirectoryError, PermissionError) as err:
            raise FaultyContent(f"file {path!r} cannot be read ({err})") from err
        except Exception as err:  # fsspec back ends raise whatever their vendor does
            raise BenchmarkError(f"cannot read {self.url}: {err}. Is the place reachable?") from err

    def read(self, path: str, budget: Budget | None = None) -> bytes:
        """A whole file, within what is left of the budget of its record.

        Raises:
            FaultyContent: it cannot be opened.
            BoundsError: it has too many bytes.
        """
        budget = budget or Budget()
        with self.open(path) as file:
            content = bytes(file.read(budget.file_bytes + 1))
        budget.take_bytes(len(content), f"file {path!r}")
        return content

    def lines(self, path: str) -> Iterator[tuple[int, int, bytes | None]]:
        """Every line with its number (from 1) and its byte offset; None when it is overlong.

        A byte-order mark is left where it is: `strict_json` refuses it by name.
        """
        with self.open(path) as file:
            yield from _lines(file)

    def records(self, path: str) -> Iterator[tuple[int, bytes | None]]:
        """Every line that is not blank, with its number; None when it is overlong."""
        for row, _, line in self.lines(path):
            if line is None or line.strip():
                yield row, line

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def _inside(self, path: str) -> str:
        root = os.path.realpath(self._root)
        full = os.path.realpath(self._full(path))
        if not Path(full).is_relative_to(root):
            raise FaultyContent(f"{path!r} is a link that leaves the benchmark's folder")
        try:
            mode = Path(full).stat().st_mode
        except OSError as err:
            raise FaultyContent(f"file {path!r} is missing; was the copy complete?") from err
        if not stat.S_ISREG(mode):
            raise FaultyContent(f"{path!r} is not an ordinary file")
        return full


def safe_path(reference: object) -> str:
    """A relative path that stays below its folder, without `./`.

    Raises:
        FaultyContent: absolute, leaving the folder, a URL, a drive, or not a path at all.
    """
    if not isinstance(reference, str) or not reference.strip() or len(reference) > 1024:
        raise FaultyContent(f"image path {_short(reference)} is not a file name")
    if reference.startswith(("/", "~")) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", reference):
        raise FaultyContent(f"image path {_short(reference)} is absolute; only relative ones are")
    if "\\" in reference or "::" in reference or _CONTROL.search(reference):
        raise FaultyContent(f"image path {_short(reference)} holds a backslash or control sign")
    parts = [part for part in reference.split("/") if part not in ("", ".")]
    if ".." in parts or not parts:
        raise FaultyContent(f"image path {_short(reference)} leaves its folder through '..'")
    return "/".join(parts)


def strict_json(line: bytes | None) -> dict[str, Any]:
    """One JSON object as RFC 8259 has it: UTF-8, finite numbers, no key twice.

    `line` is None when it was too long to be read.

    Raises:
        FaultyContent: it is anything else; says what and, where known, at which column.
    """
    if line is None:
        raise FaultyContent(
            f"the line has more than {RECORD.line_bytes:,} bytes; that is no record"
        )
    if line.startswith(_BOM):
        raise FaultyContent("begins with a byte-order mark; save the file as plain UTF-8")
    try:
        value = json.loads(
            line.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_not_finite,
            parse_float=_finite,
        )
        # A lone surrogate passes the parser but is no text that a table could hold.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as err:
        raise FaultyContent(f"not UTF-8 text ({err.reason} at byte {err.start})") from err
    except UnicodeEncodeError as err:
        half = err.object[err.start].encode("unicode_escape").decode()
        raise FaultyContent(f"not UTF-8 text ({half} is half a character; write it whole)") from err
    except (ValueError, RecursionError) as err:
        raise FaultyContent(f"not JSON ({err})") from err
    _refuse_depth(value)
    if not isinstance(value, dict):
        raise FaultyContent(f"a record is a JSON object, this is {type(value).__name__}")
    return value


def public_url(url: str) -> str:
    """A URL without user, password and query, fit for a manifest."""
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        return url
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def check_blank(before: int, lines: list[bytes]) -> int:
    """How many lines had nothing in them so far: a few bytes can unpack to a hundred million.

    Raises:
        FaultyContent: more than any file of records has.
    """
    blank = before + lines.count(b"") + lines.count(b"\r")
    if blank > _MOST_BLANK:
        raise FaultyContent(f"more than {_MOST_BLANK:,} lines have nothing in them")
    return blank


def _lines(file: BinaryIO) -> Iterator[tuple[int, int, bytes | None]]:
    number, offset, held, skipped = 1, 0, b"", 0
    blank = 0
    while block := file.read(_BLOCK):
        *whole, held = (held + block).split(b"\n")
        blank = check_blank(blank, whole)
        for line in whole:
            size = skipped + len(line) + 1
            yield number, offset, None if size > RECORD.line_bytes else line
            number, offset, skipped = number + 1, offset + size, 0
        if skipped + len(held) > RECORD.line_bytes:
            skipped, held = skipped + len(held), b""
    if held or skipped:
        yield number, offset, None if skipped else held


def _refuse_depth(value: object) -> None:
    # Records are two or three levels deep; what follows them walks by recursion.
    layer, depth = [value], 0
    while layer:
        inner: list[object] = []
        for node in layer:
            if isinstance(node, dict | list):
                inner += node.values() if isinstance(node, dict) else node
        layer, depth = inner, depth + 1
        if depth > RECORD.depth:
            raise FaultyContent(f"objects and lists lie more than {RECORD.depth} deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise FaultyContent(f"key {twice!r} stands twice in one object")
    return found


def _not_finite(name: str) -> NoReturn:
    raise FaultyContent(f"{name} is not a JSON number; write null or leave the key out")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise FaultyContent(f"number {digits[:20]} is too large")
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 120 else text[:117] + "..."
