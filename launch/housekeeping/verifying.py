"""Proves a run: every object against the digest that it carries, or that its manifest names."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.errors import BenchmarkError, CorruptError
from medgen.engine.plan.plan import Plan
from medgen.engine.results.publishing import read_note
from medgen.engine.run.editions import check_record
from medgen.engine.run.needs import needs
from medgen.engine.run.repair import Damage, damaged_samples, packs_without_index
from medgen.engine.store.layout import (
    QUARANTINE,
    BenchmarkPlace,
    RunPlace,
    is_identity,
    sample_shard,
)
from medgen.engine.store.objects import Objects
from medgen.engine.store.sealed import unseal

_AT_ONCE = 8  # each is a whole object in memory


@dataclass(frozen=True, slots=True)
class Proof:
    """What was looked at, and what of it is not what was written."""

    objects: int
    proven: int  # by a digest; the others only could be read
    damages: tuple[Damage, ...]


def verify_run(objects: Objects, plan: Plan) -> Proof:
    """Read every object of a run.

    Rows carry their sha256, that of samples stands in the manifest, that of tables in the note
    beside them, and identities are proven by the names that they gave; other objects have none and
    are read. What is in quarantine is known to be damaged and is passed over.

    Raises:
        StoreError: the store cannot be read.
    """
    looked = dict(_samples(objects, plan.benchmark))
    digests = list(_digests(objects, plan))
    looked |= {found.path: found for found in digests if isinstance(found, Damage)}
    looked |= {found.path: found for found in packs_without_index(objects, plan)}
    named = dict(found for found in digests if not isinstance(found, Damage))
    paths = {p for p in needs(objects, plan).all if f"/{QUARANTINE}/" not in p} | set(named)

    def look(path: str) -> Damage | bool:
        try:
            return prove(path, objects.read(path), named.get(path, ""))
        except FileNotFoundError:
            return Damage(path, f"{path} is missing")
        except CorruptError as err:
            return Damage(path, str(err))

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        left = sorted(paths - set(looked))
        looked |= dict(zip(left, threads.map(look, left), strict=True))
    damages = sorted((d for d in looked.values() if isinstance(d, Damage)), key=lambda d: d.path)
    return Proof(len(looked), sum(found is True for found in looked.values()), tuple(damages))


def prove(path: str, data: bytes, digest: str = "") -> bool:
    """Whether an object carries a digest, or `digest` is known of it, and the bytes are those.

    Raises:
        CorruptError: the bytes are not what was written; names the object.
    """
    if digest and hashlib.sha256(data).hexdigest() != digest:
        raise CorruptError(f"{path} is not the object that was written: its sha256 differs")
    kind = path.rpartition(".")[2]
    if kind == "arrow":
        unseal(data, path)
        return True
    if is_identity(path.rpartition("/")[2]):
        check_record(path, data)
        return True
    if kind == "json":
        try:
            json.loads(data)
        except ValueError as err:
            raise CorruptError(f"{path}: not JSON ({err})") from err
    return bool(digest)


def _samples(objects: Objects, ref: str) -> Iterator[tuple[str, Damage | bool]]:
    """Every shard of the benchmark, and whether it is what the manifest names."""
    try:
        damaged = {damage.path: damage for damage in damaged_samples(objects, ref)}
        shards = Benchmark(objects, ref).manifest.shards
    except (BenchmarkError, CorruptError) as err:
        place = BenchmarkPlace(ref).manifest
        yield place, Damage(place, str(err))
        return
    for path in (sample_shard(entry.digest) for entry in shards):
        yield path, damaged.get(path, True)


def _digests(objects: Objects, plan: Plan) -> Iterator[tuple[str, str] | Damage]:
    """The sha256 of the parts of tables, by path; a note on them that cannot be read."""
    place = BenchmarkPlace(plan.benchmark)
    for note in (place.samples_whole, RunPlace(plan.run_id).tables_whole):
        try:
            for whole in read_note(objects, note).values():
                yield from whole["parts"].items()
        except CorruptError as err:
            yield Damage(note, str(err))


def words(proof: Proof) -> Iterator[str]:
    """The proof as lines for people."""
    for damage in proof.damages:
        yield f"damaged: {damage.why}"
    without = proof.objects - proof.proven - len(proof.damages)
    yield (
        f"{proof.proven} of {proof.objects} objects proven by digest, {without} carry none and "
        f"could be read, {len(proof.damages)} damaged"
    )
