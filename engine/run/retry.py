"""Which rows of a shard stay, and how repeated rows take the place of the others."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine.data import Sample
from medgen.engine.store.shards import concat


def kept_rows(table: pa.Table, redo: Sequence[str]) -> pa.Table:
    """The rows that are not repeated."""
    return table.filter(pc.invert(pc.is_in(table["status"], pa.array(redo, pa.string()))))


def keep_rows(done: pa.Table, table: pa.Table) -> pa.Table:
    """The new rows, but the kept ones where there are any, in the new rows' order."""
    ids = table["sample_id"].to_pylist()
    fresh = table.filter(pc.invert(pc.is_in(table["sample_id"], done["sample_id"])))
    return _sort(concat([fresh, done]), ids)


def replace_rows(before: pa.Table, redone: pa.Table, samples: Sequence[Sample]) -> pa.Table:
    """The rows before, with those of the redone samples in place of theirs."""
    rest = before.filter(pc.invert(pc.is_in(before["sample_id"], redone["sample_id"])))
    return _sort(concat([redone, rest]), [s.id for s in samples])


def _sort(table: pa.Table, ids: Sequence[str]) -> pa.Table:
    """Rows sorted by the given order of sample ids; rows of one sample keep their order."""
    place = {sample_id: i for i, sample_id in enumerate(ids)}
    where = [place[i] for i in table["sample_id"].to_pylist()]
    return table.take(sorted(range(len(where)), key=lambda row: where[row]))


def open_samples(samples: Sequence[Sample], before: pa.Table, redo: Sequence[str]) -> list[Sample]:
    """Samples with a verdict that is repeated; their views are judged again together."""
    open_rows = before.filter(pc.is_in(before["status"], pa.array(redo, pa.string())))
    open_ids = set(open_rows["sample_id"].to_pylist())
    return [s for s in samples if s.id in open_ids]
