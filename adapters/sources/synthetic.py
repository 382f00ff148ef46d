"""Samples without meaning, as many as asked for: to measure the engine, not a model."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image as Pillow

from medgen.engine.benchmark.source import Problem
from medgen.engine.benchmark.vocabulary import MODALITIES, TASKS, asks_of
from medgen.engine.data import Image, Sample
from medgen.engine.images import png


class SyntheticSource:
    """`count` tiny samples over all tasks and modalities; equal for equal arguments.

    With `images`, each has an 8 x 8 input picture of its own and, where its format wants one, a
    reference picture; without, samples are a few hundred bytes of text.
    """

    def __init__(self, count: int, seed: int = 0, images: bool = False) -> None:
        """Nothing is made until it is read."""
        self._count, self._seed, self._images = count, seed, images

    def __iter__(self) -> Iterator[Sample | Problem]:
        """See `medgen.engine.benchmark.source.Source`."""
        tasks = list(TASKS)
        for number in range(self._count):
            task = tasks[number % len(tasks)]
            yield self._sample(number, task, MODALITIES[number // len(tasks) % len(MODALITIES)])

    def expected_counts(self) -> Mapping[tuple[str, str], int]:
        """As many as were asked for, over the tasks in turn."""
        whole, rest = divmod(self._count, len(TASKS))
        counts = {task: whole + (at < rest) for at, task in enumerate(TASKS)}
        # Without pictures, what is asked of them has another name.
        made = (self._sample(0, task, MODALITIES[0]) for task, count in counts.items() if count)
        return {(sample.format, sample.task): counts[sample.task] for sample in made}

    def describe(self) -> Mapping[str, Any]:
        """See `medgen.engine.benchmark.source.Source`."""
        return {
            "layout": "synthetic",
            "count": self._count,
            "seed": self._seed,
            "images": self._images,
            "notes": ("Synthetic samples without meaning, for measuring the engine.",),
        }

    def _sample(self, number: int, task: str, modality: str) -> Sample:
        name = f"synthetic-{number:07d}"
        kind = TASKS[task]
        return Sample(
            id=name,
            asks=asks_of(task),
            task=task,
            modality=modality,
            instruction=f"Item {number} of {task}.",
            input_images=self._picture(name, "in") if self._images else (),
            reference_texts=() if kind == "ImageEditing" else (f"answer {number}",),
            reference_images=self._picture(name, "out") if self._images and kind != "VQA" else (),
            source=name,
        )

    def _picture(self, name: str, side: str) -> tuple[Image, ...]:
        drawn = hashlib.shake_128(f"{self._seed}/{name}/{side}".encode()).digest(8 * 8 * 3)
        return (Image(png(Pillow.frombytes("RGB", (8, 8), drawn)), f"{name}-{side}.png"),)
