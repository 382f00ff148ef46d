"""The pages of the documentation, as tests read them: fragments with their marks, and anchors."""

import re
from pathlib import Path
from typing import NamedTuple

from mdit_py_plugins.anchors.index import slugify

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
FENCE = re.compile(
    r"(?:^ *<!-- (?P<mark>[^\n]*?) -->\n)?"
    r"^ *```(?P<kind>[^\n`]*)\n(?P<text>.*?)^ *```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
# Figures, and what the generator itself reads.
PICTURES = re.compile(r"text|mermaid|\{[a-z-]+\}.*")


class Fragment(NamedTuple):
    page: Path
    kind: str
    text: str
    mark: str


def fragments() -> list[Fragment]:
    """What a reader could type or copy, in every page but the changelog."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        whole = re.search(r"^<!-- (all tried: .*) -->$", text, re.MULTILINE)
        for fence in FENCE.finditer(text):
            mark = fence["mark"] or (whole[1].removeprefix("all ") if whole else "")
            if not PICTURES.fullmatch(fence["kind"]):
                found.append(Fragment(page, fence["kind"], fence["text"], mark))
    return found


FRAGMENTS = fragments()


def anchors(page: Path) -> set[str]:
    """What a `#…` of a link can name: headings outside of fences."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return {slugify(line) for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
