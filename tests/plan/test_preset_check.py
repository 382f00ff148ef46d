"""`medgen doctor --preset`: by arithmetic and by the libraries' source, without weights."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from medgen.conf import loading
from medgen.conf.arithmetic import Cards, Fit, SizeConf, card_gib, fit, kv_bytes
from medgen.conf.loading import facts_of
from medgen.launch.commands.machine import doctor_command
from medgen.launch.setup import libraries, preset_check
from medgen.launch.setup.preset_check import Machine, Verdict, check_preset, memory_words

DAY = date(2026, 11, 28)
EIGHT = Machine(8, card_gib(80))


def size(name: str, group: str = "system") -> SizeConf:
    found = facts_of(group, name)
    assert found is not None
    return found[1].sizes[found[0].size]


@pytest.mark.parametrize(
    ("name", "kib", "weights"),
    [
        ("qwen3-vl-8b", 144, 16.3),
        ("qwen25-vl-7b", 56, 15.4),
        ("lingshu-32b", 256, 62.3),
        ("qwen25-vl-72b", 320, 136.7),
        ("medgemma-4b", 136, 8.0),
        ("medgemma-27b", 496, 51.1),
        ("internvl3-8b", 56, 14.8),
        ("llava-med-7b", 128, 14.1),
        ("glm-41v-9b-thinking", 40, 19.2),
    ],
)
def test_numbers_are_those_of_the_specification(name: str, kib: float, weights: float) -> None:
    """models.md, section 3."""
    found = size(name)
    assert kv_bytes(found, 1) == kib * 1024
    assert found.weights_gib == weights


@pytest.mark.parametrize(
    ("name", "card", "gpus", "context", "words"),
    [
        ("qwen3-vl-8b", 24, 1, 32_768, "2.3 GiB left, 4.5 needed for one request of 32,768"),
        ("qwen3-vl-8b", 24, 1, 16_384, ""),
        ("lingshu-32b", 80, 1, 32_768, "7.5 GiB left, 8.0 needed"),
        ("lingshu-32b", 80, 1, 16_384, ""),
        ("lingshu-32b", 141, 1, 32_768, ""),
        ("medgemma-27b", 80, 1, 16_384, ""),
        ("qwen25-vl-72b", 80, 1, 32_768, "does not fit"),
        ("qwen25-vl-72b", 141, 2, 32_768, ""),
    ],
)
def test_memory_is_told_in_words(name: str, card: int, gpus: int, context: int, words: str) -> None:
    """Defects 8, 9 and 14 of models.md."""
    found = fit(size(name), Cards(card_gib(card), gpus, 3.0), context)
    assert found.fits is not bool(words)
    assert words in found.words


def test_a_pipeline_that_fills_its_cards_to_the_last_byte_fits() -> None:
    full = Fit(given=80.0, weights=77.0, room=3.0, left=0.0, request=None, context=0)
    assert memory_words(full) == "77.0 GiB of weights, 0.0 GiB left for a picture"
    assert "left for a picture" not in memory_words(replace(full, left=-0.1))


def test_a_window_and_a_state_are_no_longer_than_they_are() -> None:
    full = SizeConf(weights_gib=1, layers=2, kv_heads=1, head_size=64)
    windowed = SizeConf(
        weights_gib=1, layers=1, window_layers=1, window=100, kv_heads=1, head_size=64
    )
    assert kv_bytes(full, 50) == kv_bytes(windowed, 50) == 50 * 2 * 64 * 4
    assert kv_bytes(windowed, 1000) == (1000 + 100) * 64 * 4
    assert kv_bytes(SizeConf(kv_kib=1, state_mib=2), 10) == 10 * 1024 + 2 * 2**20
    assert kv_bytes(SizeConf(layers=4), 10) is None


def test_what_nobody_read_is_said_and_nothing_made_of_it() -> None:
    found = fit(SizeConf(), Cards(80), 1000)
    assert (found.left, found.request, found.fits) == (None, None, None)
    assert "not known" in found.words
    verdict = check_preset("system", "qwen35-9b", EIGHT, today=DAY)
    assert verdict.passes
    assert verdict.gpu_hours is None
    assert "the weights' size" in verdict.unknown


_ALL = """
import json, sys, time
from dataclasses import asdict
from datetime import date
from pathlib import Path
from medgen.launch.setup.preset_check import Machine, check_preset, names
found = [check_preset(g, n, Machine(), 0.0, date(2026, 11, 28)) for g, n in names("all")]
heavy = {"ray", "torch", "vllm", "transformers", "diffusers"} & set(sys.modules)
assert not heavy, heavy
# Of the processor: the machine may be busy.
print(json.dumps([time.process_time(), [asdict(one) for one in found]]))
"""


def test_every_preset_passes_but_those_whose_vendors_ended_them() -> None:
    """No argument unknown to a library; every class installed; each fits its cards; in time."""
    done = subprocess.run(
        [sys.executable, "-c", _ALL], capture_output=True, text=True, check=True, timeout=300
    )
    seconds, found = json.loads(done.stdout)
    wrong = {one["name"]: one["problems"] for one in found if one["problems"]}
    assert {*wrong} == {"gemini-25-flash-image"}
    assert "vendor ended it" in wrong["gemini-25-flash-image"][0]
    named = {one["architecture"] for one in found if one["architecture"]}
    assert len(named) >= 20
    known = libraries.vllm_architectures()
    assert all(
        name in known
        or libraries.is_pipeline(name)
        or libraries.is_transformers_class(name)
        or name.partition(":")[2] in libraries.own_classes(name.partition(":")[0])
        for name in named
    )
    assert seconds < 10 + 0.1 * len(found)
    # The table of the page is this command's.
    page = Path("docs/models.md").read_text(encoding="utf-8")
    rows = {line.partition(" | ")[0] for line in page.splitlines() if line.startswith("| ")}
    kind = {"system": "", "judge": "judge "}
    assert {f"| {kind[one['group']]}`{one['name']}`" for one in found} <= rows


def broken(monkeypatch: pytest.MonkeyPatch, **body: Any) -> Verdict:
    """The verdict on a preset whose body says something else."""
    whole = loading.member

    def changed(group: str, name: str) -> dict[str, Any]:
        return whole(group, name) | body

    monkeypatch.setattr(preset_check, "member", changed)
    return check_preset("system", "qwen3-vl-8b", Machine(), today=DAY)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (
            {"target": "vllm", "kwargs": {"model": "m", "engine": {"max_model_length": 4}}},
            "vLLM has no engine argument 'max_model_length'. Did you mean 'max_model_len'?",
        ),
        ({"target": "vllm", "kwargs": {"model": "m", "enginee": {}}}, "enginee"),
        (
            {
                "target": "diffusers",
                "kwargs": {
                    "model": "m",
                    "mode": "edit",
                    "pipeline": "QwenImageEditPipeline",
                    "sampling": {"call": {"true_cfg": 4}},
                },
            },
            "QwenImageEditPipeline takes no 'true_cfg'. Did you mean 'true_cfg_scale'?",
        ),
        (
            {"target": "unified-in-process", "kwargs": {"target": "nowhere_x:Y", "model": "m"}},
            "no module 'nowhere_x'",
        ),
        (
            {
                "target": "managed-server",
                "kwargs": {
                    "command": ["{python}", "{own}/own_server.py", "radfm:RadFN", "{port}"],
                    "inner": {"target": "openai-images", "kwargs": {"model": "m", "mode": "edit"}},
                },
            },
            "there is no radfm:RadFN",
        ),
    ],
)
def test_what_no_library_knows_is_named(
    monkeypatch: pytest.MonkeyPatch, recipe: dict[str, Any], words: str
) -> None:
    assert words in "; ".join(broken(monkeypatch, answer=recipe).problems)


def test_an_older_library_is_named_with_the_version_that_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(libraries, "version", lambda *_: "0.29.0")
    verdict = check_preset("system", "qwen3-vl-8b", Machine(), today=DAY)
    assert "needs vllm >=0.32; here is 0.29.0" in verdict.problems


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"gpus": 3}, "32 heads of attention cannot be spread over 3 GPUs"),
        ({"context": 262_145}, "a context of 262,145 is more than the model's 262,144"),
        ({"gpus": 2, "context": 262_144}, ""),
    ],
)
def test_what_a_model_is_not_made_for_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], words: str
) -> None:
    found = facts_of("system", "qwen3-vl-8b")
    assert found is not None
    monkeypatch.setattr(preset_check, "facts_of", lambda *_: (replace(found[0], **facts), found[1]))
    problems = check_preset("system", "qwen3-vl-8b", EIGHT, today=DAY).problems
    assert [p for p in problems if "heads" in p or "a context" in p] == ([words] if words else [])


def test_a_class_that_vllm_dropped_is_told_with_its_last_version() -> None:
    assert "MllamaForConditionalGeneration" not in libraries.vllm_architectures()
    assert libraries.dropped_architectures()["MllamaForConditionalGeneration"] == "0.10.2"


@pytest.mark.parametrize(
    ("here", "words"),
    [
        (Machine(), "no: there is no GPU"),
        (Machine(1, card_gib(24)), "no: 2.3 GiB left, 4.5 needed"),
        (EIGHT, "yes, 8 at once: 53.5 GiB left"),
    ],
)
def test_this_machine_is_told_apart_from_the_cards_that_are_meant(
    here: Machine, words: str
) -> None:
    assert words in check_preset("system", "qwen3-vl-8b", here, today=DAY).here


def test_hours_and_price_are_those_of_its_cards() -> None:
    one = check_preset("system", "qwen25-vl-72b", EIGHT, 2.0, DAY)
    assert one.hours is not None
    assert one.gpu_hours is not None
    assert one.gpu_hours == pytest.approx(4 * one.hours)
    assert one.usd == pytest.approx(2 * one.gpu_hours)


def test_the_command_says_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--preset", "qwen3-vl-8b", "--gpus", "8", "--card", "80", "--gpu-hour", "3"]
    told = CliRunner().invoke(doctor_command, words, standalone_mode=False)
    assert told.return_value == 0, told.output
    assert "15.3 GiB left, 4.5 needed for one request of 32,768" in told.output
    assert "US dollars" in told.output
    assert "--allow-unpinned" in told.output
    told = CliRunner().invoke(doctor_command, [*words, "--json"], standalone_mode=False)
    rows = [json.loads(line) for line in told.output.splitlines()]
    assert [(row["group"], row["passes"]) for row in rows] == [("system", True), ("judge", True)]
    told = CliRunner().invoke(doctor_command, [*words, "--markdown"], standalone_mode=False)
    assert told.output.count("`qwen3-vl-8b`") == 2
    told = CliRunner().invoke(
        doctor_command, ["--preset", "gemini-25-flash-image"], standalone_mode=False
    )
    assert told.return_value == 6
    told = CliRunner().invoke(doctor_command, ["--preset", "maira-2"], standalone_mode=False)
    assert "\n  asked   text\n  only    writes the findings" in told.output
    assert "\n  note    licence MSRLA" in told.output
    told = CliRunner().invoke(doctor_command, ["--preset", "nobody"], standalone_mode=False)
    assert "no system or judge named 'nobody'" in str(told.exception)
    told = CliRunner().invoke(doctor_command, ["--preset", "lava-rad"], standalone_mode=False)
    assert "'lava-rad'. Did you mean 'llava-rad'? `medgen models list`" in str(told.exception)
