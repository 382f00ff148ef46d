"""What conditions did to systems: each paired with the same system without it, item by item.

`drop` is the mean of value(full) - value(condition) over the pairs that have both; others are left
out pairwise. Its interval is a bootstrap over sources, its p value Wilcoxon's signed-rank test,
adjusted by Holm's method over the conditions of a kind. What judges are shown is also paired over
all formats at once (`ALL`), as the authors of MedGEN-Bench publish it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from medgen.engine.answers.closed import CHOICE, read_answer
from medgen.engine.answers.forms import canonical
from medgen.engine.answers.options import options_of
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.conditions.kinds import find_condition
from medgen.engine.conditions.shown import Shown
from medgen.engine.data import CHOOSING, Prediction, Sample
from medgen.engine.plan.plan import System
from medgen.engine.results.aside import Aside
from medgen.engine.results.comparison import Cell, PairedColumn, Side, cells, paired_columns
from medgen.engine.results.statistics import clustered_mean, holm, wilcoxon
from medgen.engine.results.summary import ColumnGroup
from medgen.engine.run.reader import RunReader

ALL = "all"


@dataclass(frozen=True, slots=True)
class ConditionEffect:
    """One value of one system under one condition, in one format.

    Shares are of the pairs. `harmful` and `helpful` are there for values of 0 and 1, `flips` for
    answers in words, and `chance` and `kept` where all items of the format have options.
    """

    system: str
    condition: str
    of: str  # model or judge
    format: str
    stage: str
    label: str
    output: str
    metric: str
    direction: str | None
    n: int  # complete pairs
    left_out: int  # pairs of which one side has no value
    full: float | None
    under: float | None
    drop: float | None
    ci_low: float | None
    ci_high: float | None
    ci_note: str
    wilcoxon_p: float | None
    wilcoxon_holm: float | None
    harmful: float | None  # right without the condition, wrong under it
    helpful: float | None
    flips: float | None  # items whose answer, as it is read, is another
    chance: float | None  # of a right answer by guessing
    kept: float | None  # of what `full` is above chance: what the condition leaves


@dataclass(frozen=True, slots=True)
class Changes:
    """Of the items of one format: each answer is read first, and what was read is compared."""

    flips: float | None  # share of those answered on both sides whose answer is another
    chance: float | None  # mean of 1 / options; None when an item has none


@dataclass
class _Tally:
    pairs: int = 0
    flipped: int = 0
    items: int = 0
    chances: float = 0.0
    open_items: int = 0

    def add(self, sample: Sample, both: tuple[str | None, str | None] | None) -> None:
        if sample.choices:
            self.chances += 1 / len(sample.choices)
        else:
            self.open_items += 1
        self.items += 1
        if both is not None:
            self.pairs += 1
            self.flipped += both[0] != both[1]


def count_changes(reader: RunReader, system: System) -> tuple[dict[str, Changes], set[str]]:
    """How many answers of a system under a condition are others than without it, by format.

    Reads one shard at a time. Beside it, the ids of the samples that the condition leaves as they
    are: the images of an item without images cannot be taken away.

    Raises:
        CorruptError: stored rows are damaged.
    """
    shown = Shown(reader.benchmark)
    tallies: dict[str, _Tally] = {}
    same: set[str] = set()
    for shard in range(reader.plan.shards):
        before = {p.sample_id: p for p in reader.predictions(system.of, shard)}
        after = {p.sample_id: p for p in reader.predictions(system.name, shard)}
        for sample in reader.benchmark.samples(shard):
            if sample.id in before and sample.id in after:
                given = shown.sample(system.condition, sample)
                if isinstance(given, str):
                    same.add(sample.id)  # whose pair says nothing: it is left out everywhere
                    continue
                one = before[sample.id], sample
                two = after[sample.id], given
                fine = one[0].status == two[0].status == "ok"
                both = (_answer(*one), _answer(*two)) if fine else None
                tallies.setdefault(sample.format, _Tally()).add(sample, both)
    found = {
        name: Changes(
            tally.flipped / tally.pairs if tally.pairs else None,
            tally.chances / tally.items if tally.items and not tally.open_items else None,
        )
        for name, tally in tallies.items()
    }
    return found, same


def _answer(prediction: Prediction, given: Sample) -> str | None:
    """What was answered: an option's words, or the whole answer, in canonical form."""
    words = part_thoughts(prediction.text or "").answer
    if given.asks not in CHOOSING or not given.choices:
        return canonical(words)
    read = read_answer(words, given.choices, CHOICE, given.instruction)
    options = {option.key: option for option in options_of(given.choices).each}
    option = options.get(read.answer or "")
    return canonical(option.words or option.label) if option else None


def condition_effects(reader: RunReader) -> list[ConditionEffect]:
    """What every condition of a run did; empty for a run without any.

    Raises:
        CorruptError: stored rows are damaged.
    """
    found = [e for s in reader.plan.systems if s.condition for e in _effects(reader, s)]
    adjusted = list(found)
    families: dict[tuple[str, ...], list[int]] = {}
    for at, effect in enumerate(found):
        family = (effect.system, effect.of, effect.format, effect.stage, effect.label)
        families.setdefault((*family, effect.output), []).append(at)
    for members in families.values():
        levels = holm([found[at].wilcoxon_p for at in members])
        for at, level in zip(members, levels, strict=True):
            adjusted[at] = replace(found[at], wilcoxon_holm=level)
    return adjusted


def _effects(reader: RunReader, system: System) -> Iterator[ConditionEffect]:
    kind = find_condition(system.condition)
    changes, same = ({}, set[str]()) if kind.of == "judge" else count_changes(reader, system)
    for found in paired_columns(Side(reader, system.of), Side(reader, system.name)):
        if kind.of == "judge" and found.left.stage != "judge":
            continue
        column = _without(found, same)
        for cell in _cells(column, pooled=kind.of == "judge"):
            yield _effect(system, kind.of, cell, changes.get(cell.group.format))


def _without(column: PairedColumn, ids: set[str]) -> PairedColumn:
    """The pairs, and of these samples none that is complete."""
    right = column.right
    if not ids or right.context.ids is None:
        return column
    among = np.asarray([name in ids for name in right.context.ids.to_pylist()], np.bool_)
    return replace(column, right=replace(right, values=np.where(among, np.nan, right.values)))


def _cells(column: PairedColumn, pooled: bool) -> Iterator[Cell]:
    whole = [cell for cell in cells(column) if cell.group.kind == "all"]
    yield from whole
    if pooled and whole:
        left, right, clusters = (
            np.concatenate([getattr(cell, name) for cell in whole])
            for name in ("left", "right", "clusters")
        )
        mask = np.ones(len(column.left.values), np.bool_)
        yield Cell(column, ColumnGroup(ALL, "all", ALL, mask), left, right, clusters)


def _effect(system: System, of: str, cell: Cell, changes: Changes | None) -> ConditionEffect:
    complete, column = cell.complete, cell.column.left
    drops = -cell.differences
    full, under = cell.left[complete], cell.right[complete]
    interval = clustered_mean(drops, cell.clusters[complete])
    test = wilcoxon(drops)
    binary = bool(len(full)) and bool(np.isin(np.concatenate([full, under]), (0.0, 1.0)).all())
    mean_full = float(full.mean()) if len(full) else None
    mean_under = float(under.mean()) if len(under) else None
    chance = changes.chance if changes and binary and column.stage == "score" else None
    return ConditionEffect(
        system=system.of,
        condition=system.condition,
        of=of,
        format=cell.group.format,
        stage=column.stage,
        label=column.label,
        output=column.output,
        metric=column.name,
        direction=cell.column.threshold.direction,
        n=len(drops),
        left_out=len(cell.left) - len(drops),
        full=mean_full,
        under=mean_under,
        drop=interval.mean,
        ci_low=interval.low,
        ci_high=interval.high,
        ci_note=interval.note,
        wilcoxon_p=test.p_value if test else None,
        wilcoxon_holm=None,
        harmful=float(((full == 1) & (under == 0)).mean()) if binary else None,
        helpful=float(((full == 0) & (under == 1)).mean()) if binary else None,
        flips=changes.flips if changes else None,
        chance=chance,
        kept=_share_left(mean_full, mean_under, chance),
    )


def _share_left(full: float | None, under: float | None, chance: float | None) -> float | None:
    """(m(condition) - c) / (m(full) - c); none where `full` is not above chance."""
    if full is None or under is None or chance is None or full <= chance + math.ulp(1.0):
        return None
    return (under - chance) / (full - chance)


CONDITIONS = Aside("conditions", ConditionEffect, condition_effects)
