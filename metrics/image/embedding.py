"""Cosine similarity of two pictures in the space of a frozen medical image encoder."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from medgen.engine.data import Prediction, Score
from medgen.engine.errors import ConfigError
from medgen.metrics import weights
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.image.encoders import KINDS, Encoder, open_encoder
from medgen.metrics.pictures import COLOUR, Picture
from medgen.metrics.port import Golden, ImageMetric, Output
from medgen.metrics.profiles import FOLLOWS, Profile, choose_profile, policy_of
from medgen.metrics.samples import image_pair


class Embedder:
    """Unit vectors of pictures, made in batches and kept with each picture."""

    def __init__(self, encoder: Encoder, batch_size: int) -> None:
        """`batch_size` pictures go through the encoder at a time."""
        self._encoder, self._batch_size = encoder, batch_size

    def vectors(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """Unit vectors, float32 [pictures, width], on the CPU."""
        key = "vector", id(self)
        fresh = list({id(p): p for p in pictures if p.recall(key) is None}.values())
        for start in range(0, len(fresh), self._batch_size):
            part = fresh[start : start + self._batch_size]
            found = self._encoder.encode([picture.image for picture in part])
            unit = torch.nn.functional.normalize(found, dim=-1).cpu()
            for picture, vector in zip(part, unit, strict=True):
                picture.keep(key, vector.clone())
        return torch.stack([picture.recall(key) for picture in pictures])  # type: ignore[misc]


# What the benchmark authors call the value by kind of encoder: theirs are RAD-DINO and this one.
_AUTHORS = {
    "transformers": "Anatomical_Embedding_Similarity",
    "medimageinsight": "MedImageInsight_Similarity",
}


class EmbeddingSimilarity(ImageMetric):
    """Cosine of the two pictures' embeddings, each preprocessed by the encoder at its own size.

    compat: pictures as the benchmark authors' evaluator opens them. strict: orientation, alpha
    and depth are honoured. Which encoder it is stands in the passport; values of different
    encoders cannot be compared.
    """

    name = "embedding_similarity"

    def __init__(
        self,
        profile: str = "compat",
        model: str = "rad-dino",
        encoder: str = "transformers",
        batch_size: int = 8,
        trust_local_code: bool = False,
    ) -> None:
        """`model` is a known name or a directory; `trust_local_code` is for MedImageInsight.

        Raises:
            ConfigError: the profile or the encoder is unknown, or the batch size not positive.
        """
        if encoder not in KINDS or batch_size < 1:
            raise ConfigError(f"encoder is one of {', '.join(KINDS)}, batch_size at least 1")
        self.profile: Profile = choose_profile(self.name, profile, "compat", "strict")
        self.policy = policy_of(self.profile)
        self.model, self.encoder, self.batch_size = model, encoder, batch_size
        self._trust = trust_local_code
        self.outputs = (Output(self.name, low=-1.0, authors=_AUTHORS.get(encoder, "")),)
        self._described: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Load the encoder from its directory."""
        super().load(device)
        here = weights.locate(self.model)
        encoder = open_encoder(self.encoder, here, device, self._trust)
        self._described = encoder.describe() | weights.identity(here)
        self._embedder = Embedder(encoder, self.batch_size)

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`."""
        span = range(len(batch))
        ours = [batch.as_sent(i, self.policy) for i in span]
        theirs = [batch.reference(i, self.policy) for i in span]
        both = self._embedder.vectors([*ours, *theirs])
        cosines = (both[: len(batch)] * both[len(batch) :]).sum(-1).clamp(-1, 1).tolist()
        return [
            Score(pair.sample.id, values={self.name: value})
            for pair, value in zip(batch.pairs, cosines, strict=True)
        ]

    def golden(self) -> Sequence[Golden]:
        """Equal pictures have similarity 1, whatever the weights."""
        sample, _ = image_pair()
        same = Prediction(sample.id, images=sample.reference_images)
        return (Golden(sample, same, {self.name: 1.0}, ("transformers", "torch"), 1e-5),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {
            "profile": self.profile,
            "follows": FOLLOWS[self.profile],
            "model": self.model,
            "resize": "by the encoder's own preprocessing, each picture from its own size",
            "range": "by the encoder's own preprocessing",
            "colour": COLOUR[self.policy],
            **self._described,
        }
