"""Notes on which tables for other programs are whole: their parts, each with its sha256."""

import json
from collections.abc import Mapping
from typing import Any

from medgen.engine.codec import decode, seal_json
from medgen.engine.errors import CorruptError
from medgen.engine.store.objects import Objects, sha256_at

TABLES_VERSION = "tables/1"


def tables_note(whole: Mapping[str, Any]) -> bytes:
    """The note on which tables are whole, as it is stored."""
    text = json.dumps({"version": TABLES_VERSION, "whole": whole}, indent=1, sort_keys=True)
    return seal_json(text.encode())


def sound_note(objects: Objects, path: str) -> Mapping[str, Mapping[str, Any]]:
    """What a note says, where one that cannot be read is none: tables can be written again."""
    try:
        return read_note(objects, path)
    except CorruptError:
        return {}


def read_note(objects: Objects, path: str) -> Mapping[str, Mapping[str, Any]]:
    """What a note on tables says of each system: `made_from`, and `parts` with their sha256.

    Empty when there is none, or one of another version: they are written again then.

    Raises:
        CorruptError: it cannot be read.
    """
    try:
        note = decode(dict[str, Any], objects.read(path), f"{path}: not a note on tables")
        return dict(note["whole"]) if note["version"] == TABLES_VERSION else {}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as err:
        raise CorruptError(f"{path}: not a note on tables ({err})") from err


def are_sound(objects: Objects, parts: Mapping[str, str]) -> bool:
    """Whether parts, each with its sha256 by its path, are what a note says."""
    return all(sha256_at(objects, path) == sha256 for path, sha256 in parts.items())
