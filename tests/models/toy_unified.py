"""A unified model with known answers, loaded by name."""

from collections.abc import Sequence

from models.conftest import picture

from medgen.engine.errors import AdapterError


class Toy:
    def __init__(self, model: str, size: int = 32) -> None:
        if model == "missing":
            raise FileNotFoundError(model)
        self.size = size
        self.asked: list[tuple[str, str, Sequence[bytes], int]] = []

    def reply(
        self, system: str, instruction: str, images: Sequence[bytes], seed: int
    ) -> Sequence[str | bytes]:
        self.asked.append((system, instruction, images, seed))
        if "number 1" in instruction:
            raise ValueError("a prompt that the model cannot take")
        if "number 2" in instruction:
            raise AdapterError("gone for good")
        made = picture(seed % 1000, (self.size, self.size))
        return ["Before it.", made, "After it.", picture(5, (self.size, self.size))]
