"""The names of MedGEN-Bench: formats, tasks, modalities, and the spellings seen in its records.

Source: arXiv 2511.13135 and the public dataset card. Counts are never fixed here: a benchmark
is what its manifest says.
"""

from typing import Literal

import msgspec

from medgen.engine.beside import read_beside
from medgen.engine.data import Asks

Format = Literal["VQA", "ImageEditing", "MultimodalGeneration"]
FORMATS: tuple[Format, ...] = ("VQA", "ImageEditing", "MultimodalGeneration")


class _Words(msgspec.Struct, frozen=True):
    """What `vocabulary.yaml` holds."""

    tasks: dict[Format, tuple[str, ...]]
    task_aliases: dict[str, str]
    generic_tasks: frozenset[str]
    formats: dict[Format, tuple[str, ...]]
    modalities: dict[str, tuple[str, ...]]


_WORDS = read_beside(__package__, "vocabulary.yaml", _Words)
TASKS: dict[str, Format] = {task: f for f, tasks in _WORDS.tasks.items() for task in tasks}
MODALITIES = tuple(_WORDS.modalities)
_ASKS: dict[Format, Asks] = {
    "VQA": "text",
    "ImageEditing": "image",
    "MultimodalGeneration": "image+text",
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
    if slug in _WORDS.task_aliases:
        return _WORDS.task_aliases[slug]
    if slug in _WORDS.generic_tasks and sub_category:
        return canonical_task(sub_category)
    return None


def canonical_format(name: str) -> Format | None:
    """The canonical format for a category spelling, or None when it is unknown."""
    squashed = _squash(name)
    return next((known for known, spelt in _WORDS.formats.items() if squashed in spelt), None)


def canonical_modality(name: str) -> str:
    """The canonical modality; an unknown spelling is returned as itself."""
    squashed = _squash(name)
    return next((known for known, spelt in _WORDS.modalities.items() if squashed in spelt), name)
