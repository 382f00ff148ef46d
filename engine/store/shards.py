"""A stage's output: sealed shards under the address of what they depend on.

An object that exists is complete. Retried error rows are a later revision of the same shard;
readers take the highest. A shard's metadata has the sha256 of every object that it was made from,
so that one made from what is not there any more is known to be stale.

A shard with rows that the outside kept from us has a note beside it, written first, so that the
next start need not read every shard to find them.

A damaged object is moved to `quarantine/` beside the shards. Its revision stays taken: what takes
its place is the next one, so that whatever was made from the damaged one is stale as well.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pyarrow as pa

from medgen.engine.codec import encode, fingerprint
from medgen.engine.errors import CorruptError
from medgen.engine.stages import stage_kind
from medgen.engine.store import schemas
from medgen.engine.store.glance import note_on
from medgen.engine.store.layout import (
    PARTS,
    QUARANTINE,
    StagePlace,
    owed_note,
    part,
    positions_of,
    shard_of,
)
from medgen.engine.store.objects import Objects
from medgen.engine.store.sealed import seal, seal_named, seal_of, unseal_named

BROKEN = "broken"  # in place of a sha256 that an object does not tell
_END = 65536  # bytes of an object that are read for its footer


@dataclass(frozen=True, slots=True)
class Listing:
    """A stage's shards, by number, with their highest revisions."""

    revisions: Mapping[int, int]
    lost: Mapping[int, int]  # the highest revision is in quarantine
    owed: frozenset[int] = frozenset()  # the highest revision may have rows to be repeated
    parts: frozenset[str] = frozenset()  # folders of parts that were not put together
    others: frozenset[str] = frozenset()  # names of shards about other samples, or in another cut

    def join(self, told: Mapping[int, int]) -> "Listing":
        """With commits that were heard of otherwise."""
        if not told:
            return self
        seen = {**self.revisions, **self.lost}
        newer = {shard: r for shard, r in told.items() if r > seen.get(shard, -1)}
        lost = {shard: r for shard, r in self.lost.items() if shard not in newer}
        return replace(self, revisions={**self.revisions, **newer}, lost=lost)


@dataclass(frozen=True, slots=True)
class Head:
    """What one object of rows is and was made from."""

    sha256: str
    inputs: Mapping[str, str] = field(default_factory=dict)  # "<key>/<shard>" -> sha256
    identity: str = ""  # name of what made it


_HEADS = msgspec.json.Decoder(Head)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A shard that is not in the store yet."""

    path: str
    data: bytes
    head: Head

    @property
    def note(self) -> str:
        """What `Stage.head` wants to know of it."""
        return encode(self.head).decode()


class Stage:
    """Reads and writes `<root>/stages/<stage>/<key>/<edition>/`.

    A shard has a number here, which is its place among `names`; what others keep in the folder,
    under names of other samples, is none of its.
    """

    def __init__(
        self, objects: Objects, stage: str, key: str, names: Sequence[str], *, edition: str = ""
    ) -> None:
        """Nothing is read or written yet."""
        self.objects = objects
        self.names = names
        self.stage = stage
        self.key = key
        self.place = StagePlace(stage, key, edition)

    def declare(self, recipe: Mapping[str, Any]) -> None:
        """Leave the recipe that this address stands for beside the shards (`stage.json`)."""
        self.objects.create(self.place.recipe, recipe_bytes(recipe))

    def listing(self) -> Listing:
        """What is committed, and what is in quarantine with nothing in its place yet."""
        names = self.objects.names(self.place.folder)
        if not names:  # not for millions of shards one after the other
            return Listing({}, {})
        have, lost = _highest(names), {}
        if QUARANTINE in names:  # a second listing only when there is something to list
            lost = _highest(self.objects.names(self.place.quarantine))
            lost = {shard: r for shard, r in lost.items() if r >= have.get(shard, 0)}
        notes = set(names)
        owed = {shard for shard, r in have.items() if owed_note(shard, r) in notes}
        kept = {shard: r for shard, r in have.items() if shard not in lost}
        return Listing(
            {n: kept[name] for n, name in enumerate(self.names) if name in kept},
            {n: lost[name] for n, name in enumerate(self.names) if name in lost},
            frozenset(n for n, name in enumerate(self.names) if name in owed),
            frozenset(name for name in names if name.startswith(PARTS)),
            frozenset(have.keys() - {*self.names}),
        )

    def over(self, objects: Objects) -> "Stage":
        """The same folder, as these objects show it."""
        other = copy(self)
        other.objects = objects
        return other

    def under(self, names: Sequence[str]) -> "Stage":
        """The same folder, by other names."""
        other = copy(self)
        other.names = names
        return other

    def revisions(self) -> dict[int, int]:
        """The highest committed revision of every shard that is there."""
        return dict(self.listing().revisions)

    def write(self, shard: int, table: pa.Table, revision: int = 0) -> tuple[int, str]:
        """Commit a shard whole; harmless when another worker was first.

        Returns:
            Bytes, and the sha256 of what stands there now: ours, or what the other wrote.
        """
        sealed = self.seal(shard, table, revision)
        head = sealed.head if self.publish(sealed) else self.head(shard, revision)
        return len(sealed.data), head.sha256

    def publish(self, sealed: "Sealed") -> bool:
        """Put a shard where it is to stand; False: something stood there, and is left as it was."""
        return self.objects.create(sealed.path, sealed.data)

    def note_owed(self, shard: int, revision: int) -> None:
        """Leave a note that the shard, about to be written, has rows to be repeated."""
        self.objects.create(self.owed_path(shard, revision), b"{}")

    def owed_path(self, shard: int, revision: int) -> str:
        """Where that note is."""
        return self.place.note(self.names[shard], revision)

    def read(self, shard: int, revision: int = 0) -> pa.Table:
        """One shard, proven whole and in its place.

        Raises:
            FileNotFoundError: that revision was not committed.
            CorruptError: the bytes are not what was written, or belong elsewhere.
        """
        return self.read_sealed(shard, revision)[0]

    def head(self, shard: int, revision: int = 0) -> Head:
        """What a shard's object says it is, by its end alone; `read` proves it.

        Raises:
            FileNotFoundError: that revision was not committed.
            CorruptError: the object breaks off, or is none of ours.
        """
        known = self.head_at_hand(shard, revision)
        return self.ask(shard, revision)[0] if known is None else known

    def ask(self, shard: int, revision: int) -> tuple[Head, str]:
        """What its object says, and the MD5 of that; empty: only a part of it was read.

        Raises as `head` does.
        """
        name = self.path(shard, revision)
        data, most = self.objects.read_end(name, _END), _END
        if (found := seal_of(data, name)) is None:
            data, most = self.objects.read(name), sys.maxsize
            found = _seal_and_schema(data, name)
        return _head_of(*found), md5_of(data) if len(data) < most else ""

    def head_at_hand(self, shard: int, revision: int) -> Head | None:
        """The same where it is known without a request; None: it is to be asked for.

        Raises:
            CorruptError: what is noted of the shard says nothing of one.
        """
        name = self.path(shard, revision)
        if not (note := note_on(self.objects, name)):
            return None
        try:
            return _HEADS.decode(note)
        except msgspec.MsgspecError as err:
            raise CorruptError(f"{name}: not what is noted of a shard ({err})") from err

    def seal(self, shard: int, table: pa.Table, revision: int = 0) -> "Sealed":
        """A shard as it is to stand in the store, for who writes several at once."""
        data, digest = seal_named(table)
        return Sealed(self.path(shard, revision), data, _head_of(digest, table.schema))

    def read_sealed(self, shard: int, revision: int) -> tuple[pa.Table, str]:
        """One shard as `read` gives it, and its object's sha256."""
        name = self.path(shard, revision)
        table, digest = self._prove(self.objects.read(name), name)
        check_place(table, name)
        return table, digest

    def path(self, shard: int, revision: int = 0) -> str:
        """Where a shard is."""
        return self.place.shard(self.names[shard], revision)

    def proven(self, name: str) -> pa.Table:
        """The table of an object of this stage, its checksum and schema proven."""
        return self._prove(self.objects.read(name), name)[0]

    def _prove(self, data: bytes, name: str) -> tuple[pa.Table, str]:
        table, digest = unseal_named(data, name)
        schemas.check_name(table, stage_kind(self.stage).rows, name)
        return table, digest

    def part_paths(self, folder: str) -> list[str]:
        """Every part in a folder of parts, by the name that a listing has for it."""
        inside = f"{self.place.folder}/{folder}"
        return [f"{inside}/{name}" for name in self.objects.names(inside) if positions_of(name)]

    def parts(self, shard: int, revision: int, made_from: Mapping[str, str]) -> "Parts":
        """Where the parts of a shard lie until they are put together."""
        # Parts that an earlier driver left may be made from other inputs: they lie elsewhere.
        inputs = fingerprint(made_from) if made_from else ""
        return Parts(self, self.place.parts(self.names[shard], revision, inputs))


class Parts:
    """Pieces of a shard that could not be done in one go, under one folder."""

    def __init__(self, stage: Stage, folder: str) -> None:
        """Nothing is read or written yet."""
        self._stage, self.folder = stage, folder

    @property
    def name(self) -> str:
        """The folder's, as a listing of the stage has it."""
        return self.folder.rpartition("/")[2]

    def spans(self) -> list[tuple[int, int]]:
        """The positions of the parts that are there, in order; of two that overlap, the first."""
        found = (positions_of(name) for name in self._stage.objects.names(self.folder))
        taken: list[tuple[int, int]] = []
        for low, high in sorted(span for span in found if span):
            if low < high and (not taken or low >= taken[-1][1]):
                taken.append((low, high))
        return taken

    def write(self, positions: tuple[int, int], table: pa.Table) -> int:
        """Commit the rows of some positions; harmless when it was done before. Returns bytes."""
        path, data = self.seal(positions, table)
        self._stage.objects.create(path, data)
        return len(data)

    def seal(self, positions: tuple[int, int], table: pa.Table) -> tuple[str, bytes]:
        """Where the rows of some positions are to stand, and as what."""
        return part(self.folder, positions), seal(table)

    def read(self, positions: tuple[int, int]) -> pa.Table:
        """The rows of some positions. Read by name: a listing may lag behind.

        Raises:
            FileNotFoundError: that part was not committed, or was dropped.
            CorruptError: it is not what was written.
        """
        return self._stage.proven(part(self.folder, positions))

    def drop(self) -> None:
        """Remove them: the shard is whole."""
        self._stage.objects.delete(self.folder)


def _highest(names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        if (known := shard_of(name)) is not None:
            shard, revision = known
            found[shard] = max(revision, found.get(shard, 0))
    return found


def md5_of(data: bytes) -> str:
    """The MD5 of an object's bytes, in hex: what object storage tells in its listings."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def label(table: pa.Table, labels_: Mapping[str, Any]) -> pa.Table:
    """The table with labels (JSON) in its schema's metadata: what it is and what made it."""
    text = json.dumps(labels_, sort_keys=True, allow_nan=False)
    return table.replace_schema_metadata(
        {**(table.schema.metadata or {}), b"medgen.labels": text.encode()}
    )


def labels(table: pa.Table) -> dict[str, Any]:
    """The labels of a stored table; empty when it has none."""
    return _labels_of(table.schema)


def check_place(table: pa.Table, path: str) -> None:
    """See that a shard stands where its labels say that it does.

    Raises:
        CorruptError: it is another's, which was moved there.
    """
    _, _, key, *_, file = path.split("/")
    said, named = labels(table), shard_of(file)
    for what, stands_for in (("key", key), ("shard", named[0] if named else "")):
        if said.get(what, stands_for) != stands_for:
            raise CorruptError(f"{path} holds rows of {what} {said[what]}")


def _labels_of(schema: pa.Schema) -> dict[str, Any]:
    text = (schema.metadata or {}).get(b"medgen.labels")
    return dict(json.loads(text)) if text else {}


def recipe_bytes(recipe: Mapping[str, Any]) -> bytes:
    """A recipe as it stands beside rows."""
    return json.dumps(recipe, indent=1, sort_keys=True, allow_nan=False).encode()


def _head_of(digest: str, schema: pa.Schema) -> Head:
    said = _labels_of(schema)
    return Head(digest, said.get("inputs", {}), str(said.get("identity", "")))


def _seal_and_schema(data: bytes, name: str) -> tuple[str, pa.Schema]:
    found = seal_of(data, name)
    if found is None:
        raise CorruptError(f"{name}: not a readable Arrow file (no footer)")
    return found


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables of one schema, one after another, without labels of any of them."""
    schema = tables[0].schema
    kept = {k: v for k, v in (schema.metadata or {}).items() if k != b"medgen.labels"}
    return pa.concat_tables([t.replace_schema_metadata(kept) for t in tables])
