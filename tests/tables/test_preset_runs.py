"""Controls over presets, through scoring and report: the oracle is right on all closed items."""

from pathlib import Path

import pytest
from tables import published, published_more
from tables.fixtures import write

from medgen.conf import load
from medgen.engine.results.columns import system_columns
from medgen.launch.run.evaluation import RunOptions, evaluate
from medgen.launch.run.publish import publish
from medgen.launch.run.stop import Stop

LAYOUTS = {**published.LAYOUTS, **published_more.LAYOUTS}
CONTROLS = ("oracle", "copy-input", "blank", "classical")
# One of each kind of question; the trial runs the others as well.
KINDS = ("chestx-ray14", "medebench", "medsg-bench", "smmile", "vqa-rad")
RIGHT = {  # a value of each protocol that must be perfect where it says anything
    "choice_accuracy.correct_or_wrong": 1.0,
    "short_answer.equal": 1.0,
    "labels.f1": 1.0,
    "number.score": 1.0,
    "boxes.iou": 1.0,
    "vote.correct_or_wrong": 1.0,
    "region_edit.ssim_inside": 1.0,
    "ssim": 1.0,
}


def values(name: str, root: Path) -> dict[str, dict[str, float]]:
    """Means by metric and system, over all items of each format."""
    layout = LAYOUTS[name]
    write(layout, root / "data")
    conf = load(
        None,
        [
            f"benchmark={name}", f"benchmark.source={root}/data", f"store={root}/store",
            f"benchmark.mapping.expect={layout.items}", f"systems=[{','.join(CONTROLS)}]",
            "cluster=in-process", "allowed_failures=1.0", "allow_hosted=true",
        ],
    )  # fmt: skip
    stop = Stop()
    result = evaluate(conf, RunOptions(quiet=True), stop, lambda event: None)
    assert result.complete
    assert result.ending.failed == {}
    publish(result, conf, stop, shown=False)
    assert list((root / "store/runs").glob("*/report/index.md"))
    found: dict[str, dict[str, float]] = {}
    for system in CONTROLS:
        for column in system_columns(result.reader, system):
            kept = column.values[column.values == column.values]
            if kept.size:
                found.setdefault(column.name, {})[system] = float(kept.mean())
    return found


def hold(name: str, root: Path) -> None:
    found = values(name, root)
    assert found
    for metric in set(found) & set(RIGHT):
        assert found[metric]["oracle"] == pytest.approx(RIGHT[metric]), metric
        assert found[metric].get("blank", 0.0) < 1.0, metric


@pytest.mark.parametrize("name", KINDS)
def test_controls_run_on_every_kind(name: str, tmp_path: Path) -> None:
    hold(name, tmp_path)


@pytest.mark.trial
@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - set(KINDS)))
def test_controls_run_on_every_preset(name: str, tmp_path: Path) -> None:
    hold(name, tmp_path)
