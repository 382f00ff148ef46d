"""The commands of the pages: each has the command line's words, and those that can run do."""

import re
import shlex
from pathlib import Path

import click
import pytest
from commands import medgen
from pages import FRAGMENTS

from medgen.launch.cli import cli

MARK = "tests/cli/test_shown_commands.py::test_commands_of_the_pages_run"
SMALL = """
name: small
store: var/store
benchmark: {name: mini, source: mini, shard_size: 16, limit: 16}
systems: [oracle, copy-input, blank]
protocol: {name: two, profile: strict, metrics: {exact_match: {}, token_f1: {}, psnr: {}, ssim: {}}}
cluster: in-process
"""
# What is a reader's own on the pages, and here what was just made.
INSTEAD = {
    "--config demo": "--config small.yaml",
    "<run>": "small-",
    "RUN": "small-",
    "s3://bucket/store": "var/other",
    "small-reader+small-editor classical": "copy-input blank",
    "line-up-2026 --page": "small- --page",
    "line-up-2026 --bundle out": "small- --bundle pages",
    "--config line-up-2026": "--config small.yaml",
    "out/vqa/theirs.jsonl": "predictions/vqa/blank.jsonl",
}


# A file and a folder that are there, for options that ask for one.
INSTEAD_OF_YOURS = {"yaml": __file__, "FOLDER": str(Path(__file__).parent)}


def commands(mark: str = "") -> list[str]:
    """Lines that begin with `medgen`, in the order of the pages."""
    parts = [part for part in FRAGMENTS if part.mark.endswith(mark)]
    text = "\n".join(part.text.replace("\\\n", " ") for part in parts)
    lines = (re.sub(r"^\$ ", "", line.strip()) for line in text.splitlines())
    return [re.split(r"\s+#\s", line)[0] for line in lines if line.startswith("medgen ")]


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_each_word_of_a_command_is_one(line: str) -> None:
    """Asked of the parser itself: verbs, options, choices and numbers; nothing is run."""
    _, verb, *words = shlex.split(line)
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    existing = [INSTEAD_OF_YOURS.get(word.rpartition(".")[2], word) for word in words]
    command.make_context(verb, existing)


@pytest.mark.timeout(900)
def test_commands_of_the_pages_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    assert medgen("run", "--config", "small.yaml").returncode == 0
    assert medgen("export", "--format", "jsonl", "--to", "predictions").returncode == 0
    shown = commands(MARK)
    assert len(shown) > 15
    for line in dict.fromkeys(shown):
        for theirs, here in INSTEAD.items():
            line = line.replace(theirs, here)
        _, verb, *words = shlex.split(line)
        if verb == "view" and "--bundle" not in words:
            words += ["--bundle", "pages"]  # the same pages, without a server that waits
        done = medgen(verb, *words)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
