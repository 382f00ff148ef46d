"""Samples on their way into shards: one file on the local disk, and an index in memory."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO

import msgspec

from medgen.engine.benchmark.digest import sample_digest
from medgen.engine.data import Asks, Sample
from medgen.engine.store.room import room
from medgen.engine.store.schemas import dumps

_NOTHING = dumps({})
_WAITING = "samples that wait to be imported"


@dataclass(frozen=True, slots=True)
class SpoolEntry:
    """Where one sample lies in the file, and what is needed to order and count it."""

    id: str
    asks: Asks
    format: str
    task: str
    subtask: str | None
    modality: str
    source: str
    bundle: str
    language: str
    groups: Mapping[str, str]
    digest: bytes  # see `medgen.engine.benchmark.digest`
    offset: int = 0
    size: int = 0


def entry_of(sample: Sample, offset: int = 0, size: int = 0) -> SpoolEntry:
    """What is kept of a sample in memory."""
    return SpoolEntry(
        id=sample.id,
        asks=sample.asks,
        format=sample.format,
        task=sample.task,
        subtask=sample.subtask,
        modality=sample.modality,
        source=sample.source,
        bundle=sample.bundle,
        language=sample.language,
        groups=sample.groups,
        digest=sample_digest(sample),
        offset=offset,
        size=size,
    )


class Spool:
    """Appends samples, and gives any of them back."""

    def __init__(self, file: BinaryIO) -> None:
        """`file` is open for reading and writing, and is nobody else's."""
        self.entries: list[SpoolEntry] = []
        self._file = file
        self._end = self._there = 0  # bytes: all that came, and what others could read of it

    def add(self, sample: Sample) -> None:
        """Append one sample."""
        # As JSON: what came may hold numbers that no other encoding does.
        bare = replace(sample, raw={}) if sample.raw else sample
        content = msgspec.msgpack.encode((bare, dumps(sample.raw)))
        with room(_WAITING):
            self._file.write(content)
        self.entries.append(entry_of(sample, self._end, len(content)))
        self._end += len(content)

    def sample(self, entry: SpoolEntry) -> Sample:
        """Read one sample back."""
        if self._there < self._end:
            with room(_WAITING):
                self._file.flush()
            self._there = self._end
        content = os.pread(self._file.fileno(), entry.size, entry.offset)
        sample, raw = msgspec.msgpack.decode(content, type=tuple[Sample, str])
        return replace(sample, raw=json.loads(raw)) if raw != _NOTHING else sample
