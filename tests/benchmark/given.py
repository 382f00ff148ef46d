"""A source of samples that are there already."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medgen.engine.data import Sample


class Given:
    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def expected_counts(self) -> Mapping[tuple[str, str], int]:
        return {}

    def describe(self) -> Mapping[str, Any]:
        return {"layout": "given"}
