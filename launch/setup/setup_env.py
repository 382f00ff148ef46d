"""Makes `.venv`, the small seeded weights and predictions to replay; done once, then looked at.

    python3 -m medgen.launch.setup.setup_env [all | environment | weights | predictions | second]

`second` is for the tests: an environment beside `.venv` with an older transformers.

Runs on the system's own Python, so it uses the standard library only. A stamp keyed by what the
environment is made from tells whether there is anything to do.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = ROOT / "var" / "setup.log"
WEIGHTS = ROOT / "var" / "weights"
PREDICTIONS = ROOT / "var" / "predictions"
SECOND_VENV = ROOT / "var" / "environments" / "second"
EXTRAS = ("s3", "metrics", "mini", "api", "images")
# Modules with a `make(directory)`, and the folder under WEIGHTS that each fills.
MAKERS = {
    "medgen.metrics.tiny": "tiny-metrics",
    "medgen.adapters.tiny.vlm": "tiny-vlm",
    "medgen.adapters.tiny.diffusers": "tiny-diffusers",
}
# Another major release of transformers, with what it insists on; all else is `.venv`'s.
SECOND = ("transformers==4.57.6", "huggingface-hub==0.36.2", "tokenizers==0.22.2")
# They come with vLLM for CPU, cannot load beside a CPU PyTorch, and break transformers' imports.
UNLOADABLE = ("torchaudio", "torchcodec")


class SetupError(Exception):
    """The environment cannot be made; says why and what to do."""


def accelerator() -> str:
    """`gpu` or `cpu`: what MEDGEN_ACCELERATOR says, else whether an NVIDIA GPU answers."""
    said = os.environ.get("MEDGEN_ACCELERATOR")
    if said not in (None, "", "cpu", "gpu"):
        raise SetupError(f"MEDGEN_ACCELERATOR is {said!r}; it can be cpu or gpu.")
    if said:
        return said
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return "cpu"
    found = subprocess.run([smi, "-L"], capture_output=True, text=True, check=False)
    return "gpu" if found.returncode == 0 and "GPU" in found.stdout else "cpu"


def project(root: Path = ROOT) -> dict[str, Any]:
    """The tables of pyproject.toml that decide what is installed."""
    import tomllib  # from Python 3.11 on; the version is checked before

    whole = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return {name: whole[name] for name in ("project", "dependency-groups", "build-system")}


def torch_requirement(tables: dict[str, Any]) -> str:
    """The exact PyTorch of the `metrics` extra, so that it is named in one place."""
    wanted: list[str] = tables["project"]["optional-dependencies"]["metrics"]
    return next(line for line in wanted if line.startswith("torch=="))


def digest(files: Sequence[Path], *parts: object) -> str:
    """A key for files' contents and anything else that matters."""
    sha = hashlib.sha256(repr(parts).encode())
    for file in files:
        sha.update(file.read_bytes() if file.exists() else b"absent")
    return sha.hexdigest()


def environment_key(kind: str) -> str:
    """Changes when the environment has to be made again."""
    files = [Path(__file__), Path(__file__).with_name("torchvision_cure.py")]
    return digest(files, project(), kind, sys.version_info[:2])


def weights_key(kind: str) -> str:
    """Changes when the small weights have to be made again."""
    files = [ROOT / f"{name.replace('.', '/')}.py" for name in MAKERS]
    return digest(files, environment_key(kind))


def is_stamped(stamp: Path, key: str) -> bool:
    """Whether the work that the stamp stands for was finished for this key."""
    return stamp.exists() and stamp.read_text(encoding="utf-8") == key


def step(what: str, command: Sequence[str | Path]) -> None:
    """Run a command with its output in the log, and say how long it took.

    Raises:
        SetupError: it failed; carries the end of its output.
    """
    say(f"{what} …")
    start = time.monotonic()
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("ab") as log:
        begin = log.tell()
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, check=False)
    if done.returncode:
        tail = LOG.read_bytes()[begin:].decode(errors="replace").splitlines()[-15:]
        raise SetupError("\n".join([f"{what}: failed. {LOG} ends:", *tail]))
    say(f"{what}: {time.monotonic() - start:.0f} s")


def runs(command: Sequence[str | Path]) -> bool:
    """Whether a command exists and ends well; its output does not matter."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stderr.write(f"setup: {line}\n")
    sys.stderr.flush()


def create_venv() -> None:
    """An empty virtual environment with a pip in it.

    Some systems split `ensurepip` off into a package of its own (Debian: python3-venv). Their
    pip can then install a pip into the new environment, so that nobody needs to be root.
    """
    plain = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if runs([sys.executable, "-c", "import ensurepip"]):
        step("making .venv", plain)
    else:
        step("making .venv", [*plain, "--without-pip"])
        step("fetching pip into it", [*system_pip(), "--python", str(PYTHON), "install", "pip"])


def system_pip() -> list[str]:
    """The pip of the running Python, installed first when the system lets us.

    Raises:
        SetupError: there is none and it cannot be installed; says which package is missing.
    """
    pip = [sys.executable, "-m", "pip"]
    if runs([*pip, "--version"]):
        return pip
    for command in apt_commands("python3-venv", "python3-pip"):
        step("installing python3-venv", command)
    if not runs([*pip, "--version"]):
        raise SetupError(f"{sys.executable} has neither ensurepip nor pip, even now.")
    return pip


def apt_commands(*packages: str) -> Iterator[list[str]]:
    """How to install system packages here, as root or with a sudo that asks nothing.

    Raises:
        SetupError: it cannot be done without a person.
    """
    advice = f"Install it once as root: apt-get install {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise SetupError(f"{sys.executable} has neither ensurepip nor pip. {advice}")
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and not (shutil.which("sudo") and runs([*prefix, "true"])):
        raise SetupError(f"A system package is missing and we are not root. {advice}")
    yield [*prefix, "apt-get", "update", "-q"]
    yield [*prefix, "apt-get", "install", "-q", "-y", *packages]


def install(kind: str) -> None:
    """Everything that pyproject.toml names, PyTorch first.

    PyTorch goes first so that a CPU machine keeps the CPU build which vLLM for CPU asks for.
    """
    pip: list[str | Path] = [PYTHON, "-m", "pip"]
    # The first pip that knows dependency groups.
    step("updating pip", [*pip, "install", "--upgrade", "pip>=25.1"])
    step("installing PyTorch", [*pip, "install", torch_requirement(project())])
    extras = ",".join((*EXTRAS, kind))
    what = f"installing medgen-engine[{extras}] (some minutes, output in {LOG})"
    step(what, [*pip, "install", "--group", "dev", "-e", f".[{extras}]"])
    if kind == "cpu":
        step("removing what cannot load on CPU", [*pip, "uninstall", "-y", *UNLOADABLE])


def cure_torchvision() -> None:
    """Make torchvision importable, see `medgen.launch.setup.torchvision_cure`."""
    from medgen.launch.setup.torchvision_cure import cure

    say(cure(purelib(PYTHON), str(PYTHON)))


def environment(kind: str) -> None:
    """Make `.venv`, unless it was made from the same things already."""
    key, stamp = environment_key(kind), VENV / ".stamp"
    if is_stamped(stamp, key):
        return
    LOG.unlink(missing_ok=True)
    stamp.unlink(missing_ok=True)
    if not runs([PYTHON, "-m", "pip", "--version"]):
        create_venv()
    install(kind)
    cure_torchvision()
    stamp.write_text(key, encoding="utf-8")


def weights(kind: str) -> None:
    """Make the small seeded weights in the environment, unless they are there already."""
    key, stamp = weights_key(kind), WEIGHTS / ".stamp"
    if is_stamped(stamp, key):
        return
    stamp.unlink(missing_ok=True)
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    for name in MAKERS:
        step(
            f"making weights with {name}",
            [PYTHON, "-m", "medgen.launch.setup.setup_env", "make", name],
        )
    stamp.write_text(key, encoding="utf-8")


def predictions(kind: str) -> None:
    """Export a control's predictions for the demo to replay, unless they are there already."""
    sources = [*ROOT.glob("adapters/classical*.py"), *ROOT.glob("adapters/mini*.py")]
    key, stamp = digest(sorted(sources), environment_key(kind)), PREDICTIONS / ".stamp"
    if is_stamped(stamp, key):
        return
    shutil.rmtree(PREDICTIONS, ignore_errors=True)
    medgen: list[str | Path] = [PYTHON, "-m", "medgen"]
    with tempfile.TemporaryDirectory() as store:
        asked = ("benchmark=mini", "systems=[classical]", "protocol=weight-free")
        how = ("cluster=in-process", "report=false", f"store={store}")
        step("making predictions to replay", [*medgen, "run", *asked, *how])
        where = ("--store", store, "--to", PREDICTIONS)
        step("exporting them", [*medgen, "export", "--format", "jsonl", *where])
    stamp.write_text(key, encoding="utf-8")


def second(prefix: Path) -> Path:
    """Make the second environment, unless it is there already; about 100 MB.

    It holds `SECOND`, and finds everything else in the first environment, whose packages come
    behind its own.

    Args:
        prefix: the first environment.

    Returns:
        The second environment's interpreter.

    Raises:
        SetupError: no package index gives `SECOND`, or the environment cannot be made.
    """
    folder = SECOND_VENV
    first, python, stamp = (prefix / "bin/python", folder / "bin/python", folder / ".stamp")
    key = digest([Path(__file__), prefix / "pyvenv.cfg"], SECOND, str(prefix))
    if is_stamped(stamp, key):
        return python
    stamp.unlink(missing_ok=True)
    step("making a second environment", [first, "-m", "venv", "--clear", "--without-pip", folder])
    pip: list[str | Path] = [first, "-m", "pip", "--python", python, "install", "--no-compile"]
    try:
        step(f"installing {SECOND[0]} into it", [*pip, "--no-deps", *SECOND])
    except SetupError as err:
        say(str(err))
        raise SetupError(
            f"No package index gave {', '.join(SECOND)}, so the test of two environments in one "
            "sweep cannot run; connect this machine to one, or set PIP_INDEX_URL."
        ) from err
    shared = purelib(first)
    line = f"import site; site.addsitedir({str(shared)!r})\n"
    (purelib(python) / "first_environment.pth").write_text(line, encoding="utf-8")
    stamp.write_text(key, encoding="utf-8")
    return python


def purelib(python: Path) -> Path:
    """The folder where an interpreter's packages are."""
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", query], capture_output=True, text=True, check=True)
    return Path(found.stdout.strip())


def make(name: str) -> None:
    """Run one maker of weights in this process; its models end with it."""
    from medgen.launch.setup.tiny import make_all

    list(make_all(WEIGHTS, {name: MAKERS[name]}))


STEPS = {"environment": environment, "weights": weights, "predictions": predictions}


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; 0 when everything is in place."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the system's own Python may be older
        say(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}. Set PYTHON=.")
        return 6
    what = arguments[0] if arguments else "all"
    if what not in ("all", *STEPS, "second", "make"):
        say(f"what can be set up: all, {', '.join(STEPS)}, second")
        return 2
    try:
        if what == "make":
            make(arguments[1])
        elif what == "second":
            second(VENV)
        else:
            kind = accelerator()
            for name in STEPS if what == "all" else (what,):
                STEPS[name](kind)
    except (SetupError, RuntimeError, OSError) as err:
        say(str(err))
        return 6
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
