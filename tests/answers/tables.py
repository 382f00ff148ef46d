"""The tables of replies beside this file: one reply a line, by hand, of every kind there is."""

import re
from collections.abc import Iterator
from pathlib import Path

_HERE = Path(__file__).parent
_ESCAPED = re.compile(r"\\(u[0-9a-f]{4}|.)")
_SIGNS = {"n": "\n", "t": "\t", "\\": "\\"}


def rows(name: str, folder: Path = _HERE) -> Iterator[tuple[str, ...]]:
    """The rows of a table, its cells with their escapes written out."""
    for line in (folder / f"{name}.tsv").read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("# "):
            yield tuple(_ESCAPED.sub(_sign, cell) for cell in line.split("\t"))


def choices() -> dict[tuple[str, ...], list[tuple[str, str]]]:
    """The label that each reply chooses ("-": none), by the options."""
    found: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    options: tuple[str, ...] = ()
    for cells in rows("choices"):
        if len(cells) == 1:
            options = tuple(cells[0].removeprefix("= ").split(" | "))
        else:
            found.setdefault(options, []).append((cells[0], cells[1]))
    return found


def _sign(found: re.Match[str]) -> str:
    escape = found[1]
    return chr(int(escape[1:], 16)) if len(escape) == 5 else _SIGNS[escape]
