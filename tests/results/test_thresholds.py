import json
import math
from pathlib import Path

import numpy as np
import pytest

from medgen.engine.errors import ConfigError
from medgen.engine.results.thresholds import Threshold, threshold

GOLDENS = json.loads((Path(__file__).parents[1] / "goldens" / "stats.json").read_text())
TABLE_IV = {
    "LPIPS": {"pass_when": "<=", "value": 0.6},
    "PSNR": {"pass_when": ">=", "value": 28},
    "SSIM": {"pass_when": ">=", "value": 0.7},
    "VLM_Overall_Score_W_GT": {"pass_when": ">=", "value": 8},
    "VLM_Overall_Score_WO_GT": {"pass_when": ">=", "value": 8},
}


@pytest.mark.parametrize("case", GOLDENS["accuracy_rates"])
def test_pass_rates_are_the_golden_ones(case):
    if case["tuple_input"]:
        return  # their evaluator ignores tuples; ours has only arrays
    for name, given in case["input"].items():
        want = case["head"]["value"].get(f"{name}_Accuracy_Rate")
        values = np.asarray([float(v) for v in given])
        if want is None:
            assert len(values) == 0
        elif all(map(math.isfinite, values)):
            assert threshold(TABLE_IV, name).passes(values) / len(values) == want


def test_the_most_special_name_wins_and_direction_follows():
    entries = {"psnr": {"pass_when": ">=", "value": 28}, "psnr.psnr": {"direction": "lower"}}
    assert threshold(entries, "psnr.psnr", "psnr").direction == "lower"
    assert threshold(entries, "other", "psnr") == Threshold("higher", ">=", 28.0)
    assert threshold(entries, "unknown") == Threshold()
    assert threshold({"x": {"pass_when": "<=", "value": 1}}, "x").direction == "lower"


@pytest.mark.parametrize(
    "entry",
    [
        {"pass_when": ">", "value": 1},
        {"pass_when": ">="},
        {"value": 1},
        {"direction": "up"},
        {"pas_when": ">=", "value": 1},
        {"range": [0]},
        {"range": [1, 0]},
        {"range": [0, 0]},
        {"range": [0, math.inf]},
        {"range": [math.nan, 1]},
        {"pass_when": ">=", "value": math.nan},
        {"pass_when": ">=", "value": "many"},
        7,
    ],
)
def test_an_entry_that_cannot_be_read_is_refused_by_name(entry):
    with pytest.raises(ConfigError, match="threshold 'psnr'"):
        threshold({"psnr": entry}, "psnr")
