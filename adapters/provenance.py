"""What a folder of weights is, for passports: a digest, and whether the weights are random."""

import hashlib
import json
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Larger files are known by size, head and tail: hashing 40 GB would cost minutes at every start.
_WHOLE_BELOW = 64 * 2**20
_EDGE = 2**20
_COMMIT = re.compile("[0-9a-f]{40}")
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+", re.ASCII)  # owner/name


def weights(model: str, revision: str | None = None) -> dict[str, Any]:
    """Where weights come from, as JSON. Ask after they were loaded.

    A folder gives `folder_sha256`, a hub name the `commit` that its revision stood for when it
    was loaded, and `unpinned` where that is no commit itself; weights that a marker calls random
    give `random_weights`, which every table that shows their scores must repeat. A file beside
    them may say `about` what they are.
    """
    found: dict[str, Any] = {}
    if Path(model).is_dir():
        found["folder_sha256"] = folder_digest(Path(model))
    else:
        if known := _commit(model, revision):
            found["commit"] = known
        if is_unpinned(model, revision):
            found["unpinned"] = True
    if marker := random_weights(model):
        found |= {"random_weights": True, "random_seed": marker.get("seed")}
    if (told := Path(model) / ABOUT).is_file():
        found["about"] = json.loads(told.read_text(encoding="utf-8"))
    return found


def is_unpinned(model: str, revision: str | None) -> bool:
    """Whether a name of the hub has no commit as its revision, so that its weights may change."""
    return is_hub_name(model) and not _COMMIT.fullmatch(revision or "")


def is_hub_name(model: str) -> bool:
    """Whether weights are named as the hub names them, and no folder of that name is here."""
    return bool(_HUB_NAME.fullmatch(model)) and not Path(model).is_dir()


def _commit(model: str, revision: str | None) -> str | None:
    """The commit behind a hub name, from the hub's cache here; None where that is not known."""
    if _COMMIT.fullmatch(revision or ""):
        return revision
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    for file in ("model_index.json", "config.json"):
        try:
            found = try_to_load_from_cache(model, file, revision=revision)
        except ValueError:  # no name that the hub could have
            return None
        if isinstance(found, str):
            return Path(found).parent.name
    return None


def folder_digest(folder: Path, pattern: str = "*") -> str:
    """64 hex digits over the relative name, size and content of every file that fits the pattern.

    Of a file of 64 MiB or more only the first and the last MiB are read.
    """
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.rglob(pattern) if p.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder).as_posix()}\0{size}\0".encode())
        with file.open("rb") as source:
            if size < _WHOLE_BELOW:
                digest.update(source.read())
            else:
                digest.update(source.read(_EDGE))
                source.seek(-_EDGE, 2)
                digest.update(source.read(_EDGE))
    return digest.hexdigest()


def versions(*packages: str) -> Mapping[str, str]:
    """Versions of those packages that are installed here."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


MARKER = "RANDOM_WEIGHTS.json"
ABOUT = "about.json"  # what weights are, where their name does not say it


def random_weights(directory: str | Path) -> Mapping[str, Any] | None:
    """What the marker says when the weights under `directory` are random, else None.

    A name that is no directory here (a hub id, say) has no marker.
    """
    marker = Path(directory) / MARKER
    if not marker.is_file():
        return None
    found: Mapping[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
    return found
