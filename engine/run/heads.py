"""What a run's shards said of themselves, noted so that its next start need not ask each of them.

To ask a shard is a request, and a complete run has thousands. A place that tells the MD5 of objects
in its listings, as object storage does, proves by one listing what is noted of all shards under a
key: one that was exchanged or damaged since has another MD5, and is asked.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from medgen.engine.codec import decode, with_seal
from medgen.engine.errors import CorruptError
from medgen.engine.store.layout import RunPlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.shards import Head, Stage

MOST = 20_000  # shards that are noted of a run, in some 8 MB


@dataclass(frozen=True, slots=True)
class Noted:
    """What a shard said, and the MD5 of the object that said it."""

    head: Head
    md5: str


class Heads:
    """The note of one run."""

    def __init__(self, objects: Objects, run_id: str) -> None:
        """Nothing is read yet."""
        self._objects, self._path = objects, RunPlace(run_id).heads
        self._known: dict[str, Noted] | None = None  # by path, as the store has it
        self._fresh: dict[str, Noted] = {}

    def proven(self, stage: Stage, revisions: Mapping[int, int]) -> dict[int, Head]:
        """What is noted of some shards at these revisions, of those that are still the same."""
        if not self._objects.tells_md5:
            return {}
        known = self._read()
        paths = {shard: stage.path(shard, revision) for shard, revision in revisions.items()}
        noted = {shard: known[path] for shard, path in paths.items() if path in known}
        told = self._objects.md5s(stage.place.folder) if noted else {}
        return {
            shard: one.head
            for shard, one in noted.items()
            if told.get(paths[shard].rpartition("/")[2]) == one.md5
        }

    def note(self, path: str, head: Head, md5: str) -> None:
        """Remember what a shard says; its MD5 is empty where only a part of it was seen."""
        if md5 and self._objects.tells_md5 and len(self._fresh) < MOST:
            self._fresh[path] = Noted(head, md5)

    def write(self) -> None:
        """Leave what was remembered in the run's folder, in front of what stands there."""
        if self._fresh:
            every = self._fresh | {p: n for p, n in self._read().items() if p not in self._fresh}
            self._known, self._fresh = dict(list(every.items())[:MOST]), {}
            self._objects.replace(self._path, with_seal(self._known))

    def _read(self) -> dict[str, Noted]:
        if self._known is None:
            self._known = {}
            with contextlib.suppress(CorruptError):  # all of it stands in the shards as well
                self._known = read_heads(self._objects, self._path)
        return self._known


def read_heads(objects: Objects, path: str) -> dict[str, Noted]:
    """What is noted of a run's shards, by their paths; empty where there is no note.

    Raises:
        CorruptError: it cannot be read. Whoever starts the run asks the shards instead.
    """
    try:
        data = objects.read(path)
    except FileNotFoundError:
        return {}
    return decode(dict[str, Noted], data, f"{path}: no note of heads")
