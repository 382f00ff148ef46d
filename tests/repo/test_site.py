"""The documentation as a site: what its references are made from, and what it fetches."""

import doctest
import importlib
import re
import runpy
import subprocess
import sys
from dataclasses import fields
from html import unescape
from pathlib import Path

import click
import pytest
from pages import DOCS, ROOT

from medgen.conf import schema
from medgen.launch.cli import COMMANDS, cli

SETTINGS = {
    group.name: {setting.name: setting for setting in group.settings}
    for group in runpy.run_path(str(DOCS / "settings_table.py"))["groups"]()
}
# What a browser would get from elsewhere by opening a page; a link waits to be followed.
FETCHED = re.compile(
    r"""<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=["']((?:https?:)?//[^"']+)|url\(["']?(https?:[^)]+)"""
)


def test_every_setting_stands_in_the_reference() -> None:
    classes = {name: kind for name, kind in vars(schema).items() if name.endswith("Conf")}
    known = {name: {field.name for field in fields(kind)} for name, kind in classes.items()}
    assert {name: set(group) for name, group in SETTINGS.items()} == known


def test_a_setting_has_the_words_of_its_comment() -> None:
    cap = SETTINGS["RunConf"]["spending_cap_usd"]
    assert (cap.kind, cap.default) == ("float | None", "none")
    assert cap.words == "of one start, over all systems and judges"
    assert SETTINGS["ClusterConf"]["lease_s"].words.startswith("Seconds without a sign of life")


def test_the_examples_of_the_python_reference_are_true() -> None:
    """Those of `medgen` itself need a store, and are tried in tests/tables/test_own_data.py."""
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    modules = re.findall(r"^\.\. automodule:: (\S+)$", page, re.MULTILINE)
    ends = [doctest.testmod(importlib.import_module(module)) for module in modules]
    assert len(modules) == 5
    assert sum(end.failed for end in ends) == 0
    assert sum(end.attempted for end in ends) > 9


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` makes: a warning ends it."""
    made = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    folders = ["-d", str(made / ".made"), str(DOCS), str(made / "html")]
    done = subprocess.run([*command, *folders], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return made / "html"


def test_the_site_has_each_page_and_fetches_nothing(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        assert (site / page.relative_to(DOCS)).with_suffix(".html").is_file()
    files = [file for kind in ("html", "css") for file in site.rglob(f"*.{kind}")]
    fetched = {file.name: FETCHED.findall(file.read_text(encoding="utf-8")) for file in files}
    assert {name: found for name, found in fetched.items() if found} == {}


def test_the_site_has_every_option(site: Path) -> None:
    text = unescape(re.sub(r"<[^>]+>", "", (site / "reference/commands.html").read_text("utf-8")))
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert f"medgen {name} [OPTIONS]" in text or f"medgen {name}" in text
        said = [word for option in command.params for word in option.opts if word.startswith("--")]
        assert [word for word in said if word not in text] == []


def test_the_site_tells_machines_where_all_is(site: Path) -> None:
    listed = (site / "llms.txt").read_text(encoding="utf-8")
    assert listed.startswith("# MedGEN engine")
    pages = [str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")]
    assert [page for page in pages if f"/{page}.md.txt" not in listed] == []
    assert len((site / "llms-full.txt").read_text(encoding="utf-8")) > 150_000


def test_a_fetch_would_be_seen() -> None:
    assert FETCHED.search('<script defer src="https://x.example/a.js">')
    assert not FETCHED.search('<a href="https://x.example/">')
