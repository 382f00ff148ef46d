"""Similarity of two texts as wholes: the cosine of their mean contextual embeddings.

Reimers and Gurevych, "Sentence-BERT: sentence embeddings using siamese BERT-networks", EMNLP 2019.
It says whether two texts are about the same, not whether they say the same: a wrong option of a
question is near to the right one, and a denial near to what it denies.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from medgen.metrics.port import Output
from medgen.metrics.text.bertscore import BERTScore, Embedded


class TextSimilarity(BERTScore):
    """Cosine of mean word-piece embeddings, in -1 to 1, higher is nearer.

    All pieces count, sentence marks too, as sentence encoders are trained. A pair without a
    reference text is not applicable, one without an answer an error.
    """

    name = "text_similarity"
    outputs = (Output("text_similarity", low=-1.0),)

    def __init__(self, profile: str = "strict", model: str = "minilm", layer: int = 6) -> None:
        """`model` is a known name or a directory; `layer` counts transformer layers from 1.

        Raises:
            ConfigError: the profile is unknown or the layer is not positive.
        """
        super().__init__(profile, model, layer)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {**super().passport(), "pooling": "mean of all word pieces, marks included"}

    def _normalise(self, states: torch.Tensor, ids: Sequence[int]) -> Embedded:
        """One vector a text: the best match of one with one is their cosine."""
        mean = states.mean(0, keepdim=True)
        return Embedded(mean / mean.norm(), torch.ones(1, dtype=torch.bool, device=mean.device))
