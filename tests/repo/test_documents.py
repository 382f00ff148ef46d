"""What the documents tell a person to type, and where they send them, is there."""

import re
import subprocess
import sys
from pathlib import Path

from pages import PAGES, ROOT

FENCE = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(document: Path) -> list[str]:
    """Lines of the fenced blocks, without prompts, comments and continuations."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for block in FENCE.findall(text) for line in block.splitlines()]
    return [line.strip().removeprefix("$ ").partition("  #")[0] for line in lines]


def words(pattern: str) -> set[str]:
    return {
        found
        for document in PAGES
        for line in commands(document)
        for found in re.findall(pattern, line)
    }


def test_make_targets_exist() -> None:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):", rules, re.MULTILINE))
    named = words(r"^make ([a-z][\w-]*)")
    assert {"test", "demo", "check"} <= named
    assert named <= targets


def test_medgen_verbs_exist() -> None:
    """Asked of the command line itself, one `--help` a verb."""
    unknown = []
    for verb in sorted(words(r"(?:^|\s)(?:\.venv/bin/)?medgen ([a-z]+)")):
        command = [sys.executable, "-m", "medgen", verb, "--help"]
        if subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode:
            unknown.append(verb)
    assert unknown == []


def test_modules_exist() -> None:
    ours = r"python3? -m ((?:medgen|benchmarks)[\w.]*)"
    for module in words(ours):
        place = ROOT / module.replace(".", "/")
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), module


def test_named_configurations_exist() -> None:
    """A run of the `run` group, a file of this tree, or one that a page shows; but for CAPITALS."""
    known = {file.stem for file in (ROOT / "conf" / "run").glob("*.yaml")}
    shown = re.compile(r"`([\w-]+\.yaml)`.*?:\n\n(?:<!--.*?-->\n)?```yaml\n")
    known |= {name for page in PAGES for name in shown.findall(page.read_text(encoding="utf-8"))}
    named = {name for name in words(r"--config[ =]([\w./-]+)") if not name.isupper()}
    assert {name for name in named - known if not (ROOT / name).is_file()} == set()


def test_the_check_in_a_clean_clone_is_the_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert script[-1] == "exec make test"
    assert "make test" in {c.strip() for c in commands(ROOT / "README.md")}


def test_the_files_named_in_worked_examples_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:engine|adapters|metrics|launch|tests)/[\w/]+\.py)`", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).is_file()] == []
