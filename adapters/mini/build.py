"""The miniature benchmark: 144 samples made from real pictures that are already installed."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from medgen.adapters.mini import editing as mini_editing
from medgen.adapters.mini import generation as mini_generation
from medgen.adapters.mini import text as mini_text
from medgen.adapters.mini.items import Item, Scene
from medgen.adapters.mini.pictures import Picture, pictures
from medgen.adapters.mini.synthesis import encode
from medgen.engine.benchmark.reference import answer_text
from medgen.engine.benchmark.source import Problem, Source
from medgen.engine.benchmark.vocabulary import MODALITIES, TASKS, asks_of
from medgen.engine.data import Image, Sample

NAME = "mini"
# Raised when the items change, so that nobody compares results across the change.
VERSION = 2
NOTES = (
    "Made by rule from pictures shipped with scikit-image and pydicom; no clinical meaning.",
    "X-ray-like pictures and volumes are computed from CT slices: synthetic.",
)
_SEED = 1
_EACH = 8  # samples of one task
_MORE = {"multiple-choice": 24}  # one in four is right by chance: eight would say nothing
_MAKERS = {
    "multiple-choice": mini_text.multiple_choice,
    "blank-filling": mini_text.blank_filling,
    "report-generation": mini_text.report_generation,
    "question-answering": mini_text.question_answering,
    "style-transfer": mini_editing.style_transfer,
    "artifact-removal": mini_editing.artifact_removal,
    "noise-reconstruction": mini_editing.noise_reconstruction,
    "resolution-editing": mini_editing.resolution_editing,
    "contrast-enhancement": mini_editing.contrast_enhancement,
    "anatomical-annotation": mini_editing.anatomical_annotation,
    "disease-prediction": mini_generation.disease_prediction,
    "instruction-editing": mini_generation.instruction_editing,
    "organic-removal": mini_generation.organic_removal,
    "organic-reconstruction": mini_generation.organic_reconstruction,
    "3d-to-2d-projection": mini_generation.volume_to_projection,
    "2d-to-3d-reconstruction": mini_generation.projection_to_volume,
}
# Volumes of these are never looked through: only what is a section of a body is stacked.
_VOLUMES = ("CT", "MRI", "X-ray", "Ultrasound")


class MiniSource:
    """Makes the samples anew each time it is read; equal bytes each time."""

    def __iter__(self) -> Iterator[Sample | Problem]:
        """See `medgen.engine.benchmark.source.Source`."""
        gallery = pictures()
        for place, task in enumerate(TASKS):
            for number in range(_count(task)):
                rng = np.random.default_rng([_SEED, place, number])
                scene = Scene(_picture(gallery, task, place, number), gallery, number, rng)
                yield _sample(task, scene, _MAKERS[task](scene))

    def expected_counts(self) -> Mapping[tuple[str, str], int]:
        """As many of each task, but of multiple choice."""
        return {(kind, task): _count(task) for task, kind in TASKS.items()}

    def describe(self) -> Mapping[str, Any]:
        """See `medgen.engine.benchmark.source.Source`."""
        return {"layout": "mini", "version": VERSION, "notes": NOTES}


def build_mini() -> Source:
    """The miniature benchmark as a source to import."""
    return MiniSource()


def _count(task: str) -> int:
    return _MORE.get(task, _EACH)


def _picture(
    gallery: Mapping[str, tuple[Picture, ...]], task: str, place: int, number: int
) -> Picture:
    """The modalities in turn, and from each its pictures in turn."""
    names = _VOLUMES if "3d" in task else MODALITIES
    # One further after each dozen: every kind of question meets every modality.
    group = gallery[names[(number + number // 12) % len(names)]]
    return group[(place + number // len(names)) % len(group)]


def _sample(task: str, scene: Scene, item: Item) -> Sample:
    name = f"{NAME}-{task}-{scene.number:02d}"
    inputs = [Image(encode(p), f"images/{name}-in{k}.png") for k, p in enumerate(item.inputs)]
    wanted = [Image(encode(p), f"images/{name}-out{k}.png") for k, p in enumerate(item.references)]
    raw = {"task": task, "modality": scene.picture.modality}
    return Sample(
        id=name,
        asks=asks_of(task),
        task=task,
        modality=scene.picture.modality,
        instruction=item.instruction,
        subtask=item.subtask,
        choices=item.choices,
        input_images=tuple(inputs),
        reference_texts=_texts(item.answer),
        reference_images=tuple(wanted),
        source=scene.picture.file,
        raw=raw if item.answer is None else raw | {"answer": item.answer},
    )


def _texts(answer: str | Mapping[str, Any] | None) -> tuple[str, ...]:
    if answer is None:
        return ()
    return (answer_text(answer) if isinstance(answer, Mapping) else answer,)
