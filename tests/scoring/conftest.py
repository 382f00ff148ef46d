"""Small seeded weights, made once for all tests of this folder."""

from pathlib import Path

import pytest
import torch

from medgen.metrics import tiny


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small tensors gain nothing from threads, and tests share the machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    tiny.make(folder)
    return folder


@pytest.fixture
def with_weights(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDGEN_WEIGHTS", str(tiny_weights))
    return tiny_weights
