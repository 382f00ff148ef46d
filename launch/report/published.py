"""A run beside a published table: which of its numbers come out again, and within what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from medgen.engine.errors import ConfigError

# Column of the table -> stage, label (empty: any judge's), output, and what a value is times here.
_COLUMNS: Mapping[str, tuple[str, str, str, float]] = {
    "holistic_with_reference": ("judge", "", "overall_score/reference_based", 1.0),
    "holistic_reference_free": ("judge", "", "overall_score/reference_free", 1.0),
    "ssim": ("score", "ssim", "ssim", 100.0),
    "psnr": ("score", "psnr", "psnr", 1.0),
    "lpips": ("score", "lpips", "lpips", 100.0),
    "mii": ("score", "embedding_similarity", "embedding_similarity", 100.0),
    "bleu": ("score", "bleu", "bleu", 100.0),
    "bertscore": ("score", "bertscore", "bertscore", 100.0),
    "exact_match": ("score", "exact_match", "exact_match", 100.0),
}
_ROUNDING = 0.005  # published with two decimals


@dataclass(frozen=True, slots=True)
class Beside:
    """One published number and ours. Ours is None where the run has no value."""

    format: str
    system: str  # as it is called in the table
    column: str
    published: float
    ours: float | None = None
    low: float | None = None  # our 95 % interval
    high: float | None = None
    coverage: float = 0.0
    random_weights: bool = False

    @property
    def state(self) -> str:
        """reproduced: inside our interval; apart: outside; absent: no value of ours."""
        if self.ours is None:
            return "absent"
        low = self.ours if self.low is None else self.low
        high = self.ours if self.high is None else self.high
        return "reproduced" if low - _ROUNDING <= self.published <= high + _ROUNDING else "apart"

    @property
    def difference(self) -> float | None:
        """Ours less theirs, in the table's unit."""
        return None if self.ours is None else self.ours - self.published


def beside(table: Mapping[str, Any], summary: pa.Table) -> list[Beside]:
    """Every published number beside the run's.

    Args:
        table: `columns`, and `tables` by format and system.
        summary: of a run, schema `summary/1`. A system is the one whose name has the same letters
            and digits, "and" for "&".

    Raises:
        ConfigError: the table has a column that nothing here measures, or a row of another length.
    """
    columns = list(table.get("columns") or ())
    if unknown := [name for name in columns if name not in _COLUMNS]:
        raise ConfigError(f"columns: nothing here measures {', '.join(map(str, unknown))}")
    rows = [r for r in summary.to_pylist() if r["group_kind"] == "all"]
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["format"], _letters(row["system"])), []).append(row)
    return list(_all(table, columns, found))


def _all(
    table: Mapping[str, Any],
    columns: Sequence[str],
    found: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]],
) -> Iterator[Beside]:
    for format_, systems in (table.get("tables") or {}).items():
        for system, values in systems.items():
            if len(values) != len(columns):
                raise ConfigError(
                    f"tables.{format_}.{system}: {len(values)} values, not {len(columns)}"
                )
            mine = found.get((format_, _letters(system)), ())
            for column, value in zip(columns, values, strict=True):
                if value is not None:
                    yield _one(format_, system, column, float(value), mine)


def _one(
    format_: str, system: str, column: str, value: float, rows: Sequence[Mapping[str, Any]]
) -> Beside:
    stage, label, output, times = _COLUMNS[column]
    for row in rows:
        same = row["stage"] == stage and row["output"] == output and label in ("", row["label"])
        if same and row["mean"] is not None:
            low, high = (None if row[k] is None else times * row[k] for k in ("ci_low", "ci_high"))
            return Beside(
                format_, system, column, value, times * row["mean"], low, high,
                row["coverage"] or 0.0, bool(row["random_weights"]),
            )  # fmt: skip
    return Beside(format_, system, column, value)


def _letters(name: str) -> str:
    return "".join(c for c in name.casefold().replace("&", "and") if c.isalnum())


def lines(found: Sequence[Beside], source: str) -> Iterator[str]:
    """What came out again, in lines."""
    there = [one for one in found if one.ours is not None]
    inside = [one for one in there if one.state == "reproduced"]
    count = f"{len(inside)} of {len(found)}"
    yield f"{count} published numbers lie inside our 95 % intervals ({source})"
    yield f"{len(there) - len(inside)} lie outside, {len(found) - len(there)} have no value here"
    if any(one.random_weights for one in there):
        yield "weights behind these values are random: nothing of this is a result"
    for column in dict.fromkeys(one.column for one in there):
        apart = sorted(abs(o.difference or 0.0) for o in there if o.column == column)
        middle, most = apart[len(apart) // 2], apart[-1]
        yield f"{column:<24} within {middle:.2f} in the middle of {len(apart)}, {most:.2f} at most"
    for one in there:
        if one.state == "apart":
            interval = "" if one.low is None else f" [{one.low:.2f}, {one.high:.2f}]"
            said = f"{one.published:.2f} published, {one.ours:.2f}{interval} here"
            yield f"apart   {one.format}, {one.system}, {one.column}: {said}"
    for system in dict.fromkeys((o.format, o.system) for o in found):
        if all(o.ours is None for o in found if (o.format, o.system) == system):
            yield f"absent  {system[0]}, {system[1]}: the run has no such system, or no value of it"
