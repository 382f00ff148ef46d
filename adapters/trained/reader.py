"""The small reader: sees modality and damage of a picture, and puts them into sentences by rule."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL.Image import Image as Picture
from torch import Tensor

from medgen.adapters.controls.classical_text import rule_answer
from medgen.adapters.provenance import versions
from medgen.adapters.trained.eye import DAMAGES, Eye, read_heads
from medgen.adapters.trained.weights import card, load
from medgen.engine.answers.options import options_of
from medgen.engine.benchmark.vocabulary import MODALITIES
from medgen.engine.data import Prediction, Request, Sample
from medgen.engine.errors import ImageError
from medgen.engine.images import as_rgb, open_image

_ARTICLES = {"MRI": "an", "Ultrasound": "an", "X-ray": "an"}


class Reader:
    """Answers with words, and passes the instruction on to the model that makes pictures.

    It knows six modalities and six states of a picture. For anything else it has what the question
    gives away, as `classical` does: the option that shares most words with it, its own nouns.
    """

    def __init__(self) -> None:
        """Load trunk and heads, on the CPU."""
        self._eye, self._heads = Eye(), load("reader")

    def take(self, folder: Path) -> None:
        """Other heads, to measure them before they are ours."""
        self._heads = load("reader", folder)

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """See `medgen.engine.ports.Generator`."""
        return [self._answer(request.sample) for request in requests]

    def passport(self) -> Mapping[str, Any]:
        """See `medgen.engine.ports.Generator`."""
        about = {"system": "small-reader", "kind": "trained", "sentences": "by rule"}
        return {**about, **card("eye", "reader"), **versions("torch")}

    def states(self, pictures: Sequence[Picture]) -> Mapping[str, Tensor]:
        """Probabilities of `MODALITIES` ("modality") and `DAMAGES` ("damage"), a row a picture."""
        return read_heads(self._heads, self._eye.features(pictures))

    def _answer(self, sample: Sample) -> Prediction:
        if not sample.shown_images:
            return Prediction(sample.id, "model_error", "no input image to look at")
        try:
            pictures = [as_rgb(open_image(image.data)) for image in sample.shown_images]
        except ImageError as err:
            return Prediction(sample.id, "model_error", f"no readable input image: {err}")
        said = self.states(pictures)
        modality, damage = said["modality"].tolist(), said["damage"].tolist()
        seen = [_best(MODALITIES, row) for row in modality]
        text = _choice(sample, modality[0], damage[0]) or _words(sample, seen, damage[0])
        details = {"modality": seen, "damage": _best(DAMAGES, damage[0])}
        return Prediction(sample.id, text=text, image_prompt=sample.instruction, details=details)


def _choice(sample: Sample, modality: Sequence[float], damage: Sequence[float]) -> str | None:
    """The likeliest option, with its label; None where nothing is to be chosen."""
    if not sample.choices:
        return None
    likely = dict(zip((*MODALITIES, *DAMAGES), (*modality, *damage), strict=True))
    options = options_of(sample.choices)
    known = [likely.get(option.words.strip().rstrip("."), -1.0) for option in options.each]
    if max(known) < 0:
        return rule_answer(sample)
    return options.lines()[known.index(max(known))]


def _words(sample: Sample, seen: Sequence[str], damage: Sequence[float]) -> str:
    first = seen[0]
    if sample.task == "blank-filling":
        return first
    if len(seen) > 1 and sample.task == "question-answering":
        return ", ".join(seen) + "."
    picture = f"{_ARTICLES.get(first, 'a')} {first} picture; {_best(DAMAGES, damage)}"
    if sample.task == "report-generation":
        return f"EXAMINATION: {first}.\n{rule_answer(sample)}"
    return f"It is {picture}. {rule_answer(sample)}"


def _best(names: Sequence[str], likely: Sequence[float]) -> str:
    return names[max(range(len(names)), key=likely.__getitem__)]
