"""The pass marks of the shipped protocols of MedGEN-Bench are those of its specification."""

from importlib.resources import files

import pytest
import yaml

# "Thresholds (pass when)" of the specification; SSIM has two, by protocol.
SPECIFIED = {
    "lpips": ("<=", 0.6),
    "psnr": (">=", 28),
    "bleu": (">=", 0.09),
    "bertscore": (">=", 0.9),
    "embedding_similarity": (">=", 0.7),
    "clinical_entities.hallucination": ("<=", 0.1),
    "clinical_entities.omission": ("<=", 0.1),
    "clinical_entities.factual_precision": (">=", 0.9),
}
SSIM = {"paper-v1": 0.1}
# The manuscript's judge has a scale of 1-5, for which nobody gives a mark.
OVERALL = {"manuscript": None}
LOWER = {"lpips", "clinical_entities.hallucination", "clinical_entities.omission"}
LOWER |= {"masks.hd95", "masks.assd"}
PROTOCOLS = sorted(
    p.name.removesuffix(".yaml")
    for p in files("medgen.conf").joinpath("protocol").iterdir()
    if p.name.endswith(".yaml")
)
# Those of MedGEN-Bench; its marks say nothing of the benchmarks of other families.
ITS_OWN = ["manuscript", "packaged-weights", "paper-v1", "table-iv", "text-only", "weight-free"]


def shipped(name):
    text = files("medgen.conf").joinpath("protocol", f"{name}.yaml").read_text()
    return yaml.safe_load(text)


@pytest.mark.parametrize("name", ITS_OWN)
def test_pass_marks_are_the_specifications(name):
    protocol = shipped(name)
    known = SPECIFIED | {"ssim": (">=", SSIM.get(name, 0.7))}
    overall = OVERALL.get(name, 8)
    known |= {"overall_score": (">=", overall)} if overall else {}
    marks = {
        n: (e["pass_when"], e["value"])
        for n, e in protocol["thresholds"].items()
        if "pass_when" in e
    }
    assert marks == {n: known[n] for n in marks}
    # No metric that the specification gives a mark for goes without it.
    given = {n for n in known if n.partition(".")[0] in protocol["metrics"]}
    assert given <= set(marks)
    assert overall is None or "overall_score" in marks or not protocol.get("judging")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_directions_are_what_the_values_mean(name):
    for value, entry in shipped(name)["thresholds"].items():
        way = entry.get("direction") or {">=": "higher", "<=": "lower"}[entry["pass_when"]]
        assert way == ("lower" if value in LOWER else "higher"), value


def test_the_protocols_of_the_specification_are_shipped():
    assert {"paper-v1", "table-iv", "manuscript"} <= set(PROTOCOLS)
