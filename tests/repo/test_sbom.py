"""`make sbom` lists what this distribution asks for, with versions and licences."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.trial
def test_the_list_of_packages_names_what_this_one_asks_for(tmp_path: Path) -> None:
    rule = re.search(r"^sbom:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert rule is not None
    command = rule[1].replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    command = command.replace("dist", str(tmp_path)).replace("\\\n", " ")
    subprocess.run(["sh", "-ec", command], cwd=ROOT, check=True, capture_output=True)
    text = (tmp_path / "sbom.json").read_text(encoding="utf-8")
    listed = json.loads(text)
    assert listed["metadata"]["component"]["name"] == "medgen-engine"
    found = {one["name"].lower().replace("_", "-"): one for one in listed["components"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {Requirement(line).name for line in project["dependencies"]}
    assert asked <= set(found)
    assert all(one["version"] for one in found.values())
    assert sum("licenses" in one for one in found.values()) > 0.9 * len(found)
    assert str(ROOT) not in text
