"""In which order a benchmark's samples stand, and how they are cut into shards.

A benchmark that was imported under its name before keeps its shards: what is still there stays
where it stood, what is new takes the place of what is gone from the same stratum, and the rest is
appended in shards of its own. So a shard changes only when one of its samples does.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from medgen.engine.benchmark.manifest import Benchmark, Manifest, benchmark_refs
from medgen.engine.benchmark.spool import SpoolEntry
from medgen.engine.errors import BenchmarkError, CorruptError
from medgen.engine.store.layout import benchmark_name
from medgen.engine.store.objects import Objects

_GOLDEN = 0x9E3779B97F4A7C15  # the golden ratio's fraction, in units of 2**-64
Stratum = tuple[str, str, str]  # format, task, modality
log = logging.getLogger("medgen")


@dataclass(frozen=True, slots=True)
class Cut:
    """How samples become shards: what is cut otherwise shares none."""

    size: int
    seed: int
    subset: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A benchmark that is in the store already: the ids of its samples in each shard."""

    ref: str
    shards: tuple[tuple[str, ...], ...]
    strata: Mapping[str, Stratum] = field(default_factory=dict)  # by id


def find_standing(objects: Objects, name: str, cut: Cut, ids: Iterable[str]) -> Standing | None:
    """The benchmark of that name and cut which shares most samples; None when none shares any.

    Of several that share as many, the one with fewest others.
    """
    wanted = frozenset(ids)
    found: dict[tuple[int, int, str], Standing] = {}
    for ref in benchmark_refs(objects):
        if benchmark_name(ref) != name or (standing := _open(objects, ref, cut)) is None:
            continue
        shared = len(wanted & standing.strata.keys())
        found[shared, -len(standing.strata), ref] = standing
    best = max(found, default=(0, 0, ""))
    return found[best] if best[0] else None


def _open(objects: Objects, ref: str, cut: Cut) -> Standing | None:
    try:
        benchmark = Benchmark(objects, ref)
        if _cut_of(benchmark.manifest) != cut:
            return None
        rows = benchmark.index_columns(["sample_id", "format", "task", "modality"]).to_pylist()
    except (BenchmarkError, CorruptError) as err:
        log.warning("%s cannot be built upon: %s", ref, err)
        return None
    ends = [0]
    for shard in benchmark.manifest.shards:
        ends.append(ends[-1] + shard.samples)
    ids = [row["sample_id"] for row in rows]
    shards = tuple(tuple(ids[a:b]) for a, b in pairwise(ends))
    strata = {row["sample_id"]: (row["format"], row["task"], row["modality"]) for row in rows}
    return Standing(ref, shards, strata)


def _cut_of(manifest: Manifest) -> Cut:
    return Cut(manifest.shard_size, manifest.order_seed, manifest.subset)


def lay_out(
    entries: Sequence[SpoolEntry], cut: Cut, standing: Standing | None = None
) -> list[list[SpoolEntry]]:
    """The samples in shards: those that stand where they stood, then the others."""
    old = standing or Standing("", ())
    known = {entry.id: entry for entry in entries}
    fresh = stratify([e for e in entries if e.id not in old.strata], cut.seed)
    # Samples that are gone leave holes, which new ones of the same stratum fill in their order.
    fillers: dict[Stratum, list[SpoolEntry]] = defaultdict(list)
    for entry in reversed(fresh):
        fillers[_stratum(entry)].append(entry)
    placed: set[str] = set()

    def stand(name: str) -> SpoolEntry | None:
        if name in known:
            return known[name]
        waiting = fillers[old.strata[name]]
        if not waiting:
            return None
        placed.add(waiting[-1].id)
        return waiting.pop()

    shards = [[e for name in ids if (e := stand(name))] for ids in old.shards]
    rest = [entry for entry in fresh if entry.id not in placed]
    shards += [rest[at : at + cut.size] for at in range(0, len(rest), cut.size)]
    return [shard for shard in shards if shard]


def stratify(entries: Sequence[SpoolEntry], seed: int) -> list[SpoolEntry]:
    """A seeded order in which every prefix is an unbiased sample.

    Entries are sorted by format, task and modality, at random within; the i-th then stands at
    the fraction of u + i x golden ratio, with one random u. Multiples of the golden ratio fall
    evenly over every run of entries, so a prefix holds its share of every format, task and
    stratum, give or take one or two; and u being uniform, every sample is as likely as any other
    to be in it. Random numbers are hashes of the seed and the id: equal on every machine,
    whatever the order of the input.
    """
    ranked = sorted(entries, key=lambda e: (*_stratum(e), _draw(seed, e.id)))
    start = int.from_bytes(_draw(seed, "")[:8])
    places = {entry.id: (start + i * _GOLDEN) % 2**64 for i, entry in enumerate(ranked)}
    return sorted(ranked, key=lambda entry: places[entry.id])


def _stratum(entry: SpoolEntry) -> Stratum:
    return entry.format, entry.task, entry.modality


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def grown(before: Manifest, now: Manifest) -> str:
    """What a benchmark shares with the one that it grew from, in words."""
    old = {shard.digest for shard in before.shards}
    kept = [shard for shard in now.shards if shard.digest in old]
    rest = now.samples - sum(shard.samples for shard in kept)
    return (
        f"{len(kept)} of its {len(before.shards)} shards are kept; {rest} samples are in shards "
        "that are new or changed, and only those are run again"
    )
