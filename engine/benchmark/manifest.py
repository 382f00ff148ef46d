"""A benchmark in the store: sealed shards of samples and the manifest that fixes them."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medgen.engine.codec import decode, plain
from medgen.engine.data import Sample
from medgen.engine.errors import BenchmarkError, CorruptError
from medgen.engine.store import schemas
from medgen.engine.store.layout import BENCHMARKS, BenchmarkPlace, benchmark_name, benchmark_ref
from medgen.engine.store.objects import Objects
from medgen.engine.store.sealed import unseal

MANIFEST_VERSION = "benchmark/1"


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard of samples: how many of each format, and the sha256 of its object."""

    samples: int
    formats: Mapping[str, int]
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a benchmark is. The fingerprint covers every sample, in order, and the cut."""

    name: str
    fingerprint: str
    shard_size: int
    order_seed: int
    shards: tuple[ShardEntry, ...]
    formats: Mapping[str, int]
    tasks: Mapping[str, int]
    modalities: Mapping[str, int]
    source: Mapping[str, Any] = field(default_factory=dict)
    subset: str | None = None
    notes: tuple[str, ...] = ()  # e.g. "made of pictures shipped with scikit-image"
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
        return json.dumps(plain(self), indent=1, sort_keys=True).encode()


def manifest_from_json(data: bytes, name: str) -> Manifest:
    """Read a stored manifest.

    Raises:
        CorruptError: it is not JSON, lacks a field, or has another version.
    """
    made = decode(Manifest, data, f"{name}: not a manifest of this version")
    if made.version != MANIFEST_VERSION:
        raise CorruptError(f"{name}: version {made.version}, not {MANIFEST_VERSION}")
    return made


def order_table(rows: Iterable[tuple[str, int]]) -> pa.Table:
    """The format of every sample, in the benchmark's order, and where it stood in the source."""
    formats, places = zip(*rows, strict=True)
    return pa.table({"format": pa.array(formats), "place": pa.array(places, pa.int64())})


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

    def table(self, shard: int) -> pa.Table:
        """One shard as it is stored, proven whole.

        Raises:
            CorruptError: the object is missing or is not the one the manifest names.
        """
        name = self._place.shard(shard)
        try:
            data = self._objects.read(name)
        except FileNotFoundError as err:
            raise CorruptError(f"{name} is missing; import the benchmark again") from err
        if hashlib.sha256(data).hexdigest() != self.manifest.shards[shard].sha256:
            raise CorruptError(f"{name} is not the object its manifest names; import it again")
        return schemas.check(unseal(data, name), schemas.SAMPLE, name)

    def places(self, formats: Sequence[str]) -> NDArray[np.int64] | None:
        """Where each sample of some formats stood in the source; None where nobody knows.

        Raises:
            CorruptError: the object is damaged; importing the benchmark again mends it.
        """
        try:
            data = self._objects.read(self._place.order)
        except FileNotFoundError:
            return None
        table = unseal(data, self._place.order)
        own = table.filter(pc.is_in(table["format"], value_set=pa.array(formats, pa.string())))
        places: NDArray[np.int64] = own["place"].to_numpy()
        return places

    def samples(self, shard: int) -> list[Sample]:
        """One shard as samples, in their fixed order."""
        return schemas.samples(self.table(shard))


def benchmark_refs(objects: Objects) -> list[str]:
    """Every `<name>-<fingerprint>` in the store."""
    return objects.names(BENCHMARKS)


def find_benchmark(objects: Objects, name: str) -> Benchmark:
    """Open a benchmark by its full reference, or by name when only one has it.

    Raises:
        BenchmarkError: none has that name, or several have and a fingerprint must be given.
    """
    refs = benchmark_refs(objects)
    matches = [r for r in refs if r == name] or [r for r in refs if benchmark_name(r) == name]
    if len(matches) > 1:
        raise BenchmarkError(f"{name!r} is one of {', '.join(matches)}; give the full name")
    return Benchmark(objects, matches[0] if matches else name)
