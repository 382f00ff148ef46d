"""Writes a run's long tables beside it, system by system, while it goes on and when it is over.

What a system's tables were made from is noted in `tables.json`, so that those of a system whose
rows are the same are not made again; the sha256 of every part as well.
"""

from collections.abc import Iterable

import pyarrow as pa

from medgen.engine.allocation import give_back
from medgen.engine.benchmark.table import publish_samples, sample_tables
from medgen.engine.codec import fingerprint
from medgen.engine.results.columns import Column, More, system_columns
from medgen.engine.results.gaps import given_up
from medgen.engine.results.long_tables import (
    PREDICTIONS,
    VALUES,
    VERDICT_ROWS,
    Described,
    prediction_tables,
    value_tables,
    verdict_tables,
)
from medgen.engine.results.summary import (
    Summarizer,
    SystemSummary,
    summarize_system,
    summary_table,
)
from medgen.engine.run.reader import RunReader
from medgen.engine.store.layout import BenchmarkPlace, RunPlace
from medgen.engine.store.parquet import PartWriter
from medgen.engine.store.table_notes import TABLES_VERSION, are_sound, sound_note, tables_note

KINDS = {"values": VALUES, "predictions": PREDICTIONS, "verdicts": VERDICT_ROWS}


class Summaries:
    """Summaries of systems as they were made while a run went on, each with its rows' digest."""

    def __init__(self) -> None:
        """None is there yet."""
        self._known: dict[str, tuple[str, SystemSummary]] = {}

    def keep(self, system: str, behind: str, summary: SystemSummary) -> None:
        """Keep a system's, made of rows of which `rows_behind` says that."""
        self._known[system] = behind, summary

    def of(self, reader: RunReader, system: str) -> SystemSummary:
        """A system's, made anew where its rows are others by now.

        Raises:
            CorruptError: rows are damaged.
        """
        behind = rows_behind(reader, system)
        if self._known.get(system, ("", None))[0] != behind:
            self.keep(system, behind, summarize_system(reader, system))
        return self._known[system][1]

    def table(self, reader: RunReader) -> pa.Table:
        """The run's summary; raises as `of` does."""
        return summary_table(self.of(reader, s.name) for s in reader.plan.systems)


def rows_behind(reader: RunReader, system: str) -> str:
    """A digest of all rows that a system's results are made from."""
    nodes = [n for n in reader.plan.nodes.values() if system in n.systems]
    rows = {node.key: reader.rows_of(node) for node in nodes}
    return fingerprint(TABLES_VERSION, rows, given_up(reader))


class TablePublisher:
    """The tables of one run."""

    def __init__(self, reader: RunReader) -> None:
        """Read which tables are there already."""
        self.objects, self.plan = reader.objects, reader.plan
        self.place = RunPlace(self.plan.run_id)
        self._whole = dict(sound_note(self.objects, self.place.tables_whole))
        self._distrusts = False

    def prove(self) -> None:
        """Have tables written anew of which a part is not what their note names."""
        self._distrusts = True
        known = self._whole.items()
        self._whole = {n: whole for n, whole in known if are_sound(self.objects, whole["parts"])}

    def publish(self, reader: RunReader, system: str) -> bool:
        """Write a system's tables, unless they are there as its rows are now; returns whether.

        `reader` must have listed the rows by now, and not before.

        Raises:
            CorruptError: rows are damaged, or not those that the system owes.
            StoreError: nothing can be written.
        """
        behind = rows_behind(reader, system)
        if self._whole.get(system, {}).get("made_from") == behind:
            return False
        self._write(reader, system, behind, system_columns(reader, system, More(reasons=True)))
        return True

    def finish(self, reader: RunReader, system: str, summaries: Summaries) -> SystemSummary:
        """Summarize a system and write its tables, for which its values are read once.

        Raises as `publish` does.
        """
        behind = rows_behind(reader, system)
        if self._whole.get(system, {}).get("made_from") == behind:
            return summaries.of(reader, system)
        summarizer = Summarizer(reader, system)
        columns = summarizer.watch(system_columns(reader, system, More(reasons=True)))
        self._write(reader, system, behind, columns)
        made = summarizer.end()
        summaries.keep(system, behind, made)
        return made

    def _write(
        self, reader: RunReader, system: str, behind: str, columns: Iterable[Column]
    ) -> None:
        described = Described(reader)
        if self._whole.pop(system, None) is not None:  # its parts are others from now on
            self._keep()
        tables = {
            "values": value_tables(reader, system, described, columns),
            "predictions": prediction_tables(reader, system, described),
            "verdicts": verdict_tables(reader, system, described),
        }
        if self.plan.system(system).is_pairing:
            del tables["predictions"]  # the answers are those of the system that it is of
        parts: dict[str, str] = {}
        for kind, rows in tables.items():
            give_back()
            writer = PartWriter(self.objects, self.place.table(kind, system), KINDS[kind])
            parts |= writer.write(rows)
        self._whole[system] = {"made_from": behind, "parts": parts}
        self._keep()

    def _keep(self) -> None:
        self.objects.replace(self.place.tables_whole, tables_note(self._whole))

    def publish_all(self, reader: RunReader) -> None:
        """Write what has changed of every system, also of those that are not finished.

        And the table of the benchmark's samples, where it is lost.
        """
        self._publish_samples(reader)
        for system in self.plan.systems:
            self.publish(reader, system.name)

    def _publish_samples(self, reader: RunReader) -> None:
        """The benchmark's own table, which its import wrote: again where it is lost or damaged."""
        note = sound_note(self.objects, BenchmarkPlace(self.plan.benchmark).samples_whole)
        if not note or (self._distrusts and not are_sound(self.objects, note[""]["parts"])):
            publish_samples(self.objects, self.plan.benchmark, sample_tables(reader.benchmark))
