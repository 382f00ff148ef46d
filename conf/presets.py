"""Presets of benchmarks: one starts from another, and the mapping is put under one key."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from medgen.conf.schema import BenchmarkConf

# An answer by letter and one by text are two answers: these are not merged.
_WHOLE = ("answer", "choices")
_OWN = frozenset(field.name for field in fields(BenchmarkConf))


def preset(
    body: Mapping[str, Any], find: Callable[[str], dict[str, Any]], folder: Path | None = None
) -> dict[str, Any]:
    """A preset with what it starts from (`like`), its mapping under `mapping`.

    Args:
        body: what the file says.
        find: gives another preset by its name.
        folder: that a relative source lies in; None leaves it as it is.
    """
    found = {key: value for key, value in body.items() if key != "like"}
    if isinstance(like := body.get("like"), str):
        below = find(like)
        below.pop("name", None)
        # Counts, names and doubts are those of one release, and not of what is like it.
        for single in ("cite", "unverified", "confidence", "licence", "access"):
            below.pop(single, None)
        below.update(below.pop("mapping", {}))
        below.pop("expect", None)
        found = _over(below, found)
    if found.get("reader"):
        mapping = {key: found.pop(key) for key in [*found] if key not in _OWN}
        found["mapping"] = _over(found.get("mapping") or {}, mapping)
        if folder is not None:
            found["source"] = _beside(str(found.get("source") or "."), folder)
    return found


def lack_of_reader(body: Mapping[str, Any]) -> str:
    """What a preset lacks whose keys are those of a table, and that names no reader."""
    keys = {"files", "sample"} & {*body}
    return f"{min(keys)!r} belongs to a table; say `reader: records` as well" if keys else ""


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Objects are merged; lists, values (`is`, `of`), `choices` and `answer` are replaced."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        whole = key in _WHOLE or not isinstance(value, dict) or {"is", "of"} & {*value}
        if not whole and isinstance(under, dict):
            merged[key] = _over(under, value)
        else:
            merged[key] = value
    return merged


def _beside(source: str, folder: Path) -> str:
    if "://" in source or Path(source).is_absolute():
        return source
    return str(folder / source)
