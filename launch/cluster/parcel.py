"""The working directory that a job is given: code and configuration, and nothing else.

What goes in is listed, not what stays out: the package, by kind of file, and what the
configuration includes by name. The archive is the same byte for byte whenever its content is, so
that its hash names it and Ray uploads it once.
"""

import hashlib
import importlib.metadata
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medgen.engine.errors import ConfigError
from medgen.engine.redaction import secret_values
from medgen.launch.run.origin import LABEL, PACKAGES, code_identity, package_folder

DISTRIBUTION = "medgen-engine"
RUN_FILE = "medgen-run.yaml"
MIB = 2**20
_KINDS = {".py", ".pyi", ".yaml", ".yml", ".json", ".j2", ".toml", ".txt", ".md", ".cfg", ".ttf"}
# Of what `submit.include` names only code and configuration travels.
_INCLUDED = {".py", ".pyi", ".yaml", ".yml", ".json", ".toml", ".j2", ".jinja", ".jinja2"}
_LARGEST_CONFIG = MIB  # what is larger is data
_SKIPPED = {"__pycache__", ".git"}
_SECRET_FILE = re.compile(
    r"credential|secret|passw(or)?d|passphrase|(auth|access|api|bearer|hf|hub)[-_]?token"
    r"|(^|[-_.])tokens?\.[^.]*$|(api|private|access|ssh|service)[-_]?key|kube-?config|kubelet"
    r"|service[-_]?account|(^|[-_.])(env|netrc|pgpass|htpasswd|keyfile|keystore|vault)\b"
    r"|^id_(rsa|dsa|ecdsa|ed25519)|docker-?config|oauth|(^|[-_.])(keys?|auth)\.(json|ya?ml|toml)$",
    re.IGNORECASE,
)
_SECRET_TEXT = {
    "a private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY|AGE-SECRET-KEY-1",
    "a cluster's key": rb"client-key-data|\"auths\"\s*:",
    "a key of AWS": rb"\b(AKIA|ASIA)[0-9A-Z]{16}\b|aws_secret_access_key\s*[=:]\s*[^\s$]",
    "a key of a storage account": rb"\bAccountKey=[\w+/]{40}|[?&]sig=[\w%+/-]{20}",
    "a signed token": rb"\beyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16}|\bya29\.[\w-]{20}",
    "a webhook": rb"hooks\.slack\.com/services/T\w+/B\w+/\w{8}",
    "a header with a token": rb"\bBearer [A-Za-z0-9._~+/-]{24}",
    "an access token": (
        rb"\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22}|glpat-[\w-]{20}|hf_[A-Za-z0-9]{30}"
        rb"|sk-[A-Za-z0-9_-]{32}|xox[abprs]-[\w-]{10}|AIza[\w-]{35}|gsk_\w{40}|(xai|nvapi|pplx)-[\w-]{40}"
        rb"|r8_\w{30}|npm_\w{36}|pypi-AgE[\w-]{30}|[sr]k_live_\w{20}|dapi[0-9a-f]{32})"
    ),
    "a password in a URL": rb"[a-z][a-z0-9+.-]*://[^\s/:@{}$<>\"']+:[^\s/:@{}$<>\"']+@[\w.-]+",
}
# In a configuration a field that is named for one; a variable's name stands behind `$`.
_SECRET_FIELD = re.compile(
    rb"^[\s{,-]*[\"']?(api[-_]?key|(access|auth|api)[-_]?token|passw(or)?d|passwd|client[-_]?secret"
    rb"|secret[-_]?key|private[-_]?key)[\"']?\s*[:=]\s*[\"']?[^\s\"'$#{<\[]{8}",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A working directory as one archive."""

    content: Mapping[str, bytes]  # path -> bytes
    digest: str  # sha256 of paths and contents, 16 hex digits

    @property
    def size(self) -> int:
        """Bytes before compression."""
        return sum(len(data) for data in self.content.values())

    def archive(self) -> bytes:
        """A zip file; the same content gives the same bytes."""
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(self.content):
                entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, self.content[path])
        return sink.getvalue()


def pack(
    config: str,
    include: Sequence[str],
    most_mib: float,
    root: Path | None = None,
    own: Mapping[str, bytes] | None = None,
) -> Parcel:
    """Collect the code, the composed configuration and the files included by name.

    Args:
        config: YAML of the run; named environment variables, no keys.
        include: files or directories relative to `root` that the run's own adapters need.
        most_mib: refuse more than this, before compression.
        root: where includes are looked up; by default the current directory.
        own: further files by name: modules that lie beside the run's file.

    Raises:
        ConfigError: an include leaves the root, looks like a secret or holds one, or all is too
            large; the largest files are named.
    """
    content = dict(_code())
    content |= _read_included(root or Path.cwd(), include)
    content |= own or {}
    content |= {RUN_FILE: config.encode()} | _metadata()
    _refuse_secrets(content)
    digest = _digest(content)
    label = {"digest": digest, "code": code_identity()}
    parcel = Parcel(content | {LABEL: json.dumps(label).encode()}, digest)
    if parcel.size > most_mib * MIB:
        largest = sorted(content, key=lambda p: -len(content[p]))[:5]
        named = ", ".join(f"{p} {len(content[p]) / MIB:.1f} MiB" for p in largest)
        raise ConfigError(
            f"the working directory is {parcel.size / MIB:.1f} MiB, more than "
            f"submit.most_mib={most_mib:g}; the largest: {named}. Data and weights belong into the "
            "store or on the cluster's disks"
        )
    return parcel


def _code() -> Iterator[tuple[str, bytes]]:
    home = package_folder()
    places = [Path(name) for name in ("__init__.py", "__main__.py", "py.typed")]
    for package in PACKAGES:
        places += [file.relative_to(home) for file in _files(home / package)]
    for place in places:
        if place.suffix in _KINDS or place.name == "py.typed":
            yield f"medgen/{place.as_posix()}", (home / place).read_bytes()


def _files(place: Path) -> Iterator[Path]:
    """Plain files below a place, sorted; links are not followed out of it."""
    for folder, folders, names in os.walk(place):
        folders[:] = sorted(f for f in folders if f not in _SKIPPED)
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file() and not file.is_symlink():
                yield file


def _read_included(root: Path, include: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name in include:
        place = (root / name).resolve()
        if not place.is_relative_to(root.resolve()) or ".." in PurePosixPath(name).parts:
            raise ConfigError(f"submit.include: {name!r} is outside of {root}")
        if not place.exists():
            raise ConfigError(f"submit.include: there is no {name!r} in {root}")
        for file in [place] if place.is_file() else _files(place):
            path = file.relative_to(root.resolve())
            if _may_travel(path, file.stat().st_size):
                found[path.as_posix()] = file.read_bytes()
            elif file == place:
                raise ConfigError(
                    f"submit.include: {name!r} is neither code nor configuration "
                    f"({', '.join(sorted(_INCLUDED))}; up to 1 MiB), or is named like a secret, "
                    "and is not uploaded. Data belongs into the store, keys onto the cluster"
                )
    return found


def _may_travel(path: Path, size: int) -> bool:
    """Code and configuration, not hidden, not named like a secret; by its path below the root."""
    if path.suffix.lower() not in _INCLUDED or any(p.startswith(".") for p in path.parts):
        return False
    if path.suffix.lower() not in (".py", ".pyi") and size > _LARGEST_CONFIG:
        return False
    return not any(_SECRET_FILE.search(part) for part in path.parts)


def _metadata() -> dict[str, bytes]:
    """What the installed distribution says of itself, so that versions are known over there."""
    try:
        found = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return {}
    folder = f"{DISTRIBUTION.replace('-', '_')}-{found.version}.dist-info"
    return {f"{folder}/METADATA": (found.read_text("METADATA") or "").encode()}


def _refuse_secrets(content: Mapping[str, bytes]) -> None:
    values = {name: value.encode() for name, value in secret_values().items()}
    for path, data in content.items():
        ours = path.startswith(("medgen/", f"{DISTRIBUTION.replace('-', '_')}-"))
        for what, pattern in () if ours else _SECRET_TEXT.items():
            if re.search(pattern, data):
                raise ConfigError(f"{path} holds {what} and is not uploaded")
        config = not ours and path.endswith((".yaml", ".yml", ".json", ".toml"))
        if config and path != RUN_FILE and (field := _SECRET_FIELD.search(data)):
            named = field[1].decode()
            raise ConfigError(f"{path} writes out a {named} and is not uploaded; name a variable")
        if name := next((n for n, value in values.items() if value in data), None):
            raise ConfigError(f"{path} holds the value of {name}; name the variable instead")


def _digest(content: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for path in sorted(content):
        digest.update(f"{path}\0{len(content[path])}\0".encode())
        digest.update(content[path])
    return digest.hexdigest()[:16]
