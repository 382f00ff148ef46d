"""What eight systems' judging has in common is computed once, by a real engine in one run."""

from pathlib import Path

import pytest

from benchmarks.judging import SYSTEMS, measure

pytestmark = [pytest.mark.slow, pytest.mark.vllm]

SAMPLES = 8


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("prompt", "most"), [("judge/1", 0.7), ("judge/2", 0.5)])
def test_instruction_and_input_are_read_once_for_eight_systems(
    tmp_path: Path, prompt: str, most: float
) -> None:
    found = measure(tmp_path, SAMPLES, 224, prompt)
    together, apart = found["together"], found["apart"]
    assert together["requests"] == apart["requests"] == 2 * SYSTEMS * SAMPLES
    assert together["prompt_tokens"] == pytest.approx(apart["prompt_tokens"], rel=0.02)
    assert together["instruction_and_input_computed_a_sample_and_view"] <= 1.2
    assert apart["instruction_and_input_computed_a_sample_and_view"] > 3
    assert found["uncached_of_apart"] < most, "the rest is candidates and what comes behind"
