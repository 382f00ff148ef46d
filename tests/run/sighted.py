"""A benchmark of choices, and a model that knows an answer only by its own image."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from medgen.engine.answers.options import options_of
from medgen.engine.data import Image, Prediction, Request, Sample
from medgen.engine.images import open_image, png

WORDS = ("pneumothorax", "effusion", "mass", "fracture")
MODALITIES = ("CT", "MRI")


def sample(number: int) -> Sample:
    """Its image has the number as its grey, and the right option is number mod 4."""
    return Sample(
        id=f"q{number:03d}",
        asks="choice",
        task="choice-vqa",
        modality=MODALITIES[number % 2],
        instruction=f"<image> What is seen in {number}?",
        choices=WORDS,
        input_images=(
            Image(png(Pillow.new("L", (8, 6), number)), f"{number}.png", "Now:", "<image>"),
        ),
        reference_choices=(number % 4,),
        source=f"patient-{number // 4}",
    )


class Choices:
    """A source of such samples."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Sample]:
        return map(sample, range(self.count))

    def expected_counts(self) -> Mapping[Any, int]:
        return {}

    def describe(self) -> Mapping[str, Any]:
        return {"layout": "fake"}


class Sighted:
    """Says the right option of the number in the image; without one it says the first option."""

    def __init__(self, execution: Mapping[str, str] | None = None) -> None:
        self.calls = dict(execution or {}).get("calls", "")

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        if self.calls:
            with Path(self.calls).open("a") as log:
                log.writelines(f"{r.sample.id}\n" for r in requests)
        return [self._one(r.sample) for r in requests]

    def _one(self, asked: Sample) -> Prediction:
        options = options_of(asked.choices).each
        if not asked.input_images:
            return Prediction(asked.id, text=options[0].label)
        grey = open_image(asked.input_images[0].data).convert("L").getpixel((0, 0))
        right = WORDS[int(grey) % 4]  # type: ignore[arg-type]
        return Prediction(asked.id, text=next(o.label for o in options if o.words == right))

    def passport(self) -> Mapping[str, Any]:
        return {"model": "sighted"}
