"""Real encoders give what is published of them, and put the controls in their known order."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
import torch
import yaml
from commands import medgen
from PIL import Image as Pillow

from medgen.conf.loading import load
from medgen.engine.data import Prediction, Sample
from medgen.engine.results.summary import summarize
from medgen.launch.commands.results import open_run
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.image.efficientnet import EfficientNetLite0
from medgen.metrics.image.embedding import EmbeddingSimilarity
from medgen.metrics.text.similarity import TextSimilarity

TEXT = ("text_similarity_minilm", "bertscore_minilm")
IMAGE = "embedding_similarity_efficientnet"
KIND = "efficientnet-lite0"
TASKS = {
    "ImageEditing": ["noise-reconstruction", "contrast-enhancement", "style-transfer"],
    "VQA": ["question-answering", "blank-filling", "report-generation"],
}


def photograph(name: str) -> Pillow.Image:
    with (files("skimage") / "data" / f"{name}.png").open("rb") as stream:
        return Pillow.open(stream).convert("RGB")


def test_sentences_are_as_near_as_the_models_card_says(real_weights: Path) -> None:
    """The example of sentence-transformers' documentation, all-MiniLM-L6-v2."""
    texts = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
    published = {(0, 1): 0.6660, (0, 2): 0.1046, (1, 2): 0.1411}
    metric = TextSimilarity(model=str(real_weights / "minilm"))
    metric.load("cpu")
    pairs = [
        Pair(
            Sample(
                id=f"{a}-{b}", asks="text", task="question-answering", modality="CT",
                instruction="?", reference_texts=(texts[b],),
            ),
            Prediction(f"{a}-{b}", text=texts[a]),
        )
        for a, b in published
    ]  # fmt: skip
    found = [score.values["text_similarity"] for score in metric.score(ScoringBatch(pairs))]
    assert found == pytest.approx([*published.values()], abs=2e-4)
    about = metric.passport()["about"]
    assert about["model"] == "all-MiniLM-L6-v2"
    assert "not PubMedBERT" in about["note"]


def test_features_of_a_photograph_are_those_of_the_published_network(real_weights: Path) -> None:
    """Numbers of the package `efficientnet_lite_pytorch` 0.1.0 with the checkpoint as it is."""
    encoder = EfficientNetLite0(real_weights / KIND, "cpu")
    cat = photograph("chelsea")
    (found,) = encoder.encode([cat])
    assert found.shape == (1280,)
    assert found[:5].tolist() == pytest.approx([0.0328, 0.0640, 0.0, 0.3179, 1.7197], abs=1e-3)
    assert float(found.norm()) == pytest.approx(14.6093, abs=1e-3)
    metric = EmbeddingSimilarity(model=str(real_weights / KIND), encoder=KIND)
    metric.load("cpu")
    assert "not RAD-DINO" in metric.passport()["about"]["note"]
    both = encoder.encode([cat, photograph("astronaut")])
    assert torch.allclose(both[0], found, atol=1e-4)


@pytest.mark.trial
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_controls_come_in_their_known_order(real_weights: Path, tmp_path: Path) -> None:
    """Oracle, classical and unrelated, by similarity of texts and images, BERTScore and KID."""
    metrics = {}
    for name, metric in load("demo", ["store=/s"]).protocol.metrics.items():
        if model := metric.kwargs.get("model"):
            own = {**metric.kwargs, "model": str(real_weights / Path(model).name)}
            metrics[name] = {"target": metric.target, "kwargs": own}
    tasks = [task for own in TASKS.values() for task in own]
    store = str(tmp_path / "store")
    run = {
        "name": "order",
        "store": store,
        "benchmark": {
            "name": "mini", "source": "mini", "shard_size": 16,
            "subset": {"name": "some", "tasks": tasks, "expected_count": 48},
        },
        "systems": ["oracle", "classical", "unrelated", "blank"],
        "protocol": {"name": "real", "profile": "strict", "metrics": metrics},
        "cluster": "in-process",
    }  # fmt: skip
    file = tmp_path / "order.yaml"
    file.write_text(yaml.safe_dump(run))
    done = medgen("run", "--config", str(file), "report=false")
    assert done.returncode == 0, done.stderr[-3000:]
    rows = summarize(open_run(store, "order")).to_pylist()
    means = {(r["metric"], r["system"]): r["mean"] for r in rows if r["group_kind"] == "all"}
    for name in TEXT:
        assert means[name, "oracle"] == pytest.approx(1.0, abs=1e-5)
        assert means[name, "classical"] > means[name, "unrelated"] + 0.1
    assert means[IMAGE, "oracle"] == pytest.approx(1.0, abs=1e-5)
    assert means[IMAGE, "classical"] > means[IMAGE, "unrelated"] + 0.1 > means[IMAGE, "blank"] + 0.1
    assert all(not row["random_weights"] for row in rows)

    model = str(real_weights / KIND)
    done = medgen(
        *("sets", "order", "--store", store, "--json"),
        *("--model", model, "--encoder", KIND),
    )
    sets = {row["system"]: row["values"] for row in map(json.loads, done.stdout.splitlines())}
    assert sets["oracle"]["fid"] == pytest.approx(0.0, abs=1e-6)
    order = [sets[name]["kid"] for name in ("oracle", "classical", "unrelated", "blank")]
    assert order == sorted(order)
    assert len(set(order)) == 4
