"""The examples of the documentation are what the engine takes."""

from dataclasses import replace
from pathlib import Path

import pytest

from medgen.conf import load
from medgen.engine.benchmark.manifest import Manifest, ShardEntry
from medgen.engine.plan.graph import stages_of, stages_saved
from medgen.engine.plan.plan import make_plan
from medgen.launch.compose import recipe

ROOT = Path(__file__).resolve().parents[2]
ASKS = {"choice": 5, "text": 15, "image": 30, "image+text": 14}
FORMATS = {asks: {"VQA": count} for asks, count in ASKS.items()}
MANIFEST = Manifest("medgen", "0" * 16, 64, 0, (ShardEntry(64, FORMATS, "", ""),), ASKS, {}, {}, {})


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda p: p.name)
def test_an_example_becomes_a_plan(path: Path) -> None:
    plan = make_plan(recipe(load(str(path))), MANIFEST)
    assert len(plan.systems) > 1
    turned = replace(plan, nodes=dict(sorted(plan.nodes.items())))  # as they are stored
    assert stages_of(plan) == stages_of(turned) == ["answer", "render", "score", "judge"]
    assert sum(stages_saved(plan)) > 0


def test_the_readme_shows_the_example_as_it_is() -> None:
    _, *lines = (ROOT / "examples" / "sweep.yaml").read_text(encoding="utf-8").splitlines()
    assert "\n".join(lines) in (ROOT / "README.md").read_text(encoding="utf-8")
