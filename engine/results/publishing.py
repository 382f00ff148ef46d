"""Writes a run's long tables beside it, system by system, while it goes on and when it is over.

What a system's tables were made from is noted in `tables.json`, so that those of a system whose
rows are the same are not made again; the sha256 of every part as well.
"""

import json
from collections.abc import Mapping
from typing import Any

from medgen.engine.codec import fingerprint
from medgen.engine.errors import CorruptError
from medgen.engine.results.gaps import given_up
from medgen.engine.results.long_tables import (
    PREDICTIONS,
    SAMPLES,
    VALUES,
    VERDICT_ROWS,
    Described,
    prediction_tables,
    sample_tables,
    value_tables,
    verdict_tables,
)
from medgen.engine.run.reader import RunReader
from medgen.engine.store.layout import BenchmarkPlace, RunPlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.parquet import PartWriter

_VERSION = "tables/1"
_KINDS = {
    "values": (VALUES, value_tables),
    "predictions": (PREDICTIONS, prediction_tables),
    "verdicts": (VERDICT_ROWS, verdict_tables),
}


class TablePublisher:
    """The tables of one run."""

    def __init__(self, reader: RunReader) -> None:
        """Read which tables are there already."""
        self.objects, self.plan = reader.objects, reader.plan
        self.place = RunPlace(self.plan.run_id)
        self._whole = dict(read_note(self.objects, self.place.tables_whole))
        self._described: Described | None = None

    def publish(self, reader: RunReader, system: str) -> bool:
        """Write a system's tables, unless they are there as its rows are now; returns whether.

        `reader` must have listed the rows by now, and not before.

        Raises:
            CorruptError: rows are damaged, or not those that the system owes.
            StoreError: nothing can be written.
        """
        made_from = self._made_from(reader, system)
        if self._whole.get(system, {}).get("made_from") == made_from:
            return False
        if self._described is None:
            self._described = Described(reader)
            self._publish_samples(reader)
        parts: dict[str, str] = {}
        for kind, (schema, tables) in _KINDS.items():
            if kind == "predictions" and self.plan.system(system).is_pairing:
                continue  # the answers are those of the system that it is of
            writer = PartWriter(self.objects, self.place.table(kind, system), schema)
            parts |= writer.write(tables(reader, system, self._described))
        self._whole[system] = {"made_from": made_from, "parts": parts}
        self.objects.replace(self.place.tables_whole, _note(self._whole))
        return True

    def publish_all(self, reader: RunReader) -> None:
        """Write what has changed of every system, also of those that are not finished."""
        for system in self.plan.systems:
            self.publish(reader, system.name)

    def _made_from(self, reader: RunReader, system: str) -> str:
        nodes = [n for n in reader.plan.nodes.values() if system in n.systems]
        rows = {n.key: sorted((i, h.sha256) for i, h in reader.heads(n).items()) for n in nodes}
        return fingerprint(_VERSION, rows, given_up(reader))

    def _publish_samples(self, reader: RunReader) -> None:
        """The benchmark's own table: once for all its runs, for it has the pictures."""
        place = BenchmarkPlace(self.plan.benchmark)
        if not read_note(self.objects, place.samples_whole):
            parts = PartWriter(self.objects, place.samples, SAMPLES).write(sample_tables(reader))
            self.objects.replace(place.samples_whole, _note({"": {"parts": parts}}))


def _note(whole: Mapping[str, Any]) -> bytes:
    text = json.dumps({"version": _VERSION, "whole": whole}, indent=1, sort_keys=True)
    return text.encode()


def read_note(objects: Objects, path: str) -> Mapping[str, Mapping[str, Any]]:
    """What a note on tables says of each system: `made_from`, and `parts` with their sha256.

    Empty when there is none, or one of another version: they are written again then.

    Raises:
        CorruptError: it cannot be read.
    """
    try:
        note = json.loads(objects.read(path))
        return dict(note["whole"]) if note["version"] == _VERSION else {}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as err:
        raise CorruptError(f"{path}: not a note on tables ({err})") from err
