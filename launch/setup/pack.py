"""`medgen pack`: all that a machine without a network needs to run this, in one folder.

Wheels for the Python and system that pack, weights in the layout of MEDGEN_WEIGHTS, presets and,
from a clone, the documents; a script that installs from the folder alone, and the sha256 of every
file, which the script proves first.
"""

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from jinja2 import Template

from medgen.engine.digests import sha256
from medgen.engine.errors import ConfigError
from medgen.launch.setup.doctor import DISTRIBUTION, IS_CLONE
from medgen.metrics import weights

TREE = Path(__file__).resolve().parents[2]
SUMS = "SHA256SUMS"
# What the CPU build of vLLM brings and cannot load; see docs/install.md.
_DEAD_WEIGHT = ("torchaudio", "torchcodec")

Collect = Callable[[Path, Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What goes into a pack."""

    to: Path
    extras: tuple[str, ...] = ("mini",)
    weights: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """The distribution with its extras and the version that packs."""
        return f"{DISTRIBUTION}[{','.join(self.extras)}]=={metadata.version(DISTRIBUTION)}"


def collect_wheels(folder: Path, sources: Sequence[str]) -> None:
    """Bring wheels of these and of all that they ask for, by pip with its own settings.

    Raises:
        ConfigError: pip cannot; its last words are said.
    """
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    done = subprocess.run(
        [*pip, "--wheel-dir", str(folder), *sources], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ConfigError(f"pip brings no wheels: {done.stderr.strip().splitlines()[-1:]}")


def pack(order: Order, collect: Collect = collect_wheels) -> Iterator[str]:
    """Fill the folder; says each part when it is there.

    Raises:
        ConfigError: the folder has something in it, or wheels cannot be had.
        AdapterError: weights cannot be had, or are not what they should be.
    """
    if order.to.exists() and any(order.to.iterdir()):
        raise ConfigError(f"{order.to} is not empty; a pack has a folder of its own")
    (order.to / "wheels").mkdir(parents=True)
    for name in order.weights:
        shutil.copytree(weights.fetch(name), order.to / "weights" / name)
        yield f"weights  {name}"
    collect(order.to / "wheels", _sources(order))
    yield f"wheels   {len(list((order.to / 'wheels').iterdir()))}"
    yield f"presets  {_copy(TREE / 'conf', order.to / 'presets', '*.yaml')}"
    if IS_CLONE:
        yield f"docs     {_copy(TREE / 'docs', order.to / 'docs', '*')}"
    (order.to / "install.sh").write_text(_script(order), encoding="utf-8")
    (order.to / SUMS).write_text("".join(_sums(order.to)), encoding="utf-8")
    yield f"sh {order.to / 'install.sh'} VENV   # on the machine without a network"


def _sources(order: Order) -> list[str]:
    if not IS_CLONE:
        return [order.requirement]
    return ["--constraint", str(TREE / "constraints.txt"), f"{TREE}[{','.join(order.extras)}]"]


def _copy(source: Path, to: Path, pattern: str) -> int:
    """How many files there are; what is not to be read by people stays."""
    found = [file for file in source.rglob(pattern) if file.is_file()]
    for file in (file for file in found if "__pycache__" not in file.parts):
        target = to / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return sum(file.is_file() for file in to.rglob("*"))


def _sums(folder: Path) -> Iterator[str]:
    """In the form of `sha256sum --check`."""
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        yield f"{sha256(file)}  {file.relative_to(folder)}\n"


def _script(order: Order) -> str:
    """A script for a plain shell. The wheels are for one Python, so it asks for that one."""
    python = ".".join(platform.python_version_tuple()[:2])
    after = []
    if "cpu" in order.extras:
        after.append(f"in_venv -m pip uninstall --quiet --yes {' '.join(_DEAD_WEIGHT)}")
    if set(order.extras) & {"cpu", "gpu", "metrics", "full"}:
        after.append("in_venv -m medgen.launch.setup.torchvision_cure")
    template = Template((TREE / "launch" / "templates" / "install.sh.j2").read_text("utf-8"))
    text: str = template.render(python=python, wanted=order.requirement, after=after)
    return text + "\n"
