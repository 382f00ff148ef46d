"""What classes around authors' code have in common. For any interpreter from Python 3.9 on.

Packages of other environments are imported by name, when a model is loaded.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
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


class Unified:
    """A model that writes and draws, one question at a time, each with its own seed."""

    def reply(self, questions: Sequence[Mapping[str, Any]]) -> list[list[str | bytes]]:
        """What each question asks for: words, then a picture."""
        return [self._parts(question) for question in questions]

    def _parts(self, question: Mapping[str, Any]) -> list[str | bytes]:
        parts: list[str | bytes] = []
        if "text" in question["modalities"]:
            seed(question)
            parts.append(self.write(question))
        if "image" in question["modalities"]:
            seed(question)
            parts.append(self.draw(question))
        return parts

    def write(self, question: Mapping[str, Any]) -> str:
        """An answer in words."""
        raise NotImplementedError

    def draw(self, question: Mapping[str, Any]) -> bytes:
        """An encoded picture, made of the first that is given or of words alone."""
        raise NotImplementedError


def load_hub_model(
    model: str, revision: str, beside: str = "AutoTokenizer", **further: Any
) -> tuple[Any, Any]:
    """Tokenizer (or what `beside` names) and bfloat16 weights of a causal model of a hub.

    The code of their repository is run. `further` goes to the tokenizer.
    """
    torch, transformers = import_module("torch"), import_module("transformers")
    known = {"revision": revision or None, "trust_remote_code": True}
    loaded = transformers.AutoModelForCausalLM.from_pretrained(
        model, device_map="auto", torch_dtype=torch.bfloat16, **known
    )
    kind = getattr(transformers, beside)
    return kind.from_pretrained(model, **further, **known), loaded.eval()


def refuse_revision(revision: str) -> None:
    """For code that loads a folder and knows no revisions of a hub.

    Raises:
        ValueError: there is one.
    """
    if revision:
        raise ValueError("its code loads a folder; fetch the commit into one and name that")


@contextlib.contextmanager
def plain_weights() -> Iterator[None]:
    """Let `torch.load` of the authors' code read tensors alone: a pickle may run anything."""
    torch: Any = import_module("torch")
    whole = torch.load
    torch.load = lambda *given, **how: whole(*given, **{**how, "weights_only": True})
    try:
        yield
    finally:
        torch.load = whole


def words(question: Mapping[str, Any]) -> str:
    """The system's words before the user's, for models that know no system turn."""
    return "\n\n".join(filter(None, (question["system"], question["instruction"])))


def order(question: Mapping[str, Any]) -> str:
    """The instruction alone, without context and without how the answer is to be given."""
    text = str(question["instruction"])
    start = re.search(r"(?:^|\n)Instruction: ", text)
    if start is None:
        return text
    asked, _, _ = text[start.end() :].rpartition("\n\n")
    return asked or text[start.end() :]


def pictures(question: Mapping[str, Any]) -> list[Any]:
    """The question's pictures, decoded, in colour."""
    pillow = import_module("PIL.Image")
    return [pillow.open(io.BytesIO(data)).convert("RGB") for data in question["images"]]


def png(picture: Any) -> bytes:
    """A picture of Pillow's as PNG."""
    sink = io.BytesIO()
    picture.save(sink, format="PNG")
    return sink.getvalue()


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
