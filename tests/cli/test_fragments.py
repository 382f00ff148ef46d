"""Parts of configurations that pages show, each put where it belongs, become what a run takes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import FRAGMENTS, Fragment

from medgen.conf import load

MARK = "tests/cli/test_fragments.py::test_the_fragments_of_configurations_are_accepted"
HERE = [part for part in FRAGMENTS if part.mark.endswith(MARK)]
AROUND: dict[str, Any] = {
    "store": "var/store",
    "benchmark": "mini",
    "systems": ["oracle"],
    "protocol": "weight-free",
    "cluster": "in-process",
}


def whole(part: dict[str, Any]) -> dict[str, Any]:
    """A run around a fragment: a model becomes a system, metrics a protocol, a step its system."""
    if "answer" in part:
        return {**AROUND, "systems": [{"name": "shown", **part}]}
    if "metrics" in part:
        return {**AROUND, "protocol": {"name": "shown", **part}}
    return {**AROUND, **part}


@pytest.mark.parametrize("part", HERE, ids=lambda f: f"{f.page.stem}:{f.text.split(':')[0]}")
def test_the_fragments_of_configurations_are_accepted(part: Fragment, tmp_path: Path) -> None:
    said = yaml.safe_load(part.text)
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(whole(said)), encoding="utf-8")
    conf = load(str(file))
    assert conf.system or conf.step
    for key in set(said) - {"systems", "answer", "resources", "metrics", "profile"}:
        assert getattr(conf, key) not in (None, {}, "")


def test_a_wrong_word_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(whole({"tracking": {"mlflaw": True}})), encoding="utf-8")
    with pytest.raises(Exception, match="mlflaw"):
        load(str(file))
