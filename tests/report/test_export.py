import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from results.fake_runs import FakeRun, make_samples, picture, steady

from medgen.engine.data import Prediction, Verdict
from medgen.engine.errors import ConfigError
from medgen.engine.store.connect import connect
from medgen.launch.report import authors
from medgen.launch.report.export import (
    csv_bytes,
    export_authors,
    export_csv,
    export_parquet,
    export_run,
    values_table,
)

GOLDENS = json.loads((Path(__file__).parents[1] / "goldens" / "judge_records.json").read_text())
DIMENSIONS = (
    "anatomical_accuracy",
    "clinical_finding_accuracy",
    "instruction_compliance",
    "cross_modal_consistency",
    "hallucination_omission_control",
)


def predict(system, sample):
    if int(sample.id[1:]) % 8 == 1 and system == "=bad/../x":
        return Prediction(sample.id, "model_error", "out of memory")
    images = (picture(int(sample.id[1:]) + 1),) if sample.format != "VQA" else ()
    return Prediction(sample.id, text=f"said of {sample.id}", images=images)


def judge(system, label, sample, view, repeat):
    if sample.id == "s00002":
        return Verdict(sample.id, view, label, repeat, "parse_error", "no JSON")
    scores = dict.fromkeys(DIMENSIONS, 7.0) | {"overall_score": 8.0 + repeat}
    if sample.id == "s00006":
        scores["instruction_compliance"] = 4.0
    notes = dict.fromkeys(scores, "because")
    return Verdict(sample.id, view, label, repeat, scores=scores, explanations=notes)


def value(system, sample):
    return 20.0 + int(sample.id[1:])


@pytest.fixture
def reader(tmp_path):
    run = FakeRun(
        make_samples(24, pictures=True),
        systems=("good", "=bad/../x"),
        metrics={"psnr": ["psnr"]},
        predict=predict,
        score=steady(value),
        judges=("q",),
        judge=judge,
        repeats=2,
    )
    return run.write(str(tmp_path / "store"))


@pytest.mark.parametrize("case", GOLDENS, ids=lambda c: str(c["judge"])[:40])
def test_judge_metrics_and_failure_modes_are_the_golden_ones(case):
    made = {"PSNR": 30.0, "SSIM": 1.0, "vlm_judge_w_gt_result": case["judge"]}
    want = case["newer_6f43dc8"]
    assert authors.record_metrics(made) == want["metrics_from_record"]["value"]
    if "value" in want["failure_modes"]:
        assert authors.failure_modes(made) == want["failure_modes"]["value"]


def test_failure_modes_of_entities():
    made = {"Entity_Hallucination_Rate": 0.2, "Entity_Omission_Rate": 0.0}
    assert authors.failure_modes(made) == ["entity_hallucination"]


def test_paper_dimensions_have_their_names():
    judge = {name: {"score": 6} for name in ("content_accuracy", "consistency", "coherence")}
    judge |= {"relevance_and_responsiveness": {"score": 5}, "overall_score": 9}
    assert authors.judge_metrics(judge, "WO_GT") == {
        "VLM_Content_Accuracy_WO_GT": 6.0,
        "VLM_Relevance_WO_GT": 5.0,
        "VLM_Consistency_WO_GT": 6.0,
        "VLM_Coherence_WO_GT": 6.0,
        "VLM_Overall_Score_WO_GT": 9.0,
    }
    shown = authors.judge_result({"relevance_responsiveness": 5.0}, {})
    assert shown == {"relevance_and_responsiveness": {"score": 5.0, "explanation": ""}}


def test_values_hold_every_sample_with_its_status(reader):
    table = values_table(reader, "=bad/../x")
    assert len(table) == 24
    rows = {row["sample_id"]: row for row in table.to_pylist()}
    assert rows["s00000"]["psnr"] == 20.0
    assert rows["s00001"]["psnr"] is None
    assert rows["s00001"]["psnr.status"] == "error"
    assert rows["s00001"]["prediction_status"] == "model_error"
    assert rows["s00002"]["psnr.status"] == "not_applicable"
    assert rows["s00002"]["overall_score/reference_based.status"] == "parse_error"
    assert rows["s00003"]["overall_score/reference_based"] == 8.5


def test_parquet_and_csv_say_the_same(reader, store_url):
    into = connect(store_url)
    parquet, text = export_parquet(reader, into), export_csv(reader, into)
    assert [p.replace(".parquet", ".csv") for p in parquet] == text
    assert all(".." not in path and "=" not in path for path in parquet)
    for left, right in zip(parquet, text, strict=True):
        table = pq.read_table(io.BytesIO(into.read(left)))
        lines = list(csv.reader(io.StringIO(into.read(right).decode(), newline="")))
        assert lines[0] == table.column_names
        assert len(lines) - 1 == len(table)
    values = list(csv.DictReader(io.StringIO(into.read(text[2]).decode(), newline="")))
    assert values[0]["system"] == "'=bad/../x"
    assert float(values[0]["psnr"]) == 20.0
    assert values[1]["psnr"] == ""


def test_csv_quotes_what_needs_it():
    import pyarrow as pa

    table = pa.table({"a": ['say "x",\ny', "@cmd"], "-b": [None, 1.5]})
    lines = list(csv.reader(io.StringIO(csv_bytes(table).decode(), newline="")))
    assert lines == [["a", "'-b"], ['say "x",\ny', ""], ["'@cmd", "1.5"]]


def test_authors_records_can_be_read_by_their_rules(reader, store_url):
    into = connect(store_url)
    written = export_authors(reader, into)
    assert {p.split("/")[0] for p in written} == {"vqa", "edit", "gen"}
    assert "edit/good.jsonl" in written
    assert "edit/good_results.json" in written
    records = [json.loads(x) for x in into.read("edit/good.jsonl").decode().splitlines()]
    assert len(records) == 12
    for made in records:
        assert made["category"] == "ImageEdit"
        assert isinstance(made["response"], str)
        for name in ("input_image", "output_image", "ground_truth_image"):
            assert into.read(made[name]).startswith(b"\x89PNG")
        assert made["PSNR"] == 20.0 + int(made["sample_id"][1:])
        assert made["vlm_judge_w_gt_result"]["overall_score"] == 8.5
        assert made["vlm_judge_wo_gt_result"]["instruction_compliance"]["explanation"] == "because"


def test_a_failed_judge_call_leaves_no_record(reader, tmp_path):
    into = connect(str(tmp_path / "out"))
    export_authors(reader, into)
    records = [json.loads(x) for x in into.read("vqa/good.jsonl").decode().splitlines()]
    failed = next(r for r in records if r["sample_id"] == "s00002")
    assert not [k for k in failed if k.startswith("vlm_judge")]
    results = json.loads(into.read("vqa/good_results.json"))
    assert results["Count_VLM_Overall_Score_W_GT"] == len(records) - 1
    assert results["failure_modes"]["low_instruction_compliance"]["samples"] == ["s00006"]


def test_aggregates_leave_failures_out(reader, tmp_path):
    into = connect(str(tmp_path / "out"))
    written = export_authors(reader, into)
    path = next(p for p in written if p.startswith("edit/bad") and p.endswith("_results.json"))
    found = json.loads(into.read(path))
    values = np.array([20.0 + i for i in range(24) if i % 4 in (0, 1) and i % 8 != 1])
    assert found["Sample_Count"] == 12
    assert found["Count_PSNR"] == len(values) == 9
    assert found["Average_PSNR"] == pytest.approx(values.mean())
    assert found["Std_PSNR"] == pytest.approx(values.std())
    assert found["PSNR_Accuracy_Rate"] == pytest.approx(np.mean(values >= 28))
    assert found["VLM_Overall_Score_W_GT_Accuracy_Rate"] == 1.0
    assert found["by_modality"]["CT"]["Sample_Count"] == 6
    assert found["by_paper_task"]["style-transfer"]["Average_PSNR"] == pytest.approx(
        values[values % 4 == 1].mean()
    )


def test_plumbing_is_said_in_the_aggregate(tmp_path):
    run = FakeRun(
        make_samples(8, pictures=True),
        systems=("a",),
        score=steady(value),
        passports={"psnr": {"random_weights": True}},
    )
    into = connect(str(tmp_path / "out"))
    export_authors(run.write(str(tmp_path / "store")), into)
    assert "random weights" in json.loads(into.read("edit/a_results.json"))["Note"]


def test_a_run_is_exported_by_the_name_of_the_kind(reader, tmp_path):
    for kind, name in (("parquet", "summary.parquet"), ("csv", "summary.csv"), ("jsonl", "images")):
        written = export_run(reader, kind, tmp_path / kind)
        assert all(Path(path).is_file() for path in written)
        assert (tmp_path / kind / name).exists()
    with pytest.raises(ConfigError, match="there are parquet, csv, jsonl"):
        export_run(reader, "xlsx", tmp_path)
