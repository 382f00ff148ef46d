"""Metrics whose packages or code are not here: RadGraph and MedImageInsight, by stand-ins.

The stand-ins have the published interface and known answers, so that our side of it is run.
"""

import json
import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest
from scoring.scoring_cases import image_cases

from medgen.engine.codec import plain
from medgen.engine.errors import AdapterError, ConfigError
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.catalogue import metric_spec
from medgen.metrics.eligible import score_pairs
from medgen.metrics.image.embedding import EmbeddingSimilarity
from medgen.metrics.image.encoders import _module
from medgen.metrics.laws import NEURAL, hold
from medgen.metrics.samples import text_pair
from medgen.metrics.scorer import FusedScorer
from medgen.metrics.text.report_graph import RadGraphF1
from medgen.metrics.weights import MissingWeightsError

TAGGER = '''
class RadGraph:
    """Tags every word longer than five letters, and counts the texts it was given."""

    def __init__(self, model_type, model_cache_dir, cuda):
        assert (model_type, cuda) == ("radgraph-xl", -1)
        self.texts = 0

    def __call__(self, texts):
        self.texts += len(texts)
        return {
            str(i): {"entities": {w: w for w in text.lower().split() if len(w) > 5}}
            for i, text in enumerate(texts)
        }
'''
REWARDS = """
def compute_reward(ours, theirs, level):
    assert level == "all"
    a, b = set(ours["entities"]), set(theirs["entities"])
    return 0.0, 2 * len(a & b) / (len(a) + len(b)), 0.0
"""


@pytest.fixture
def radgraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "site" / "radgraph"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "radgraph.py").write_text(TAGGER)
    (package / "rewards.py").write_text(REWARDS)
    model = tmp_path / "weights" / "radgraph-xl"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "weights.th").write_bytes(b"weights")
    for name in ("radgraph", "radgraph.radgraph", "radgraph.rewards"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setenv("MEDGEN_WEIGHTS", str(tmp_path / "weights"))
    invalidate_caches()
    return model


def test_radgraph_scores_each_text_once(radgraph: Path) -> None:
    metric = RadGraphF1()
    metric.load("cpu")
    reference = "There is moderate cardiomegaly today"
    pairs = [
        Pair(*text_pair("Moderate effusion is seen there", reference)),
        Pair(*text_pair("Moderate cardiomegaly is seen there", reference)),
        Pair(*text_pair("Too short", reference)),
        Pair(*text_pair("a b c d", "e f g h")),
        Pair(*text_pair("a b c d", reference)),
    ]
    scores = score_pairs(metric, ScoringBatch(pairs))
    assert [s.values.get("radgraph_f1") for s in scores] == [0.5, 1.0, None, None, 0.0]
    assert [s.reason for s in scores[2:4]] == [
        "a text has fewer than 4 words",
        "no entities in either text",
    ]
    assert metric._tagger.texts == 5
    assert list(metric.passport()["weights"]) == ["weights.th"]
    hold(metric, pairs[:2])


def test_radgraph_without_the_package_or_the_model(
    radgraph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (radgraph / "weights.th").unlink()
    with pytest.raises(MissingWeightsError, match=r"unpack radgraph-xl.tar.gz"):
        RadGraphF1().load("cpu")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "site" not in Path(p).name])
    invalidate_caches()
    scorer = FusedScorer({"radgraph_f1": plain(metric_spec("radgraph_f1"))}, device="cpu")
    sample, prediction = text_pair()
    found = scorer.score([sample], {"x": [prediction]}, {"x": ["radgraph_f1"]})
    [score] = found["x", "radgraph_f1"]
    assert score.status == "missing_weights"
    assert "radgraph" in score.reason


MEDIMAGEINSIGHT = '''
import base64, io
import numpy as np
from PIL import Image
from helper_beside_it import SCALE

class MedImageInsight:
    """Describes a picture by its mean colour."""

    def __init__(self, model_dir, vision_model_name, language_model_name):
        self.dir = model_dir

    def load_model(self):
        assert self.dir.endswith("2024.09.27")

    def encode(self, images):
        decoded = [Image.open(io.BytesIO(base64.b64decode(i))) for i in images]
        return {"image_embeddings": np.stack([np.asarray(d).mean((0, 1)) * SCALE for d in decoded])}
'''


@pytest.fixture
def medimageinsight(tmp_path: Path) -> Path:
    (tmp_path / "medimageinsightmodel.py").write_text(MEDIMAGEINSIGHT)
    (tmp_path / "helper_beside_it.py").write_text("SCALE = 0.5\n")
    return tmp_path


def test_medimageinsight_runs_only_when_trusted(medimageinsight: Path) -> None:
    kwargs = {"model": str(medimageinsight), "encoder": "medimageinsight"}
    with pytest.raises(ConfigError, match="trust_local_code"):
        EmbeddingSimilarity(**kwargs).load("cpu")
    metric = EmbeddingSimilarity(**kwargs, trust_local_code=True)
    metric.load("cpu")
    assert str(medimageinsight) not in sys.path
    hold(metric, image_cases(), NEURAL)
    assert metric.passport()["architecture"] == "MedImageInsight 2024.09.27"
    sys.modules.pop("helper_beside_it", None)


def test_directories_without_a_model_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing"}))
    with pytest.raises(AdapterError, match="no image encoder can be loaded from"):
        EmbeddingSimilarity(model=str(tmp_path)).load("cpu")
    with pytest.raises(AdapterError, match="MedImageInsight cannot be loaded"):
        EmbeddingSimilarity(
            model=str(tmp_path), encoder="medimageinsight", trust_local_code=True
        ).load("cpu")


def test_a_model_imports_its_own_parts_whatever_else_has_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, words in (("elsewhere", "another"), ("own", "its own")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part_of_a_model.py").write_text(f"WORDS = {words!r}")
    (tmp_path / "own" / "main.py").write_text("from part_of_a_model import WORDS")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    monkeypatch.delitem(sys.modules, "part_of_a_model", raising=False)
    before = [*sys.path]
    assert _module(tmp_path / "own" / "main.py").WORDS == "its own"
    assert sys.path == before
    del sys.modules["part_of_a_model"]
    with pytest.raises(FileNotFoundError):
        _module(tmp_path / "absent.py")
