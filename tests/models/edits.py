"""Samples with a picture, and the engine that the tiny model is run in for them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fakes import Lines
from judging.cases import EDIT

from medgen.engine.data import Sample

ENGINE = {"dtype": "float32", "max_model_len": 2048, "enforce_eager": True}
RUN: dict[str, Any] = {"cpu_kv_cache_gib": 1, "engine": {"max_num_seqs": 16}}


class Edits(Lines):
    """Samples with a picture to edit."""

    def __iter__(self) -> Iterator[Any]:
        for found in super().__iter__():
            assert isinstance(found, Sample)
            yield replace(EDIT, id=found.id, instruction=found.instruction)
