"""Writes a run's long tables beside it, system by system, while it goes on and when it is over.

What a system's tables were made from is noted in `tables.json`, so that those of a system whose
rows are the same are not made again.
"""

import json
from collections.abc import Mapping

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
        self._whole = dict(self._note())
        self._described: Described | None = None

    def publish(self, reader: RunReader, system: str) -> bool:
        """Write a system's tables, unless they are there as its rows are now; returns whether.

        `reader` must have listed the rows by now, and not before.

        Raises:
            CorruptError: rows are damaged, or not those that the system owes.
            StoreError: nothing can be written.
        """
        made_from = self._made_from(reader, system)
        if self._whole.get(system) == made_from:
            return False
        if self._described is None:
            self._described = Described(reader)
            self._publish_samples(reader)
        for kind, (schema, tables) in _KINDS.items():
            writer = PartWriter(self.objects, self.place.table(kind, system), schema)
            writer.write(tables(reader, system, self._described))
        self._whole[system] = made_from
        note = {"version": _VERSION, "systems": self._whole}
        text = json.dumps(note, indent=1, sort_keys=True)
        self.objects.replace(self.place.tables_whole, text.encode())
        return True

    def publish_all(self, reader: RunReader) -> None:
        """Write what has changed of every system, also of those that are not finished."""
        for system in self.plan.systems:
            self.publish(reader, system.name)

    def _made_from(self, reader: RunReader, system: str) -> str:
        nodes = [n for n in reader.plan.nodes.values() if system in n.systems]
        rows = {n.key: sorted(reader.revisions(n).items()) for n in nodes}
        return fingerprint(_VERSION, rows, given_up(reader))

    def _note(self) -> Mapping[str, str]:
        try:
            note = json.loads(self.objects.read(self.place.tables_whole))
            return dict(note["systems"]) if note["version"] == _VERSION else {}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError) as err:
            raise CorruptError(f"{self.place.tables_whole}: not a note of tables ({err})") from err

    def _publish_samples(self, reader: RunReader) -> None:
        """The benchmark's own table: once for all its runs, for it has the pictures."""
        place = BenchmarkPlace(self.plan.benchmark)
        try:
            self.objects.read(place.samples_whole)
        except FileNotFoundError:
            parts = PartWriter(self.objects, place.samples, SAMPLES).write(sample_tables(reader))
            note = json.dumps({"version": _VERSION, "parts": parts})
            self.objects.create(place.samples_whole, note.encode())
