"""FID and KID: known distances, states that merge in any order, and honest counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scoring.scoring_cases import image_cases, text_cases

from medgen.engine.data import Image, Prediction
from medgen.engine.errors import ConfigError
from medgen.engine.store.sealed import seal, unseal
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.image.sets import (
    SetFeatures,
    SetState,
    Vectors,
    _unbiased_mmd,
    frechet_distance,
    from_table,
    kernel_distance,
)
from medgen.metrics.pictures import Picture
from medgen.metrics.weights import MissingWeightsError


def test_frechet_distance_of_known_normals() -> None:
    chance = np.random.default_rng(0)
    base = chance.normal(size=(4000, 3))
    # Whitened, so that mean and covariance are exactly 0 and 1.
    base -= base.mean(0)
    base = base @ np.linalg.inv(np.linalg.cholesky(np.cov(base, rowvar=False))).T
    shifted = base * np.array([1.0, 2.0, 3.0]) + np.array([0.0, 0.0, 5.0])
    # |shift|^2 plus (1 - scale)^2 for each axis.
    assert frechet_distance(base, shifted) == pytest.approx(25 + 0 + 1 + 4, abs=1e-8)
    assert frechet_distance(base, base) == pytest.approx(0, abs=1e-8)


def test_kernel_distance_by_its_definition() -> None:
    chance = np.random.default_rng(1)
    ours, theirs = chance.normal(size=(6, 4)), chance.normal(1, 1, size=(6, 4))

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 4 + 1) ** 3)

    pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
    want = sum(kernel(ours[i], ours[j]) + kernel(theirs[i], theirs[j]) for i, j in pairs) / 30
    want -= 2 * sum(kernel(a, b) for a in ours for b in theirs) / 36
    assert kernel_distance(ours, theirs) == (pytest.approx(want, rel=1e-12), 0.0)
    assert abs(_unbiased_mmd(ours, ours)) < want


def test_kernel_distance_in_subsets_is_near_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(2)
    ours, theirs = chance.normal(size=(300, 8)), chance.normal(0.5, 1, size=(300, 8))
    whole = _unbiased_mmd(ours, theirs)
    monkeypatch.setattr("medgen.metrics.image.sets.SUBSET", 100)
    value, spread = kernel_distance(ours, theirs)
    assert abs(value - whole) < 3 * spread
    assert spread > 0
    assert kernel_distance(ours, theirs) == (value, spread)


def test_states_merge_in_any_order_and_survive_storage(with_weights: Path) -> None:
    features = SetFeatures()
    pairs = [*image_cases(), *text_cases()]
    broken = replace(image_cases()[0].sample, id="broken")
    samples = [*(p.sample for p in pairs), broken]
    predictions = [
        *(p.prediction for p in pairs),
        replace(pairs[0].prediction, sample_id="broken", images=(Image(b"nothing"),)),
    ]
    whole = features.state(samples, predictions)
    assert (len(whole.rows), whole.left_out) == (4, 1)
    parts = [features.state(samples[i : i + 2], predictions[i : i + 2]) for i in range(0, 10, 2)]
    merged = parts[4]
    for part in (parts[1], parts[3], parts[0], parts[2]):
        merged = merged.merge(part)
    stored = from_table(unseal(seal(merged.table()), "x"))
    assert stored.values() == pytest.approx(whole.values(), abs=1e-6)
    assert stored.recipe == whole.recipe
    assert '"random_weights": true' in whole.recipe
    assert whole.values()["fid"] > 0


def test_features_are_taken_as_the_encoder_gives_them(with_weights: Path) -> None:
    """FID of unit vectors is another number than everybody else's."""
    features, case = SetFeatures(), image_cases()[0]
    rows = features.state([case.sample], [case.prediction]).rows
    batch = ScoringBatch([case])
    pictures = batch.as_sent(0), batch.reference(0)
    raw = features._encoder.encode([picture.image for picture in pictures]).double().numpy()
    assert np.allclose(np.stack(rows[case.sample.id]), raw, atol=1e-5)
    assert not np.allclose(np.linalg.norm(raw, axis=1), 1.0, atol=0.05)


def test_an_image_that_returns_is_not_looked_at_again(
    with_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medgen.metrics.image.sets._KEPT", 3)
    looked: list[int] = []

    class Counting(SetFeatures):
        def _vector(self, picture: Picture) -> Vectors:
            before = set(self._known)
            found = super()._vector(picture)
            looked.append(len(set(self._known) - before))
            return found

    features, (first, second) = Counting(), image_cases()[:2]
    own = Prediction(first.sample.id, images=first.sample.reference_images)
    again = features.state([first.sample], [own])
    assert looked == [1, 0], "the reference given as the answer"
    features.state([first.sample, second.sample], [own, second.prediction])
    assert looked[2:4] == [0, 0]
    assert len(features._known) <= 3
    ours, theirs = again.rows[first.sample.id]
    assert (ours == theirs).all()


def test_states_that_cannot_be_merged() -> None:
    row = {"a": (np.zeros(2), np.zeros(2))}
    with pytest.raises(ConfigError, match="cannot be merged"):
        SetState("one", row).merge(SetState("two", {}))
    with pytest.raises(ConfigError, match="samples in both sets: a"):
        SetState("one", row).merge(SetState("one", row))
    with pytest.raises(ConfigError, match="needs two pairs"):
        SetState("one", row).values()
    with pytest.raises(ConfigError, match="not a set-features/1"):
        from_table(SetState("one", row).table().replace_schema_metadata({}))


def test_missing_weights_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDGEN_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeightsError, match="medgen weights fetch rad-dino"):
        SetFeatures()
