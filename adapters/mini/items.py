"""What one item of the miniature benchmark is made of, before it is encoded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.random import Generator

from medgen.adapters.mini.pictures import Picture, Pixels


@dataclass(frozen=True, slots=True)
class Scene:
    """What a maker of items may use: the picture, the others, and seeded randomness."""

    picture: Picture
    gallery: Mapping[str, Sequence[Picture]]  # by modality
    number: int  # 0-based, within the task
    rng: Generator

    def other(self, step: int = 1) -> Picture:
        """A picture of another modality; the same `step` gives the same one."""
        names = sorted(self.gallery)
        name = names[(names.index(self.picture.modality) + step) % len(names)]
        return self.gallery[name][self.number % len(self.gallery[name])]


@dataclass(frozen=True, slots=True)
class Item:
    """An item's words and pictures."""

    instruction: str
    inputs: tuple[Pixels, ...]
    answer: str | Mapping[str, Any] | None = None
    references: tuple[Pixels, ...] = ()
    choices: tuple[str, ...] = ()
    subtask: str | None = None
