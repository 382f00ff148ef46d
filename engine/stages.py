"""A stage's output: sealed shards under the address of what they depend on.

An object that exists is complete. Retried error rows are a later revision of the same shard;
readers take the highest. What a shard was made from stands in its metadata, so that a shard
made from an older revision of its input is known to be stale.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from engine.benchmark import shard_name
from engine.errors import CorruptError
from engine.objects import Objects
from engine.sealed import seal, unseal

_SHARD = re.compile(r"shard-(\d{5,})(?:-r(\d+))?\.arrow")


class Stage:
    """Reads and writes `<root>/stages/<stage>/<key>/`."""

    def __init__(self, objects: Objects, stage: str, key: str) -> None:
        """Nothing is read or written yet."""
        self.objects = objects
        self.stage = stage
        self.key = key
        self.folder = f"stages/{stage}/{key}"

    def declare(self, recipe: Mapping[str, Any]) -> None:
        """Leave the recipe that this address stands for beside the shards (`stage.json`)."""
        data = json.dumps(recipe, indent=1, sort_keys=True, allow_nan=False).encode()
        self.objects.create(f"{self.folder}/stage.json", data)

    def revisions(self) -> dict[int, int]:
        """The highest committed revision of every shard that exists, from one listing."""
        found: dict[int, int] = {}
        for name in self.objects.names(self.folder):
            if match := _SHARD.fullmatch(name):
                shard, revision = int(match[1]), int(match[2] or 0)
                found[shard] = max(revision, found.get(shard, 0))
        return found

    def write(self, shard: int, table: pa.Table, revision: int = 0) -> int:
        """Commit a shard whole; harmless when another worker was first. Returns bytes."""
        data = seal(table)
        self.objects.create(shard_name(self.folder, shard, revision), data)
        return len(data)

    def read(self, shard: int, revision: int = 0) -> pa.Table:
        """One shard, proven whole.

        Raises:
            FileNotFoundError: that revision was not committed.
            CorruptError: the bytes are not what was written.
        """
        name = shard_name(self.folder, shard, revision)
        table = unseal(self.objects.read(name), name)
        if (stands_for := labels(table).get("key")) not in (None, self.key):
            raise CorruptError(f"{name} holds rows of key {stands_for}")
        return table

    def _part(self, shard: int, part: tuple[int, int], revision: int) -> str:
        suffix = f"-r{revision}" if revision else ""
        return f"{self.folder}/parts-{shard:05d}{suffix}/{part[0]:05d}-{part[1]:05d}.arrow"

    def write_part(self, shard: int, part: tuple[int, int], table: pa.Table, revision: int) -> int:
        """Commit some rows of a shard that could not be done in one go."""
        data = seal(table)
        self.objects.create(self._part(shard, part, revision), data)
        return len(data)

    def read_parts(self, shard: int, revision: int) -> list[tuple[tuple[int, int], pa.Table]]:
        """The committed parts of a shard, by position."""
        folder = self._part(shard, (0, 0), revision).rpartition("/")[0]
        parts = []
        for name in self.objects.names(folder):
            low, _, high = name.removesuffix(".arrow").partition("-")
            table = unseal(self.objects.read(f"{folder}/{name}"), f"{folder}/{name}")
            parts.append(((int(low), int(high)), table))
        return parts

    def drop_parts(self, shard: int, revision: int) -> None:
        """Remove the parts of a shard that is now whole."""
        self.objects.delete(self._part(shard, (0, 0), revision).rpartition("/")[0])


def label(table: pa.Table, labels_: Mapping[str, Any]) -> pa.Table:
    """The table with labels (JSON) in its schema's metadata: what it is and what made it."""
    text = json.dumps(labels_, sort_keys=True, allow_nan=False)
    return table.replace_schema_metadata(
        {**(table.schema.metadata or {}), b"medgen.labels": text.encode()}
    )


def labels(table: pa.Table) -> dict[str, Any]:
    """The labels of a stored table; empty when it has none."""
    text = (table.schema.metadata or {}).get(b"medgen.labels")
    return dict(json.loads(text)) if text else {}


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables of one schema, one after another, without labels of any of them."""
    schema = tables[0].schema
    kept = {k: v for k, v in (schema.metadata or {}).items() if k != b"medgen.labels"}
    return pa.concat_tables([t.replace_schema_metadata(kept) for t in tables])
