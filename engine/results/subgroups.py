"""Values by the groups that a benchmark names (age, sex, site, language): means, worst, gap.

Intervals draw all samples of one source together. A gap is the best group's mean less the worst's,
over groups with at least `FEWEST` values; its interval is simultaneous over all pairs of groups
(bootstrap of the largest standardised difference), so that choosing the two that lie furthest apart
is paid for: of groups that are alike it holds 0 in 95 of 100 cases.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medgen.engine.results.aside import Aside
from medgen.engine.results.columns import Column, More, system_columns
from medgen.engine.results.statistics import RESAMPLES, SEED, Floats, Ints, clustered_mean
from medgen.engine.run.reader import RunReader

FEWEST = 30  # values of a group that enters gap and worst group
_MOST_GROUPS = 40  # of one name: what has more tells samples apart, not groups


@dataclass(frozen=True, slots=True)
class GroupMean:
    """One value of one system in one group of a format."""

    system: str
    format: str
    stage: str
    label: str
    output: str
    metric: str
    direction: str | None
    name: str  # age, sex …
    group: str
    n: int  # values; 0 where every sample of the group failed
    sources: int
    mean: float | None
    ci_low: float | None
    ci_high: float | None
    ci_note: str
    counts: bool  # whether it has enough values for gap and worst group
    worst: bool
    gap: float | None  # of the name's groups, the same in each of its rows
    gap_low: float | None
    gap_high: float | None


def group_means(reader: RunReader) -> list[GroupMean]:
    """The rows of every system that is no control; empty for a benchmark without groups.

    Raises:
        CorruptError: stored rows are damaged.
    """
    words = _group_words(reader)
    found: list[GroupMean] = []
    for system in reader.plan.systems if words else ():
        if not system.of and not system.control:
            for column in system_columns(reader, system.name, More(ids=True)):
                found += _of_column(column, words)
    return found


def _group_words(reader: RunReader) -> dict[str, dict[str, str]]:
    """By name of a group: each sample's. Language is a group as well."""
    found: dict[str, dict[str, str]] = {}
    index = reader.benchmark.index_columns(["sample_id", "groups", "language"])
    grouped = pc.list_value_length(index["groups"].combine_chunks()).to_numpy(False) > 0
    spoken = pc.not_equal(pc.fill_null(index["language"], ""), "").to_numpy()
    for row in index.filter(pa.array(grouped | spoken)).to_pylist():  # of most there are none
        given = {r["name"]: r["value"] for r in row["groups"] or ()}
        if row["language"]:
            given.setdefault("language", row["language"])
        for name, word in given.items():
            found.setdefault(str(name), {})[row["sample_id"]] = str(word)
    several = {name: len(set(words.values())) for name, words in found.items()}
    return {name: words for name, words in found.items() if 2 <= several[name] <= _MOST_GROUPS}


def _of_column(column: Column, words: Mapping[str, Mapping[str, str]]) -> Iterator[GroupMean]:
    assert column.context.ids is not None, "columns were asked for with their ids"
    ids: list[str] = column.context.ids.to_pylist()
    clusters = column.context.clusters
    for format_ in column.context.format.words:
        owed = column.context.format.where(format_) & ~column.status.where("not_applicable")
        for name, of in words.items() if owed.any() else ():
            given = np.array([of.get(i, "") for i in ids], dtype=object)
            mask = owed & (given != "")
            if mask.any():
                yield from _rows(column, format_, name, (given[mask], mask), clusters[mask])


def _rows(
    column: Column,
    format_: str,
    name: str,
    given: tuple[NDArray[np.object_], NDArray[np.bool_]],
    clusters: Ints,
) -> Iterator[GroupMean]:
    labels, mask = given
    values = column.values[mask]
    groups, held = sorted(set(labels)), np.isfinite(values)
    counts = {group: int(((labels == group) & held).sum()) for group in groups}
    able = [group for group in groups if counts[group] >= FEWEST]
    known = zip(labels, held, strict=True)
    codes = np.array([able.index(g) if there and g in able else -1 for g, there in known])
    sign = -1.0 if column.declared.direction == "lower" else 1.0
    gap = find_gap(values[codes >= 0], codes[codes >= 0], clusters[codes >= 0], sign)
    for group in groups:
        own = (labels == group) & held
        interval = clustered_mean(values[own], clusters[own])
        yield GroupMean(
            system=column.system,
            format=format_,
            stage=column.stage,
            label=column.label,
            output=column.output,
            metric=column.name,
            direction=column.declared.direction,
            name=name,
            group=group,
            n=counts[group],
            sources=len(np.unique(clusters[own])),
            mean=interval.mean,
            ci_low=interval.low,
            ci_high=interval.high,
            ci_note=interval.note,
            counts=group in able,
            worst=bool(gap and gap.gap and group in able and able.index(group) == gap.worst),
            gap=gap.gap if gap else None,
            gap_low=gap.low if gap else None,
            gap_high=gap.high if gap else None,
        )


@dataclass(frozen=True, slots=True)
class Gap:
    """The best group's mean less the worst's, as distances from what is good."""

    gap: float
    low: float | None  # None where nothing differs, or one of the two groups is of one source
    high: float | None
    best: int
    worst: int


def find_gap(values: Floats, codes: Ints, clusters: Ints, sign: float = 1.0) -> Gap | None:
    """The gap of some groups; None of fewer than two, or of fewer than two sources.

    Args:
        values: finite.
        codes: the group of each value, from 0 without a gap.
        clusters: the source of each value.
        sign: -1 where lower is better.
    """
    count = int(codes.max()) + 1 if len(codes) else 0
    _, own = np.unique(clusters, return_inverse=True)
    sources = int(own.max()) + 1 if len(own) else 0
    if count < 2 or sources < 2:
        return None
    sums = np.zeros((sources, count))
    sizes = np.zeros((sources, count))
    np.add.at(sums, (own, codes), values)
    np.add.at(sizes, (own, codes), 1.0)
    means = sums.sum(0) / sizes.sum(0)
    weights = np.random.default_rng(SEED).multinomial(
        sources, np.full(sources, 1 / sources), RESAMPLES
    )
    drawn = weights @ sizes
    with np.errstate(invalid="ignore", divide="ignore"):
        again = np.where(drawn > 0, (weights @ sums) / drawn, means)
    first, second = np.triu_indices(count, 1)
    moved = (again[:, first] - again[:, second]) - (means[first] - means[second])
    spread = moved.std(0)
    spread = np.where(spread > 0, spread, np.inf)
    most = float(np.quantile(np.abs(moved / spread).max(1), 0.95))
    best, worst = int(np.argmax(sign * means)), int(np.argmin(sign * means))
    if best == worst:  # all means are equal, as of a system that is always right
        worst = count - 1
    pair = int(np.flatnonzero((first == min(best, worst)) & (second == max(best, worst)))[0])
    gap = abs(float(means[best] - means[worst]))
    if np.isinf(spread[pair]) or (np.count_nonzero(sizes, axis=0)[[best, worst]] < 2).any():
        return Gap(gap, None, None, best, worst)
    half = most * float(spread[pair])
    return Gap(gap, gap - half, gap + half, best, worst)


SUBGROUPS = Aside("subgroups", GroupMean, group_means)
