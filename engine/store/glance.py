"""Objects as they stand: listings of stages that are taken once, for who looks at many keys."""

import threading

from medgen.engine.store.layout import StagePlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.pack_layout import (
    IDENTITIES,
    PackPlace,
    first_names,
    is_packed,
    stage_and_key,
)
from medgen.engine.store.packs import PackedObjects


class Glance:
    """Objects as they stand: what is below a key is listed once, when it is first asked for."""

    def __init__(self, objects: PackedObjects) -> None:
        """Nothing is listed yet."""
        self._objects, self.url = objects, objects.url
        self.create, self.replace = objects.create, objects.replace
        self.read, self.read_end, self.read_range = (
            objects.read,
            objects.read_end,
            objects.read_range,
        )
        self.delete, self.remove, self.note = objects.delete, objects.remove, objects.note
        self.tells_md5, self.md5s = objects.tells_md5, objects.md5s
        self._lock = threading.Lock()
        self._seen: set[PackPlace] = set()
        self._looked: dict[str, set[PackPlace]] = {}  # by how names of packs begin: where it was
        self._editions: dict[tuple[str, str], list[str]] = {}
        self._first: dict[str, str] = {}  # the key that was asked for before all others, by stage
        self._plain: dict[str, frozenset[str]] = {}  # keys with a folder, by stage
        self._paths: dict[tuple[str, str], list[str]] = {}

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        of = stage_and_key(folder)
        if of is None:
            return self._objects.names(folder)
        return sorted(first_names(self._below(of), folder))

    def editions(self, stage: str, key: str) -> list[str]:
        """The names under a key; no pack of rows is looked into."""
        of, folder = (stage, key), StagePlace(stage, key).folder
        if of not in self._editions:
            with self._lock:
                plain = self._may_be_plain(stage, key)
                self._look_into(stage, key, IDENTITIES)
            names = self._objects.inner.names(folder) if plain else []
            packed = first_names(self._objects.paths_in_packs(stage, key), folder)
            self._editions[of] = sorted({*names, *packed})
        return self._editions[of]

    def has(self, path: str, kind: str) -> bool:
        """Whether an object is there, where it is in a pack in one whose name begins so."""
        of = stage_and_key(path)
        if of is None or of in self._paths:
            return path in self.walk(path.rpartition("/")[0])
        with self._lock:
            plain = self._may_be_plain(*of)
            self._look_into(*of, kind)
        if path in self._objects.paths_in_packs(*of):
            return True
        return plain and path in self._objects.inner.walk(StagePlace(*of).folder)

    def _look_into(self, stage: str, key: str, kind: str) -> None:
        self._objects.look(stage, key, self._looked.setdefault(kind, set()), kind)

    def walk(self, folder: str) -> list[str]:
        """See `Objects.walk`."""
        of = stage_and_key(folder)
        if of is None:
            return self._objects.walk(folder)
        return [path for path in self._below(of) if path.startswith(f"{folder}/")]

    def _below(self, of: tuple[str, str]) -> list[str]:
        stage, key = of
        if of not in self._paths:
            with self._lock:
                plain = self._may_be_plain(stage, key)
                self._objects.look(stage, key, self._seen)
            walked = self._objects.inner.walk(StagePlace(stage, key).folder) if plain else []
            self._paths[of] = sorted({*walked, *self._objects.paths_in_packs(stage, key)})
        return self._paths[of]

    def _may_be_plain(self, stage: str, key: str) -> bool:
        """Whether a key may have a folder: for one alone it is not worth a request to ask."""
        if self._first.setdefault(stage, key) == key and not is_packed(stage):
            return True
        if stage not in self._plain:
            self._plain[stage] = frozenset(self._objects.plain_keys(stage))
        return key in self._plain[stage]


def glance(objects: Objects) -> Objects:
    """The same objects, with listings of stages that are taken once."""
    return Glance(objects) if isinstance(objects, PackedObjects) else objects


def names_of_editions(objects: Objects, stage: str, key: str) -> list[str]:
    """The names under a key of which each has an identity in it, had without a look at rows."""
    if isinstance(objects, Glance):
        return objects.editions(stage, key)
    return objects.names(StagePlace(stage, key).folder)


def is_there(objects: Objects, path: str, kind: str) -> bool:
    """Whether an object is there, by listings; `kind` is how the names of packs with it begin."""
    if isinstance(objects, Glance):
        return objects.has(path, kind)
    return path in objects.walk(path.rpartition("/")[0])


def note_on(objects: Objects, path: str) -> str:
    """What stands in the index of the pack that an object lies in; empty: it lies in none."""
    return objects.note(path) if isinstance(objects, PackedObjects | Glance) else ""
