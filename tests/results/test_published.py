"""A run beside the published table, and the line-up that replays what was published."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from commands import medgen
from sources.outside import picture

from medgen.adapters.mini.build import build_mini
from medgen.conf.loading import load, published_table
from medgen.engine.data import Sample
from medgen.engine.errors import ConfigError
from medgen.engine.results.summary import SUMMARY
from medgen.launch.report.published import beside, lines


def summary(**rows: dict[str, Any]) -> pa.Table:
    """One row a system: SSIM of all its edits."""
    usual = {
        "format": "ImageEditing", "group_kind": "all", "stage": "score", "label": "ssim",
        "output": "ssim", "mean": 0.5, "ci_low": 0.45, "ci_high": 0.55, "coverage": 1.0,
        "random_weights": False,
    }  # fmt: skip
    empty = dict.fromkeys(SUMMARY.names)
    made = [{**empty, **usual, "system": name, **row} for name, row in rows.items()]
    return pa.Table.from_pylist(made, SUMMARY)


def table(columns: list[str], **systems: list[Any]) -> dict[str, Any]:
    return {"columns": columns, "tables": {"ImageEditing": systems}}


def test_a_number_is_reproduced_inside_our_interval_and_its_own_rounding() -> None:
    rows: dict[str, dict[str, Any]] = {
        "A-and-B": {},
        "c": {},
        "d": {"ci_low": None, "ci_high": None},
    }
    asked: dict[str, list[Any]] = {
        "A & B": [54.9],
        "C": [55.01],
        "D": [50.004],
        "Nobody": [1.0],
        "None": [None],
    }
    found = beside(table(["ssim"], **asked), summary(**rows))
    assert [(one.system, one.state) for one in found] == [
        ("A & B", "reproduced"), ("C", "apart"), ("D", "reproduced"), ("Nobody", "absent"),
    ]  # fmt: skip
    assert found[0].difference == pytest.approx(-4.9)
    said = "\n".join(lines(found, "somewhere"))
    assert "2 of 4 published numbers lie inside" in said
    assert "apart   ImageEditing, C, ssim: 55.01 published, 50.00 [45.00, 55.00] here" in said
    assert "absent  ImageEditing, Nobody" in said


def test_judges_and_random_weights_are_known() -> None:
    judged = {"stage": "judge", "label": "q", "output": "overall_score/reference_free", "mean": 4.0}
    rows = {"a": {**judged, "ci_low": 3.9, "ci_high": 4.1, "random_weights": True}}
    (found,) = beside(table(["holistic_reference_free"], a=[4.05]), summary(**rows))
    assert (found.state, found.ours) == ("reproduced", 4.0)
    assert "nothing of this is a result" in "\n".join(lines([found], ""))


@pytest.mark.parametrize(
    ("given", "words"),
    [(table(["beauty"]), "measures beauty"), (table(["ssim"], a=[1.0, 2.0]), "2 values, not 1")],
)
def test_a_table_that_nothing_here_measures_is_refused(given: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        beside(given, summary())


def test_the_shipped_table_is_the_published_one_and_the_line_up_has_its_systems() -> None:
    published = published_table("manuscript")
    tables = published["tables"]
    assert {name: len(rows) for name, rows in tables.items()} == {
        "MultimodalGeneration": 8, "ImageEditing": 10, "VQA": 7,
    }  # fmt: skip
    assert tables["ImageEditing"]["Qwen3-VL & GPT-image-1"][:3] == [4.02, 4.37, 35.2]
    line_up = load("line-up-2025")
    rows = {"ImageEditing": "image", "VQA": "text", "MultimodalGeneration": "image+text"}
    for format_, systems in tables.items():
        for system in systems:
            name = system.replace(" & ", "-and-").replace(" ", "-")
            assert rows[format_] in line_up.system[name].gives, (format_, system)
    assert len(line_up.system) == 18
    targets = {s.answer.target for s in line_up.system.values() if s.answer}
    assert targets == {"replay"}


def test_released_predictions_are_replayed_scored_and_compared(tmp_path: Path) -> None:
    """A release in its layout: `MODEL_vqa.jsonl`, `MODEL_edit.jsonl`, pictures beside them."""
    release = tmp_path / "eval_available"
    (release / "images").mkdir(parents=True)
    (release / "images" / "one.png").write_bytes(picture((0, 200, 0)))
    samples = [s for s in build_mini() if isinstance(s, Sample)]
    for asks, mission in (("image", "edit"), ("text", "vqa")):
        chosen = [s for s in samples if s.asks == asks]
        answer = {"response": "An effusion.", "raw_response": ""}
        record = {"edit": {"output_image": "images/one.png"}, "vqa": answer}[mission]
        written = [json.dumps({"sample_id": s.id, "category": "x", **record}) for s in chosen]
        (release / f"Show-o_{mission}.jsonl").write_text("\n".join(written) + "\n")
    files = [str(release / f"Show-o_{mission}.jsonl") for mission in ("edit", "vqa")]
    kwargs = {"url": files, "images": str(release)}
    system = {"gives": ["image", "text"], "answer": {"target": "replay", "kwargs": kwargs}}
    body = {
        "name": "r", "store": str(tmp_path / "store"), "benchmark": "mini", "cluster": "in-process",
        "system": {"Show-o": {"name": "Show-o", **system}}, "report": False,
        "protocol": {"name": "p", "metrics": {"psnr": {}, "ssim": {}, "bleu": {}}},
    }  # fmt: skip
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(body))
    medgen("run", "--config", str(tmp_path / "run.yaml"), "allowed_failures=1.0")
    told = medgen(
        "compare", "--published", "manuscript", "--store", str(tmp_path / "store"), "--json"
    )
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    mine = {
        (r["format"], r["column"])
        for r in rows
        if r["system"] == "Show-o" and r["ours"] is not None
    }
    assert mine == {("ImageEditing", "psnr"), ("ImageEditing", "ssim"), ("VQA", "bleu")}
    assert all(r["state"] == "absent" for r in rows if r["system"] != "Show-o")
