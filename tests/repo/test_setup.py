"""The set-up step: what it decides, when it works again, and the torchvision cure."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from medgen.launch.setup import setup_env, torchvision_cure

ROOT = Path(__file__).resolve().parents[2]


def test_pytorch_is_named_once_and_exactly() -> None:
    found = setup_env.torch_requirement(setup_env.project())
    assert found.startswith("torch==2.")


def test_only_what_is_installed_decides(tmp_path: Path) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(text)
    before = setup_env.project(tmp_path)
    (tmp_path / "pyproject.toml").write_text(text.replace("line-length = 100", "line-length = 99"))
    assert setup_env.project(tmp_path) == before
    (tmp_path / "pyproject.toml").write_text(text.replace('"click>=8.1', '"click>=8.2'))
    assert setup_env.project(tmp_path) != before


def test_a_stamp_holds_for_its_key_only(tmp_path: Path) -> None:
    stamp = tmp_path / "stamp"
    assert not setup_env.is_stamped(stamp, "a")
    stamp.write_text("a")
    assert setup_env.is_stamped(stamp, "a")
    assert not setup_env.is_stamped(stamp, "b")


def test_a_changed_maker_makes_weights_again(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {setup_env.weights_key("cpu"), setup_env.weights_key("gpu")}
    monkeypatch.setattr(setup_env, "MAKERS", {"medgen.launch.cluster.render": "other"})
    keys.add(setup_env.weights_key("cpu"))
    assert len(keys) == 3


@pytest.mark.parametrize(("said", "kind"), [("cpu", "cpu"), ("gpu", "gpu")])
def test_the_accelerator_can_be_said(monkeypatch: pytest.MonkeyPatch, said: str, kind: str) -> None:
    monkeypatch.setenv("MEDGEN_ACCELERATOR", said)
    assert setup_env.accelerator() == kind


@pytest.mark.parametrize(
    ("answer", "code", "kind"),
    [("GPU 0: made up", 0, "gpu"), ("no device", 0, "cpu"), ("GPU", 9, "cpu")],
)
def test_the_accelerator_is_what_the_driver_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str, code: int, kind: str
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho '{answer}'\nexit {code}\n")
    tool.chmod(0o755)
    monkeypatch.delenv("MEDGEN_ACCELERATOR", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert setup_env.accelerator() == kind


def test_a_wrong_accelerator_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDGEN_ACCELERATOR", "tpu")
    with pytest.raises(setup_env.SetupError, match="cpu or gpu"):
        setup_env.accelerator()


def test_a_missing_package_nobody_can_install_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(setup_env.SetupError, match="apt-get install python3-venv"):
        list(setup_env.apt_commands("python3-venv"))


@pytest.mark.parametrize("sudo", [True, False])
def test_sudo_is_used_only_when_it_asks_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sudo: bool
) -> None:
    for name, code in (("apt-get", 0), ("sudo", 0 if sudo else 1)):
        tool = tmp_path / name
        tool.write_text(f"#!/bin/sh\nexit {code}\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if not sudo:
        with pytest.raises(setup_env.SetupError, match="not root"):
            list(setup_env.apt_commands("python3-venv"))
        return
    assert [line[:3] for line in setup_env.apt_commands("python3-venv")] == [
        ["sudo", "-n", "apt-get"],
        ["sudo", "-n", "apt-get"],
    ]


def test_a_failing_step_shows_the_end_of_its_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(setup_env, "LOG", tmp_path / "log")
    setup_env.step("first", ["sh", "-c", "echo not this"])
    with pytest.raises(setup_env.SetupError, match="no space left") as caught:
        setup_env.step("second", ["sh", "-c", "echo no space left; exit 1"])
    assert "not this" not in str(caught.value)


# Where systems keep the pip that ensurepip unpacks; without one, the index has it.
PIP_WHEELS = [
    Path(sysconfig.get_path("stdlib")) / "ensurepip" / "_bundled",
    Path("/usr/share/python-wheels"),
]


@pytest.mark.slow
def test_an_environment_is_made_without_ensurepip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on a system that splits ensurepip off: pip comes from the system's own pip."""
    (tmp_path / "ensurepip.py").write_text("raise ImportError\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    if wheels := next((folder for folder in PIP_WHEELS if folder.is_dir()), None):
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setattr(setup_env, "LOG", tmp_path / "log")
    monkeypatch.setattr(setup_env, "VENV", tmp_path / "env")
    monkeypatch.setattr(setup_env, "PYTHON", tmp_path / "env" / "bin" / "python")
    assert not setup_env.runs([sys.executable, "-c", "import ensurepip"])
    setup_env.create_venv()
    assert setup_env.runs([setup_env.PYTHON, "-m", "pip", "--version"])


def test_without_an_index_the_second_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup_env, "SECOND_VENV", tmp_path / "second")
    monkeypatch.setattr(setup_env, "VENV", Path(sys.prefix))
    monkeypatch.setattr(setup_env, "LOG", tmp_path / "log")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    assert setup_env.main(["second"]) == 6
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"setup: No package index gave {setup_env.SECOND[0]}")
    assert not (tmp_path / "second" / ".stamp").exists()


def test_an_older_python_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    assert setup_env.main(["environment"]) == 6


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
