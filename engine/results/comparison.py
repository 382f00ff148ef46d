"""Two systems on the same samples: paired differences, tests, effect sizes, bounds.

A pair is a sample that both sides owe. It is complete when both have the value, and only complete
pairs enter means and tests; what the others could change is said by the bounds. P values are
adjusted by Holm's method over all values and groups of one kind: formats, tasks, modalities.

Only like is compared with like: columns that were not made alike (`results.making`) are refused
with the difference in words, or compared on request and then named in everything that is shown.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from medgen.engine.errors import ConfigError
from medgen.engine.results.coded import Coded
from medgen.engine.results.columns import Column, Context, More, system_columns
from medgen.engine.results.gaps import given_up, stopped_early
from medgen.engine.results.making import Making, differences, making
from medgen.engine.results.statistics import (
    FLIPS,
    Floats,
    Ints,
    clustered_mean,
    cohen_dz,
    difference_bounds,
    holm,
    paired_differences,
    rank_biserial,
    sign_flip,
    wilcoxon,
)
from medgen.engine.results.summary import ColumnGroup, groups, random_labels
from medgen.engine.results.thresholds import Direction, Threshold
from medgen.engine.run.reader import RunReader

ALPHA = 0.05
ANSWERED = "answered"
KINDS = ("all", "task", "modality")


@dataclass(frozen=True)
class Side:
    """One system of one run. Its columns are read once, however many it is compared with."""

    reader: RunReader
    system: str

    @property
    def name(self) -> str:
        """`run id / system`."""
        return f"{self.reader.plan.run_id} / {self.system}"

    @property
    def random_weights(self) -> bool:
        """Whether any part of it ran on random weights."""
        return any(random_labels(self.reader, self.system).values())

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Its values by sample, first whether there is an answer."""
        return tuple(_with_answered(self))


@dataclass(frozen=True, slots=True)
class PairedColumn:
    """One value of both sides, entry by entry the same sample. `left` carries the context."""

    left: Column
    right: Column
    clusters: Ints  # the source image's code; a sample without one is its own
    threshold: Threshold
    unlike: tuple[str, ...] = ()  # how the two were not made alike, in words

    @property
    def key(self) -> tuple[str, str, str]:
        """Stage, label and output: what the two columns share."""
        return self.left.stage, self.left.label, self.left.output


@dataclass(frozen=True, slots=True)
class Cell:
    """The pairs of one value in one group."""

    column: PairedColumn
    group: ColumnGroup
    left: Floats  # of applicable pairs; NaN where there is none
    right: Floats
    clusters: Ints

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which pairs have both values."""
        found: NDArray[np.bool_] = np.isfinite(self.left) & np.isfinite(self.right)
        return found

    @property
    def differences(self) -> Floats:
        """`right - left` of the complete pairs; what differs in its last bits only is one."""
        return paired_differences(self.left[self.complete], self.right[self.complete])


@dataclass(frozen=True, slots=True)
class Contrast:
    """What the pairs of one value in one group say."""

    format: str
    kind: str  # all, task, modality
    group: str
    stage: str
    label: str
    output: str
    metric: str
    direction: Direction | None
    n: int  # complete pairs
    applicable: int  # pairs of which the metric says something
    left_missing: int  # of these, without a value on the left
    right_missing: int
    clusters: int  # source images among the complete pairs
    left_mean: float | None
    right_mean: float | None
    difference: float | None  # right - left
    ci_low: float | None
    ci_high: float | None
    ci_note: str  # why there is no interval, or what it covers
    wilcoxon_p: float | None
    wilcoxon_holm: float | None
    sign_flip_p: float | None
    sign_flip_holm: float | None
    cohen_dz: float | None
    cohen_dz_note: str  # why there is none
    rank_biserial: float | None
    lowest: float | None  # mean difference if every missing value were as bad as can be
    highest: float | None
    bounds: Literal["declared", "observed", "none"]  # where the range of a missing value is from
    better: str  # left, right, neither shown, unknown direction


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems compared; `contrasts` in the order of the left side's plan."""

    left: str
    right: str
    benchmarks: tuple[str, ...]  # one, or the two that differ
    shared: int  # samples that both sides owe
    left_only: int
    right_only: int
    contrasts: tuple[Contrast, ...]
    random_weights: bool = False  # something behind it has random weights: not a result
    across: tuple[str, ...] = ()  # how values that were compared on request are not alike
    left_out: tuple[str, ...] = ()  # values that only one side has
    stopped: tuple[str, ...] = ()  # sides that their run has stopped early, and why
    alpha: float = ALPHA
    schema: str = "comparison/1"


def compare(
    left: Side,
    right: Side,
    flips: int = FLIPS,
    across: bool = False,
    kinds: Collection[str] = KINDS,
) -> Comparison:
    """Compare two systems, of one run or of two. `across`: though values were not made alike.

    Of `kinds` that are left out nothing else depends: p values are adjusted within a kind.

    Raises:
        ConfigError: they share no sample or no value, or a value was not made alike.
        CorruptError: stored rows are damaged.
    """
    left_out: list[str] = []
    columns = list(paired_columns(left, right, left_out))
    unlike = unlike_words(columns)
    if unlike and not across:
        raise refusal(left, right, unlike)
    asked = [c for column in columns for c in cells(column) if c.group.kind in kinds]
    contrasts = [_contrast(cell, flips) for cell in asked]
    adjusted = _decide(_adjust(contrasts))
    shared = len(columns[0].left.values)
    benchmarks = dict.fromkeys((left.reader.plan.benchmark, right.reader.plan.benchmark))
    return Comparison(
        left=left.name,
        right=right.name,
        benchmarks=tuple(benchmarks),
        shared=shared,
        left_only=left.reader.plan.rows_due(left.system) - shared,
        right_only=right.reader.plan.rows_due(right.system) - shared,
        contrasts=tuple(adjusted),
        random_weights=left.random_weights or right.random_weights,
        across=unlike,
        left_out=tuple(left_out),
        stopped=stopped_words(left, right),
    )


def stopped_words(*sides: Side) -> tuple[str, ...]:
    """Which sides lack rows because their run has stopped them early, in words."""
    found = [(s, stopped_early(s.reader.plan, given_up(s.reader)).get(s.system)) for s in sides]
    return tuple(f"{side.name} is not complete: {why}" for side, why in found if why)


def unlike_words(columns: Iterable[PairedColumn]) -> tuple[str, ...]:
    """How columns are not alike: each difference once, with the values that it concerns."""
    names: dict[str, list[str]] = {}
    scored = set[str]()
    for column in columns:
        scored |= {column.left.name} if column.left.stage != "answer" else set()
        for words in column.unlike:
            names.setdefault(words, []).append(column.left.name)
    return tuple(f"{_whose(who, scored)}: {words}" for words, who in names.items())


def _whose(names: Sequence[str], scored: set[str]) -> str:
    every = scored and scored <= set(names) and len(names) > 1
    return "every value" if every else ", ".join(dict.fromkeys(names))


def refusal(left: Side, right: Side, unlike: Sequence[str]) -> ConfigError:
    """The error that refuses to compare what was not made alike."""
    said = "\n  ".join(unlike)
    return ConfigError(
        f"{left.name} (left) and {right.name} (right) have values that were not made alike:\n"
        f"  {said}\n"
        "Make them alike, or compare them all the same with --across, which every table will say"
    )


# ---- pairing -------------------------------------------------------------------------------


def paired_columns(
    left: Side, right: Side, left_out: list[str] | None = None
) -> Iterator[PairedColumn]:
    """Every value that both sides have, paired on sample ids; first whether there is an answer.

    What only one side has is named in `left_out`.

    Raises:
        ConfigError: they share no sample or no value.
    """
    known = {_key(c): c for c in left.columns}
    lonely: list[str] = []
    shared = set()
    for theirs in right.columns:
        if (ours := known.get(_key(theirs))) is None:
            lonely.append(f"{theirs.name} (only on the right)")
            continue
        shared.add(_key(theirs))
        mine, other = _align(ours, theirs)
        mark = mine.threshold(left.reader.plan.thresholds)
        yield PairedColumn(
            mine, other, mine.context.clusters, mark, _unlike(left, ours, right, theirs)
        )
    if not shared:
        raise ConfigError(f"{left.name} and {right.name} have no value in common to compare")
    if left_out is not None:
        alone = [f"{c.name} (only on the left)" for key, c in known.items() if key not in shared]
        left_out += [*alone, *lonely]


def _unlike(left: Side, ours: Column, right: Side, theirs: Column) -> tuple[str, ...]:
    # Where a side has no value, nothing says what would have made it, nor which way it is better:
    # recipes alone are compared.
    said = all(np.isfinite(column.values).any() for column in (ours, theirs))

    def whole(side: Side, column: Column) -> Making:
        mark = column.threshold(side.reader.plan.thresholds)
        made = [one if said else replace(one, identities=()) for one in column.made]
        way = {"direction": mark.direction or "unknown"} if said else {}
        return {**making(side.reader.plan, made), **way}

    return tuple(differences(whole(left, ours), whole(right, theirs)))


def _key(column: Column) -> tuple[str, str, str]:
    return column.stage, column.label, column.output


def _with_answered(side: Side) -> Iterator[Column]:
    told = False
    for column in system_columns(side.reader, side.system, More(ids=True, reasons=True)):
        if not told:
            yield _answer_rate(column)
            told = True
        yield column


def _answer_rate(column: Column) -> Column:
    """1 where the prediction is ok, 0 where it failed, nothing where none was asked for."""
    prediction = column.context.prediction
    missing = prediction.where("missing") | prediction.where("not_applicable")
    values = np.where(missing, np.nan, prediction.where("ok").astype(np.float64))
    status = Coded(("ok", "missing", "not_applicable"), missing.astype(np.uint8))
    return replace(
        column,
        stage="answer",
        label=ANSWERED,
        output=ANSWERED,
        name=ANSWERED,
        values=values,
        status=status,
        made=(),
        declared=Threshold(direction="higher", lowest=0.0, highest=1.0),
    )


def _align(left: Column, right: Column) -> tuple[Column, Column]:
    ids: Any = left.context.ids
    others: Any = right.context.ids
    if ids.equals(others):
        return left, right
    places = pc.fill_null(pc.index_in(ids, value_set=others.combine_chunks()), -1).to_numpy()
    mine = np.flatnonzero(places >= 0)
    if len(mine) == 0:
        raise ConfigError("the two sides share no sample id; are they runs of one benchmark?")
    return _select(left, mine), _select(right, places[mine].astype(np.int64))


def _select(column: Column, at: Ints) -> Column:
    def select(c: Coded) -> Coded:
        return Coded(c.words, c.codes[at])

    old = column.context
    context = Context(
        format=select(old.format),
        task=select(old.task),
        modality=select(old.modality),
        prediction=select(old.prediction),
        clusters=old.clusters[at],
        ids=old.ids.take(at) if old.ids is not None else None,
    )
    return replace(column, values=column.values[at], status=select(column.status), context=context)


def cells(column: PairedColumn) -> Iterator[Cell]:
    """The pairs by format, task and modality, without groups of which the metric says nothing."""
    left, right = column.left, column.right
    silent = (left.status.where("not_applicable") & np.isnan(right.values)) | (
        right.status.where("not_applicable") & np.isnan(left.values)
    )
    for group in groups(left):
        mask = group.mask & ~silent
        if mask.any():
            yield Cell(column, group, left.values[mask], right.values[mask], column.clusters[mask])


# ---- contrasts -----------------------------------------------------------------------------


def _contrast(cell: Cell, flips: int) -> Contrast:
    complete, differences = cell.complete, cell.differences
    clusters = cell.clusters[complete]
    interval = clustered_mean(differences, clusters)
    signed = sign_flip(differences, clusters, flips)
    ranked = wilcoxon(differences)
    low, high, bounds = _range(cell)
    extremes = difference_bounds(cell.left, cell.right, low, high)
    if bounds == "none":
        extremes = None
    left = cell.column.left
    return Contrast(
        format=cell.group.format,
        kind=cell.group.kind,
        group=cell.group.name,
        stage=left.stage,
        label=left.label,
        output=left.output,
        metric=left.name,
        direction=cell.column.threshold.direction,
        n=len(differences),
        applicable=len(cell.left),
        left_missing=int(np.count_nonzero(np.isnan(cell.left))),
        right_missing=int(np.count_nonzero(np.isnan(cell.right))),
        clusters=len(np.unique(clusters)),
        left_mean=_mean(cell.left[complete]),
        right_mean=_mean(cell.right[complete]),
        difference=interval.mean,
        ci_low=interval.low,
        ci_high=interval.high,
        ci_note=interval.note,
        wilcoxon_p=ranked.p_value if ranked else None,
        wilcoxon_holm=None,
        sign_flip_p=signed.p_value if signed else None,
        sign_flip_holm=None,
        cohen_dz=(effect := cohen_dz(differences)),
        cohen_dz_note="" if effect is not None else _why_no_effect(differences),
        rank_biserial=rank_biserial(differences),
        lowest=extremes[0] if extremes else None,
        highest=extremes[1] if extremes else None,
        bounds=bounds,
        better="",
    )


def _why_no_effect(differences: Floats) -> str:
    pairs = len(differences)
    return "all differences are the same" if pairs > 1 else f"{pairs} complete pairs, 2 needed"


def _mean(values: Floats) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _range(cell: Cell) -> tuple[float, float, Literal["declared", "observed", "none"]]:
    """The smallest and largest value that a missing one could have been."""
    mark = cell.column.threshold
    if mark.lowest is not None and mark.highest is not None:
        return mark.lowest, mark.highest, "declared"
    seen = np.concatenate([cell.column.left.values, cell.column.right.values])
    seen = seen[np.isfinite(seen)]
    if len(seen) == 0:
        return 0.0, 0.0, "none"
    return float(seen.min()), float(seen.max()), "observed"


def _adjust(contrasts: Sequence[Contrast]) -> list[Contrast]:
    found = list(contrasts)
    for kind in dict.fromkeys(c.kind for c in contrasts):
        family = [i for i, c in enumerate(contrasts) if c.kind == kind]
        ranked = holm([contrasts[i].wilcoxon_p for i in family])
        flipped = holm([contrasts[i].sign_flip_p for i in family])
        for i, wilcoxon_holm, sign_flip_holm in zip(family, ranked, flipped, strict=True):
            found[i] = replace(found[i], wilcoxon_holm=wilcoxon_holm, sign_flip_holm=sign_flip_holm)
    return found


def _decide(contrasts: Sequence[Contrast]) -> Iterator[Contrast]:
    for contrast in contrasts:
        yield replace(contrast, better=_better(contrast))


def _better(contrast: Contrast) -> str:
    if contrast.direction is None:
        return "unknown direction"
    p, difference = contrast.sign_flip_holm, contrast.difference
    if p is None or difference is None or p >= ALPHA:
        return "neither shown"
    return "right" if (difference > 0) == (contrast.direction == "higher") else "left"
