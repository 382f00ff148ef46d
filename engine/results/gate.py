"""May the candidate replace the baseline? Pass, regression, or too little to tell.

Every value with a direction is tested in every whole format and in every task. For one of these
cells let D be the mean paired loss of the candidate and m the tolerated loss.

    regression    "D <= m" is rejected by a one-sided sign-flip test, after Holm's correction over
                  all cells, at level `alpha`. So when no loss is beyond its tolerance, the chance
                  of any false alarm in the whole gate is at most `alpha`.
    sound         "D >= m" is rejected, at level `alpha`: the candidate is not inferior by m.

The verdict is `regression` when any cell regressed; else `pass` when every whole-format cell is
sound, has enough pairs, and lacks few of them; else `inconclusive`. Requiring all cells to be
sound needs no further correction (an intersection-union test: Berger, Technometrics 1982, 24:295).
A cell in which every pair is the same or better is sound, whatever the tolerance and the spread.
Else, with a tolerance of 0, a candidate that is only as good can be told to be neither.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from medgen.engine.errors import ConfigError
from medgen.engine.names import check_names
from medgen.engine.results.columns import Column
from medgen.engine.results.comparison import (
    ANSWERED,
    Cell,
    PairedColumn,
    Side,
    cells,
    paired_columns,
    refusal,
    stopped_words,
    unlike_words,
)
from medgen.engine.results.statistics import FLIPS, Flips, Floats, Ints, holm, settle, sign_flip
from medgen.engine.results.thresholds import Direction

Word = Literal["pass", "regression", "inconclusive"]
# Draws of a first look, and the chance up to which it is followed by all of them.
_LOOK, _SMALL = 999, 0.01
_DIRECTIONS = get_args(Direction)
EXIT_CODES: dict[Word, int] = {"pass": 0, "regression": 4, "inconclusive": 5}


@dataclass(frozen=True, slots=True)
class GateRules:
    """What is tolerated. Names are looked up as thresholds are: `metric.output`, metric, output.

    `margins` are tolerated mean losses in the value's own unit; where none is given it is
    `margin_sd` standard deviations of the baseline's values in the same group.
    """

    alpha: float = 0.05
    margins: Mapping[str, float] = field(default_factory=dict)
    margin_sd: float = 0.1
    margin_answered: float = 0.02  # tolerated rise of the share of failed predictions
    directions: Mapping[str, Direction] = field(default_factory=dict)  # beside the plan's
    metrics: tuple[str, ...] = ()  # empty: all that have a direction
    ignore: tuple[str, ...] = ()
    by_task: bool = True
    least_pairs: int = 30  # complete pairs that a whole format must have
    least_clusters: int = 10  # independent units below which a cell is not tested
    least_coverage: float = 0.95  # complete of applicable pairs
    flips: int | None = None  # draws of a test; None: enough for Holm's smallest threshold

    def __post_init__(self) -> None:
        """Refuse rules that no gate can keep.

        Raises:
            ConfigError: a number is out of its range.
        """
        if not 0 < self.alpha < 0.5:
            raise ConfigError(f"gate: alpha {self.alpha} is not between 0 and 0.5")
        if not 0 <= self.least_coverage <= 1:
            raise ConfigError(f"gate: least_coverage {self.least_coverage} is not a share")
        margins = (self.margin_sd, self.margin_answered, *self.margins.values())
        if any(not 0 <= m < math.inf for m in margins):
            raise ConfigError("gate: a tolerated loss is a number from 0 up, and finite")
        if wrong := [f"{n}: {d}" for n, d in self.directions.items() if d not in _DIRECTIONS]:
            raise ConfigError(f"gate: directions are higher or lower, not {', '.join(wrong)}")
        if min(self.least_pairs, self.least_clusters, self.flips or 1) < 0 or self.flips == 0:
            raise ConfigError("gate: least_pairs and least_clusters are 0 or more, flips 1 or more")


@dataclass(frozen=True, slots=True)
class CellFinding:
    """One cell: a value in a format or task."""

    format: str
    kind: str
    group: str
    metric: str
    direction: Direction
    n: int
    applicable: int
    clusters: int
    baseline: float | None
    candidate: float | None
    loss: float | None  # mean loss of the candidate, positive is worse
    margin: float
    regression_p: float | None  # that the loss is within the margin; None: not tested
    regression_holm: float | None = None
    sound_p: float | None = None  # that the loss is beyond the margin
    worse: int = 0  # pairs in which the candidate is worse
    word: Literal["sound", "regressed", "open", "not tested"] = "not tested"
    why: str = ""


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The answer, and everything it rests on."""

    word: Word
    baseline: str
    candidate: str
    alpha: float
    reasons: tuple[str, ...]
    findings: tuple[CellFinding, ...]
    not_gated: tuple[str, ...]  # values without a direction
    random_weights: bool = False  # something behind it has random weights: not a result
    across: tuple[str, ...] = ()  # how values that were gated on request are not alike
    left_out: tuple[str, ...] = ()  # values that only one side has
    stopped: tuple[str, ...] = ()  # sides that their run has stopped early, and why
    schema: str = "gate/1"

    @property
    def exit_code(self) -> int:
        """0 pass, 4 regression, 5 inconclusive."""
        return EXIT_CODES[self.word]

    @property
    def regressions(self) -> tuple[CellFinding, ...]:
        """The cells that regressed, whole formats first."""
        found = (f for f in self.findings if f.word == "regressed")
        return tuple(sorted(found, key=lambda f: f.kind != "all"))


def gate(
    baseline: Side, candidate: Side, rules: GateRules | None = None, across: bool = False
) -> GateVerdict:
    """Judge a candidate against a baseline. `across`: though values were not made alike.

    Raises:
        ConfigError: they share no sample or no value, a gated value was not made alike, or the
            rules name a value that neither has.
        CorruptError: stored rows are damaged.
    """
    rules = rules or GateRules()
    gated: list[PairedColumn] = []
    not_gated: list[str] = []
    left_out: list[str] = []
    known: list[str] = []
    for column in paired_columns(baseline, candidate, left_out):
        known += column.left.threshold_names()
        if not _is_gated(column.left.threshold_names(), rules):
            continue
        if direction_of(column.left, column.threshold.direction, rules) is None:
            not_gated.append(column.left.name)
            continue
        gated.append(column)
    _check_asked(rules, known, left_out)
    unlike = unlike_words(gated)
    if unlike and not across:
        raise refusal(baseline, candidate, unlike)
    kinds = ("all", "task") if rules.by_task else ("all",)
    tested = [c for column in gated for c in cells(column) if c.group.kind in kinds]
    return replace(
        _with_asked(decide(tested, rules), rules, gated),
        baseline=baseline.name,
        candidate=candidate.name,
        not_gated=tuple(not_gated),
        random_weights=baseline.random_weights or candidate.random_weights,
        across=unlike,
        left_out=tuple(left_out),
        stopped=stopped_words(baseline, candidate),
    )


def _check_asked(rules: GateRules, known: Sequence[str], left_out: Sequence[str]) -> None:
    """Refuse rules for a value that neither side has: they would be kept by no cell."""
    alone = [part for words in left_out for part in _parts(words.partition(" (")[0])]
    names = list(dict.fromkeys([*known, *alone]))
    for field_, given in (
        *(("metrics", rules.metrics), ("margins", rules.margins)),
        ("directions", rules.directions),
    ):
        check_names(f"gate: {field_} names a value that neither side has,", given, names)


def _parts(name: str) -> tuple[str, ...]:
    first, _, last = name.partition(".")
    return (name, first, last) if last else (name,)


def _with_asked(
    verdict: GateVerdict, rules: GateRules, gated: Sequence[PairedColumn]
) -> GateVerdict:
    """The verdict, which is no pass while a value that the rules ask for is not gated."""
    tested = {name for column in gated for name in column.left.threshold_names()}
    lacking = [name for name in rules.metrics if name not in tested]
    if not lacking or verdict.word == "regression":
        return verdict
    why = "asked for by the rules and not gated: only one side has it, or it has no direction"
    own = () if verdict.word == "pass" else verdict.reasons
    return replace(
        verdict, word="inconclusive", reasons=(*own, *(f"{name}: {why}" for name in lacking))
    )


def decide(tested: Sequence[Cell], rules: GateRules) -> GateVerdict:
    """The verdict on cells that were already paired."""
    # Holm's smallest threshold is alpha / cells: the draws must be able to go well below it.
    flips = rules.flips or max(FLIPS, int(10 * len(tested) / rules.alpha))
    least = _least_clusters(tested, rules)
    findings = [_finding(cell, rules, flips, least) for cell in tested]
    adjusted = holm([f.regression_p for f in findings])
    findings = [
        _decide(replace(f, regression_holm=p), rules)
        for f, p in zip(findings, adjusted, strict=True)
    ]
    word, reasons = _verdict(findings)
    return GateVerdict(word, "", "", rules.alpha, tuple(reasons), tuple(findings), ())


def _least_clusters(tested: Sequence[Cell], rules: GateRules) -> int:
    """How many independent pairs a cell needs so that Holm's correction leaves it a chance.

    With c of them no chance is below 2^-c. A cell that could not regress even as the worst of all
    would only make the others' correction harsher. This looks at sizes, never at values, so the
    level stays what it is (after Tarone, Biometrics 1990, 46:515).
    """
    sizes = sorted((len(np.unique(c.clusters[c.complete])) for c in tested), reverse=True)
    sizes = [size for size in sizes if size >= rules.least_clusters]
    while sizes and 2.0 ** -sizes[-1] > rules.alpha / len(sizes):
        sizes = [size for size in sizes if size > sizes[-1]]
    return sizes[-1] if sizes else rules.least_clusters


def _is_gated(names: Sequence[str], rules: GateRules) -> bool:
    if any(n in rules.ignore for n in names):
        return False
    return not rules.metrics or ANSWERED in names or any(n in rules.metrics for n in names)


def direction_of(column: Column, own: Direction | None, rules: GateRules) -> Direction | None:
    """The direction in which a value is gated, the rules' or its own; None: it is not gated."""
    names = column.threshold_names()
    if not _is_gated(names, rules):
        return None
    return next((rules.directions[n] for n in names if n in rules.directions), own)


def _margin(cell: Cell, rules: GateRules) -> float:
    names = cell.column.left.threshold_names()
    given = next((rules.margins[n] for n in names if n in rules.margins), None)
    if given is None and ANSWERED in names:
        given = rules.margin_answered
    if given is not None:
        return given
    values = cell.left[np.isfinite(cell.left)]
    # Equal values have no spread, whatever the last bits of their mean make of it.
    return rules.margin_sd * float(np.std(values)) if len(values) and np.ptp(values) else 0.0


def _finding(cell: Cell, rules: GateRules, flips: int, least: int) -> CellFinding:
    column = cell.column
    direction = direction_of(column.left, column.threshold.direction, rules) or "higher"
    complete, margin = cell.complete, _margin(cell, rules)
    gains = cell.differences if direction == "higher" else -cell.differences
    clusters = cell.clusters[complete]
    units = len(np.unique(clusters))
    finding = CellFinding(
        format=cell.group.format,
        kind=cell.group.kind,
        group=cell.group.name,
        metric=cell.column.left.name,
        direction=direction,
        n=len(gains),
        applicable=len(cell.left),
        clusters=units,
        baseline=float(np.mean(cell.left[complete])) if len(gains) else None,
        candidate=float(np.mean(cell.right[complete])) if len(gains) else None,
        loss=0.0 - float(np.mean(gains)) if len(gains) else None,
        margin=margin,
        regression_p=None,
        worse=int(np.count_nonzero(gains < 0)),
    )
    if units < least:
        return replace(finding, why=f"{units} independent pairs, {least} needed")
    # A loss that is the tolerated one leaves nothing, whatever its last bits.
    scale = np.maximum(np.abs(cell.left), np.abs(cell.right))[complete]
    test = _test_loss(settle(gains + margin, np.maximum(scale, margin)), clusters, flips)
    if test is None:
        return replace(finding, why="fewer than two independent pairs")
    return replace(finding, regression_p=test.low, sound_p=test.high)


def _test_loss(gains: Floats, clusters: Ints, flips: int) -> Flips | None:
    """The test by a first look, and by all draws where the first look shows a small chance.

    The chance stays valid at every level: below the look's own it is that of all draws, and from
    there on a small first look is one as well (Besag and Clifford, Biometrika 1991, 78:301).
    """
    first = sign_flip(gains, clusters, min(flips, _LOOK))
    if first is None or flips <= _LOOK or first.low > _SMALL:
        return first
    whole = sign_flip(gains, clusters, flips)
    return replace(whole, high=first.high) if whole else None


def _decide(finding: CellFinding, rules: GateRules) -> CellFinding:
    if finding.regression_holm is None or finding.sound_p is None:
        return finding
    if finding.regression_holm <= rules.alpha:
        return replace(finding, word="regressed", why="the loss is beyond its tolerance")
    coverage = finding.n / finding.applicable
    if coverage < rules.least_coverage:
        why = f"only {100 * coverage:.1f} % of the pairs are complete"
        return replace(finding, word="open", why=why)
    if finding.n < rules.least_pairs:
        why = f"{finding.n} pairs, {rules.least_pairs} needed"
        return replace(finding, word="open", why=why)
    if not finding.worse:
        return replace(finding, word="sound", why="every value is the same or better")
    if finding.sound_p > rules.alpha:
        return replace(finding, word="open", why="a loss beyond the tolerance is not ruled out")
    return replace(finding, word="sound")


def _verdict(findings: Sequence[CellFinding]) -> tuple[Word, list[str]]:
    regressed = [f for f in findings if f.word == "regressed"]
    if regressed:
        return "regression", [_sentence(f) for f in regressed]
    whole = [f for f in findings if f.kind == "all"]
    if not whole:
        return "inconclusive", ["no value with a direction has a pair to test"]
    unsettled = [f for f in whole if f.word != "sound"]
    if unsettled:
        return "inconclusive", [_sentence(f) for f in unsettled]
    return "pass", [f"{len(whole)} values in whole formats are not inferior; no task regressed"]


def _sentence(finding: CellFinding) -> str:
    place = finding.format if finding.kind == "all" else f"{finding.format} {finding.group}"
    numbers = ""
    if finding.loss is not None:
        numbers = f" (loss {finding.loss:.4g}, tolerated {finding.margin:.4g}, n {finding.n})"
    return f"{place}, {finding.metric}: {finding.why}{numbers}"
