"""The protocols hold the benchmark's facts, and their words never change under a version."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from medgen.engine.data import FORMS
from medgen.engine.errors import ConfigError
from medgen.engine.judging.prompts import Bounds, Rubric
from medgen.engine.judging.protocols import PROTOCOLS, find_protocol, protocol_from_plain

CLINICAL = (
    "anatomical_accuracy",
    "clinical_finding_accuracy",
    "instruction_compliance",
    "cross_modal_consistency",
    "hallucination_omission_control",
)


def names(protocol: str, form: Any) -> tuple[str, ...]:
    return tuple(d.name for d in PROTOCOLS[protocol].dimensions_for(form))


@pytest.mark.parametrize("form", FORMS)
def test_dimensions_are_the_benchmarks(form: Any) -> None:
    assert names("table-iv/1", form) == (*CLINICAL, "overall_score")
    assert names("manuscript/1", form) == CLINICAL
    generation = form == "image+text"
    assert ("coherence" in names("paper-v1/1", form)) is generation
    assert ("visual_textual_alignment" in names("paper-v1/1", form)) is generation
    always = {"content_accuracy", "relevance_responsiveness", "consistency", "overall_score"}
    assert always <= set(names("paper-v1/1", form))


def test_scales_are_the_benchmarks() -> None:
    scales = {key: (p.low, p.high) for key, p in PROTOCOLS.items()}
    assert scales == {"paper-v1/1": (1, 10), "table-iv/1": (1, 10), "manuscript/1": (1, 5)}


def test_only_table_iv_has_a_checklist_and_it_has_one_for_each_format() -> None:
    assert set(PROTOCOLS["table-iv/1"].checklist) == set(FORMS)
    assert not PROTOCOLS["paper-v1/1"].checklist
    assert not PROTOCOLS["manuscript/1"].checklist


@pytest.mark.parametrize("key", PROTOCOLS)
def test_a_protocol_survives_the_way_through_a_recipe(key: str) -> None:
    plain = json.loads(json.dumps(PROTOCOLS[key].to_plain()))
    again = protocol_from_plain(plain)
    assert again.fingerprint() == PROTOCOLS[key].fingerprint()
    assert again.dimensions_for("text") == PROTOCOLS[key].dimensions_for("text")


def test_names_find_protocols_and_typos_do_not() -> None:
    assert find_protocol("table-iv") == find_protocol("table-iv/1") == PROTOCOLS["table-iv/1"]
    assert find_protocol("table-iv", "shared") != PROTOCOLS["table-iv/1"]
    for wrong in ("table-v", "table-iv/2", ""):
        with pytest.raises(ConfigError, match="paper-v1/1"):
            find_protocol(wrong)
    with pytest.raises(ConfigError, match="captions"):
        find_protocol("table-iv", "loud")


@pytest.mark.parametrize(
    "change",
    [{"low": 5, "high": 5}, {"dimensions": []}, {"overall": "best"}, {"shown": {}}, {"mood": 1}],
)
def test_a_protocol_of_ones_own_must_make_sense(change: dict[str, Any]) -> None:
    plain = PROTOCOLS["table-iv/1"].to_plain()
    with pytest.raises(ConfigError):
        protocol_from_plain({**plain, **change})


def test_every_word_counts_in_the_fingerprint() -> None:
    base = Rubric(PROTOCOLS["table-iv/1"])
    other = replace(base.protocol, anchors={**base.protocol.anchors, "5": "so so"})
    assert Rubric(other).fingerprint() != base.fingerprint()
    longer = Bounds(analysis=base.bounds.analysis + 1)
    assert replace(base, bounds=longer).fingerprint() != base.fingerprint()


def test_words_change_only_with_their_version() -> None:
    """These digests address stored verdicts. New words need a new version, not a new digest."""
    digests = {
        prompt: [Rubric(protocol, prompt).fingerprint() for protocol in PROTOCOLS.values()]
        for prompt in ("judge/1", "judge/2")
    }
    assert {p: sha256("".join(d).encode()).hexdigest()[:16] for p, d in digests.items()} == {
        "judge/1": "5d4279df86a2a15c",
        "judge/2": "7bed4d94b68d10a9",
    }
