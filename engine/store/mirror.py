"""Weights of the model hub in the store: staged once, and fetched once by each machine.

What is fetched lies in the hub's own cache, under its own names, so that libraries find a model by
name and commit as if they had downloaded it. Of several workers on a machine one fetches, under a
lock that its death frees; the others wait and find it there.
"""

import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from medgen.engine.codec import decode, encode
from medgen.engine.errors import CorruptError
from medgen.engine.store.layout import WeightsPlace
from medgen.engine.store.objects import Objects

log = logging.getLogger(__name__)

PART_BYTES = 64 * 2**20  # of an object; a worker holds one in memory
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+", re.ASCII)
_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One file of a model; its parts are objects named by their sha256."""

    name: str
    size: int
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Staged:
    """A model at a commit, whole."""

    model: str
    commit: str
    files: tuple[StagedFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def find_staged(objects: Objects, model: str, commit: str) -> Staged | None:
    """What the store has of a model; None where it is not all there.

    Raises:
        CorruptError: its manifest is none.
    """
    place = WeightsPlace(model, commit)
    try:
        data = objects.read(place.manifest)
    except FileNotFoundError:
        return None
    found = decode(Staged, data, f"{place.manifest}: not a list of files")
    for file in found.files:
        if any(name in ("", ".", "..") for name in re.split(r"[/\\]", file.name)):
            raise CorruptError(f"{place.manifest}: {file.name!r} leads out of its folder")
    return found


def stage(
    objects: Objects, model: str, commit: str, folder: Path, part_bytes: int = PART_BYTES
) -> Staged:
    """Put the files of a folder into the store, the manifest last; twice is once."""
    place = WeightsPlace(model, commit)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    kept = tuple(_stage_file(objects, place, folder, path, part_bytes) for path in files)
    whole = Staged(model, commit, kept)
    objects.create(place.manifest, encode(whole))
    return whole


def fetch_all(objects: Objects, recipe: object) -> None:
    """See that every model of a recipe that the store has lies in this machine's cache."""
    for model, commit in sorted(set(models_of(recipe))):
        if found := find_staged(objects, model, commit):
            started = time.monotonic()
            count = fetch(objects, found, hub_cache())
            if count:
                seconds = time.monotonic() - started
                log.info("%s: %d files from the store in %.1f s", model, count, seconds)


def fetch(objects: Objects, whole: Staged, cache: Path) -> int:
    """Put what this machine lacks of a model into the hub's cache: how many files that were.

    Raises:
        CorruptError: the store holds other bytes than were staged.
    """
    home = cache / f"models--{whole.model.replace('/', '--')}"
    folder = home / "snapshots" / whole.commit
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(home / f"{whole.commit}.lock"):
        lacking = [file for file in whole.files if not _is_there(folder / file.name, file.size)]
        for file in lacking:
            _fetch_file(objects, WeightsPlace(whole.model, whole.commit), file, folder / file.name)
    return len(lacking)


def models_of(recipe: object) -> Iterator[tuple[str, str]]:
    """The models of a recipe that have a name of the hub and a commit, with those inside it."""
    if isinstance(recipe, list | tuple):
        for inner in recipe:
            yield from models_of(inner)
    if not isinstance(recipe, Mapping):
        return
    load = recipe.get("load")
    outer = load.get("revision") if isinstance(load, Mapping) else None
    revision = recipe.get("revision") or outer
    model = recipe.get("model") or recipe.get("path")
    if is_pinned(model, revision):
        yield str(model), str(revision)
    for inner in recipe.values():
        yield from models_of(inner)


def is_pinned(model: object, revision: object) -> bool:
    """Whether a name and a revision are those of a model of the hub at a commit."""
    named = isinstance(model, str) and _HUB_NAME.fullmatch(model) and not Path(model).is_dir()
    return bool(named) and isinstance(revision, str) and bool(_COMMIT.fullmatch(revision))


def hub_cache() -> Path:
    """Where the hub's libraries look for models on this machine."""
    if named := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(named).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("HF_HOME", f"{caches}/huggingface")).expanduser() / "hub"


def _stage_file(
    objects: Objects, place: WeightsPlace, folder: Path, path: Path, part_bytes: int
) -> StagedFile:
    parts, size = [], 0
    with path.open("rb") as source:
        while data := source.read(part_bytes):
            parts.append(hashlib.sha256(data).hexdigest())
            objects.create(place.part(parts[-1]), data)
            size += len(data)
    return StagedFile(path.relative_to(folder).as_posix(), size, tuple(parts))


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _fetch_file(objects: Objects, place: WeightsPlace, file: StagedFile, target: Path) -> None:
    """The file under its name once it is whole; one that was cut short is written again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.half")
    with half.open("wb") as sink:
        for part in file.parts:
            data = objects.read(place.part(part))
            if hashlib.sha256(data).hexdigest() != part:
                raise CorruptError(f"{place.part(part)}: other bytes than were staged")
            sink.write(data)
    half.replace(target)
