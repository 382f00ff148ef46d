"""One mapping over another."""

from collections.abc import Mapping
from typing import Any


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged at every depth; anything else replaces what was there."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        merged[key] = over(under, value) if both else value  # type: ignore[arg-type]
    return merged
