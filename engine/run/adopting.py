"""Takes over rows of samples that stand under other shards: another shard size, split or subset.

Rows are found by the digests of their samples: the indexes of the store's benchmarks say which
samples the shards in a stage's folder are about. What is found is put together as the shard that is
wanted; samples without a row are `missing` there, which a plain start repeats. So a model is asked
for samples that it was never asked for, and for no other. It is done for models that read no other
stage's rows: what is made of rows says which shard of them it was made from, and is made again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from medgen.engine.benchmark.digest import part_digest
from medgen.engine.benchmark.manifest import Benchmark, benchmark_refs
from medgen.engine.data import ASKS, Asks, Prediction
from medgen.engine.errors import BenchmarkError, CorruptError
from medgen.engine.plan.plan import Node
from medgen.engine.run.reader import RunReader, part_of
from medgen.engine.stages import stage_kind
from medgen.engine.store import schemas
from medgen.engine.store.layout import pieces_of
from medgen.engine.store.shards import Stage, label, labels

_KEPT = 8  # tables of other shards that are held at once


@dataclass(frozen=True, slots=True)
class _Row:
    """One sample of an index."""

    sample_id: str
    asks: Asks
    digest: bytes


def take_over(reader: RunReader, write: bool = True, keys: Sequence[str] = ()) -> dict[str, int]:
    """Put shards together from rows that stand under others; how many rows, by the node's label.

    Without `write` nothing is read of rows, and what would be found is counted by name. With
    `keys` only these nodes are looked at.
    """
    found: dict[str, int] = {}
    shelf: _Shelf | None = None
    for node in reader.plan.nodes.values():
        if node.upstream or not stage_kind(node.stage).predicts or (keys and node.key not in keys):
            continue
        listing = reader.listing(node)
        absent = [
            number
            for number in range(len(reader.stage(node).names))
            if number not in listing.revisions and number not in listing.lost
        ]
        if not absent or not (others := sorted(listing.others)):
            continue
        shelf = shelf or _Shelf(reader)
        taking = _Taking(reader, node, shelf.rows_of(node, others))
        taken = taking.take(absent) if write else taking.count(absent)
        if taken:
            found[node.label] = found.get(node.label, 0) + taken
    return found


class _Shelf:
    """The shards of every benchmark in the store, by name."""

    def __init__(self, reader: RunReader) -> None:
        self.shards: dict[str, list[_Row]] = {}
        for ref in benchmark_refs(reader.objects):
            try:
                benchmark = Benchmark(reader.objects, ref)
                for number, entry in enumerate(benchmark.manifest.shards):
                    self.shards.setdefault(entry.digest, index_rows(benchmark, number))
            except (BenchmarkError, CorruptError):
                continue  # its rows cannot be told; they are asked for again

    def rows_of(self, node: Node, names: Sequence[str]) -> Mapping[str, list[_Row]]:
        """The samples that shards of a node's rows are about, by the shard's name."""
        named: dict[str, list[_Row]] = {}
        for digest, rows in self.shards.items():
            due = [asks for asks in ASKS if any(r.asks == asks for r in rows)]
            kept = [asks for asks in due if asks in node.gives]
            named[digest if kept == due else part_digest(digest, kept)] = rows
        found: dict[str, list[_Row]] = {}
        for name in names:
            digest, piece, pieces = pieces_of(name)
            if digest in named:
                part = part_of(named[digest], pieces, piece)
                found[name] = [row for row in part if row.asks in node.gives]
        return found


def index_rows(benchmark: Benchmark, shard: int) -> list[_Row]:
    """The samples of a shard, in order."""
    told = zip(benchmark.asks(shard), benchmark.digests(shard), strict=True)
    return [_Row(name, asks, digest) for (name, asks), digest in told]


@dataclass
class _Taking:
    """Puts the shards of one node together."""

    reader: RunReader
    node: Node
    others: Mapping[str, list[_Row]]  # by the name of a shard of rows
    _held: dict[str, pa.Table | None] = field(default_factory=dict)

    def take(self, absent: Sequence[int]) -> int:
        """Commit what can be put together of the absent shards; how many rows were found."""
        place = {row.digest: name for name, rows in self.others.items() for row in rows}
        self.stage: Stage = self.reader.stage(self.node)
        self.other = self.stage.under(tuple(self.others))
        self.revisions = self.other.revisions()
        return sum(self._shard(number, place) for number in absent)

    def count(self, absent: Sequence[int]) -> int:
        """How many rows of the absent shards stand under others."""
        there = {row.digest for rows in self.others.values() for row in rows}
        return sum(row.digest in there for number in absent for row in self._due(number))

    def _shard(self, number: int, place: Mapping[bytes, str]) -> int:
        due = self._due(number)
        sources = dict.fromkeys(place[row.digest] for row in due if row.digest in place)
        tables = {name: table for name in sources if (table := self._table(name)) is not None}
        rows = [self._row(row, tables.get(place.get(row.digest, ""))) for row in due]
        found = sum(row is not None for row in rows)
        if not found:
            return 0
        blank = [
            row if row is not None else _missing(of.sample_id)
            for row, of in zip(rows, due, strict=True)
        ]
        said = labels(next(iter(tables.values()))) | {"shard": self.stage.names[number]}
        table = label(pa.concat_tables(blank), said | {"revision": 0, "taken_from": [*tables]})
        kind = stage_kind(self.node.stage)
        if set(table["status"].to_pylist()) & {*kind.outside, *kind.unforeseen}:
            self.stage.note_owed(number, 0)
        self.stage.write(number, table)
        self.reader.note_commit(self.node.key, number, 0)
        return found

    def _due(self, number: int) -> list[_Row]:
        rows = index_rows(self.reader.benchmark, number // self.node.split)
        return [r for r in part_of(rows, self.node.split, number) if r.asks in self.node.gives]

    def _table(self, name: str) -> pa.Table | None:
        """Another shard's rows; None when they are not there or not whole."""
        if name not in self._held:
            number = self.other.names.index(name)
            while len(self._held) >= _KEPT:
                del self._held[next(iter(self._held))]
            try:
                self._held[name] = self.other.read(number, self.revisions[number])
            except (CorruptError, KeyError):
                self._held[name] = None
        return self._held[name]

    def _row(self, of: _Row, table: pa.Table | None) -> pa.Table | None:
        if table is None:
            return None
        at = {name: place for place, name in enumerate(table["sample_id"].to_pylist())}
        if of.sample_id not in at:
            return None
        row = table.slice(at[of.sample_id], 1)
        return row.replace_schema_metadata(schemas.PREDICTION.metadata)


def _missing(sample_id: str) -> pa.Table:
    return schemas.prediction_table([Prediction(sample_id, "missing", "not asked yet")])
