"""The tiny model with random weights, served by vLLM: for demonstrations and tests.

Recipes name no folder, so they give the same keys on every machine.
"""

from collections.abc import Mapping
from typing import Any

from medgen.adapters.models.vllm_engine import VLLMChat
from medgen.adapters.tiny.settings import SEED
from medgen.adapters.tiny.vlm import cached_model

# Small enough for two cores and a laptop's memory; eager, because compiling takes longer than use.
_ENGINE: Mapping[str, Any] = {"dtype": "float32", "max_model_len": 16384, "enforce_eager": True}
_RUN: Mapping[str, Any] = {"cpu_kv_cache_gib": 1, "engine": {"max_num_seqs": 16}}


class TinyVLMChat(VLLMChat):
    """The tiny model as a chat, for `answers` and for a judge."""

    def __init__(
        self,
        *,
        seed: int = SEED,
        images: int = 8,
        engine: Mapping[str, Any] | None = None,
        execution: Mapping[str, Any] | None = None,
    ) -> None:
        """Make the weights unless they are there, and load them; see `VLLMChat`."""
        super().__init__(
            str(cached_model(seed)),
            images=images,
            engine={**_ENGINE, **(engine or {})},
            execution={**_RUN, **(execution or {})},
        )
