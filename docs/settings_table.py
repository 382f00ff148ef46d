"""The directive `settings-table`: the settings of `conf/schema.py`, from its own words.

A field's sentence is the comment behind it or right above it, as a reader of the code has it.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

SCHEMA = Path(__file__).resolve().parents[1] / "conf" / "schema.py"


class Setting(NamedTuple):
    """One key that a YAML file may say."""

    name: str
    kind: str
    default: str
    words: str


class Group(NamedTuple):
    """One dataclass of the schema."""

    name: str
    words: str
    settings: tuple[Setting, ...]


def groups() -> Iterator[Group]:
    """Every dataclass of the schema, in its order."""
    text = SCHEMA.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            fields = [inner for inner in node.body if isinstance(inner, ast.AnnAssign)]
            found = tuple(_setting(field, lines) for field in fields)
            yield Group(node.name, " ".join((ast.get_docstring(node) or "").split()), found)


def _setting(field: ast.AnnAssign, lines: list[str]) -> Setting:
    behind = [lines[at].partition("  # ")[2] for at in (field.lineno - 1, field.end_lineno - 1)]
    above = []
    for line in reversed(lines[: field.lineno - 1]):
        if not line.strip().startswith("#"):
            break
        above.insert(0, line.strip().lstrip("# "))
    words = next((text for text in [*behind, " ".join(above)] if text), "")
    return Setting(ast.unparse(field.target), ast.unparse(field.annotation), _default(field), words)


def _default(field: ast.AnnAssign) -> str:
    said = ast.unparse(field.value) if field.value else "MISSING"
    made = re.fullmatch(r"field\(default_factory=(?:lambda: )?(.*)\)", said)
    if made is None:
        return {"MISSING": "must be said", "None": "none", "''": "empty"}.get(said, said)
    return {"list": "[]", "dict": "{}"}.get(made[1], "its own" if "Conf" in made[1] else made[1])


def _table(group: Group) -> Iterator[str]:
    yield f"## {group.name.removesuffix('Conf')}"
    yield from ("", group.words, "", "| key | type | default | |", "|---|---|---|---|")
    for name, kind, default, words in group.settings:
        kind = kind.replace("|", r"\|")
        yield f"| `{name}` | `{kind}` | {default.replace('|', chr(92) + '|')} | {words} |"
    yield ""


class SettingsTable(SphinxDirective):
    """One section a group."""

    option_spec: ClassVar[dict[str, object]] = {}

    def run(self) -> list[nodes.Node]:
        """What the tables become."""
        lines = [line for group in groups() for line in _table(group)]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)
