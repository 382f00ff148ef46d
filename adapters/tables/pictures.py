"""The pictures of an item: embedded, raw, base64, by path, or members of an archive."""

import base64
import binascii
import fnmatch
import hashlib
import io
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from unicodedata import normalize

from PIL import Image as Pillow

from medgen.adapters.sources.depths import UnusedDepth
from medgen.adapters.sources.folder import FaultyContent, Folder, safe_path
from medgen.adapters.tables.archives import Archives
from medgen.adapters.tables.globs import PICTURES, has_wildcards, naturally
from medgen.adapters.tables.masks import what_is_marked, whiten
from medgen.adapters.tables.paths import Missing, as_text, expand, fill
from medgen.adapters.tables.settings import Picture
from medgen.adapters.tables.values import Row, is_empty, list_of, work
from medgen.engine.bounds import RECORD, Budget
from medgen.engine.data import Image
from medgen.engine.decoding.pool import examine
from medgen.engine.errors import BoundsError, ImageError
from medgen.engine.images import open_image, png

_MOST_SHRUNK = 4  # a picture may have so many times the pixels that are allowed before it is shrunk
_REMEMBERED = 100_000  # digests of pictures that were decoded already
_MOST_LISTED = 20  # folders that are looked into
_SHOWN = 5  # names that a message lists
_LATEST = 8  # files that are kept for rows that name the same one


@dataclass(frozen=True, slots=True)
class Limits:
    """What a preset allows: bytes of a cell, pixels, pictures, and the side to shrink to."""

    bytes_a_cell: int
    pixels: int
    images: int
    shrink: int | None


class Gallery:
    """Finds, checks and names pictures."""

    def __init__(self, folder: Folder, limits: Limits) -> None:
        """`folder` is the root that nothing is read outside of."""
        self._folder, self._limits = folder, limits
        self._archives = Archives(folder)
        self._decoded: set[bytes] = set()
        self._latest: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._folders: dict[tuple[str, str], list[str]] = {}  # the last that was listed, in order
        # What folders hold in which something is missing, by the names' stems.
        self._listed: dict[str, dict[str, str]] = {}
        self.made_smaller = 0
        self.absent = 0  # optional pictures whose file is not there
        self.masks = self.empty_masks = 0
        self.depths = UnusedDepth()

    def close(self) -> None:
        """Close every archive."""
        self._archives.close()

    def pictures(self, settings: list[Picture], row: Row) -> Iterator[tuple[Picture, Image]]:
        """Every picture that a row has, checked.

        Raises:
            FaultyContent: one is missing, unreadable, too large, or they are too many.
        """
        count, left = 0, RECORD.bytes
        budget = Budget(replace(RECORD, pixels=self._limits.pixels))  # of time, for all of them
        for picture in settings:
            labels = _labels(picture, row)
            for number, (name, value) in enumerate(self._all(picture, row), 1):
                if (
                    picture.optional
                    and "{" in picture.of
                    and not self._is_there(picture, value, row)
                ):
                    self.absent += 1
                    continue
                if (count := count + 1) > self._limits.images:
                    raise FaultyContent(f"more than {self._limits.images} pictures in one item")
                image = self._check(self._load(picture, value, row), picture, budget)
                if picture.white is not None:
                    image = whiten(image, picture, row, self._limits.pixels)
                if (left := left - len(image.data)) < 0:
                    what = f"its pictures have more than {RECORD.bytes:,} bytes together"
                    raise FaultyContent(what)
                label = as_text(labels[number - 1], "a label") if number <= len(labels) else ""
                place = picture.place.replace("{n}", name or str(number))
                yield picture, Image(image.data, image.path, label, place)

    def check_mask(self, image: Image) -> None:
        """Count a mask; metrics take for marked what is white in it.

        Raises:
            FaultyContent: something is marked, and nothing in white.
        """
        marked, why = what_is_marked(image, self._limits.pixels)
        if why:
            raise FaultyContent(f"mask {image.path!r}: {why}" if image.path else f"mask: {why}")
        with self._lock:
            self.masks += 1
            self.empty_masks += not marked

    def _all(self, picture: Picture, row: Row) -> Iterator[tuple[str, object]]:
        """What stands for each picture: cells, and the names that fit where `of` is a pattern."""
        constant = picture.constant if isinstance(picture.constant, str) else ""
        if picture.form or not has_wildcards(picture.of or constant):
            yield from self._cells(picture, row)
            return
        for name, value in self._cells(picture, row):
            found = list(self._fitting(picture, as_text(value, picture.of), row))
            if not found and not picture.optional:
                raise FaultyContent(self._why_none_fits(picture, as_text(value, picture.of), row))
            self.absent += not found
            yield from ((name, one) for one in found)

    def _fitting(self, picture: Picture, pattern: str, row: Row) -> Iterator[str]:
        """The names in one folder that fit the last part of a path, numbers in their order."""
        path, full = self._full(picture, pattern, row)
        folder, above = full.rpartition("/")[0], path.rpartition("/")[0]
        archive = self._archive(picture, row)
        key = (archive, folder)
        with self._lock:
            if key not in self._folders:
                within = self._archives.within(archive, folder) if archive else ()
                names = within if archive else self._folder.names(folder)
                self._folders = {key: sorted(names, key=naturally)}
            names = self._folders[key]
        shape = re.compile(fnmatch.translate(path.rpartition("/")[2].replace("[", "[[]")))
        for name in names:
            if shape.fullmatch(name) and f".{name.rpartition('.')[2].lower()}" in PICTURES:
                yield f"{above}/{name}" if above else name

    def _why_none_fits(self, picture: Picture, pattern: str, row: Row) -> str:
        what = f"no picture fits {pattern[:80]!r}"
        if has_wildcards(pattern.rpartition("/")[0]):
            return f"{what}: `*` and `?` are read in the last part of a path only"
        if self._archive(picture, row):
            return what
        there = self._there(self._full(picture, pattern, row)[1])
        return f"{what};{there}" if there else what

    def _archive(self, picture: Picture, row: Row) -> str:
        archive = picture.archive
        if "{" in archive and "," not in archive:
            return as_text(fill(archive, row), "`in`")
        return archive

    def _cells(self, picture: Picture, row: Row) -> Iterator[tuple[str, object]]:
        if picture.form == "volume":
            raise FaultyContent("volumes are not read from tables; give their slices as pictures")
        if picture.constant is not None:
            given = picture.constant
            yield from (("", one) for one in (given if isinstance(given, list) else [given]))
            return
        any_found = False
        for column, name in expand(picture.of):
            found = work(fill(column, row), picture)
            for value in found if isinstance(found, list) else [found]:
                left_out = name or picture.optional or not isinstance(found, list)
                if is_empty(value) and left_out:
                    continue
                any_found = True
                yield name, value
        if not any_found and not picture.optional:
            raise FaultyContent(f"no picture in {picture.of!r}{_why_none(picture.of, found)}")

    def _load(self, picture: Picture, value: object, row: Row) -> Image:
        if isinstance(value, Mapping):
            held, path = value.get("bytes"), value.get("path")
            if not isinstance(held, bytes):
                # A path alone points to a file of whoever wrote the table; it is never followed.
                advice = (
                    f"; `of: {picture.of}.path` reads the file of that name below the source"
                    if isinstance(path, str) and path
                    else ""
                )
                raise FaultyContent(f"{picture.of!r} holds no bytes{advice}")
            return self._measure(held, picture, path if isinstance(path, str) else "")
        if isinstance(value, bytes | bytearray):
            return self._measure(bytes(value), picture, "")
        if not isinstance(value, str):
            raise FaultyContent(f"{picture.of!r} is {type(value).__name__}, no picture or path")
        if picture.form == "base64":
            return self._measure(self._decode(value, picture), picture, "")
        return self._by_name(picture, value.strip(), row)

    def _is_there(self, picture: Picture, value: object, row: Row) -> bool:
        """False of an optional picture when no file has the name that a text with columns gives."""
        if not picture.optional or "{" not in picture.of or not isinstance(value, str):
            return True
        path, archive = self._full(picture, value.strip(), row)[1], self._archive(picture, row)
        return self._has(archive, self._spelling(archive, path))

    def _has(self, archive: str, path: str) -> bool:
        return self._archives.has(archive, path) if archive else self._folder.exists(path)

    def _spelling(self, archive: str, path: str) -> str:
        """A name as the source spells it: some systems part letters from their marks."""
        if path.isascii():
            return path
        spellings = dict.fromkeys((path, *(normalize(form, path) for form in ("NFC", "NFD"))))
        return next((one for one in spellings if self._has(archive, one)), path)

    def _full(self, picture: Picture, reference: str, row: Row) -> tuple[str, str]:
        """A path as it was given, and below which folder it lies."""
        below = as_text(fill(picture.below, row), "`below`") if "{" in picture.below else ""
        place = safe_path(below or picture.below) if picture.below else ""
        path = safe_path(reference)
        return path, f"{place}/{path}" if place else path

    def _by_name(self, picture: Picture, reference: str, row: Row) -> Image:
        if reference.lower().startswith(("http://", "https://", "s3://", "ftp://", "data:")):
            advice = "`as: base64` reads one" if reference.startswith("data:") else "fetch it first"
            raise FaultyContent(f"picture {reference[:80]!r} is a URL; none is followed: {advice}")
        if "\\" in reference:
            advice = "`replace: {'\\\\': /}` turns it round"
            raise FaultyContent(f"picture {reference[:80]!r} has a backslash: {advice}")
        if len(reference) > 1024:
            raise FaultyContent(
                f"{picture.of!r} is too long for a path; is it base64? `as: base64`"
            )
        path, full = self._full(picture, reference, row)
        archive = self._archive(picture, row)
        return Image(self._file(archive, self._spelling(archive, full)), path)

    def _file(self, archive: str, path: str) -> bytes:
        with self._lock:
            if (archive, path) in self._latest:
                return self._latest[archive, path]
        limit = self._limits.bytes_a_cell
        data = self._archives.read(archive, path, limit) if archive else self._read(path, limit)
        with self._lock:
            self._latest[archive, path] = data
            while len(self._latest) > _LATEST:
                self._latest.popitem(last=False)
        return data

    def _read(self, path: str, limit: int) -> bytes:
        try:
            return self._folder.read(path, Budget(replace(RECORD, file_bytes=limit)))
        except BoundsError as err:
            raise FaultyContent(str(err)) from err
        except FaultyContent as err:
            raise FaultyContent(f"{err}{self._there(path)}") from err

    def _there(self, path: str) -> str:
        """What there is where a file was looked for: most often `below` is wrong, or an ending."""
        parent, _, own = path.rpartition("/")
        with self._lock:
            if len(self._listed) >= _MOST_LISTED and parent not in self._listed:
                return ""
            if parent not in self._listed:
                names = sorted(self._folder.names(parent))
                self._listed[parent] = {_stem(name): name for name in reversed(names)}
            names = [*reversed(self._listed[parent].values())]
            if not names:
                return f" there is no folder {parent!r}" if parent else ""
            near = self._listed[parent].get(_stem(own))
            some = f"{near!r} (`replace`?)" if near else ", ".join(names[:_SHOWN])
            return f" {parent or 'the source'} holds {some}"

    def _decode(self, text: str, picture: Picture) -> bytes:
        if len(text) > self._limits.bytes_a_cell * 4 // 3 + 1024:
            raise FaultyContent(_TOO_LARGE.format(picture.of, self._limits.bytes_a_cell))
        words = text.strip()
        if words.startswith("data:"):
            words = words.partition(",")[2]
        try:
            return base64.b64decode("".join(words.split()), validate=True)
        except (binascii.Error, ValueError) as err:
            advice = "; a list: `parse: literal-or-text`" if words.startswith("[") else ""
            advice = "; a path? leave `as` out" if words.lower().endswith((*PICTURES,)) else advice
            raise FaultyContent(f"{picture.of!r} is no base64 ({err}){advice}") from err

    def _measure(self, data: bytes, picture: Picture, path: str) -> Image:
        if len(data) > self._limits.bytes_a_cell:
            raise FaultyContent(_TOO_LARGE.format(picture.of, self._limits.bytes_a_cell))
        return Image(data, path)

    def _check(self, image: Image, picture: Picture, budget: Budget) -> Image:
        digest = hashlib.sha256(image.data).digest()
        if digest in self._decoded:
            return image
        try:
            self.depths.see(examine(image.data, budget), image.path)
        except ImageError as err:
            if err.case != "oversized" or self._limits.shrink is None:
                named = f" {image.path!r}" if image.path else ""
                what = f"{picture.role} picture{named} in {picture.of!r}: {err}"
                raise FaultyContent(f"{what}; replace or drop it") from err
            return self._smaller(image, self._limits.shrink)
        if len(self._decoded) < _REMEMBERED:
            self._decoded.add(digest)
        return image

    def _smaller(self, image: Image, side: int) -> Image:
        try:
            most = replace(RECORD, pixels=_MOST_SHRUNK * self._limits.pixels)
            examine(image.data, Budget(most))
            whole = open_image(image.data, most.pixels)
        except ImageError as err:
            raise FaultyContent(f"picture {image.path!r}: {err}") from err
        whole.thumbnail((side, side), Pillow.Resampling.LANCZOS)
        with self._lock:
            self.made_smaller += 1
        return Image(png(whole), image.path)


_TOO_LARGE = "{!r} has more than {:,} bytes (`most_bytes_a_cell`)"


def _stem(name: str) -> str:
    """A name without case and ending, in which two are often spelt otherwise."""
    return normalize("NFC", name.rpartition(".")[0] or name).casefold()


def _why_none(column: str, found: object) -> str:
    if not isinstance(found, Missing):
        return ""
    is_path = f".{column.rpartition('.')[2].lower()}" in PICTURES and "{" not in column
    advice = f"; one file for all is `is: {column}`" if is_path else ""
    return f" (there is no such column{advice})"


def _labels(picture: Picture, row: Row) -> list[object]:
    if isinstance(picture.labels, list):
        return [*picture.labels]
    return list_of(picture.labels, row) if picture.labels else []


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height from the header.

    Raises:
        FaultyContent: it is no picture.
    """
    try:
        with Pillow.open(io.BytesIO(data)) as image:
            return image.size
    except Exception as err:
        raise FaultyContent(f"no picture ({err})") from err
