"""The paths of packs, which hold objects of other paths (`engine/store/packs.py`).

packs/<stage>/<together>/{keys.json, <name>-<number>.pack, quarantine/…}
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from medgen.engine.codec import fingerprint
from medgen.engine.errors import ConfigError, CorruptError
from medgen.engine.stages import stage_kind
from medgen.engine.store.layout import STAGES

PACKS = "packs"
RECIPES, IDENTITIES = "recipes", "identities"  # how names begin of packs with nothing else
_PACK = re.compile(r"(.+)-(\d+)\.pack")
_COMMIT = re.compile(r"packs/(\w+)/\w+/(shard|parts)-([^/]+?)(?:-\d+to\d+)?-\d+\.pack")


@dataclass(frozen=True, slots=True)
class PackPlace:
    """Where what is written together of several keys of a stage is."""

    stage: str
    together: str  # stands for all of these keys

    @property
    def folder(self) -> str:
        """Where it is."""
        return f"{pack_folder(self.stage)}/{self.together}"

    @property
    def keys(self) -> str:
        """Which keys these are."""
        return f"{self.folder}/keys.json"

    def pack(self, name: str, number: int) -> str:
        """What was written as one; the next number holds what an earlier one does not."""
        return f"{self.folder}/{name}-{number}.pack"


def name_of(keys: Iterable[str]) -> str:
    """What stands for keys that are made together."""
    return fingerprint("together", sorted(keys))


def keys_bytes(keys: Iterable[str]) -> bytes:
    """The list of keys that stands beside their packs."""
    return json.dumps(sorted(keys)).encode()


def keys_of(data: bytes, place: PackPlace) -> frozenset[str]:
    """The keys that a list beside packs names, proven by the name of the folder.

    Raises:
        CorruptError: it is not the list that gave the name.
    """
    try:
        keys = sorted(map(str, json.loads(data)))
    except (ValueError, TypeError) as err:
        raise CorruptError(f"{place.keys}: not a list of keys ({err})") from err
    if name_of(keys) != place.together:
        raise CorruptError(f"{place.keys} is not the list of keys that its folder is named after")
    return frozenset(keys)


def commit_of_pack(path: str) -> tuple[str, ...] | None:
    """Stage, `shard`, and name, of a pack that is written to commit rows."""
    match = _COMMIT.match(path)
    return match.groups() if match else None


def pack_of_shard(name: str) -> str:
    """The name of packs with a shard of several keys."""
    return f"shard-{name}"


def pack_of_parts(name: str, span: tuple[int, int]) -> str:
    """The name of packs with the same part of a shard of several keys."""
    return f"parts-{name}-{span[0]}to{span[1]}"


def pack_name(file: str) -> tuple[str, int] | None:
    """The name and number that a file name stands for; None: it is no pack's."""
    match = _PACK.fullmatch(file)
    return (match[1], int(match[2])) if match else None


def is_packed(stage: str) -> bool:
    """Whether objects of a stage may lie in packs: what is made for one key alone never does."""
    try:
        return stage_kind(stage).gathers
    except ConfigError:  # of a package that is not here
        return True


def pack_folder(stage: str) -> str:
    """Where the packs of a stage are."""
    return f"{PACKS}/{stage}"


def stage_and_key(path: str) -> tuple[str, str] | None:
    """Of what stage and key a path is, or a folder; None: it is of no key."""
    top, *parts = path.split("/")
    return (parts[0], parts[1]) if top == STAGES and len(parts) > 1 else None


def first_names(paths: Iterable[str], folder: str) -> set[str]:
    """The names directly under a folder, of paths that may be deep below it."""
    begin = f"{folder}/"
    return {path[len(begin) :].partition("/")[0] for path in paths if path.startswith(begin)}


def is_below(path: str, folders: Iterable[str]) -> bool:
    """Whether a path is one of these, or below one."""
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def stage_below(path: str) -> tuple[str, str] | None:
    """Of what stage something is that is removed: an object, a key's folder, or all of a stage."""
    return stage_and_key(f"{path}/")
