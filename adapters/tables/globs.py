"""Patterns of paths: which files of a folder, or members of an archive, fit one."""

import fnmatch
import re
from collections.abc import Iterable, Iterator

from medgen.adapters.sources.folder import FaultyContent, Folder, safe_path
from medgen.engine.bounds import RECORD

_BRACES = re.compile(r"\{([^{}]*)\}")
_MAGIC = re.compile(r"[*?\[]")
_MOST_FILES = 1_000_000
_NAME = re.compile(r"\{([A-Za-z_]\w*)\}")
# Of files that are rows themselves.
PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"))
_DIGITS = re.compile(r"(\d+)")


def matching(folder: Folder, pattern: str) -> Iterator[str]:
    """The files below a folder that fit a pattern with `*`, `?`, `**` and `{a,b}`, sorted.

    Raises:
        FaultyContent: the pattern leaves the folder.
    """
    return (name for name, _ in named_files(folder, pattern))


def named_files(folder: Folder, pattern: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The files that fit a pattern, with what stood for each `{name}` in it.

    Raises:
        FaultyContent: the pattern leaves the folder, or has one name twice.
    """
    count = 0
    for one in dict.fromkeys(_alternatives(pattern)):
        names = names_in(one)
        if len(set(names)) < len(names):
            raise FaultyContent(f"{pattern!r} has one name twice")
        shape = re.compile(_shape(one)) if names else None
        for name in _walk(folder, "", safe_path(_NAME.sub("*", one)).split("/")):
            count += 1
            if count > _MOST_FILES:
                raise FaultyContent(f"{pattern!r} fits more than {_MOST_FILES:,} files")
            found = shape.fullmatch(name) if shape else None
            if shape is None or found is not None:
                yield name, found.groupdict() if found else {}


def fitting(names: Iterable[str], pattern: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Those names that fit a pattern, sorted, with what stood for each `{name}` in it.

    Raises:
        FaultyContent: the pattern leaves what it looks into.
    """
    shapes = [re.compile(_shape(one)) for one in dict.fromkeys(_alternatives(pattern))]
    for name in sorted(names):
        found = next((f for shape in shapes if (f := shape.fullmatch(name))), None)
        if found is not None:
            yield name, found.groupdict()


def naturally(name: str) -> list[tuple[int, str]]:
    """A key that sorts `slice2` before `slice10`."""
    parts = _DIGITS.split(name)
    return [(int(part[:18]), part) if part.isdecimal() else (-1, part) for part in parts]


def has_wildcards(text: str) -> bool:
    """Whether a text of a preset is a pattern."""
    return "*" in text or "?" in text


def names_in(pattern: str) -> list[str]:
    """The names in braces of a pattern: each is a column."""
    return _NAME.findall(pattern)


def _shape(pattern: str) -> str:
    """The pattern as a regular expression that takes the names out of a path."""
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\{[A-Za-z_]\w*\})", safe_path(pattern))
    return "".join(
        signs.get(p) or (f"(?P<{p[1:-1]}>[^/]+)" if _NAME.fullmatch(p) else re.escape(p))
        for p in parts
    )


def _alternatives(pattern: str) -> Iterator[str]:
    found = next((b for b in _BRACES.finditer(pattern) if not _NAME.fullmatch(b[0])), None)
    if not found:
        yield pattern
        return
    for choice in found[1].split(","):
        yield from _alternatives(pattern[: found.start()] + choice + pattern[found.end() :])


def _walk(folder: Folder, below: str, parts: list[str]) -> Iterator[str]:
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _walk_deep(folder, below, rest)
        return
    plain = not _MAGIC.search(part)
    names = [part] if plain else folder.names(below.rstrip("/"))
    for name in names:
        path = f"{below}{name}"
        if not plain and not fnmatch.fnmatchcase(name, part):
            continue
        if rest:
            yield from _walk(folder, f"{path}/", rest)
        elif folder.exists(path) if plain else not folder.names(path):
            yield path


def _walk_deep(folder: Folder, below: str, rest: list[str]) -> Iterator[str]:
    yield from _walk(folder, below, rest or ["*"])
    for name in folder.names(below.rstrip("/")):
        if below.count("/") < RECORD.depth and folder.names(f"{below}{name}"):
            yield from _walk_deep(folder, f"{below}{name}/", rest)
