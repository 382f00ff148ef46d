"""The pairs that are scored together, and the pictures they share.

A picture is decoded once however many metrics and systems look at it: the album is keyed by the
encoded bytes, so a reference serves every system of a sweep, and equal candidates (a blank, a
copy of the input) are one picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL.Image import Resampling

from medgen.engine.benchmark.canonical import canonical_reference, canonical_response
from medgen.engine.data import Image, Prediction, Sample
from medgen.engine.images import MAX_PIXELS
from medgen.metrics.pictures import DecodeError, Picture, Policy, decode
from medgen.metrics.profiles import Profile, texts_of


@dataclass(frozen=True, slots=True)
class Pair:
    """A sample and what one system gave for it."""

    sample: Sample
    prediction: Prediction


class Album:
    """Decoded pictures by their encoded bytes; failures are remembered too."""

    def __init__(self, limit: int = MAX_PIXELS) -> None:
        """`limit` is the most pixels a picture may have."""
        self._limit = limit
        self._pictures: dict[tuple[Policy, bytes], Picture | DecodeError] = {}

    def picture(self, image: Image, policy: Policy) -> Picture:
        """The decoded picture.

        Raises:
            DecodeError: it cannot be decoded; the same error each time it is asked for.
        """
        key = (policy, image.data)
        if key not in self._pictures:
            try:
                self._pictures[key] = decode(image, policy, self._limit)
            except DecodeError as err:
                self._pictures[key] = err
        found = self._pictures[key]
        if isinstance(found, DecodeError):
            raise found
        return found

    def following(self, keep: Sequence[Image]) -> "Album":
        """An empty album, but for the pictures that the next block needs again."""
        album = Album(self._limit)
        wanted = {image.data for image in keep}
        album._pictures = {k: v for k, v in self._pictures.items() if k[1] in wanted}
        return album


class ScoringBatch:
    """Pairs in order, with their decoded pictures and texts."""

    def __init__(self, pairs: Sequence[Pair], album: Album | None = None) -> None:
        """Pictures are decoded on first use and kept in `album`, which batches may share."""
        self.pairs = tuple(pairs)
        self.album = album or Album()

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.pairs)

    def select(self, indices: Sequence[int]) -> "ScoringBatch":
        """Some of the pairs, with the same album."""
        return ScoringBatch([self.pairs[i] for i in indices], self.album)

    def text(self, index: int) -> str:
        """What the system answered; empty when it gave no text."""
        return self.pairs[index].prediction.text or ""

    def reference_text(self, index: int) -> str:
        """The expected answer; empty when there is none."""
        return self.pairs[index].sample.reference_text or ""

    def texts(self, index: int, profile: Profile) -> tuple[str, str]:
        """What a profile compares: answer and reference, canonical but for strict."""
        if texts_of(profile) == "as given":
            return self.text(index), self.reference_text(index)
        sample = self.pairs[index].sample
        return canonical_response(sample, self.text(index)), canonical_reference(sample)

    def reference(self, index: int, policy: Policy = "compat") -> Picture:
        """The first reference picture, at its own size."""
        return self.album.picture(self.pairs[index].sample.reference_images[0], policy)

    def candidate(self, index: int, policy: Policy = "compat") -> Picture:
        """The first predicted picture, brought to the reference's size with Lanczos."""
        size = self.reference(index, policy).size
        return self.as_sent(index, policy).resize(size, Resampling.LANCZOS)

    def as_sent(self, index: int, policy: Policy = "compat") -> Picture:
        """The first predicted picture at its own size."""
        return self.album.picture(self.pairs[index].prediction.images[0], policy)
