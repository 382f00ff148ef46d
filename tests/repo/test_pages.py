"""Every page is reachable, every link and anchor alive, every fragment tried or marked.

`make docs` is the same walk by the generator, in strict mode.
"""

import ast
import re
from pathlib import Path

import pytest
from pages import DOCS, FENCE, FRAGMENTS, PAGES, ROOT, Fragment, anchors

LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?://|mailto:)([^)\s]*)\)")
TOCTREE = re.compile(r"```\{toctree\}\n(.*?)```", re.DOTALL)


def test_every_page_stands_in_the_table_of_contents() -> None:
    trees = TOCTREE.findall((DOCS / "index.md").read_text(encoding="utf-8"))
    lines = [line for tree in trees for line in tree.splitlines()]
    named = [line for line in lines if line and not line.startswith(":")]
    assert len(trees) == 5
    assert len(named) == len(set(named))
    there = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")}
    assert set(named) == there - {"index"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_anchors_are_alive(page: Path) -> None:
    dead = []
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_a_dead_anchor_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One two\n\n```\n# three\n```\n\n## `Four`, five\n", encoding="utf-8")
    assert anchors(page) == {"one-two", "four-five"}


@pytest.mark.parametrize("part", FRAGMENTS, ids=lambda f: f"{f.page.name}:{f.text[:24].strip()}")
def test_a_fragment_is_tried_or_says_why_not(part: Fragment) -> None:
    how, _, what = part.mark.partition(": ")
    assert how in ("tried", "not run"), "<!-- tried: FILE::TEST --> or <!-- not run: why -->"
    if how == "not run":
        assert len(what.split()) > 2
        return
    file, _, name = what.partition("::")
    tests = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    assert name in {node.name for node in tests if isinstance(node, ast.FunctionDef)}


def test_most_fragments_are_tried() -> None:
    tried = [part for part in FRAGMENTS if part.mark.startswith("tried")]
    assert len(FRAGMENTS) > 90
    assert len(tried) / len(FRAGMENTS) > 0.7
