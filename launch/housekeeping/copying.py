"""A run with all that it needs, in another store: every object proven there by its digest."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field
from pathlib import Path

import pyarrow as pa

from medgen.engine.benchmark.digest import sample_digest, shard_digest
from medgen.engine.benchmark.manifest import manifest_from_json
from medgen.engine.errors import CorruptError, StoreError
from medgen.engine.plan.plan import Plan
from medgen.engine.run.needs import Needs, needs
from medgen.engine.store.gathering import Pack, packs_of
from medgen.engine.store.glance import glance
from medgen.engine.store.layout import (
    QUARANTINE,
    BenchmarkPlace,
    RunPlace,
    StagePlace,
    is_of_tables,
    sample_shard,
)
from medgen.engine.store.objects import Objects
from medgen.engine.store.pack_layout import stage_and_key
from medgen.engine.store.sample_rows import samples
from medgen.engine.store.sealed import unseal
from medgen.engine.store.table_notes import read_note, tables_note
from medgen.launch.housekeeping.digests import named_digests, recipes
from medgen.launch.housekeeping.verifying import prove
from medgen.launch.run.published import note_on

_AT_ONCE = 8  # each is a whole object in memory


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy came to."""

    objects: int
    size: int  # bytes


def copy_run(source: Objects, target: Objects, plan: Plan) -> Copied:
    """Copy a run; one that was interrupted is simply done again.

    Samples and rows go first and the plan last, so that no run is found there before all that
    it needs is. What is there is never replaced but what belongs to the run's own folder. Of a run
    that goes on, what it wrote anew meanwhile is taken as it is by then. What was damaged and put
    aside stays here.

    Raises:
        CorruptError: an object is damaged here; nothing that depends on it was copied.
        StoreError: something else stands there under an address, or the two are one store.
    """
    if _place(source.url) == _place(target.url):
        raise StoreError(f"{target.url} is the store that the run is in")
    return _Copy(source, target, plan).carry_out(_without_aside(needs(source, plan)))


def _without_aside(found: Needs) -> Needs:
    kept = ((p for p in of if f"/{QUARANTINE}/" not in p) for of in astuple(found))
    return Needs(*(tuple(of) for of in kept))


def _place(url: str) -> str:
    """One name of a store: a directory has several, by links and by where one stands."""
    scheme, found, rest = url.partition("://")
    return f"{scheme.replace('s3a', 's3')}://{rest}" if found else os.path.realpath(url)


@dataclass(slots=True)
class _Copy:
    source: Objects
    target: Objects
    plan: Plan
    named: dict[str, str] = field(default_factory=dict)  # sha256 of objects that others name
    done: dict[str, str] = field(default_factory=dict)  # sha256 of what was copied
    size: int = 0

    def carry_out(self, found: Needs) -> Copied:
        place, benchmark = RunPlace(self.plan.run_id), BenchmarkPlace(self.plan.benchmark)
        self.named, damages = named_digests(self.source, self.plan)
        self.named |= dict(recipes(self.plan))
        if damages:
            raise CorruptError(damages[0].why)
        made = [p for p in found.benchmark if is_of_tables(p)]  # again at any time, from the rest
        notes = [benchmark.samples_whole, place.tables_whole, place.publishing]
        self._copy([p for p in found.benchmark if p not in made], own=False)
        self._copy([p for p in made if p not in notes], own=True)
        self._copy_rows(found.rows)
        self._copy([*found.sentinels], own=False)
        self._copy([p for p in found.folder[:-1] if p not in notes], own=True)
        for path in self.target.walk(place.tables):
            if path not in self.done:  # of an earlier copy
                self.target.delete(path)
        self._copy_notes(notes)
        self._copy(found.folder[-1:], own=True)
        return Copied(len(self.done), self.size)

    def _copy(self, paths: Sequence[str], own: bool) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            copied = threads.map(lambda path: self._copy_one(path, own), paths)
            for path, data in zip(paths, copied, strict=True):
                if data is not None:
                    self._note(path, *data)

    def _copy_rows(self, paths: Sequence[str]) -> None:
        """What lies in one pack here is one object there, too, unless it stands there by itself."""
        stages = glance(self.target)
        keys = {of for path in paths if (of := stage_and_key(path)) is not None}
        there = {path for of in keys for path in stages.walk(StagePlace(*of).key_folder)}
        packs = packs_of(self.source, [path for path in paths if path not in there])
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for copied in threads.map(self._copy_pack, packs):
                for path, data in copied.items():
                    self._note(path, *data)
        self._copy([path for path in paths if path not in self.done], own=False)

    def _copy_pack(self, pack: Pack) -> dict[str, tuple[str, int]]:
        read = {path: self._read(path) for path in pack.notes}
        contents = {path: data for path, data in read.items() if data is not None}
        pack.copy(self.target, contents)
        return {path: self._check(path, data) for path, data in contents.items()}

    def _note(self, path: str, digest: str, size: int) -> None:
        self.done[path] = digest
        self.size += size

    def _copy_one(self, path: str, own: bool) -> tuple[str, int] | None:
        """The sha256 and size of what was copied; None: it went since it was listed."""
        if (data := self._read(path)) is None:
            return None
        if own:
            self.target.replace(path, data)
        else:
            self.target.create(path, data)
        return self._check(path, data)

    def _read(self, path: str) -> bytes | None:
        try:
            data = self.source.read(path)
        except FileNotFoundError:
            return None
        self._prove(path, data)
        return data

    def _check(self, path: str, data: bytes) -> tuple[str, int]:
        """The sha256 and size of what was copied, which is read there."""
        there = self.target.read(path)
        if there != data and not _is_as_good(self.plan, path, data, there):
            raise StoreError(
                f"{self.target.url}/{path} holds something else than {self.source.url}/{path}: "
                "rows of another making have its address there. Copy into a store that does not "
                "have this run's stages"
            )
        return hashlib.sha256(data).hexdigest(), len(data)

    def _prove(self, path: str, data: bytes) -> None:
        """Prove an object by what it carries, or by the note on it as it is now."""
        try:
            prove(path, data, self.named.get(path, ""))
        except CorruptError:
            fresh = named_digests(self.source, self.plan)[0] | dict(recipes(self.plan))
            if path not in self.named or fresh.get(path) == self.named[path]:
                raise
            prove(path, data)  # a run that goes on has written it anew

    def _copy_notes(self, notes: Sequence[str]) -> None:
        """Notes on what was copied, as far as it is what they name."""
        tables, published = notes[:-1], notes[-1]
        for path in tables:
            whole = read_note(self.source, path)
            kept = {name: one for name, one in whole.items() if self._has(one["parts"])}
            if kept == whole:
                self._copy([path], own=True)
            else:
                self.target.replace(path, tables_note(kept))
        note = note_on(self.source, self.plan.run_id)
        if self._has({**note.objects, **note.beside_it}):
            self._copy([published], own=True)
        else:
            self.target.delete(published)

    def _has(self, digests: Mapping[str, str]) -> bool:
        return all(self.done.get(path) == digest for path, digest in digests.items())


def _is_as_good(plan: Plan, path: str, data: bytes, there: bytes) -> bool:
    """Whether what stands there is of the very same samples, as another import left them."""
    place = BenchmarkPlace(plan.benchmark)
    kinds: dict[str, Callable[[bytes, str], object]] = {
        place.manifest: _shards_of,
        place.order: _order_of,
        place.digests: unseal,
        sample_shard(Path(path).stem): _samples_of,
    }
    try:
        return path in kinds and kinds[path](data, path) == kinds[path](there, path)
    except CorruptError:
        return False


def _samples_of(data: bytes, path: str) -> str:
    return shard_digest(map(sample_digest, samples(unseal(data, path))))


def _shards_of(data: bytes, path: str) -> tuple[str, list[str]]:
    manifest = manifest_from_json(data, path)
    return manifest.ref, [shard.digest for shard in manifest.shards]


def _order_of(data: bytes, path: str) -> pa.Table:
    return unseal(data, path).drop_columns(["place"])  # where they stood in the source
