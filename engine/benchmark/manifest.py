"""A benchmark in the store: sealed shards of samples and the manifest that fixes them."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from medgen.engine.benchmark.digest import sample_digest, shard_digest
from medgen.engine.benchmark.index import INDEX, Index, digests_object, index_object, read_digests
from medgen.engine.benchmark.numbers import COLUMNS, UNKNOWN, Numbers, numbers_of
from medgen.engine.benchmark.spool import SpoolEntry, entry_of
from medgen.engine.codec import decode, plain, seal_json
from medgen.engine.data import ASKS, Asks, Sample
from medgen.engine.errors import BenchmarkError, CorruptError
from medgen.engine.store import schemas
from medgen.engine.store.layout import (
    BENCHMARKS,
    BenchmarkPlace,
    benchmark_name,
    benchmark_ref,
    sample_shard,
)
from medgen.engine.store.objects import Objects
from medgen.engine.store.sample_rows import samples
from medgen.engine.store.sealed import open_proven, unseal

MANIFEST_VERSION = "benchmark/2"


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard of samples: what they ask for, its name, and the sha256 of its object.

    The digest covers the samples, in their order. Benchmarks share shards; where another version
    packed the same samples as other bytes, the digest decides.
    """

    samples: int
    formats: Mapping[Asks, Mapping[str, int]]  # by what they ask, what those are called
    digest: str
    sha256: str

    @property
    def asks(self) -> dict[Asks, int]:
        """How many ask for what."""
        return {asks: sum(counts.values()) for asks, counts in self.formats.items()}


def with_shared_formats(shards: Iterable[ShardEntry]) -> tuple[ShardEntry, ...]:
    """The same with equal counts kept once: of shards of one size there are few of them."""
    known: dict[str, Mapping[Asks, Mapping[str, int]]] = {}
    kept = (known.setdefault(repr(shard.formats), shard.formats) for shard in shards)
    return tuple(replace(shard, formats=one) for shard, one in zip(shards, kept, strict=True))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a benchmark is. The fingerprint covers every sample, in order, and the cut.

    `grown_from` names the benchmark whose shards this one kept.
    """

    name: str
    fingerprint: str
    shard_size: int
    order_seed: int
    shards: tuple[ShardEntry, ...]
    asks: Mapping[Asks, int]
    formats: Mapping[str, int]
    tasks: Mapping[str, int]
    modalities: Mapping[str, int]
    source: Mapping[str, Any] = field(default_factory=dict)
    subset: str | None = None
    notes: tuple[str, ...] = ()  # e.g. "made of pictures shipped with scikit-image"
    grown_from: str = ""
    version: str = MANIFEST_VERSION

    @property
    def ref(self) -> str:
        """The name under which it stands in the store: `<name>-<fingerprint>`."""
        return benchmark_ref(self.name, self.fingerprint)

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return sum(shard.samples for shard in self.shards)

    def to_json(self) -> bytes:
        """The manifest as it is stored."""
        return seal_json(json.dumps(plain(self), indent=1, sort_keys=True).encode())


# The one that was read last, by the sha256 of its bytes: a run opens its benchmark several times,
# and the manifest of a large one takes ten MiB and more.
_LAST: dict[bytes, Manifest] = {}


def manifest_from_json(data: bytes, name: str) -> Manifest:
    """Read a stored manifest.

    Raises:
        CorruptError: it is not JSON, lacks a field, or has another version.
    """
    digest = hashlib.sha256(data).digest()
    if (known := _LAST.get(digest)) is not None:
        return known
    made = decode(Manifest, data, f"{name}: not a manifest of this version")
    made = replace(made, shards=with_shared_formats(made.shards))
    if made.version != MANIFEST_VERSION:
        raise CorruptError(f"{name}: version {made.version}, not {MANIFEST_VERSION}")
    _LAST.clear()
    _LAST[digest] = made
    return made


class Benchmark:
    """Reads one benchmark from the store."""

    def __init__(self, objects: Objects, ref: str) -> None:
        """`ref` is `<name>-<fingerprint>`.

        Raises:
            BenchmarkError: the store has no such benchmark.
        """
        self._objects = objects
        self._place = BenchmarkPlace(ref)
        try:
            data = objects.read(self._place.manifest)
        except FileNotFoundError as err:
            raise BenchmarkError(
                f"no benchmark {ref!r} in {objects.url}; `medgen list benchmarks` names them, "
                "`medgen import` and `medgen build mini` make them"
            ) from err
        self.manifest = manifest_from_json(data, self._place.manifest)
        sizes = (entry.samples for entry in self.manifest.shards)
        # The position of each shard's first sample, and in the end how many there are.
        self.starts = [0, *accumulate(sizes)]

    def table(self, shard: int) -> pa.Table:
        """One shard as it is stored, proven whole.

        Raises:
            CorruptError: the object is missing or is not the one the manifest names.
        """
        entry = self.manifest.shards[shard]
        name = sample_shard(entry.digest)
        try:
            data = self._objects.read(name)
        except FileNotFoundError as err:
            raise CorruptError(f"{name} is missing; import the benchmark again") from err
        if hashlib.sha256(data).hexdigest() == entry.sha256:
            return schemas.check(open_proven(data, name), schemas.SAMPLE, name)
        table = schemas.check(unseal(data, name), schemas.SAMPLE, name)
        if shard_digest(map(sample_digest, samples(table))) != entry.digest:
            raise CorruptError(f"{name} is not what its manifest names; import it again")
        return table

    def index(self, shards: range) -> pa.Table:
        """What every sample of some shards is, in order (`INDEX`); no image is read.

        Raises:
            CorruptError: the object is damaged; importing the benchmark again mends it.
        """
        return self._index.rows(self.starts[shards.start], self.starts[shards.stop])

    def index_parts(self, shards: int) -> Iterator[pa.Table]:
        """The index of the first so many shards, some thousands of samples at a time.

        Raises as `index` does.
        """
        return self._index.parts(self.starts[shards])

    def index_columns(self, names: Sequence[str]) -> pa.Table:
        """Some columns of the index, of all samples; raises as `index` does."""
        parts = list(self._index.columns(names))
        return pa.concat_tables(parts) if parts else INDEX.empty_table().select(list(names))

    @cached_property
    def _index(self) -> Index:
        path = self._place.order
        return Index(self._read_or(path, self._make_index), path, self.manifest.samples)

    def digests(self, shard: int) -> list[bytes]:
        """The digests of the samples of a shard, in order; raises as `index` does."""
        start, size = self.starts[shard], self.manifest.shards[shard].samples
        found: list[bytes] = self._digests.slice(start, size).to_pylist()
        return found

    @cached_property
    def _digests(self) -> pa.ChunkedArray:
        path = self._place.digests
        data = self._read_or(path, lambda: digests_object(self._entries()))
        return read_digests(data, path, self.manifest.samples)

    def _read_or(self, path: str, make: Callable[[], bytes]) -> bytes:
        try:
            return self._objects.read(path)
        except FileNotFoundError:  # the shards tell all of it but the places
            return make()

    def _make_index(self) -> bytes:
        return index_object(self._entries(), {})

    def _entries(self) -> list[SpoolEntry]:
        numbers = range(len(self.manifest.shards))
        return [entry_of(sample) for number in numbers for sample in self.samples(number)]

    def places(self, asks: Collection[Asks], shards: int) -> NDArray[np.int32] | None:
        """Where each sample that asks for one of these stood in the source; None: nobody knows.

        Those of the first `shards` shards, in their order.

        Raises:
            CorruptError: the object is damaged; importing the benchmark again mends it.
        """
        places = self._numbers.places[: self.starts[shards]]
        if (places == UNKNOWN).any():
            return None
        return places[self._own(asks, shards)]

    def clusters(self, asks: Collection[Asks], shards: int) -> NDArray[np.int32]:
        """The source of each of the same samples, as a number; one without has one of its own.

        Raises as `places` does.
        """
        return self._numbers.clusters[: self.starts[shards]][self._own(asks, shards)]

    def _own(self, asks: Collection[Asks], shards: int) -> NDArray[np.bool_]:
        codes = [ASKS.index(word) for word in asks]
        return np.isin(self._numbers.asks[: self.starts[shards]], codes)

    @cached_property
    def _numbers(self) -> Numbers:
        return numbers_of(self._index.columns(COLUMNS), len(self._index))

    def asks(self, shard: int) -> list[tuple[str, Asks]]:
        """The samples of one shard in order, by id, and what each asks for; no image is read."""
        told = self.index(range(shard, shard + 1))
        return list(zip(told["sample_id"].to_pylist(), told["asks"].to_pylist(), strict=True))

    def samples(self, shard: int) -> list[Sample]:
        """One shard as samples, in their fixed order."""
        return samples(self.table(shard))

    def samples_in_words(self, shard: int) -> list[Sample]:
        """The same without their own pictures, most of what there is to read of a sample."""
        return samples(self.table(shard).drop_columns(["images"]))


def benchmark_refs(objects: Objects) -> list[str]:
    """Every `<name>-<fingerprint>` in the store."""
    return objects.names(BENCHMARKS)


def find_benchmark(objects: Objects, name: str) -> Benchmark:
    """Open a benchmark by its full reference, or by name when only one has it.

    Of several that grew one from the other it is the last.

    Raises:
        BenchmarkError: none has that name, or several have and a fingerprint must be given.
    """
    refs = benchmark_refs(objects)
    matches = [r for r in refs if r == name] or [r for r in refs if benchmark_name(r) == name]
    if len(matches) > 1:
        opened = {ref: Benchmark(objects, ref) for ref in matches}
        outgrown = {benchmark.manifest.grown_from for benchmark in opened.values()}
        last = [ref for ref in matches if ref not in outgrown]
        if len(last) == 1:
            return opened[last[0]]
        raise BenchmarkError(f"{name!r} is one of {', '.join(matches)}; give the full name")
    return Benchmark(objects, matches[0] if matches else name)
