"""Model weights: what each metric needs, where it lies, and whether it is what it should be.

Nothing is downloaded unless `fetch` is called. Weights lie in `$MEDGEN_WEIGHTS/<name>/`
(default `~/.cache/medgen/weights`). A mirror with the same layout, `$MEDGEN_WEIGHTS_MIRROR`,
a directory or any fsspec URL, is asked first and serves machines without a network.

Where the publisher's hash is known it stands in the table; otherwise the hash of the first fetch
is written beside the weights and every later check holds them to it.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import fsspec

from medgen.engine.beside import read_beside
from medgen.engine.digests import sha256
from medgen.engine.errors import AdapterError, ConfigError

DEFAULT_FOLDER = "~/.cache/medgen/weights"
LOCK = "medgen-weights.json"  # size and sha256 of what was fetched, and from where
RANDOM_MARK = "random_weights.json"  # lies beside weights that were made, not trained
ABOUT = "about.json"  # lies beside weights whose names do not say what they are
_BLOCK = 1 << 22
State = Literal["ok", "random", "partial", "absent"]


class MissingWeightsError(AdapterError):
    """Weights are not on this machine; the message says how to fetch them."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of a set of weights; size in bytes and sha256 where its publisher's are known."""

    path: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """A set of weights under one name."""

    name: str
    purpose: str
    source: str
    files: tuple[WeightFile, ...]
    at: str = ""  # the URL below which the files lie
    by_hand: str = ""  # how to get what cannot be fetched by a URL


_KNOWN = read_beside(__package__, "weights.yaml", tuple[Weights, ...])
KNOWN = {weights.name: weights for weights in _KNOWN}


@dataclass(frozen=True, slots=True)
class Found:
    """A set of weights on this machine."""

    name: str
    state: State
    folder: Path
    size: int  # bytes on this machine
    purpose: str


def folder() -> Path:
    """Where weights lie: `$MEDGEN_WEIGHTS`, else the default."""
    return Path(os.environ.get("MEDGEN_WEIGHTS") or DEFAULT_FOLDER).expanduser()


def locate(name: str) -> Path:
    """The directory of weights, by a known name or as a path.

    Raises:
        MissingWeightsError: it is not there or lacks files; says how to fetch it.
    """
    if name in KNOWN:
        here = folder() / name
        if _state(KNOWN[name], here) in ("ok", "random"):
            return here
        how = _how(KNOWN[name])
        raise MissingWeightsError(f"the weights {name!r} are not in {here}: {how}")
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    raise MissingWeightsError(
        f"{name!r} is neither a directory nor one of {', '.join(KNOWN)}. "
        "Models are never downloaded by name: give the directory of a local copy"
    )


def listing() -> list[Found]:
    """Every known set of weights and its state on this machine."""
    rows = []
    for name, weights in KNOWN.items():
        here = folder() / name
        size = sum(f.stat().st_size for f in here.rglob("*") if f.is_file())
        rows.append(Found(name, _state(weights, here), here, size, weights.purpose))
    return rows


def fetch(name: str) -> Path:
    """Bring weights onto this machine, from the mirror when there is one, and verify them.

    Files that are there and verified stay as they are.

    Raises:
        ConfigError: nobody knows the name.
        AdapterError: they cannot be reached, or are not what they should be.
    """
    weights = _find(name)
    here, mirror = folder() / name, os.environ.get("MEDGEN_WEIGHTS_MIRROR", "")
    place = f"{mirror.rstrip('/')}/{name}" if mirror else weights.at
    if not place:
        raise AdapterError(f"the weights {name!r} cannot be fetched: {_how(weights)}")
    if (here / RANDOM_MARK).exists():
        raise AdapterError(f"{here} holds random weights; remove it, or set MEDGEN_WEIGHTS")
    here.mkdir(parents=True, exist_ok=True)
    expected = _expected_files(weights, here)
    for file in weights.files:
        if not (here / file.path).exists() or _wrong(here, expected[file.path]):
            _copy(f"{place}/{file.path}", here, expected[file.path])
    _write_lock(weights, here, mirror or weights.source)
    return here


def check(name: str) -> list[str]:
    """What is wrong with weights on this machine; empty when every file is what it should be.

    Raises:
        ConfigError: nobody knows the name.
    """
    weights = _find(name)
    here = folder() / name
    if (here / RANDOM_MARK).exists():
        return [f"{here}: random weights; scores made with them mean nothing medically"]
    expected = _expected_files(weights, here)
    return [wrong for file in weights.files if (wrong := _wrong(here, expected[file.path]))]


def identity(here: Path) -> dict[str, Any]:
    """For passports: every weight file's sha256, whether the weights were trained, what they are.

    The last is `about`, where a file beside them says it.
    """
    kinds = (".safetensors", ".bin", ".pth", ".pt", ".th")
    files = sorted(f for f in here.rglob("*") if f.suffix in kinds)
    digests = {str(f.relative_to(here)): sha256(f) for f in files}
    found = {"weights": digests, "random_weights": (here / RANDOM_MARK).exists()}
    if (told := here / ABOUT).is_file():
        found["about"] = json.loads(told.read_text(encoding="utf-8"))
    return found


def mark_random(here: Path, seed: int) -> None:
    """Say beside weights that they are random, so that every passport repeats it."""
    note = {"random_weights": True, "seed": seed, "note": "made, not trained: plumbing only"}
    (here / RANDOM_MARK).write_text(json.dumps(note, indent=1), encoding="utf-8")


def _find(name: str) -> Weights:
    if name not in KNOWN:
        raise ConfigError(f"no weights {name!r}; known are {', '.join(KNOWN)}")
    return KNOWN[name]


def _how(weights: Weights) -> str:
    if weights.by_hand:
        return f"{weights.by_hand} {folder() / weights.name}"
    return f"run `medgen weights fetch {weights.name}`, or set MEDGEN_WEIGHTS to where they are"


def _state(weights: Weights, here: Path) -> State:
    if (here / RANDOM_MARK).exists():
        return "random"
    there = [(here / file.path).exists() for file in weights.files]
    if all(there):
        return "ok"
    return "partial" if any(there) else "absent"


def _expected_files(weights: Weights, here: Path) -> dict[str, WeightFile]:
    """The files with the sizes and hashes of the table, else those of the first fetch."""
    locked = _lock(here)
    return {
        file.path: WeightFile(
            file.path,
            file.size or locked.get(file.path, {}).get("size"),
            file.sha256 or locked.get(file.path, {}).get("sha256"),
        )
        for file in weights.files
    }


def _wrong(here: Path, file: WeightFile) -> str:
    """What is wrong with a file; empty when nothing is."""
    path = here / file.path
    if not path.exists():
        return f"{path}: missing"
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"{path}: {size} bytes, not {file.size}"
    if file.sha256 is None:
        return f"{path}: its sha256 is not known; fetch it once to pin it"
    found = sha256(path)
    return "" if found == file.sha256 else f"{path}: sha256 {found}, not {file.sha256}"


def _copy(source: str, here: Path, file: WeightFile) -> None:
    """Stream a file in under a temporary name; it gets its own name only when it is right."""
    target = here / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    digest = hashlib.sha256()
    try:
        with part.open("xb") as sink:
            for block in _blocks(source):
                digest.update(block)
                sink.write(block)
        found = digest.hexdigest()
        if file.sha256 is not None and found != file.sha256:
            raise AdapterError(f"{source}: sha256 {found}, not {file.sha256}; not kept")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _blocks(source: str) -> Iterator[bytes]:
    try:
        with fsspec.open(source, "rb") as stream:
            while block := stream.read(_BLOCK):
                yield block
    except Exception as err:  # whatever the transport raises, said once, with the address
        where = source if urlsplit(source).scheme != "" else str(Path(source).absolute())
        raise AdapterError(
            f"cannot read {where}: {type(err).__name__} {err}. Without a network, set "
            "MEDGEN_WEIGHTS_MIRROR to a directory with the same layout"
        ) from err


def _lock(here: Path) -> Mapping[str, Any]:
    try:
        files: Mapping[str, Any] = json.loads((here / LOCK).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as err:
        raise AdapterError(f"{here / LOCK} is damaged ({err!r}); remove it and fetch") from err
    return files


def _write_lock(weights: Weights, here: Path, source: str) -> None:
    files = {
        file.path: {
            "size": (here / file.path).stat().st_size,
            "sha256": sha256(here / file.path),
        }
        for file in weights.files
    }
    lock = {"name": weights.name, "source": _without_login(source), "files": files}
    (here / LOCK).write_text(json.dumps(lock, indent=1, sort_keys=True), encoding="utf-8")


def _without_login(source: str) -> str:
    """A source fit for writing down: no user, password or query of a URL."""
    parts = urlsplit(source)
    if not parts.scheme:
        return source
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
