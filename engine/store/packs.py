"""Objects that are written as one: what a unit made of many keys is one request, and one object.

Every path stays what it is: `stages/<stage>/<key>/…` is read, listed and deleted as any other, and
whoever does that need not know in which pack the object lies. Packs of one name are numbered, and
each number is created once: what a second writer brings goes into the next one, less what stands
there. Packs of all keys that are made together lie in one folder, beside a list of these keys.
"""

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from medgen.engine.errors import CorruptError
from medgen.engine.store.layout import PARTS, STAGES, stage_folder
from medgen.engine.store.objects import Objects
from medgen.engine.store.pack_layout import (
    PACKS,
    PackPlace,
    first_names,
    is_below,
    is_packed,
    keys_bytes,
    keys_of,
    pack_folder,
    pack_name,
    stage_and_key,
    stage_below,
)
from medgen.engine.store.packing import Entry, content_of, entries_of, pack
from medgen.engine.threads import in_threads

_END = 65536  # bytes of a pack that are read for its index
_CACHE = 64 * 2**20  # bytes of packs that are kept: who reads one content mostly reads the next
_WINDOW = 512 * 2**10  # bytes that are read at once, where so many of every pack can be kept
_KEY_DEEP = 2  # slashes in the path of a key's folder
_KNOWN_S = 10.0  # for so long a stage without packs is taken for one, by who reads a path


@dataclass(frozen=True, slots=True)
class Together:
    """Keys of which objects are written as one, and where."""

    place: PackPlace
    keys: tuple[str, ...]


class PackedObjects:
    """Objects of a place, of which some lie in packs."""

    def __init__(self, inner: Objects) -> None:
        """Nothing is read yet."""
        self.inner, self.url = inner, inner.url
        self.tells_md5, self.md5s = inner.tells_md5, inner.md5s
        self._lock = threading.RLock()
        self._keeping = threading.Lock()  # of windows, which threads fill that read beside a look
        self._stages: set[str] = set()  # that have packs
        self._asked = -_KNOWN_S  # when that was looked for
        self._keys: dict[PackPlace, frozenset[str]] = {}
        self._unlisted: set[PackPlace] = set()  # of which the list of keys is lost or damaged
        self._held: dict[str, list[Entry]] = {}  # by pack
        self._packs: dict[PackPlace, set[str]] = {}
        self._at: dict[str, tuple[str, Entry]] = {}  # by path: its pack, and where in it
        self._below: dict[tuple[str, str], set[str]] = {}  # paths by stage and key
        self._passed: set[str] = set()  # packs that are damaged, as is known
        self._windows: OrderedDict[str, tuple[int, bytes]] = OrderedDict()
        self._declared: set[PackPlace] = set()

    # ---- as any other objects

    def create(self, path: str, data: bytes) -> bool:
        """See `Objects.create`."""
        if path in self._at:
            return self.read(path) == data
        return self.inner.create(path, data)

    def replace(self, path: str, data: bytes) -> None:
        """See `Objects.replace`."""
        self.inner.replace(path, data)
        self._take_out((path,))

    def read(self, path: str) -> bytes:
        """See `Objects.read`."""
        found = self._from_pack(path)
        if found is not None:
            return found
        try:
            return self.inner.read(path)
        except FileNotFoundError:
            found = self._from_pack(path) if self._search(path) else None
            if found is None:
                raise
            return found

    def read_end(self, path: str, most: int) -> bytes:
        """See `Objects.read_end`."""
        found = self._from_pack(path)
        if found is not None:
            return found[-most:]
        try:
            return self.inner.read_end(path, most)
        except FileNotFoundError:
            return self.read(path)[-most:]

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """See `Objects.read_range`."""
        found = self._from_pack(path)
        if found is not None:
            return found[start : start + size]
        return self.inner.read_range(path, start, size)

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        below = first_names(self._packed_below(folder), folder)
        return sorted({*self.inner.names(folder), *below})

    def walk(self, folder: str) -> list[str]:
        """See `Objects.walk`."""
        return sorted({*self.inner.walk(folder), *self._packed_below(folder)})

    def delete(self, path: str) -> None:
        """See `Objects.delete`."""
        self.delete_all((path,))

    def remove(self, path: str) -> None:
        """See `Objects.remove`."""
        self.inner.remove(path)
        self._take_out((path,))

    # ---- what packs are for

    def create_together(
        self,
        together: Together,
        name: str,
        contents: Mapping[str, bytes],
        notes: Mapping[str, str],
    ) -> set[str]:
        """Publish objects of these keys as one; each that stands there is left as it was.

        `notes` are kept in the index and had back by `note`. Returns the paths that stood there.
        """
        place = together.place
        self._declare(place, together.keys)
        left, number = dict(contents), 0
        while left:
            path = place.pack(name, number)
            data = pack(left, notes)
            if self.inner.create(path, data):
                self._take_in(place, {path: entries_of(data, path)})
                if len(data) <= _WINDOW:  # parts, which the same worker may put together
                    self._keep(path, 0, data)
                break
            for standing in self._stand_in(place, path):
                left.pop(standing, None)
            number += 1
        return contents.keys() - left.keys()

    def _stand_in(self, place: PackPlace, path: str) -> set[str]:
        try:
            self._take_in(place, {path: self._load(path)})
        except CorruptError:  # whoever reads it is told
            return set()
        return {entry.path for entry in self._held[path]}

    def _declare(self, place: PackPlace, keys: Iterable[str]) -> None:
        if place not in self._declared and not self._keys.get(place):
            self.inner.create(place.keys, keys_bytes(keys))
            self._declared.add(place)
            self._stages.add(place.stage)

    def fetch(self, place: PackPlace, names: Iterable[str]) -> None:
        """Read packs whole, by their names: the first of each, as far as it is there."""
        paths = [path for name in names if (path := place.pack(name, 0)) not in self._windows]
        for path, data in zip(paths, in_threads(self._whole, paths), strict=True):
            with contextlib.suppress(CorruptError):  # whoever reads what is in it is told
                self._take_in(place, {path: entries_of(data, path)})
                self._keep(path, 0, data)

    def _whole(self, path: str) -> bytes:
        try:
            return self.inner.read(path)
        except FileNotFoundError:
            return b""

    def remove_all(self, paths: Iterable[str]) -> list[str]:
        """Remove those of some objects that lie in packs that are known; returns the others."""
        others: list[str] = []
        gone: dict[str, set[str]] = {}
        for path in paths:
            known = self._at.get(path)
            if known is None:
                others.append(path)
            else:
                gone.setdefault(known[0], set()).add(path)
        for pack_, out in gone.items():
            place = next(place for place, packs in self._packs.items() if pack_ in packs)
            self._write_anew(place, pack_, [e for e in self._held[pack_] if e.path not in out])
        return others

    def delete_all(self, paths: Sequence[str]) -> None:
        """Remove objects and folders; a pack of which something stays is written anew without."""
        for path in self._may_be_plain(paths):
            self.inner.delete(path)
        self._take_out(paths)

    def _may_be_plain(self, paths: Sequence[str]) -> list[str]:
        """Those of several paths that lie below a key, if any, of which something is in no pack."""
        of = {path: stage_and_key(path) for path in paths}
        if len(paths) == 1:
            return [*paths]
        stages = {found[0] for found in of.values() if found}
        plain = {(s, key) for s in stages for key in self.plain_keys(s)}
        return [path for path, found in of.items() if found is None or found in plain]

    def pack_of(self, path: str) -> str:
        """The pack that an object lies in, of those that are known; empty: it lies in none."""
        return self._at.get(path, ("",))[0]

    def together_in(self, pack_: str) -> tuple[Together, str] | None:
        """Of what keys a known pack is, where its like lie, and the name it is written under.

        None where the list of these keys is lost.
        """
        place = next(place for place, packs in self._packs.items() if pack_ in packs)
        name, _ = pack_name(pack_.rpartition("/")[2]) or ("", 0)
        keys = tuple(sorted(self._keys[place]))
        return None if place in self._unlisted else (Together(place, keys), name)

    def folders_of(self, stage: str, keys: Collection[str]) -> tuple[str, ...]:
        """The names of the folders of a stage's packs that hold objects of these keys, in order."""
        with self._lock:
            places = self._places(stage)
            return tuple(p.together for p in places if not self._keys[p].isdisjoint(keys))

    def plain_keys(self, stage: str) -> list[str]:
        """The keys of a stage of which something lies in no pack."""
        return self.inner.names(stage_folder(stage))

    def note(self, path: str) -> str:
        """The note on an object that lies in a pack that is known; empty: there is none."""
        known = self._at.get(path)
        return known[1].note if known else ""

    def damages(self, stages: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Packs whose index cannot be read, and why. From now on they are passed over here."""
        for stage in filter(is_packed, stages):
            for place in self._places(stage):
                for path in self._there(place):
                    try:
                        self._take_in(place, {path: self._load(path)})
                    except CorruptError as err:
                        self._passed.add(path)
                        yield path, str(err)

    # ---- listing

    def _packed_below(self, folder: str) -> list[str]:
        stages, _, rest = folder.partition("/")
        if stages != STAGES:
            return []
        if not rest:
            for stage in {*self.inner.names(PACKS), *(place.stage for place in self._packs)}:
                self.look(stage)
            return [path for paths in self._below.values() for path in paths]
        stage, _, below = rest.partition("/")
        key = below.partition("/")[0]
        self.look(stage, key)
        keys = [key] if key else [k for s, k in self._below if s == stage]
        found = (path for k in keys for path in self._below.get((stage, k), ()))
        return [path for path in found if path.startswith(f"{folder}/")]

    def paths_in_packs(self, stage: str, key: str) -> set[str]:
        """The paths under a key that lie in packs, as of the last look."""
        return set(self._below.get((stage, key), ()))

    def look(
        self, stage: str, key: str = "", seen: set[PackPlace] | None = None, kind: str = ""
    ) -> None:
        """See what packs there are by now of a key, or of all; where `seen` is, it was looked.

        With a kind, into those alone whose names begin so.

        Raises:
            CorruptError: the index of one is damaged.
        """
        if not is_packed(stage):
            return
        with self._lock:
            for place in self._places(stage, seen):
                if (key in self._keys[place] or not key) and place not in (seen or ()):
                    self._look_at(place, kind)
                    if seen is not None:
                        seen.add(place)

    def _places(self, stage: str, seen: set[PackPlace] | None = None) -> list[PackPlace]:
        whole = PackPlace(stage, "")
        if seen is not None and whole in seen:
            return [place for place in self._keys if place.stage == stage]
        places = [PackPlace(stage, name) for name in self.inner.names(pack_folder(stage))]
        for gone in [p for p in self._packs if p.stage == stage and p not in places]:
            for path in self._packs.pop(gone):
                self._forget(path)
            self._keys.pop(gone, None)
        unknown = [p for p in places if p not in self._keys or p in self._unlisted]
        self._keys |= dict(zip(unknown, in_threads(self._read_keys, unknown), strict=True))
        if seen is not None:
            seen.add(whole)
        return places

    def _read_keys(self, place: PackPlace) -> frozenset[str]:
        """Which keys a folder's packs are of: as its list says, or else they themselves."""
        try:
            keys = keys_of(self.inner.read(place.keys), place)
        except (FileNotFoundError, CorruptError):
            self._unlisted.add(place)
            return self._keys_in_packs(place)
        self._unlisted.discard(place)
        return keys

    def _keys_in_packs(self, place: PackPlace) -> frozenset[str]:
        found: set[str] = set()
        for path in self._there(place):
            with contextlib.suppress(CorruptError):  # as good as gone, and told of by `damages`
                named = (stage_and_key(entry.path) for entry in self._load(path))
                found |= {of[1] for of in named if of is not None}
        return frozenset(found)

    def _there(self, place: PackPlace) -> list[str]:
        paths = (f"{place.folder}/{name}" for name in self.inner.names(place.folder))
        return [path for path in paths if pack_name(path.rpartition("/")[2])]

    def _look_at(self, place: PackPlace, kind: str) -> None:
        there = self._there(place)
        for path in self._packs.get(place, set()) - set(there):
            self._forget(path)
        wanted = (path for path in there if path.startswith(f"{place.folder}/{kind}"))
        fresh = [p for p in wanted if p not in self._held and p not in self._passed]
        self._take_in(place, dict(zip(fresh, in_threads(self._load, fresh), strict=True)))

    def _load(self, path: str) -> list[Entry]:
        found = entries_of(self.inner.read_end(path, _END), path)
        if isinstance(found, int):
            found = entries_of(self.inner.read_end(path, found), path)
        return found if isinstance(found, list) else []

    def _take_in(self, place: PackPlace, packs: Mapping[str, list[Entry] | int]) -> None:
        with self._lock:
            for path, entries in packs.items():
                if isinstance(entries, int) or path in self._held:
                    continue
                self._held[path] = entries
                self._packs.setdefault(place, set()).add(path)
                for entry in entries:
                    self._file(path, entry)

    def _file(self, pack_: str, entry: Entry) -> None:
        """Note where an object lies; of two packs that have it the first one, for every reader."""
        known = self._at.get(entry.path)
        if known is not None and known[0] < pack_:
            return
        self._at[entry.path] = (pack_, entry)
        if (of := stage_and_key(entry.path)) is not None:
            self._below.setdefault(of, set()).add(entry.path)

    def _forget(self, pack_: str) -> None:
        with self._lock:
            gone = self._held.pop(pack_, [])
            for paths in self._packs.values():
                paths.discard(pack_)
            with self._keeping:
                self._windows.pop(pack_, None)
            for entry in gone:
                if self._at.get(entry.path, ("",))[0] == pack_:
                    del self._at[entry.path]
                    if (of := stage_and_key(entry.path)) is not None:
                        self._below[of].discard(entry.path)
            again = {e.path for e in gone}
            for other, entries in self._held.items():
                for entry in entries:
                    if entry.path in again:
                        self._file(other, entry)

    def _search(self, path: str) -> bool:
        """Look for a path that is in no pack that is known; whether it is in one now."""
        of = stage_and_key(path)
        if of is None or not self._has_packs(of[0]):
            return False
        self.look(*of)
        return path in self._at

    def _has_packs(self, stage: str) -> bool:
        if not is_packed(stage):
            return False
        now = time.monotonic()
        if stage not in self._stages and now - self._asked >= _KNOWN_S:
            self._stages, self._asked = set(self.inner.names(PACKS)), now
        return stage in self._stages

    def _from_pack(self, path: str) -> bytes | None:
        """An object's bytes; None: it is in no pack that is known and there."""
        known = self._at.get(path)
        if known is None:
            return None
        pack_, entry = known
        try:
            return self._cut(pack_, entry)
        except FileNotFoundError:  # it was written anew without something else
            self._forget(pack_)
            return None

    def _cut(self, pack_: str, entry: Entry) -> bytes:
        with self._keeping:
            start, data = self._windows.get(pack_, (0, b""))
        if not start <= entry.at <= entry.at + entry.size <= start + len(data):
            rows = sum(f"/{PARTS}" not in path for path in list(self._held))  # parts go soon
            wide = min(_WINDOW, _CACHE // max(1, rows))
            start, data = entry.at, self.inner.read_range(pack_, entry.at, max(entry.size, wide))
            self._keep(pack_, start, data)
        found = data[entry.at - start : entry.at - start + entry.size]
        return content_of(found, entry)

    def _keep(self, pack_: str, start: int, data: bytes) -> None:
        with self._keeping:
            self._windows[pack_] = (start, data)
            self._windows.move_to_end(pack_)
            while sum(len(kept) for _, kept in self._windows.values()) > _CACHE:
                self._windows.popitem(last=False)

    # ---- removing

    def _take_out(self, paths: Sequence[str]) -> None:
        for stage in {of[0] for path in paths if (of := stage_below(path)) is not None}:
            if self._has_packs(stage):
                self.look(stage)
                for place in [place for place in self._packs if place.stage == stage]:
                    self._take_out_of(place, paths)

    def _take_out_of(self, place: PackPlace, paths: Sequence[str]) -> None:
        while not all(self._write_without(place, p, paths) for p in sorted(self._packs[place])):
            self._look_at(place, "")
        whole = any(path.count("/") == _KEY_DEEP for path in paths)
        if whole and not self._packs[place]:  # nobody needs these keys any more
            self.inner.delete(place.folder)
            self._keys.pop(place, None)
            self._declared.discard(place)

    def _write_without(self, place: PackPlace, pack_: str, paths: Sequence[str]) -> bool:
        """False: another has written it anew meanwhile, and there is to be looked again."""
        stay = [e for e in self._held[pack_] if not is_below(e.path, paths)]
        return len(stay) == len(self._held[pack_]) or self._write_anew(place, pack_, stay)

    def _write_anew(self, place: PackPlace, pack_: str, stay: Sequence[Entry]) -> bool:
        """Whether it is done; False: another has written it anew, or removed it."""
        try:
            contents = {entry.path: self._cut(pack_, entry) for entry in stay}
        except FileNotFoundError:
            self._forget(pack_)
            return False
        notes = {entry.path: entry.note for entry in stay}
        if contents:
            name, number = pack_name(pack_.rpartition("/")[2]) or ("", 0)
            data = pack(contents, notes)
            while not self.inner.create(place.pack(name, number := number + 1), data):
                pass
            self._take_in(place, {place.pack(name, number): entries_of(data, pack_)})
        self.inner.remove(pack_)
        self._forget(pack_)
        return True


def afresh(objects: Objects) -> Objects:
    """The same place, and nothing that was read or written there is remembered."""
    return PackedObjects(objects.inner) if isinstance(objects, PackedObjects) else objects
