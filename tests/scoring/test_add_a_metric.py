"""The page on adding a metric, followed to the letter."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from commands import medgen
from omegaconf import OmegaConf

from medgen.engine.codec import plain
from medgen.metrics.catalogue import metric_spec, names
from medgen.metrics.samples import text_pair
from medgen.metrics.scorer import FusedScorer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-metric.md").read_text()
MODULE, TEST = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
YAML, RUN = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
[TOML] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's files, and its package installed under the page's entry point."""
    (tmp_path / "word_count.py").write_text(MODULE)
    (tmp_path / "test_word_count.py").write_text(TEST)
    [(group, points)] = tomllib.loads(TOML)["project"]["entry-points"].items()
    installed = tmp_path / "word_count-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: word-count\nVersion: 1.0\n")
    lines = [f"[{group}]", *(f"{k} = {v}" for k, v in points.items())]
    (installed / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_test_of_the_page_passes(package: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_word_count.py"]
    environment = {"PYTHONPATH": f"{ROOT}:{package}", "PATH": ""}
    done = subprocess.run(
        command, cwd=package, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_metric_is_taken_by_class_and_by_name(package: Path) -> None:
    asked = OmegaConf.to_container(OmegaConf.create(YAML))
    by_class = asked["metrics"]["word_count"]  # type: ignore[index, call-overload]
    assert "word_count" in names()
    recipes = {"by_class": by_class, "by_name": plain(metric_spec("word_count"))}
    scorer = FusedScorer(recipes, device="cpu")  # type: ignore[arg-type]
    sample, prediction = text_pair("word " * 60, "word word")
    found = scorer.score([sample], {"x": [prediction]}, {"x": list(recipes)})
    assert found["x", "by_class"][0].values == {"word_ratio": 5.0}
    assert found["x", "by_name"][0].values == {"word_ratio": 10.0}
    assert scorer.passport("by_class")["at_most"] == 5.0
    assert scorer.passport("by_name")["implementation"] == "word_count:WordCount"


def test_the_run_of_the_page_gives_the_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "word_count.py").write_text(MODULE)
    (tmp_path / "run.yaml").write_text(RUN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    done = medgen("run", "--config", "run.yaml")
    assert done.returncode == 0, done.stderr
    assert "word_count 1" in done.stderr
    assert "exact match" in done.stdout
    sys.modules.pop("word_count", None)
