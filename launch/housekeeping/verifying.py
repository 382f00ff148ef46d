"""Proves a run: every object against the digest that it carries, or that another names."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.codec import check_seal
from medgen.engine.errors import BenchmarkError, CorruptError, StoreError
from medgen.engine.plan.plan import Plan
from medgen.engine.run.editions import check_record
from medgen.engine.run.folder import RunFolder, check_log
from medgen.engine.run.needs import needs
from medgen.engine.run.repair import Damage, damaged_samples, packs_without_index
from medgen.engine.store.known_layout import carries_seal, is_known, is_owed_note
from medgen.engine.store.layout import (
    QUARANTINE,
    BenchmarkPlace,
    RunPlace,
    is_identity,
    sample_shard,
    shard_of,
)
from medgen.engine.store.objects import Objects
from medgen.engine.store.packs import PackedObjects
from medgen.engine.store.sealed import unseal
from medgen.engine.store.shards import check_place
from medgen.engine.threads import in_threads
from medgen.launch.housekeeping.digests import named_digests, recipes
from medgen.launch.housekeeping.missing import damaged_lists, missing, strays_in_packs

_AT_ONCE = 8  # each is a whole object in memory
Looked = dict[str, Damage | bool]


@dataclass(frozen=True, slots=True)
class Proof:
    """What was looked at, and what of it is not what was written."""

    objects: int
    proven: int  # by a digest; the others only could be read
    damages: tuple[Damage, ...]
    additional: tuple[str, ...] = ()  # paths that nothing here gives to an object


def verify(objects: Objects, run_id: str) -> Proof:
    """Read every object of a run; where its plan cannot be read, those of its folder.

    Raises:
        StoreError: the store cannot be read.
    """
    place = RunPlace(run_id)
    try:
        plan = RunFolder(objects, run_id).plan()
    except CorruptError as err:
        damage = Damage(place.plan, str(err))
    except StoreError:
        if place.plan in (paths := objects.walk(place.folder)) or not paths:
            raise
        damage = Damage(place.plan, f"{place.plan} is missing")
    else:
        return verify_run(objects, plan)
    left = {p for p in objects.walk(place.folder) if not p.startswith(place.drivers)}
    looked = _look_at_all(objects, left - {place.plan}, {}, None)
    return _proof(looked | {place.plan: damage}, left)


def verify_run(objects: Objects, plan: Plan) -> Proof:
    """Read every object of a run.

    Rows carry their sha256 and where they belong, and so do plan, status, orders, logs, notes and
    identities; that of samples stands in the manifest, those of tables and reports in notes beside
    them, and recipes are those of the plan. What has none is read. What is in quarantine is known
    to be damaged and is passed over.

    Raises:
        StoreError: the store cannot be read.
    """
    looked: Looked = dict(_samples(objects, plan.benchmark))
    unreadable = list(packs_without_index(objects, plan))  # which are passed over from now on
    found = needs(objects, plan)
    paths = {path for path in found.all if f"/{QUARANTINE}/" not in path}
    named, damages = named_digests(objects, plan)
    named |= {path: sha256 for path, sha256 in recipes(plan) if path in paths}
    lost = [*damages, *unreadable, *damaged_lists(objects, plan)]
    lost += missing(objects, plan, paths)
    looked |= _look_at_all(objects, (paths | set(named)) - set(looked), named, plan)
    looked |= {damage.path: damage for damage in lost}
    return _proof(looked, paths | set(strays_in_packs(objects, plan)))


def _proof(looked: Looked, paths: set[str]) -> Proof:
    damages = sorted((d for d in looked.values() if isinstance(d, Damage)), key=lambda d: d.path)
    proven = sum(found is True for found in looked.values())
    additional = tuple(sorted(path for path in paths if not is_known(path)))
    return Proof(len(looked), proven, tuple(damages), additional)


def _look_at_all(
    objects: Objects, paths: set[str], named: Mapping[str, str], plan: Plan | None
) -> Looked:
    found = zip(
        paths, in_threads(partial(_look, objects, named, plan), paths, _AT_ONCE), strict=True
    )
    return {path: seen for path, seen in found if seen is not None}


def _look(
    objects: Objects, named: Mapping[str, str], plan: Plan | None, path: str
) -> Damage | bool | None:
    """Whether an object is proven; None: it went since it was listed, as parts do."""
    digest = named.get(path, "")
    try:
        return prove(path, objects.read(path), digest)
    except FileNotFoundError:
        gone = Damage(path, f"{path} is missing")
        return gone if digest and _is_still_named(objects, plan, path, digest) else None
    except CorruptError as err:
        still = not digest or _is_still_named(objects, plan, path, digest)
        return Damage(path, f"{err}{_where(objects, path)}") if still else False


def _where(objects: Objects, path: str) -> str:
    pack = objects.pack_of(path) if isinstance(objects, PackedObjects) else ""
    return f" (it lies in {pack})" if pack else ""


def _is_still_named(objects: Objects, plan: Plan | None, path: str, digest: str) -> bool:
    """Whether a run that goes on has not written it anew since the notes were read."""
    if plan is None:
        return True
    return (named_digests(objects, plan)[0] | dict(recipes(plan))).get(path) == digest


def prove(path: str, data: bytes, digest: str = "") -> bool:
    """Whether an object carries a digest, or `digest` is known of it, and the bytes are those.

    Raises:
        CorruptError: the bytes are not what was written; names the object.
    """
    if digest and hashlib.sha256(data).hexdigest() != digest:
        raise CorruptError(f"{path} is not the object that was written: its sha256 differs")
    name = path.rpartition("/")[2]
    if name.endswith(".arrow"):
        table = unseal(data, path)
        if shard_of(name):
            check_place(table, path)
    elif name.endswith(".jsonl"):
        check_log(data, path)
    elif carries_seal(path):
        _check_sealed(path, data)
    elif is_owed_note(name):
        _check_owed_note(path, data)
    else:
        _check_plain(path, data)
        return bool(digest)
    return True


def _check_sealed(path: str, data: bytes) -> None:
    check_seal(data, f"{path}: not what was written")
    if is_identity(path.rpartition("/")[2]):
        check_record(path, data)


def _check_owed_note(path: str, data: bytes) -> None:
    if data != b"{}":
        raise CorruptError(f"{path}: not a note that rows are owed")


def _check_plain(path: str, data: bytes) -> None:
    """What can be seen of an object that carries no digest."""
    if not path.endswith(".json"):
        return
    try:
        json.loads(data)
    except ValueError as err:
        raise CorruptError(f"{path}: not JSON ({err})") from err


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


def words(proof: Proof) -> Iterator[str]:
    """The proof as lines for people."""
    for damage in proof.damages:
        yield f"damaged: {damage.why}"
    for path in proof.additional:
        yield f"additional: {path} is none of the objects that a run has"
    without = proof.objects - proof.proven - len(proof.damages)
    yield (
        f"{proof.proven} of {proof.objects} objects proven by digest, {without} carry none and "
        f"could be read, {len(proof.damages)} damaged"
    )
