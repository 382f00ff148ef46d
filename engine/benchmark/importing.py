"""From a source to sealed shards: everything is checked first, then written once.

A source is read once, in order. Every sample goes to a spool file on the local disk (`TMPDIR`),
so memory holds one record and a small index, whatever the size of the benchmark. When nothing is
wrong, the order is fixed, the fingerprint is taken, and shard after shard is put together from
the spool and created. The manifest comes last: a benchmark without one does not exist.
"""

import hashlib
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from medgen.engine.benchmark.manifest import (
    Manifest,
    ShardEntry,
    manifest_from_json,
    order_table,
)
from medgen.engine.benchmark.source import Problem, Source
from medgen.engine.benchmark.spool import Spool, SpoolEntry
from medgen.engine.benchmark.vocabulary import MODALITIES
from medgen.engine.codec import fingerprint
from medgen.engine.data import Format, Sample
from medgen.engine.errors import BenchmarkError, CorruptError
from medgen.engine.guard import unforeseen
from medgen.engine.store import schemas
from medgen.engine.store.layout import BenchmarkPlace, benchmark_ref, path_name
from medgen.engine.store.objects import Objects
from medgen.engine.store.sealed import seal, unseal

_LISTED = 1000  # problems in one error message; `validate` gives them all
_GOLDEN = 0x9E3779B97F4A7C15  # the golden ratio's fraction, in units of 2**-64
log = logging.getLogger("medgen")


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
    it. Importing again finishes what an interrupted import left, and repairs damaged shards.

    Raises:
        BenchmarkError: anything at all is wrong with the source; lists every problem.
        StoreError: the store cannot be written.
    """
    _refuse_options(options)
    with tempfile.TemporaryFile(prefix="medgen-import-") as file:
        spool = Spool(file)
        _fill(spool, source, options)
        order = stratify(spool.entries, options.seed)
        return _Writer(objects, options, spool, order).write(source)


def stratify(entries: list[SpoolEntry], seed: int) -> list[SpoolEntry]:
    """A seeded order in which every prefix is an unbiased sample.

    Entries are sorted by format, task and modality, at random within; the i-th then stands at
    the fraction of u + i x golden ratio, with one random u. Multiples of the golden ratio fall
    evenly over every run of entries, so a prefix holds its share of every format, task and
    stratum, give or take one or two; and u being uniform, every sample is as likely as any other
    to be in it. Random numbers are hashes of the seed and the id: equal on every machine,
    whatever the order of the input.
    """
    ranked = sorted(entries, key=lambda e: (e.format, e.task, e.modality, _draw(seed, e.id)))
    start = int.from_bytes(_draw(seed, "")[:8])
    places = {entry.id: (start + i * _GOLDEN) % 2**64 for i, entry in enumerate(ranked)}
    return sorted(ranked, key=lambda entry: places[entry.id])


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def _refuse_options(options: ImportOptions) -> None:
    path_name(options.name, "the benchmark's name")
    if options.shard_size < 1:
        raise BenchmarkError(f"shard_size is {options.shard_size}; a shard holds at least one")


def _guard_source(source: Source) -> Iterator[Sample | Problem]:
    """The source's records; what nobody foresaw there is a problem, and ends it."""
    try:
        yield from source
    except Exception as err:  # noqa: BLE001 - what no record can stand for is raised again
        what = unforeseen(err).reason
        yield Problem("the source", None, None, f"internal error, the rest is unread: {what}")


def examine(source: Source, options: ImportOptions) -> Iterator[Sample | Problem]:
    """The samples that an import would keep, and what is wrong with records and the whole."""
    seen: Counter[str] = Counter()
    counts: Counter[tuple[Format, str]] = Counter()
    kept = 0
    for item in _guard_source(source):
        if isinstance(item, Problem):
            yield item
            continue
        counts[item.format, item.task] += 1
        sample = _distinct(item, seen, options)
        if sample is None:
            what = "the id occurs again; make ids unique"
            if options.number_repeats:
                what += f": {_id_with_number(item, seen)!r} is the id of another sample"
            else:
                what += ", or give --number-repeats (number_repeats: true) to number them"
            yield Problem(item.task, None, item.id, what)
            continue
        if options.subset is None or options.subset.holds(sample):
            kept += 1
            yield sample
    yield from _check_counts(source, options, counts, kept)


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
    source: Source, options: ImportOptions, counts: Counter[tuple[Format, str]], kept: int
) -> Iterator[Problem]:
    promised = source.expected_counts()
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
        self, objects: Objects, options: ImportOptions, spool: Spool, order: list[SpoolEntry]
    ) -> None:
        self._objects, self._options, self._spool, self._order = objects, options, spool, order
        content = hashlib.sha256(b"".join(entry.digest for entry in order)).hexdigest()
        self._fingerprint = fingerprint(content, options.shard_size, options.seed)
        self._place = BenchmarkPlace(benchmark_ref(options.name, self._fingerprint))

    def write(self, source: Source) -> Manifest:
        size = self._options.shard_size
        cuts = range(0, len(self._order), size)
        shards = tuple(self._shard(at // size, self._order[at : at + size]) for at in cuts)
        self._write_order()
        manifest = self._manifest(source, shards)
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

    def _shard(self, number: int, entries: list[SpoolEntry]) -> ShardEntry:
        samples = [self._spool.sample(entry) for entry in entries]
        table = schemas.sample_table(samples)
        name, content = self._place.shard(number), seal(table)
        if not self._objects.create(name, content):
            content = self._standing(name, content)
        return ShardEntry(
            samples=len(samples),
            formats=_counts(sample.format for sample in samples),
            sha256=hashlib.sha256(content).hexdigest(),
        )

    def _write_order(self) -> None:
        """Where each sample stood in the source, for what depends on it; the first import's stays.

        The fingerprint does not cover it: the same samples in another order are the same benchmark.
        """
        places = {entry.id: at for at, entry in enumerate(self._spool.entries)}
        table = order_table((e.format, places[e.id]) for e in self._order)
        if not self._objects.create(self._place.order, seal(table)):
            try:
                unseal(self._objects.read(self._place.order), self._place.order)
            except CorruptError:
                log.warning("%s was damaged; it is written again", self._place.order)
                self._objects.replace(self._place.order, seal(table))

    def _standing(self, name: str, content: bytes) -> bytes:
        """The object that stands there already when it holds the same rows, else ours."""
        stored = self._objects.read(name)
        try:
            # Another version of the compressor writes the same rows as other bytes.
            if stored == content or unseal(stored, name).equals(unseal(content, name)):
                return stored
        except CorruptError:
            log.warning("%s was damaged; it is written again", name)
        self._objects.replace(name, content)
        return content

    def _manifest(self, source: Source, shards: tuple[ShardEntry, ...]) -> Manifest:
        options = self._options
        modalities = _counts(entry.modality for entry in self._order)
        described = dict(source.describe())
        said = tuple(str(note) for note in described.pop("notes", ()))
        return Manifest(
            name=options.name,
            fingerprint=self._fingerprint,
            shard_size=options.shard_size,
            order_seed=options.seed,
            shards=shards,
            formats=_counts(entry.format for entry in self._order),
            tasks=_counts(entry.task for entry in self._order),
            modalities=modalities,
            source=described,
            subset=options.subset.name if options.subset else None,
            notes=(*said, *options.notes, *_unknown_modalities(modalities)),
        )


def _unknown_modalities(modalities: Mapping[str, int]) -> tuple[str, ...]:
    notes = []
    for name, count in modalities.items():
        if name not in MODALITIES:
            notes.append(f"unknown modality {name!r} in {count} samples, kept as it came")
            log.warning(notes[-1])
    return tuple(notes)


def _counts(names: Iterator[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
