"""Samples on their way into shards: one file on the local disk, and an index in memory."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from medgen.engine.codec import plain
from medgen.engine.data import Image, Sample
from medgen.engine.store.schemas import dumps


@dataclass(frozen=True, slots=True)
class SpoolEntry:
    """Where one sample lies in the file, and what is needed to order and count it."""

    id: str
    format: str
    task: str
    modality: str
    digest: bytes  # sha256 over every field and every picture
    offset: int
    sizes: tuple[int, ...]  # bytes of the fields, then of each picture


class Spool:
    """Appends samples, and gives any of them back."""

    def __init__(self, file: BinaryIO) -> None:
        """`file` is open for reading and writing, and is nobody else's."""
        self.entries: list[SpoolEntry] = []
        self._file = file
        self._end = 0

    def add(self, sample: Sample) -> None:
        """Append one sample."""
        fields, pictures = _split(sample)
        parts = [dumps(fields).encode(), *(picture.data for picture in pictures)]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(hashlib.sha256(part).digest())
        self._file.seek(self._end)
        self._file.writelines(parts)
        sizes = tuple(len(part) for part in parts)
        entry = SpoolEntry(
            id=sample.id,
            format=sample.format,
            task=sample.task,
            modality=sample.modality,
            digest=digest.digest(),
            offset=self._end,
            sizes=sizes,
        )
        self.entries.append(entry)
        self._end += sum(sizes)

    def sample(self, entry: SpoolEntry) -> Sample:
        """Read one sample back."""
        self._file.seek(entry.offset)
        fields, *pictures = (self._file.read(size) for size in entry.sizes)
        return _join(json.loads(fields), pictures)


def _split(sample: Sample) -> tuple[dict[str, Any], tuple[Image, ...]]:
    pictures = sample.input_images + sample.reference_images
    fields: dict[str, Any] = plain(replace(sample, input_images=(), reference_images=()))
    fields["paths"] = [picture.path for picture in pictures]
    fields["inputs"] = len(sample.input_images)
    return fields, pictures


def _join(fields: dict[str, Any], contents: list[bytes]) -> Sample:
    inputs: int = fields.pop("inputs")
    paths: list[str] = fields.pop("paths")
    pictures = tuple(Image(data, path) for data, path in zip(contents, paths, strict=True))
    fields |= {"input_images": pictures[:inputs], "reference_images": pictures[inputs:]}
    return Sample(**fields | {"choices": tuple(fields["choices"])})
