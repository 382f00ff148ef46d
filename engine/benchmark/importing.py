"""From a source to sealed shards: everything is checked first, then written once.

A source is read once, in order. Every sample goes to a spool file on the local disk (`TMPDIR`),
so memory holds one record and a small index, whatever the size of the benchmark. When nothing is
wrong, the order is fixed, the fingerprint is taken, and shard after shard is put together from
the spool and created; a table for other programs (`medgen.engine.benchmark.table`) is written
beside it, of which memory holds one part. The manifest comes last: a benchmark without one does
not exist.
"""

import contextlib
import hashlib
import logging
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pyarrow as pa

from medgen.engine.benchmark.digest import sample_digest, shard_digest
from medgen.engine.benchmark.faithful import description_of, items_of, promises_of
from medgen.engine.benchmark.index import Index, digests_object, index_object, read_digests
from medgen.engine.benchmark.laying import Cut, find_standing, lay_out
from medgen.engine.benchmark.manifest import Manifest, ShardEntry, manifest_from_json
from medgen.engine.benchmark.source import Problem, Source, TellsPlace
from medgen.engine.benchmark.spool import Spool, SpoolEntry
from medgen.engine.benchmark.table import describe, publish_samples, sample_rows
from medgen.engine.benchmark.vocabulary import MODALITIES
from medgen.engine.codec import fingerprint
from medgen.engine.data import Sample
from medgen.engine.errors import BenchmarkError, CorruptError
from medgen.engine.store import schemas
from medgen.engine.store.layout import (
    SAMPLES,
    BenchmarkPlace,
    benchmark_ref,
    path_name,
    sample_shard,
)
from medgen.engine.store.objects import Objects
from medgen.engine.store.sample_rows import sample_table, samples
from medgen.engine.store.sealed import seal, unseal
from medgen.engine.store.table_notes import are_sound, sound_note
from medgen.engine.store.uploads import Uploads

_Name = TypeVar("_Name", bound=str)
_FEW = 100  # shards that are asked for one by one: a large store has more to list
_LISTED = 1000  # problems in one error message; `validate` gives them all
log = logging.getLogger("medgen")
_UNSAID = "unknown"  # the modality of samples of which nobody said one


@dataclass(frozen=True, slots=True)
class Subset:
    """A named part of a benchmark: a filter, and the count that it must give.

    Empty `tasks` or `modalities` mean all of them.
    """

    name: str
    expected_count: int
    tasks: tuple[str, ...] = ()
    without_tasks: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()

    def holds(self, sample: Sample) -> bool:
        """Does the sample belong to it?"""
        return (
            (not self.tasks or sample.task in self.tasks)
            and sample.task not in self.without_tasks
            and (not self.modalities or sample.modality in self.modalities)
        )


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a source becomes a benchmark.

    `expected_count` is checked against all samples of the source, before the subset is taken.
    `number_repeats` gives a repeated id a suffix (`-2`, `-3` …) instead of refusing it.
    """

    name: str
    shard_size: int = 64
    seed: int = 0
    subset: Subset | None = None
    expected_count: int | None = None
    number_repeats: bool = False
    notes: tuple[str, ...] = ()


def validate(source: Source, options: ImportOptions | None = None) -> list[Problem]:
    """Everything that is wrong with a source, in its order; nothing is written."""
    checked = examine(source, options or ImportOptions("unnamed"))
    return [item for item in checked if isinstance(item, Problem)]


def import_benchmark(source: Source, objects: Objects, options: ImportOptions) -> Manifest:
    """Write a source into the store as `benchmarks/<name>-<fingerprint>/`.

    The same content, cut and seed give the same fingerprint, in whatever order the source gave
    it. Where the name has a benchmark already, what it shares with the source keeps its shards
    and their order (`medgen.engine.benchmark.laying`), so that rows over them are found again.
    Importing again finishes what an interrupted import left, and repairs damaged shards.

    Raises:
        BenchmarkError: anything at all is wrong with the source; lists every problem.
        StoreError: the store cannot be written.
    """
    _refuse_options(options)
    with tempfile.TemporaryFile(prefix="medgen-import-") as file:
        spool = Spool(file)
        _fill(spool, source, options)
        described = description_of(source)
        subset = options.subset.name if options.subset else None
        cut = Cut(options.shard_size, options.seed, subset)
        ids = (entry.id for entry in spool.entries)
        standing = find_standing(objects, options.name, cut, ids)
        shards = lay_out(spool.entries, cut, standing)
        base = standing.ref if standing else ""
        return _Writer(objects, options, spool, shards, base).write(described)


def _refuse_options(options: ImportOptions) -> None:
    path_name(options.name, "the benchmark's name")
    if options.shard_size < 1:
        raise BenchmarkError(f"shard_size is {options.shard_size}; a shard holds at least one")


def examine(source: Source, options: ImportOptions) -> Iterator[Sample | Problem]:
    """The samples that an import would keep, and what is wrong with records and the whole."""
    seen: Counter[str] = Counter()
    first: dict[str, tuple[str, int | None]] = {}
    telling = source if isinstance(source, TellsPlace) else None
    counts: Counter[tuple[str, str]] = Counter()
    kept = 0
    for item in items_of(source):
        if isinstance(item, Problem):
            yield item
            continue
        counts[item.format, item.task] += 1
        file, row = telling.place if telling else (item.task, None)
        if telling:
            first.setdefault(item.id, (file, row))
        sample = _distinct(item, seen, options)
        if sample is None:
            what = _repeats(item, seen, options, first.get(item.id))
            yield Problem(file, row, item.id, what)
            continue
        if options.subset is None or options.subset.holds(sample):
            kept += 1
            yield sample
    yield from _check_counts(source, options, counts, kept)


def _repeats(
    sample: Sample,
    seen: Counter[str],
    options: ImportOptions,
    first: tuple[str, int | None] | None,
) -> str:
    before = f", first at {first[0]}{f':{first[1]}' if first[1] else ''}" if first else ""
    what = f"the id occurs again{before}; make ids unique"
    if options.number_repeats:
        return f"{what}: {_id_with_number(sample, seen)!r} is the id of another sample"
    return f"{what}, or give --number-repeats (number_repeats: true) to number them"


def _distinct(sample: Sample, seen: Counter[str], options: ImportOptions) -> Sample | None:
    """The sample under an id that no other has; None when there is none to give."""
    seen[sample.id] += 1
    if seen[sample.id] == 1:
        return sample
    numbered = _id_with_number(sample, seen)
    if not options.number_repeats or numbered in seen:
        return None
    seen[numbered] += 1
    return replace(sample, id=numbered)


def _id_with_number(sample: Sample, seen: Counter[str]) -> str:
    return f"{sample.id}-{seen[sample.id]}"


def _check_counts(
    source: Source, options: ImportOptions, counts: Counter[tuple[str, str]], kept: int
) -> Iterator[Problem]:
    promised = promises_of(source)
    for place in sorted(set(promised) | set(counts)) if promised else ():
        if promised.get(place, 0) != counts[place]:
            what = (
                f"the manifest promises {promised.get(place, 0)} records, {counts[place]} are good"
            )
            yield Problem("/".join(place), None, None, f"{what}; is the copy complete?")
    total = counts.total()
    if options.expected_count not in (None, total):
        what = f"{total} samples, not the {options.expected_count} expected"
        yield Problem(options.name, None, None, what)
    subset = options.subset
    if subset and subset.expected_count != kept:
        what = f"subset {subset.name!r} has {kept} samples, not the {subset.expected_count}"
        yield Problem(options.name, None, None, f"{what} it is known by; is this its release?")
    if not total:
        yield Problem(options.name, None, None, "there is no sample in it")


def _fill(spool: Spool, source: Source, options: ImportOptions) -> None:
    problems: list[Problem] = []
    for item in examine(source, options):
        if isinstance(item, Problem):
            problems.append(item)
        elif not problems:
            spool.add(item)
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:_LISTED])
        rest = len(problems) - _LISTED
        more = f"\n  … and {rest} more; validating lists them all" if rest > 0 else ""
        raise BenchmarkError(f"{len(problems)} problem(s), nothing was written:\n{shown}{more}")


class _Writer:
    """Writes the shards of one benchmark, then its manifest."""

    def __init__(
        self,
        objects: Objects,
        options: ImportOptions,
        spool: Spool,
        shards: list[list[SpoolEntry]],
        base: str,
    ) -> None:
        self._objects, self._options, self._spool, self._shards = objects, options, spool, shards
        self._order = [entry for shard in shards for entry in shard]
        self._digests = [shard_digest(entry.digest for entry in shard) for shard in shards]
        self._fingerprint = fingerprint(self._digests)
        self._place = BenchmarkPlace(benchmark_ref(options.name, self._fingerprint))
        self._base = "" if base == self._place.ref else base
        self._written: list[ShardEntry] = []

    def write(self, described: dict[str, Any]) -> Manifest:
        index = self._write_order()
        note = sound_note(self._objects, self._place.samples_whole)
        with Uploads(self._objects) as uploads:
            rows = self._write_shards(uploads, index)
            if note and are_sound(self._objects, note[""]["parts"]):  # of the very same samples
                deque(rows, maxlen=0)
            else:
                publish_samples(self._objects, self._place.ref, rows)
        shards = tuple(self._written)
        manifest = self._manifest(described, shards)
        path = self._place.manifest
        if self._objects.create(path, manifest.to_json()):
            return manifest
        try:
            stored = manifest_from_json(self._objects.read(path), path)
        except CorruptError:
            stored = None
        if stored is None or stored.shards != shards:
            self._objects.replace(path, manifest.to_json())
            return manifest
        return stored

    def _write_shards(self, uploads: Uploads, index: Index) -> Iterator[pa.Table]:
        """Write shard after shard; gives the rows of each for the table of samples."""
        there, start = self._known_names(), 0
        for digest, entries in zip(self._digests, self._shards, strict=True):
            name = sample_shard(digest)
            # Shards are shared: what another benchmark wrote is read, not packed again.
            found = self._standing(name, digest) if name in there else None
            table, sha256 = found or self._pack(name, entries, uploads)
            self._written.append(_entry(digest, sha256, entries))
            told = describe(index.rows(start, start + len(entries)), start)
            yield sample_rows(self._place.ref, told, table)
            start += len(entries)

    def _known_names(self) -> frozenset[str]:
        """Shards that may be there: by a listing of all of them, or each that is ours."""
        if len(self._digests) <= _FEW:
            return frozenset(map(sample_shard, self._digests))
        return frozenset(f"{SAMPLES}/{name}" for name in self._objects.names(SAMPLES))

    def _pack(self, name: str, entries: list[SpoolEntry], uploads: Uploads) -> tuple[pa.Table, str]:
        """A shard's rows, which are on their way to the store, and the sha256 of its object."""
        table = sample_table(self._spool.sample(entry) for entry in entries)
        content = seal(table)
        uploads.put(name, content)
        return table, hashlib.sha256(content).hexdigest()

    def _standing(self, name: str, digest: str) -> tuple[pa.Table, str] | None:
        """The object that stands there, when it holds the samples that its name says."""
        try:
            content = self._objects.read(name)
        except FileNotFoundError:
            return None
        with contextlib.suppress(CorruptError):
            table = schemas.check(unseal(content, name), schemas.SAMPLE, name)
            if shard_digest(map(sample_digest, samples(table))) == digest:
                return table, hashlib.sha256(content).hexdigest()
        log.warning("%s was damaged; it is written again", name)
        return None

    def _make_index(self) -> bytes:
        places = {entry.id: at for at, entry in enumerate(self._spool.entries)}
        return index_object(self._order, places)

    def _write_order(self) -> Index:
        """What every sample is, and where it stood in the source; the first import's stays.

        The fingerprint covers no place: the same samples in another order are the same benchmark.
        """
        place, count = self._place, len(self._order)
        data = self._make_index()
        self._keep(place.order, data, lambda d: Index(d, place.order, count))
        digests = digests_object(self._order)
        self._keep(place.digests, digests, lambda d: read_digests(d, place.digests, count))
        return Index(data, place.order, count)

    def _keep(self, path: str, content: bytes, read: Callable[[bytes], object]) -> None:
        """Write an object, unless a sound one stands there."""
        if self._objects.create(path, content):
            return
        try:
            read(self._objects.read(path))
        except CorruptError:
            log.warning("%s was damaged; it is written again", path)
            self._objects.replace(path, content)

    def _manifest(self, described: dict[str, Any], shards: tuple[ShardEntry, ...]) -> Manifest:
        options = self._options
        modalities = _counts(entry.modality for entry in self._order)
        said = tuple(str(note) for note in described.pop("notes", ()))
        return Manifest(
            name=options.name,
            fingerprint=self._fingerprint,
            shard_size=options.shard_size,
            order_seed=options.seed,
            shards=shards,
            asks=_counts(entry.asks for entry in self._order),
            formats=_counts(entry.format for entry in self._order),
            tasks=_counts(entry.task for entry in self._order),
            modalities=modalities,
            source=described,
            subset=options.subset.name if options.subset else None,
            grown_from=self._base,
            notes=(*said, *options.notes, *_unknown_modalities(modalities)),
        )


def _entry(digest: str, sha256: str, entries: Sequence[SpoolEntry]) -> ShardEntry:
    return ShardEntry(
        samples=len(entries),
        formats={
            asks: _counts(e.format for e in entries if e.asks == asks)
            for asks in sorted({entry.asks for entry in entries})
        },
        digest=digest,
        sha256=sha256,
    )


def _unknown_modalities(modalities: Mapping[str, int]) -> tuple[str, ...]:
    notes = []
    for name, count in modalities.items():
        if name not in (*MODALITIES, _UNSAID):
            notes.append(f"unknown modality {name!r} in {count} samples, kept as it came")
            log.warning(notes[-1])
    return tuple(notes)


def _counts(names: Iterable[_Name]) -> dict[_Name, int]:
    return dict(sorted(Counter(names).items()))
