"""Images that a condition borrows from other samples of the benchmark."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.codec import fingerprint
from medgen.engine.data import Image, Sample

MOST = 16  # donors of each modality
_SHARDS = 32  # of the benchmark, read at most: they are an unbiased sample of it
Role = Literal["input", "reference"]


@dataclass(frozen=True, slots=True)
class Donor:
    """One sample's first images; nothing else of it is kept."""

    id: str
    source: str
    modality: str
    input: Image | None
    reference: Image | None

    def image(self, role: Role) -> Image | None:
        """Its image of a role."""
        return self.input if role == "input" else self.reference


@dataclass
class Donors:
    """Some samples of every modality, from the first shards of a benchmark.

    Which of them a sample takes is decided by a hash of both ids: it depends on nothing else,
    neither on batches, shards nor workers.
    """

    of: dict[str, list[Donor]] = field(default_factory=dict)  # by modality

    @classmethod
    def read(cls, benchmark: Benchmark) -> "Donors":
        """Read shards until every modality has its donors."""
        wanted = Counter(benchmark.manifest.modalities)
        donors = cls()
        for number in range(min(_SHARDS, len(benchmark.manifest.shards))):
            found = {m: len(donors.of.get(m, ())) for m in wanted}
            if all(found[m] >= min(MOST, wanted[m]) for m in wanted):
                break
            donors.add(benchmark.samples(number))
        return donors

    def add(self, samples: Iterable[Sample]) -> None:
        """Keep their images, as far as donors are wanted."""
        for sample in samples:
            first, reference = sample.input_images[:1], sample.reference_images[:1]
            kept = self.of.setdefault(sample.modality, [])
            if len(kept) < MOST and (first or reference):
                kept.append(
                    Donor(
                        sample.id,
                        sample.source or sample.id,
                        sample.modality,
                        first[0] if first else None,
                        reference[0] if reference else None,
                    )
                )

    def images(self, sample: Sample, role: Role, same_modality: bool) -> list[Image]:
        """Images of other sources, the one that the sample takes first."""
        donors = [
            donor
            for modality, several in self.of.items()
            if (modality == sample.modality) is same_modality
            for donor in several
            if donor.source != (sample.source or sample.id) and donor.image(role) is not None
        ]
        donors.sort(key=lambda donor: fingerprint("donor", sample.id, donor.id))
        return [image for donor in donors if (image := donor.image(role)) is not None]
