"""A pack has all that a machine without a network needs, and says so with digests."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from cluster.net_machines import MISSING, can_make
from commands import medgen

from medgen.engine.errors import ConfigError
from medgen.launch.setup.pack import SUMS, Order, pack
from medgen.metrics import weights

ROOT = Path(__file__).resolve().parents[2]


class Wheels:
    """Writes one file in place of pip, and keeps what it was asked for."""

    def __call__(self, folder: Path, sources: Sequence[str]) -> None:
        self.asked = list(sources)
        (folder / "medgen_engine-0.1.0-py3-none-any.whl").write_bytes(b"a wheel")


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """One set of weights with one file, of a mirror."""
    monkeypatch.setenv("MEDGEN_WEIGHTS", str(tmp_path / "here"))
    monkeypatch.setenv("MEDGEN_WEIGHTS_MIRROR", str(tmp_path / "mirror"))
    known = weights.Weights("small", "a test", "nowhere", (weights.WeightFile("a.bin"),))
    monkeypatch.setitem(weights.KNOWN, "small", known)
    (tmp_path / "mirror" / "small").mkdir(parents=True)
    (tmp_path / "mirror" / "small" / "a.bin").write_bytes(b"numbers")
    return "small"


def proven(folder: Path) -> int:
    command = ["sha256sum", "--check", "--quiet", SUMS]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


def test_a_pack_holds_each_part_and_proves_it(tmp_path: Path, mirror: str) -> None:
    wheels, to = Wheels(), tmp_path / "pack"
    said = list(pack(Order(to, ("mini", "cpu"), (mirror,)), wheels))
    assert wheels.asked == ["--constraint", str(ROOT / "constraints.txt"), f"{ROOT}[mini,cpu]"]
    assert (to / "weights" / mirror / "a.bin").read_bytes() == b"numbers"
    presets = {file.relative_to(ROOT / "conf") for file in (ROOT / "conf").rglob("*.yaml")}
    assert presets == {file.relative_to(to / "presets") for file in to.rglob("presets/**/*.yaml")}
    assert (to / "docs" / "howto" / "offline.md").is_file()
    script = (to / "install.sh").read_text(encoding="utf-8")
    assert "medgen-engine[mini,cpu]==" in script
    assert "uninstall --quiet --yes torchaudio torchcodec" in script
    assert subprocess.run(["sh", "-n", to / "install.sh"], check=False).returncode == 0
    assert said[-1].startswith(f"sh {to / 'install.sh'}")
    listed = {line.split("  ", 1)[1] for line in (to / SUMS).read_text().splitlines()}
    there = {str(f.relative_to(to)) for f in to.rglob("*") if f.is_file()} - {SUMS}
    assert listed == there
    assert proven(to) == 0
    (to / "weights" / mirror / "a.bin").write_bytes(b"numbers!")
    assert proven(to) != 0
    installed = subprocess.run(["sh", to / "install.sh", tmp_path / "venv"], capture_output=True)
    assert installed.returncode != 0
    assert not (tmp_path / "venv").exists()


def test_a_pack_is_put_into_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(ConfigError, match="is not empty"):
        list(pack(Order(tmp_path), Wheels()))


def test_weights_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    done = medgen("pack", "--to", str(tmp_path / "pack"), "--weights", "nobodys")
    assert done.returncode == 2
    assert "no weights 'nobodys'" in done.stderr


@pytest.mark.slow
@pytest.mark.trial
@pytest.mark.timeout(900)
@pytest.mark.skipif(not can_make(), reason=MISSING)
def test_a_pack_installs_and_runs_the_demo_with_the_network_off(tmp_path: Path) -> None:
    """Packed with the package index that this machine has; installed where not even lo is up."""
    made = medgen("pack", "--to", str(tmp_path / "pack"))
    assert made.returncode == 0, made.stderr
    script = (
        f"sh {tmp_path}/pack/install.sh {tmp_path}/venv && cd {tmp_path}"
        " && ! venv/bin/python -c 'import socket; socket.create_connection((\"127.0.0.1\", 9))'"
        " && venv/bin/medgen demo --store store && venv/bin/medgen doctor --store store"
    )
    kept = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHON": sys.executable}
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script],
        env=kept, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert "predictions, 0 failed" in done.stdout
