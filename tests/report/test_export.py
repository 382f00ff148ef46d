import csv
import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from results.fake_runs import FakeRun, make_samples, picture, steady

from medgen.engine.data import Prediction, Score, Verdict
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
from medgen.launch.report.records import unknown_values
from medgen.metrics.catalogue import CATALOGUE, metric_spec

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


@pytest.mark.parametrize(("score", "modes"), [(6, []), (5, ["low_instruction_compliance"])])
def test_six_of_ten_is_not_low(score, modes):
    judge = {"instruction_compliance": {"score": score}}
    assert authors.failure_modes({"vlm_judge_w_gt_result": judge}) == modes


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


def declared(*values):
    return [authors.Declared(*value) for value in values]


NAMES = [
    # what the metrics of a run declare, the names of their values in a record
    ([("psnr", "psnr", "PSNR")], ["PSNR"]),
    ([("mine", "psnr", "PSNR")], ["PSNR"]),
    ([("psnr", "psnr", "PSNR"), ("psnr_strict", "psnr", "PSNR")], ["PSNR", "psnr_strict_psnr"]),
    ([("rouge_l", "rouge_l", "")], ["rouge_l"]),
    ([("chrf++", "chrf", "")], ["chrf_chrf"]),
    ([("exact_match", "exact_match", "Text_EM")], ["Text_EM"]),
    (
        [("text_em", "text_em", "Text_EM"), ("exact_match", "exact_match", "Text_EM")],
        ["Text_EM", "exact_match"],
    ),
    (
        [("s", "exact_match", "Text_EM", "strict"), ("c", "exact_match", "Text_EM", "compat")],
        ["Text_EM", "s_exact_match"],
    ),
    ([("s", "exact_match", "Text_EM", "strict")], ["Text_EM"]),
    ([("token_f1", "token_f1", "Text_F1")], ["Text_F1"]),
    ([("e", "entity_f1", "Clinical_Entity_F1"), ("e", "x", "")], ["Clinical_Entity_F1", "e_x"]),
    ([("PSNR", "PSNR", "")], ["metric_PSNR"]),
    ([("answer", "answer", "")], ["metric_answer"]),
    ([("response", "response", "")], ["metric_response"]),
    ([("value_status", "value_status", "")], ["metric_value_status"]),
    ([("vlm_judge_w_gt_result", "vlm_judge_w_gt_result", "")], ["metric_vlm_judge_w_gt_result"]),
    ([("VLM_Overall_Score_W_GT", "VLM_Overall_Score_W_GT", "")], ["metric_VLM_Overall_Score_W_GT"]),
    ([("m", "m", "answer")], ["m"]),
    ([("m", "m", "no name of theirs")], ["m"]),
    ([("\u00fc", "\u00fc", "")], ["metric"]),
    ([("a.b", "a.b", ""), ("a-b", "a-b", "")], ["a_b", "metric_a_b"]),
    (
        [("a.b", "a.b", ""), ("a-b", "a-b", ""), ("a b", "a b", "")],
        ["a_b", "metric_a_b", "metric_a_b_2"],
    ),
]


@pytest.mark.parametrize(("given", "names"), NAMES)
def test_every_value_has_a_name_of_its_own(given, names):
    assert sorted(authors.value_names(declared(*given)).values()) == sorted(names)


def test_every_name_that_a_metric_claims_is_one_that_the_authors_read():
    claimed = []
    for name in CATALOGUE:
        metric = metric_spec(name).build()
        known = [output.authors for output in metric.outputs if output.authors]
        assert set(known) <= set(authors.METRICS)
        claimed += [(authors_name, name) for authors_name in known]
    assert {name for name, _ in claimed} == set(authors.METRICS)
    twice = Counter(name for name, _ in claimed)
    assert [name for name, n in twice.items() if n > 1] == ["Text_EM"]


STATUSES = {"s00001": "error", "s00004": "unparseable", "s00006": "missing_weights"}


def stated(system, metric, sample, prediction):
    if status := STATUSES.get(sample.id):
        return Score(sample.id, status, f"why {sample.id}")
    return Score(sample.id, values={"kappa": 0.5, "psnr": 30.0})


@pytest.fixture
def stating(tmp_path):
    run = FakeRun(
        make_samples(16, pictures=True),
        systems=("a", "b"),
        metrics={"own": ["kappa", "psnr"]},
        predict=predict,
        score=stated,
        judges=("q",),
        judge=judge,
        without=frozenset({("b", "score", 1), ("b", "judge", 1)}),
    )
    return run.write(str(tmp_path / "store"))


def test_tables_say_why_a_value_is_not_there(stating, tmp_path):
    for system, shards in (("a", 2), ("b", 1)):
        rows = {row["sample_id"]: row for row in values_table(stating, system).to_pylist()}
        assert len(rows) == 16
        for name, status in STATUSES.items():
            assert rows[name]["own.kappa"] is None
            assert rows[name]["own.kappa.status"] == status
            assert rows[name]["own.kappa.reason"] == f"why {name}"
        assert rows["s00000"]["own.psnr.reason"] == ""
        assert rows["s00002"]["overall_score/reference_based.reason"] == "no JSON"
        assert (rows["s00012"]["own.psnr.reason"] == "") == (shards == 2)
        if shards == 1:
            assert rows["s00012"]["own.psnr.status"] == "missing"
            assert rows["s00012"]["own.psnr.reason"] == "there is no row in the store"
            assert rows["s00012"]["overall_score/reference_based.reason"]


def test_what_an_ok_row_says_stands_in_every_export_and_table(tmp_path):
    cut = "cut to 512 word pieces: prediction of 900"

    def score(system, metric, sample, prediction):
        said = cut if sample.id in ("s00002", "s00004") else ""
        return Score(sample.id, "ok", said, {"psnr": 1.0})

    run = FakeRun(make_samples(24, pictures=True), systems=("a",), predict=predict, score=score)
    made = run.write(str(tmp_path / "store"))
    table = values_table(made, "a")
    rows = list(csv.DictReader(io.StringIO(csv_bytes(table).decode("utf-8-sig"))))
    for one in (table.to_pylist(), rows):
        said = {r["sample_id"]: r["psnr.reason"] for r in one if r["psnr.reason"]}
        assert said == {"s00002": cut, "s00004": cut}
        assert {r["psnr.status"] for r in one} == {"ok"}
    into = connect(str(tmp_path / "out"))
    paths = [path for path in export_authors(made, into) if path.endswith("a.jsonl")]
    lines = [json.loads(x) for path in paths for x in into.read(path).decode().splitlines()]
    assert {r["sample_id"]: r["value_status"] for r in lines if r["value_status"]} == {
        name: {"PSNR": {"status": "ok", "reason": cut}} for name in ("s00002", "s00004")
    }
    totals = [json.loads(into.read(p.replace(".jsonl", "_results.json"))) for p in paths]
    assert all(found["value_status"] == {} for found in totals)


def test_a_table_tells_the_reason_of_a_failed_prediction(reader):
    rows = {row["sample_id"]: row for row in values_table(reader, "=bad/../x").to_pylist()}
    assert rows["s00001"]["prediction_reason"] == "out of memory"
    assert rows["s00000"]["prediction_reason"] == ""


def test_records_say_why_a_value_is_not_there(stating, tmp_path):
    into = connect(str(tmp_path / "out"))
    written = export_authors(stating, into)
    records = {}
    for path in written:
        if path.endswith("b.jsonl"):
            lines = into.read(path).decode().splitlines()
            records |= {made["sample_id"]: made for made in map(json.loads, lines)}
    assert len(records) == 16
    for name, status in STATUSES.items():
        assert records[name]["PSNR"] is None
        assert records[name]["own_kappa"] is None
        assert records[name]["value_status"]["PSNR"] == {"status": status, "reason": f"why {name}"}
    assert records["s00000"]["value_status"] == {}
    why = records["s00002"]["value_status"]["vlm_judge_w_gt_result"]
    assert why == {"status": "parse_error", "reason": "no JSON"}
    assert records["s00012"]["value_status"]["own_kappa"]["status"] == "missing"
    assert records["s00012"]["value_status"]["vlm_judge_w_gt_result"]["status"] == "missing"
    found = json.loads(into.read("edit/b_results.json"))
    assert found["value_status"]["PSNR"] == {"error": 1, "missing": 4, "unparseable": 1}


def test_a_value_that_the_authors_do_not_know_is_there_and_named(stating, tmp_path):
    into = connect(str(tmp_path / "out"))
    export_authors(stating, into)
    assert unknown_values(stating) == ["own_kappa"]
    found = json.loads(into.read("edit/a_results.json"))
    assert found["Unknown_To_Authors"] == "own_kappa"
    assert found["Average_own_kappa"] == 0.5
    assert found["Average_PSNR"] == 30.0
    assert found["by_modality"]["CT"]["Average_own_kappa"] == 0.5


def test_a_system_without_rows_has_its_files(tmp_path):
    samples = make_samples(8, pictures=True)
    gone = frozenset({("a", "answer", 0), ("a", "score", 0)})
    reader = FakeRun(samples, systems=("a",), score=steady(value), without=gone).write(
        str(tmp_path / "store")
    )
    into = connect(str(tmp_path / "out"))
    assert len(export_authors(reader, into)) == 6
    records = [json.loads(x) for x in into.read("vqa/a.jsonl").decode().splitlines()]
    assert [made["prediction_status"] for made in records] == ["missing"] * 2
    assert all(made["value_status"]["psnr"]["status"] == "missing" for made in records)
    assert json.loads(into.read("vqa/a_results.json"))["Sample_Count"] == 2
    rows = values_table(reader, "a").to_pylist()
    assert [row["prediction_status"] for row in rows] == ["missing"] * 8
    assert all(row["prediction_reason"] for row in rows)


def test_a_system_that_nothing_looked_at_has_its_samples(tmp_path):
    reader = FakeRun(make_samples(8), systems=("a",), metrics={}).write(str(tmp_path / "store"))
    rows = values_table(reader, "a").to_pylist()
    assert [row["sample_id"] for row in rows] == [f"s{n:05d}" for n in range(8)]
    assert {row["prediction_status"] for row in rows} == {"ok"}
    assert len(export_csv(reader, connect(str(tmp_path / "out")))) == 2


def test_a_record_holds_what_the_benchmark_said(tmp_path):
    raw = {"sub-category": "organ-removal", "answer": {"FINDINGS": "x"}}
    made = authors.record(
        replace(make_samples(1)[0], task="organic-removal", raw=raw),
        Prediction("s00000"),
        {"input": [], "reference": [], "output": []},
    )
    assert made["sub-category"] == "organ-removal"
    assert made["paper_subtask"] is None
    assert made["answer"] == {"FINDINGS": "x"}
    assert made["response"] == ""
    assert set(made) <= set(authors.FIELDS)


def test_a_value_that_is_not_there_in_a_row_that_is_ok_has_a_status(tmp_path):
    def odd(system, metric, sample, prediction):
        values = {"s00000": {"a": float("inf"), "b": 1.0}, "s00001": {"b": 2.0}}
        return Score(sample.id, values=values.get(sample.id, {"a": 3.0, "b": 3.0}))

    run = FakeRun(make_samples(4), systems=("x",), metrics={"m": ["a", "b"]}, score=odd)
    into = connect(str(tmp_path / "out"))
    export_authors(run.write(str(tmp_path / "store")), into)
    lines = into.read("edit/x.jsonl").decode().splitlines()
    records = {made["sample_id"]: made for made in map(json.loads, lines)}
    assert records["s00000"]["value_status"]["m_a"]["status"] == "error"
    assert records["s00000"]["m_b"] == 1.0
    assert records["s00001"]["value_status"]["m_a"]["status"] == "not_applicable"
    assert records["s00001"]["m_a"] is None


@pytest.mark.parametrize(
    ("score", "valid"),
    [(1, True), (10, True), (5.5, True), (0.9, False), (10.1, False), (True, False), (None, False)],
)
def test_the_authors_scores_are_from_one_to_ten(score: object, valid: bool) -> None:
    assert authors._valid(score) is valid
