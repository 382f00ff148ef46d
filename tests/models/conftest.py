"""One vLLM engine for a whole test session: starting it takes most of a minute."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from medgen.adapters.models.vllm_engine import VLLMChat
from medgen.adapters.tiny.vlm import make

CONTEXT = 8192


@pytest.fixture(scope="session")
def tiny_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model."""
    return make(tmp_path_factory.mktemp("models") / "tiny-vlm")


@pytest.fixture(scope="session")
def vllm_chat(tiny_vlm: Path) -> Iterator[VLLMChat]:
    """The tiny model, served."""
    chat = VLLMChat(
        str(tiny_vlm),
        images=4,
        engine={"dtype": "float32", "max_model_len": CONTEXT, "enforce_eager": True},
        execution={"cpu_kv_cache_gib": 1, "engine": {"max_num_seqs": 16}},
    )
    yield chat
    chat.close()
