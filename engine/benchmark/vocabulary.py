"""The names of MedGEN-Bench: formats, tasks, modalities, and the spellings seen in its records.

Source: arXiv 2511.13135 and the public dataset card. Counts are never fixed here: a benchmark
is what its manifest says.
"""

from typing import Literal

from medgen.engine.data import Asks

Format = Literal["VQA", "ImageEditing", "MultimodalGeneration"]
FORMATS: tuple[Format, ...] = ("VQA", "ImageEditing", "MultimodalGeneration")
TASKS: dict[str, Format] = {
    "multiple-choice": "VQA",
    "blank-filling": "VQA",
    "report-generation": "VQA",
    "question-answering": "VQA",
    "style-transfer": "ImageEditing",
    "artifact-removal": "ImageEditing",
    "noise-reconstruction": "ImageEditing",
    "resolution-editing": "ImageEditing",
    "contrast-enhancement": "ImageEditing",
    "anatomical-annotation": "ImageEditing",
    "disease-prediction": "MultimodalGeneration",
    "instruction-editing": "MultimodalGeneration",
    "organic-removal": "MultimodalGeneration",
    "organic-reconstruction": "MultimodalGeneration",
    "3d-to-2d-projection": "MultimodalGeneration",
    "2d-to-3d-reconstruction": "MultimodalGeneration",
}

_ASKS: dict[Format, Asks] = {
    "VQA": "text",
    "ImageEditing": "image",
    "MultimodalGeneration": "image+text",
}

_TASK_ALIASES = {
    "multi-choice": "multiple-choice",
    "question-answer": "question-answering",
    "resolution-edit": "resolution-editing",
    "instruction-edit": "instruction-editing",
    "dye-transfer": "style-transfer",
    "3d-2d-projection": "3d-to-2d-projection",
    "2d-3d-reconstruction": "2d-to-3d-reconstruction",
    "organ-removal": "organic-removal",
    "organ-reconstruction": "organic-reconstruction",
}

# A name that says only the format: the sub-category field holds the task.
_GENERIC_TASKS = frozenset(
    {"image-edit", "image-editing", "edit", "multimodal-generation", "mm-generation"}
    | {"mmgeneration", "imageedit", "imageediting", "multimodalgeneration", "generate"}
    | {"generation", "gen", "vqa"}
)

_FORMAT_SPELLINGS: dict[str, Format] = {
    "vqa": "VQA",
    "imageedit": "ImageEditing",
    "imageediting": "ImageEditing",
    "edit": "ImageEditing",
    "mmgeneration": "MultimodalGeneration",
    "multimodalgeneration": "MultimodalGeneration",
    "gen": "MultimodalGeneration",
    "generation": "MultimodalGeneration",
}

MODALITIES = ("CT", "MRI", "Ultrasound", "X-ray", "Pathology", "Clinical Photography")

_MODALITY_SPELLINGS = {
    "ct": "CT",
    "mri": "MRI",
    "mr": "MRI",
    "magneticresonanceimaging": "MRI",
    "radiograph": "X-ray",
    "radiography": "X-ray",
    "xray": "X-ray",
    "ultrasound": "Ultrasound",
    "us": "Ultrasound",
    "pathology": "Pathology",
    "clinicalphoto": "Clinical Photography",
    "clinicalphotography": "Clinical Photography",
}


def _squash(name: str) -> str:
    return "".join(ch for ch in name.lower() if ch.isalnum())


def asks_of(task: str) -> Asks:
    """What a sample of the task asks for."""
    return "choice" if task == "multiple-choice" else _ASKS[TASKS[task]]


def canonical_task(name: str, sub_category: str | None = None) -> str | None:
    """The canonical task for a spelling, or None when it is unknown.

    A generic name ("image-edit", "generate" …) sends the look-up to `sub_category`.
    """
    slug = name.strip().lower().replace("_", "-").replace(" ", "-")
    if slug in TASKS:
        return slug
    if slug in _TASK_ALIASES:
        return _TASK_ALIASES[slug]
    if slug in _GENERIC_TASKS and sub_category:
        return canonical_task(sub_category)
    return None


def canonical_format(name: str) -> Format | None:
    """The canonical format for a category spelling, or None when it is unknown."""
    return _FORMAT_SPELLINGS.get(_squash(name))


def canonical_modality(name: str) -> str:
    """The canonical modality; an unknown spelling is returned as itself."""
    return _MODALITY_SPELLINGS.get(_squash(name), name)
