"""FID and KID: how far a set of predicted pictures lies from the set of references.

These are statements about sets, not about samples: a worker gives a state for its shard, states
are merged in any order, and the values are computed once, at the end. A state keeps one
vector a picture, so that both distances, and a later subset by task, come from the same state.
Both are defined over an encoder's features as they are, of any length; unit vectors would give
other values than the field's.

Sources: Heusel et al., "GANs trained by a two time-scale update rule", NeurIPS 2017 (FID);
Binkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", ICLR 2018 (KID).
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medgen.engine.data import Prediction, Sample
from medgen.engine.errors import ConfigError
from medgen.engine.store.schemas import dumps
from medgen.metrics import weights
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.image.encoders import open_encoder
from medgen.metrics.pictures import DecodeError, Picture
from medgen.metrics.port import image_gap

Vectors = npt.NDArray[np.float64]
# KID's usual block: its value and spread come from this many pictures at a time.
SUBSET = 1000
SUBSETS = 100
_SEED = 42  # of them
_KEPT = 4096  # vectors of the images seen last
_SCHEMA_NAME = "set-features/1"


@dataclass(frozen=True, slots=True)
class SetState:
    """Vectors of candidates and references by sample, and how they were made.

    `recipe` is what must be equal for two states to be merged: encoder, weights, policy.
    """

    recipe: str
    rows: Mapping[str, tuple[Vectors, Vectors]]
    left_out: int = 0  # pairs without two pictures that can be decoded

    def merge(self, other: "SetState") -> "SetState":
        """Both sets as one.

        Raises:
            ConfigError: they were made differently, or share a sample.
        """
        if self.recipe != other.recipe:
            raise ConfigError(f"sets made by {self.recipe} and {other.recipe} cannot be merged")
        if twice := set(self.rows) & set(other.rows):
            raise ConfigError(f"samples in both sets: {', '.join(sorted(twice)[:5])}")
        both = {**self.rows, **other.rows}
        return SetState(self.recipe, both, self.left_out + other.left_out)

    def table(self) -> pa.Table:
        """The state as an Arrow table, for `medgen.engine.store.sealed.seal`."""
        ids = sorted(self.rows)
        columns = {
            "sample_id": pa.array(ids, pa.string()),
            "candidate": pa.array([self.rows[i][0].tolist() for i in ids], pa.list_(pa.float64())),
            "reference": pa.array([self.rows[i][1].tolist() for i in ids], pa.list_(pa.float64())),
        }
        note = {
            "medgen.schema": _SCHEMA_NAME,
            "recipe": self.recipe,
            "left_out": str(self.left_out),
        }
        return pa.table(columns).replace_schema_metadata(note)

    def values(self) -> dict[str, float]:
        """FID, KID with the spread over subsets, and how many pairs are in and out.

        Raises:
            ConfigError: fewer than two pairs; nothing can be said about such a set.
        """
        if len(self.rows) < 2:
            raise ConfigError(f"a set distance needs two pairs, there are {len(self.rows)}")
        ids = sorted(self.rows)  # the order of merging must not show in the last digit
        ours = np.stack([self.rows[i][0] for i in ids])
        theirs = np.stack([self.rows[i][1] for i in ids])
        kid, spread = kernel_distance(ours, theirs)
        return {
            "fid": frechet_distance(ours, theirs),
            "kid": kid,
            "kid_sd": spread,
            "n": float(len(ids)),
            "left_out": float(self.left_out),
        }


def from_table(table: pa.Table) -> SetState:
    """A state back from its table.

    Raises:
        ConfigError: the table is not one of this version.
    """
    note = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    if note.get("medgen.schema") != _SCHEMA_NAME:
        raise ConfigError(f"not a {_SCHEMA_NAME} table: {note.get('medgen.schema')}")
    rows = {
        row["sample_id"]: (np.asarray(row["candidate"]), np.asarray(row["reference"]))
        for row in table.to_pylist()
    }
    return SetState(note["recipe"], rows, int(note["left_out"]))


class SetFeatures:
    """Makes the states of one worker: the encoder is a parameter, as for embedding similarity."""

    def __init__(
        self,
        model: str = "rad-dino",
        encoder: str = "transformers",
        device: str = "cpu",
        trust_local_code: bool = False,
    ) -> None:
        """Load the encoder.

        Raises:
            MissingWeightsError: its weights are not on this machine.
        """
        here = weights.locate(model)
        self._encoder = open_encoder(encoder, here, device, trust_local_code)
        self._known: OrderedDict[bytes, Vectors] = OrderedDict()
        self.passport: Mapping[str, Any] = {
            "model": model,
            "colour": "compat",
            "features": "not normalised",
            **self._encoder.describe(),
            **weights.identity(here),
        }
        self._recipe = dumps(dict(self.passport))

    def state(
        self,
        samples: Sequence[Sample],
        predictions: Sequence[Prediction],
    ) -> SetState:
        """The state of one shard of one system; pairs that cannot be used are counted out.

        Pictures are taken one pair at a time, so memory does not grow with the shard.
        """
        rows = {}
        left_out = 0
        for sample, prediction in zip(samples, predictions, strict=True):
            if image_gap(sample):
                continue
            vectors = self._pair(Pair(sample, prediction))
            if vectors is None:
                left_out += 1
            else:
                rows[sample.id] = vectors
        return SetState(self._recipe, rows, left_out)

    def _pair(self, pair: Pair) -> tuple[Vectors, Vectors] | None:
        if pair.prediction.status != "ok" or not pair.prediction.images:
            return None
        batch = ScoringBatch([pair])
        try:
            return self._vector(batch.as_sent(0)), self._vector(batch.reference(0))
        except DecodeError:
            return None

    def _vector(self, picture: Picture) -> Vectors:
        """References return with every system, and many a system gives back what it was given."""
        image = picture.image
        seen = hashlib.sha256(f"{image.size} ".encode() + image.tobytes()).digest()
        if seen not in self._known:
            self._known[seen] = self._encoder.encode([image])[0].cpu().double().numpy()
        self._known.move_to_end(seen)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return self._known[seen]


def frechet_distance(ours: Vectors, theirs: Vectors) -> float:
    """Squared Frechet distance of two normal distributions fitted to vectors [n, width].

    With fewer vectors than dimensions the covariances are singular and the value is biased
    upwards; it then compares systems on the same samples, and nothing else.
    """
    shift = ours.mean(0) - theirs.mean(0)
    first, second = _covariance(ours), _covariance(theirs)
    root = _square_root(first)
    # The product of the roots is symmetric, so its eigenvalues are real and not negative.
    overlap = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(min=0)).sum()
    return float(max(shift @ shift + np.trace(first) + np.trace(second) - 2 * overlap, 0.0))


def _covariance(vectors: Vectors) -> Vectors:
    return np.atleast_2d(np.cov(vectors, rowvar=False)).astype(np.float64)


def _square_root(matrix: Vectors) -> Vectors:
    values, vectors = np.linalg.eigh(matrix)
    root: Vectors = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root


def kernel_distance(ours: Vectors, theirs: Vectors) -> tuple[float, float]:
    """Unbiased squared MMD under the cubic kernel (x.y / width + 1)^3, and its spread.

    Up to `SUBSET` vectors the value is exact and the spread 0; beyond, both are the mean and
    the standard deviation over `SUBSETS` seeded subsets. It can be slightly negative.
    """
    if len(ours) <= SUBSET:
        return _unbiased_mmd(ours, theirs), 0.0
    chance = np.random.default_rng(_SEED)
    found = []
    for _ in range(SUBSETS):
        chosen = [chance.choice(len(ours), SUBSET, replace=False) for _ in range(2)]
        found.append(_unbiased_mmd(ours[chosen[0]], theirs[chosen[1]]))
    return float(np.mean(found)), float(np.std(found))


def _unbiased_mmd(ours: Vectors, theirs: Vectors) -> float:
    n, width = ours.shape
    within = [((x @ x.T / width + 1) ** 3) for x in (ours, theirs)]
    across = ((ours @ theirs.T / width + 1) ** 3).mean()
    alike = sum((k.sum() - np.trace(k)) / (n * (n - 1)) for k in within)
    return float(alike - 2 * across)
