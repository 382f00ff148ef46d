"""The registry of weights: finding, fetching from a mirror, and checking."""

import json
from pathlib import Path

import fsspec
import pytest

from medgen.engine.codec import plain
from medgen.engine.digests import sha256
from medgen.engine.errors import AdapterError, ConfigError
from medgen.metrics import weights
from medgen.metrics.batch import Pair
from medgen.metrics.catalogue import CATALOGUE, metric_spec
from medgen.metrics.samples import image_pair, text_pair
from medgen.metrics.scorer import FusedScorer
from medgen.metrics.weights import KNOWN, MissingWeightsError, WeightFile, Weights


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An empty weights folder and a mirror that holds one made-up set in the published layout."""
    here, mirror = tmp_path / "here", tmp_path / "mirror"
    monkeypatch.setenv("MEDGEN_WEIGHTS", str(here))
    monkeypatch.setenv("MEDGEN_WEIGHTS_MIRROR", str(mirror))
    (mirror / "toy").mkdir(parents=True)
    (mirror / "toy" / "config.json").write_text("{}")
    (mirror / "toy" / "model.safetensors").write_bytes(b"\x00" * 5_000_000)
    known = WeightFile("config.json", sha256=sha256(mirror / "toy" / "config.json"), size=2)
    toy = Weights("toy", "a test", "nowhere", (known, WeightFile("model.safetensors")))
    monkeypatch.setitem(KNOWN, "toy", toy)
    return here, mirror


def test_what_is_missing_says_how_to_get_it(places: tuple[Path, Path]) -> None:
    with pytest.raises(MissingWeightsError, match="medgen weights fetch lpips-alex-trunk"):
        weights.locate("lpips-alex-trunk")
    with pytest.raises(MissingWeightsError, match="clone the repository"):
        weights.locate("medimageinsight")
    with pytest.raises(MissingWeightsError, match="never downloaded by name"):
        weights.locate("somebody/some-model")
    assert {row.name: row.state for row in weights.listing()} == dict.fromkeys(KNOWN, "absent")


def test_fetch_from_a_mirror_then_check(places: tuple[Path, Path]) -> None:
    here, _ = places
    assert weights.check("toy") == [
        f"{here}/toy/config.json: missing",
        f"{here}/toy/model.safetensors: missing",
    ]
    assert weights.fetch("toy") == here / "toy" == weights.locate("toy")
    assert weights.check("toy") == []
    lock = json.loads((here / "toy" / weights.LOCK).read_text())
    assert lock["files"]["model.safetensors"]["size"] == 5_000_000
    assert weights.identity(here / "toy")["random_weights"] is False

    (here / "toy" / "model.safetensors").write_bytes(b"\x01" * 5_000_000)
    [problem] = weights.check("toy")
    assert "sha256" in problem
    weights.fetch("toy")  # the changed file is brought again
    assert weights.check("toy") == []


def test_a_file_with_another_hash_is_not_kept(places: tuple[Path, Path]) -> None:
    here, mirror = places
    (mirror / "toy" / "config.json").write_text("[]")
    with pytest.raises(AdapterError, match=r"sha256 .* not kept"):
        weights.fetch("toy")
    assert list((here / "toy").iterdir()) == []


def test_an_incomplete_mirror_is_named(places: tuple[Path, Path]) -> None:
    (places[1] / "toy" / "model.safetensors").unlink()
    with pytest.raises(AdapterError, match=r"cannot read .*model.safetensors"):
        weights.fetch("toy")


def test_random_weights_are_labelled_and_never_mixed(
    with_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {row.name: row.state for row in weights.listing()}
    assert found["pubmedbert"] == found["rad-dino"] == found["lpips-alex-trunk"] == "random"
    [problem] = weights.check("pubmedbert")
    assert "mean nothing medically" in problem
    with pytest.raises(AdapterError, match="random weights"):
        weights.fetch("pubmedbert")
    recipes = {n: plain(metric_spec(n)) for n in ("lpips", "bertscore", "embedding_similarity")}
    scorer = FusedScorer(recipes, device="cpu")
    assert all(scorer.passport(name)["random_weights"] is True for name in recipes)
    assert all(scorer.passport(name)["weights"] for name in recipes)


def test_unknown_names_and_damaged_locks(places: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match="no weights 'nope'"):
        weights.fetch("nope")
    weights.fetch("toy")
    (places[0] / "toy" / weights.LOCK).write_text("{}")
    with pytest.raises(AdapterError, match="is damaged"):
        weights.check("toy")


def test_a_login_in_the_mirror_is_not_written_down(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = "memory://user:secret@w"
    for name in ("config.json", "model.safetensors"):
        with fsspec.open(f"{mirror}/toy/{name}", "wb") as sink:
            sink.write((places[1] / "toy" / name).read_bytes())
    monkeypatch.setenv("MEDGEN_WEIGHTS_MIRROR", mirror)
    weights.fetch("toy")
    assert "secret" not in (places[0] / "toy" / weights.LOCK).read_text()


def test_missing_weights_are_rows_or_an_error(places: tuple[Path, Path]) -> None:
    recipes = {name: plain(metric_spec(name)) for name in ("lpips", "bertscore", "psnr")}
    pairs = [Pair(*image_pair()), Pair(*text_pair())]
    samples, predictions = [p.sample for p in pairs], {"x": [p.prediction for p in pairs]}
    scorer = FusedScorer(recipes, device="cpu")
    found = scorer.score(samples, predictions, {"x": list(recipes)})
    assert [s.status for s in found["x", "lpips"]] == ["missing_weights", "not_applicable"]
    assert [s.status for s in found["x", "bertscore"]] == ["not_applicable", "missing_weights"]
    assert [s.status for s in found["x", "psnr"]] == ["ok", "not_applicable"]
    assert "medgen weights fetch lpips-alex-trunk" in found["x", "lpips"][0].reason
    assert "missing_weights" in scorer.passport("lpips")
    assert scorer.outputs("lpips") == ("lpips",)
    with pytest.raises(MissingWeightsError):
        FusedScorer(recipes, device="cpu", strict_weights=True)


def test_the_catalogue_names_known_weights() -> None:
    assert {name for entry in CATALOGUE.values() for name in entry.weights} <= set(KNOWN)
    for known in KNOWN.values():
        assert known.by_hand or known.at.startswith("https://")
        for file in known.files:
            assert file.sha256 is None or len(file.sha256) == 64
