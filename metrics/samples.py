"""Small made-up samples with known content, for golden pairs, self-tests and laws."""

import io

import numpy as np
from PIL import Image as Pillow

from medgen.engine.data import Image, Prediction, Sample

REPORT = "The lungs are clear. No pleural effusion or pneumothorax is seen in the left chest."
ANSWER = "Lungs are clear, but a small pleural effusion is seen in the left chest."


def pattern(width: int, height: int, seed: int = 0, shift: int = 0) -> Image:
    """A smooth RGB picture of sines and a ramp, as PNG; `shift` moves it, `seed` changes it."""
    y, x = np.mgrid[0:height, 0:width] + shift
    waves = [np.sin(x / (5 + seed + c)) + np.cos(y / (7 + 2 * c)) for c in range(3)]
    levels = 127 + 50 * np.stack(waves, axis=-1) + (x % 32)[..., None] / 2
    return png(levels.clip(0, 255).astype(np.uint8))


def png(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> Image:
    """Pixels, uint8 [height, width] or [height, width, 3], as PNG."""
    sink = io.BytesIO()
    Pillow.fromarray(pixels).save(sink, format="PNG")
    return Image(sink.getvalue(), "pattern.png")


def image_pair(side: int = 48, candidate_side: int = 40) -> tuple[Sample, Prediction]:
    """An editing sample and a candidate of another size, so that the resize counts too."""
    sample = Sample(
        id=f"pattern-{side}",
        asks="image",
        task="noise-reconstruction",
        modality="CT",
        instruction="Remove the noise.",
        reference_images=(pattern(side, side),),
    )
    edited = pattern(candidate_side, candidate_side, seed=1, shift=1)
    return sample, Prediction(sample.id, images=(edited,))


def square_pair(shift: int = 2) -> tuple[Sample, Prediction]:
    """A mask of a square of 20 pixels, and one that lies some pixels beside it."""
    sample = Sample(
        id="square",
        asks="mask",
        task="segmentation",
        modality="CT",
        instruction="Mark the lesion.",
        reference_images=(_square(0),),
    )
    return sample, Prediction(sample.id, images=(_square(shift),))


def _square(shift: int) -> Image:
    levels = np.zeros((48, 48), np.uint8)
    levels[14:34, 10 + shift : 30 + shift] = 255
    return png(levels)


def text_pair(text: str = ANSWER, reference: str = REPORT) -> tuple[Sample, Prediction]:
    """A report-generation sample and an answer to it."""
    sample = Sample(
        id="report",
        asks="text",
        task="report-generation",
        modality="X-ray",
        instruction="Describe the radiograph.",
        reference_texts=(reference,),
    )
    return sample, Prediction(sample.id, text=text)


def choice_pair(text: str) -> tuple[Sample, Prediction]:
    """A multiple-choice sample whose answer is B, and an answer to it."""
    sample = Sample(
        id="choice",
        asks="choice",
        task="multiple-choice",
        modality="CT",
        instruction="Which finding is present?",
        choices=("A. Pneumothorax", "B. Pleural effusion", "C. Mass"),
        reference_texts=("B. Pleural effusion",),
    )
    return sample, Prediction(sample.id, text=text)
