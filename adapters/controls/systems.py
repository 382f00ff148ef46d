"""Control systems: the ceiling, the floor and the no-op that a table of models needs.

They need no weights, look at nothing but the sample (`Unrelated`: at the benchmark's first shards
too), and give what the sample is scored by: text, an image, or both.
"""

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any, ClassVar

from PIL import Image as Pillow

from medgen.adapters.controls.classical_text import rule_answer
from medgen.engine.answers.options import options_of
from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.codec import fingerprint
from medgen.engine.data import FORMS, Form, Image, Prediction, Request, Sample, form_of
from medgen.engine.errors import AdapterError, ImageError
from medgen.engine.images import open_image, png
from medgen.engine.trouble import log_failed_row

log = logging.getLogger(__name__)

MID_GREY = (128, 128, 128)
_BLANK_SIDE = 512
DONORS = 16  # samples of each form of answer that `Unrelated` may borrow from


class _Control(ABC):
    """What answers one sample after the other, and needs no weights."""

    name: ClassVar[str]

    @abstractmethod
    def answer(self, sample: Sample) -> Prediction:
        """What it gives for a sample."""

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """See `medgen.engine.ports.Generator`."""
        return [self.answer(request.sample) for request in requests]

    def passport(self) -> Mapping[str, Any]:
        """See `medgen.engine.ports.Generator`."""
        return {"system": self.name, "kind": "control", "version": 1}


class Oracle(_Control):
    """Gives the reference itself: the best that any metric can show."""

    name = "oracle"

    def answer(self, sample: Sample) -> Prediction:
        """See `_Control`."""
        return _reference(sample, sample)


class CopyInput(_Control):
    """Gives the first input image unchanged, and the instruction as its text: the no-op."""

    name = "copy-input"

    def answer(self, sample: Sample) -> Prediction:
        """See `_Control`."""
        return Prediction(
            sample.id,
            text=sample.instruction if gives_text(sample) else None,
            images=sample.shown_images[:1] if gives_image(sample) else (),
        )


class Blank(_Control):
    """Gives a mid-grey picture of the input's size, and an empty text: the floor.

    Where no image is given, the picture has 512 x 512 pixels.

    Mid-grey, for black would be right about the background of most scans. The empty text is
    an answer: metrics that can read nothing from it say so.
    """

    name = "blank"

    def answer(self, sample: Sample) -> Prediction:
        """See `_Control`."""
        text = "" if gives_text(sample) else None
        if not gives_image(sample):
            return Prediction(sample.id, text=text)
        try:
            shown = sample.shown_images
            size = open_image(shown[0].data).size if shown else (_BLANK_SIDE, _BLANK_SIDE)
        except ImageError as err:
            return Prediction(
                sample.id, "model_error", f"no readable input image: {err}", text=text
            )
        grey = png(Pillow.new("RGB", size, MID_GREY))
        return Prediction(sample.id, text=text, images=(Image(grey, "blank.png"),))


class Unrelated(_Control):
    """Gives the reference of another sample, made of another source picture.

    Donors come from the first shards of the benchmark, which are an unbiased sample of it by the
    way it is ordered. Each sample takes the donor of its own form that a hash of both ids
    ranks first: the choice depends on nothing else, neither on batches, shards nor workers.
    """

    name = "unrelated"

    def __init__(self) -> None:
        """`use` must be called before `predict`."""
        self._donors: dict[Form, list[Sample]] = {}

    def use(self, benchmark: Benchmark) -> None:
        """Read shards until every form has its donors; keeps their references only."""
        counts: Counter[Form] = Counter()
        for asks, count in benchmark.manifest.asks.items():
            counts[form_of(asks)] += count
        donors: dict[Form, list[Sample]] = {form: [] for form in FORMS}
        for number, shard in enumerate(benchmark.manifest.shards):
            short = {f for f, count in counts.items() if len(donors[f]) < min(DONORS, count)}
            if short & {form_of(asks) for asks in shard.asks}:
                for sample in benchmark.samples(number):
                    donors[sample.form].append(replace(sample, context_images=(), input_images=()))
        self._donors = donors

    def answer(self, sample: Sample) -> Prediction:
        """See `_Control`."""
        others = [d for d in self._donors.get(sample.form, ()) if d.source != sample.source]
        if not others:
            reason = f"no {sample.format} sample with another source picture to borrow from"
            return Prediction(sample.id, "model_error", reason)
        donor = min(others, key=lambda d: fingerprint(sample.id, d.id))
        borrowed = _reference(sample, donor)
        return replace(borrowed, details={"donor": donor.id})


class Classical(_Control):
    """Classical image processing by task, and answers that the question gives away."""

    name = "classical"

    def __init__(self) -> None:
        """Loads scikit-image.

        Raises:
            AdapterError: it is not installed.
        """
        try:
            from medgen.adapters.controls import classical
        except ImportError as err:
            raise AdapterError(f"the classical control needs the extra 'mini' ({err})") from err
        self._rules = classical

    def passport(self) -> Mapping[str, Any]:
        """See `medgen.engine.ports.Generator`."""
        return {**super().passport(), "scikit-image": version("scikit-image")}

    def answer(self, sample: Sample) -> Prediction:
        """See `_Control`."""
        text = rule_answer(sample) if gives_text(sample) else None
        if not gives_image(sample):
            return Prediction(sample.id, text=text)
        if not sample.input_images:
            return Prediction(sample.id, "model_error", "no input image to work on", text=text)
        try:
            inputs = [self._rules.decode(image.data) for image in sample.input_images]
            output = self._rules.edit(sample.task, inputs, sample.instruction)
        except Exception as err:  # noqa: BLE001 - what a rule meets in one picture is that row's
            log_failed_row(log, err, sample.id)
            reason = f"{type(err).__name__}: {err}"
            return Prediction(sample.id, "model_error", reason, text=text)
        image = Image(self._rules.encode(output), "classical.png")
        return Prediction(sample.id, text=text, images=(image,))


class Null(_Control):
    """Answers at once with nothing but an empty text: measures the engine itself."""

    name = "null"

    def answer(self, sample: Sample) -> Prediction:
        """See `_Control`."""
        return Prediction(sample.id, text="")


def gives_text(sample: Sample) -> bool:
    """Is an answer in words expected?"""
    return sample.form != "image"


def gives_image(sample: Sample) -> bool:
    """Is a picture expected?"""
    return sample.form != "text"


def _reference(sample: Sample, given: Sample) -> Prediction:
    """What `given` has as its reference, answering `sample`."""
    return Prediction(
        sample.id,
        text=_words(given) if gives_text(sample) else None,
        images=given.reference_images[:1] if gives_image(sample) else (),
    )


def _words(sample: Sample) -> str | None:
    """The reference in words; choices with their labels, so that no two can be confused."""
    if not sample.reference_choices:
        return sample.reference_text
    lines = options_of(sample.choices).lines()
    return "\n".join(lines[index] for index in sample.reference_choices)
