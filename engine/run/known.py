"""What was seen when all of a run was there, noted so that its next start need not look again.

A place that tells the MD5 of objects in its listings, as object storage does, proves by them that
nothing of a run's rows has changed since. What would make rows now is held against what was seen
then. Where anything differs, a start looks at everything, as if nothing were noted.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from medgen.engine.codec import decode, fingerprint, with_seal
from medgen.engine.errors import CorruptError
from medgen.engine.plan.plan import Plan
from medgen.engine.run.editions import Terms, seen_of
from medgen.engine.store.layout import RunPlace, StagePlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.pack_layout import PackPlace, is_packed, pack_folder
from medgen.engine.store.packs import PackedObjects
from medgen.engine.threads import in_threads


@dataclass(frozen=True, slots=True)
class Known:
    """A complete run: what made it and where it is, as of a moment."""

    seen: str  # a fingerprint of what can be seen from here of what makes rows
    listed: str  # of the listings of all that its rows are in
    packs: Mapping[str, tuple[str, ...]]  # by stage, the folders of packs with keys of its
    editions: Mapping[str, str] = field(default_factory=dict)  # by key
    rows: str = ""  # a fingerprint of all its rows (`RunReader.rows`)
    # By key, shards that stand at another revision than 0, with that.
    revisions: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)


def see(plan: Plan, terms: Terms) -> str:
    """A fingerprint of what would make rows, and of how it is held against what made them."""
    nodes = {(node.group, node.label): node for node in plan.nodes.values()}
    seen = in_threads(partial(seen_of, plan), nodes.values())
    return fingerprint(sorted(zip(nodes, seen, strict=True)), terms.accept, terms.strict)


def packs_of(objects: PackedObjects, plan: Plan) -> dict[str, tuple[str, ...]]:
    """By stage, the folders of packs that hold objects of a plan's keys."""
    keys: dict[str, set[str]] = {}
    for node in plan.nodes.values():
        if is_packed(node.stage):
            keys.setdefault(node.stage, set()).add(node.key)
    return {stage: objects.folders_of(stage, some) for stage, some in keys.items()}


def listings(objects: PackedObjects, plan: Plan, packs: Mapping[str, tuple[str, ...]]) -> str:
    """A fingerprint of names and MD5s of all objects below a plan's keys, in packs and not.

    Empty where a listing does not tell the MD5 of one: nothing is proven then.
    """
    found = [(stage, objects.inner.names(pack_folder(stage))) for stage in packs]
    plain = {stage: {*objects.plain_keys(stage)} for stage in packs}
    folders = [
        StagePlace(node.stage, node.key).key_folder
        for node in plan.nodes.values()
        if node.stage not in packs or node.key in plain[node.stage]
    ]
    folders += [PackPlace(stage, name).folder for stage, names in packs.items() for name in names]
    told = in_threads(lambda folder: _digest_of(objects, folder), folders)
    return fingerprint(found, sorted(zip(folders, told, strict=True))) if all(told) else ""


def _digest_of(objects: Objects, folder: str) -> str:
    """A digest of what a listing tells of a folder; empty where it does not tell all."""
    whole = hashlib.sha256()
    for name, md5 in sorted(objects.md5s(folder).items()):
        if not md5:
            return ""
        whole.update(f"{name}\n{md5}\n".encode())
    return whole.hexdigest()


def mark(objects: Objects, plan: Plan, terms: Terms) -> Known | None:
    """What is there and seen before somebody looks whether it is all; None: nothing can prove it.

    Whatever changes while that is looked at is proven by no listing of before.
    """
    if not (objects.tells_md5 and isinstance(objects, PackedObjects)):
        return None
    seen, packs = see(plan, terms), packs_of(objects, plan)
    listed = listings(objects, plan, packs)
    return Known(seen, listed, packs) if listed else None


def find_known(objects: Objects, plan: Plan, terms: Terms) -> Known | None:
    """What is noted of a run, all of which is there and the same; None: it is to be looked at."""
    if not (objects.tells_md5 and isinstance(objects, PackedObjects)):
        return None
    noted = None
    with contextlib.suppress(CorruptError):  # all of it can be had again
        noted = read_known(objects, RunPlace(plan.run_id).known)
    if noted is None or noted.editions.keys() != plan.nodes.keys():
        return None
    with ThreadPoolExecutor(1) as threads:  # code is read while the store lists
        seen = threads.submit(see, plan, terms)
        listed = listings(objects, plan, noted.packs)
    return noted if noted.listed == listed != "" and noted.seen == seen.result() else None


def read_known(objects: Objects, path: str) -> Known | None:
    """What is noted of a run; None: nothing is.

    Raises:
        CorruptError: it cannot be read. Whoever starts the run looks at everything instead.
    """
    try:
        data = objects.read(path)
    except FileNotFoundError:
        return None
    return decode(Known, data, f"{path}: no note of a complete run")


def keep_known(objects: Objects, run_id: str, known: Known) -> None:
    """Leave it in the run's folder, in place of what stands there."""
    objects.replace(RunPlace(run_id).known, with_seal(known))
