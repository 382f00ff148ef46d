"""What classes around authors' code have in common. For any interpreter from Python 3.9 on.

Packages of other environments are imported by name, when a model is loaded.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any


class OneByOne:
    """A model whose code answers one question at a time."""

    def answer(self, questions: Sequence[Mapping[str, Any]]) -> list[str]:
        """A text for each, one after the other."""
        return [self.one(question) for question in questions]

    def one(self, question: Mapping[str, Any]) -> str:
        """A text for one."""
        raise NotImplementedError


def load_hub_model(model: str, revision: str, **tokenizer: Any) -> tuple[Any, Any]:
    """Tokenizer and bfloat16 weights of a causal model, with the code of their repository."""
    torch, transformers = import_module("torch"), import_module("transformers")
    known = {"revision": revision or None, "trust_remote_code": True}
    loaded = transformers.AutoModelForCausalLM.from_pretrained(
        model, device_map="auto", torch_dtype=torch.bfloat16, **known
    )
    return transformers.AutoTokenizer.from_pretrained(model, **tokenizer, **known), loaded.eval()


def words(question: Mapping[str, Any]) -> str:
    """The system's words before the user's, for models that know no system turn."""
    return "\n\n".join(filter(None, (question["system"], question["instruction"])))


def pictures(question: Mapping[str, Any]) -> list[Any]:
    """The question's pictures, decoded, in colour."""
    pillow = import_module("PIL.Image")
    return [pillow.open(io.BytesIO(data)).convert("RGB") for data in question["images"]]


@contextlib.contextmanager
def files(images: Sequence[bytes]) -> Iterator[list[str]]:
    """Pictures as files, for code that takes paths; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="medgen-own-") as folder:
        paths = [os.path.join(folder, f"{number}.png") for number in range(len(images))]
        for path, data in zip(paths, images):
            with open(path, "wb") as sink:
                sink.write(data)
        yield paths


def seed(question: Mapping[str, Any]) -> None:
    """Let every draw of torch's follow the question's own seed."""
    import_module("torch").manual_seed(int(question["seed"]))


def drawing(question: Mapping[str, Any]) -> dict[str, Any]:
    """How `generate` of transformers is to draw: greedily at temperature 0."""
    heat = question["temperature"]
    drawn = {"do_sample": True, "temperature": heat} if heat > 0 else {"do_sample": False}
    return {"max_new_tokens": question["max_tokens"], **drawn}
