"""Is the gate's level what it says, and what losses does it find?

Simulates pairs of systems on a benchmark of MedGEN's shape: three formats, sixteen tasks, source
images with several samples each, four correlated values of different kinds (a skewed decibel, a
similarity, right or wrong, a judge's grade) and failed answers. Samples of one source share both
their difficulty and each system's luck with them, so they are not independent.

    python -m benchmarks.gate                    1,000 pairs a scenario, some minutes
    python -m benchmarks.gate --pairs 50 --dry   a look, kept nowhere

Scenarios of the null: `equal` (the two systems are drawn alike), `equal, nothing tolerated` (the
sharpest: no tolerance to hide behind), `loss as large as tolerated` (the edge of the null), and
`equal, run again` (one answer in ten differs, as from night to night).
Planted losses are given in multiples of the tolerated one, everywhere or in one task.
"""

import argparse
import gc
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks._records import keep
from medgen.engine.benchmark.vocabulary import TASKS
from medgen.engine.results.coded import Coded
from medgen.engine.results.columns import Column, Context
from medgen.engine.results.comparison import ANSWERED, Cell, PairedColumn, cells
from medgen.engine.results.gate import GateRules, GateVerdict, decide
from medgen.engine.results.statistics import Floats, binomial_interval
from medgen.engine.results.thresholds import Threshold

SEED = 20_251_122
TASK_NAMES = tuple(TASKS)
FORMAT_NAMES = tuple(dict.fromkeys(TASKS.values()))
PER_SOURCE = 3
FAILURES = 0.02
# Standard deviations of the simulated values, to state tolerances and losses in their own unit.
SPREADS = {"psnr": 5.9, "ssim": 0.25, "exact_match": 0.48, "overall_score": 2.2}
TOLERATED = 0.1  # standard deviations


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated. `loss` is in multiples of the tolerated one."""

    name: str
    samples: int
    tolerated: float = TOLERATED  # in standard deviations
    loss: float = 0.0
    task: str | None = None  # where the loss is; None: everywhere
    metric: str = "psnr"
    again: bool = False  # the candidate repeats the baseline, but for one answer in ten
    share: float = 1.0  # of the pairs asked for: the large ones are slow
    named: bool = True  # siblings' patient is known; else each image's digest stands for it


SCENARIOS = (
    Scenario("equal", 480),
    Scenario("equal", 1920),
    Scenario("equal", 6422, share=0.2),
    Scenario("equal, run again", 480, again=True),
    Scenario("equal, nothing tolerated", 480, tolerated=0.0),
    Scenario("equal, nothing tolerated", 1920, tolerated=0.0),
    Scenario("equal, nothing tolerated, patients unknown", 480, tolerated=0.0, named=False),
    Scenario("loss as large as tolerated", 480, loss=1.0),
    *(
        Scenario("planted everywhere", n, loss=k, share=0.3)
        for n in (480, 1920)
        for k in (2.0, 3.0, 5.0)
    ),
    *(
        Scenario("planted in one task", n, loss=k, task="noise-reconstruction", share=0.3)
        for n in (480, 1920)
        for k in (5.0, 10.0)
    ),
)


def simulate(scenario: Scenario, rng: np.random.Generator) -> list[Cell]:
    """The paired cells of one pair of systems."""
    context, clusters = _context(scenario.samples)
    difficulty = rng.normal(size=clusters.max() + 1)[clusters]
    difficulty += 0.7 * rng.normal(size=scenario.samples)
    made: list[Cell] = []
    sides = [_system(difficulty, clusters, rng) for _ in range(2)]
    if scenario.again:
        kept = rng.random(scenario.samples) < 0.9
        sides[1] = {n: np.where(kept, sides[0][n], own) for n, own in sides[1].items()}
    hurt = scenario.loss * scenario.tolerated * SPREADS[scenario.metric]
    where = np.ones(scenario.samples, dtype=bool)
    if scenario.task is not None:
        where = context.task.where(scenario.task)
    sides[1][scenario.metric] = sides[1][scenario.metric] - hurt * where
    for name in sides[0]:
        left, right = (_column(name, side[name], context) for side in sides)
        # Siblings share no byte of an image: without their patient's name each stands alone.
        seen = clusters if scenario.named else np.arange(len(clusters))
        column = PairedColumn(left, right, seen, Threshold(direction="higher"))
        made += [c for c in cells(column) if c.group.kind in ("all", "task")]
    return made


def _context(samples: int) -> tuple[Context, np.ndarray[Any, Any]]:
    task = np.arange(samples) % len(TASK_NAMES)
    formats = np.asarray([FORMAT_NAMES.index(TASKS[name]) for name in TASK_NAMES])[task]
    # Neighbours of one task share a source image.
    clusters = (np.arange(samples) // len(TASK_NAMES) // PER_SOURCE) * len(TASK_NAMES) + task
    nothing = np.zeros(samples, dtype=np.int16)
    context = Context(
        format=Coded(FORMAT_NAMES, formats),
        task=Coded(TASK_NAMES, task),
        modality=Coded(("CT",), nothing),
        prediction=Coded(("ok",), nothing),
        clusters=clusters.astype(np.int32),
    )
    return context, clusters


def _system(
    difficulty: Floats, clusters: np.ndarray[Any, Any], rng: np.random.Generator
) -> dict[str, Floats]:
    """One system's values by metric; NaN where it gave no answer."""
    size = len(difficulty)
    luck = 0.5 * rng.normal(size=clusters.max() + 1)[clusters]
    skill = -difficulty + luck + 0.6 * rng.normal(size=size)
    failed = rng.random(size) < FAILURES

    def noisy(scale: float) -> Floats:
        drawn: Floats = skill + scale * rng.normal(size=size)
        return drawn

    values = {
        "psnr": 26 + 3.6 * noisy(0.5) + rng.exponential(2.0, size),
        "ssim": 1 / (1 + np.exp(-0.6 - 0.9 * noisy(0.4))),
        "exact_match": (noisy(0.8) > -0.6).astype(np.float64),
        "overall_score": np.clip(np.rint(6.5 + 1.5 * noisy(0.6)), 1, 10),
    }
    given = {name: np.where(failed, np.nan, column) for name, column in values.items()}
    return {ANSWERED: (~failed).astype(np.float64), **given}


def _column(name: str, values: Floats, context: Context) -> Column:
    status = Coded(("ok", "error", "not_applicable"), np.isnan(values).astype(np.uint8))
    return Column("", "score", name, name, name, values, status, context)


def rules_of(scenario: Scenario, flips: int | None) -> GateRules:
    """The gate's rules: absolute tolerances, so that a planted loss is an exact multiple."""
    margins = {name: scenario.tolerated * spread for name, spread in SPREADS.items()}
    answered = 0.02 if scenario.tolerated else 0.0
    return GateRules(margins=margins, margin_answered=answered, flips=flips, least_coverage=0.9)


def measure(
    scenario: Scenario, pairs: int, flips: int | None, rng: np.random.Generator
) -> dict[str, Any]:
    """Verdicts on many simulated pairs."""
    rules, start = rules_of(scenario, flips), time.monotonic()
    pairs = max(1, round(pairs * scenario.share))
    words: Counter[str] = Counter()
    found = stray = tests = 0
    for _ in range(pairs):
        tested = simulate(scenario, rng)
        verdict = decide(tested, rules)
        words[verdict.word] += 1
        hit, wrong = _named(verdict, scenario)
        found, stray, tests = found + hit, stray + wrong, len(tested)
    null = scenario.loss <= 1.0
    low, high = binomial_interval(words["regression"], pairs)
    return {
        **asdict(scenario),
        "null": null,
        "pairs": pairs,
        "cells": tests,
        "level": rules.alpha,
        "verdicts": dict(words),
        "alarm_rate": words["regression"] / pairs,
        "alarm_rate_ci95": [low, high],
        "within_level": low <= rules.alpha if null else None,
        "names_the_planted_cell": None if null else found / pairs,
        "names_another_metric": stray / pairs,
        "seconds": round(time.monotonic() - start, 1),
    }


def _named(verdict: GateVerdict, scenario: Scenario) -> tuple[bool, bool]:
    """Whether an alarm names the planted metric where it was planted, and whether any other."""
    hit = wrong = False
    for finding in verdict.regressions:
        planted = finding.metric == scenario.metric and scenario.loss > 1.0
        hit |= planted and scenario.task in (None, finding.group)
        wrong |= not planted
    return hit, wrong


def run(pairs: int, flips: int | None) -> Iterator[dict[str, Any]]:
    """Every scenario, each from its own seed."""
    for at, scenario in enumerate(SCENARIOS):
        yield measure(scenario, pairs, flips, np.random.default_rng([SEED, at]))


def table(scenarios: Sequence[Mapping[str, Any]]) -> str:
    """The rows of docs/compare.md."""
    lines = ["| simulated | samples | pairs | alarms (95 % interval) | pass | inconclusive |"]
    lines.append("|---|---:|---:|---|---:|---:|")
    for row in scenarios:
        planted = f", {row['loss']:g} x the tolerated loss" if row["loss"] > 1 else ""
        low, high = (100 * bound for bound in row["alarm_rate_ci95"])
        said = {word: 100 * count / row["pairs"] for word, count in row["verdicts"].items()}
        lines.append(
            f"| {row['name']}{planted} | {row['samples']:,} | {row['pairs']:,} "
            f"| {100 * row['alarm_rate']:.1f} % ({low:.1f}-{high:.1f}) "
            f"| {said.get('pass', 0):.0f} % | {said.get('inconclusive', 0):.0f} % |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run, print a table, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=1000, help="simulated pairs a scenario")
    parser.add_argument("--flips", type=int, default=None, help="draws of a test")
    parser.add_argument("--dry", action="store_true", help="keep no record")
    asked = parser.parse_args()
    decide(simulate(SCENARIOS[0], np.random.default_rng(SEED)), GateRules())
    # statsmodels collects garbage in every call; what is loaded by now need not be looked at again.
    gc.freeze()
    rows = []
    for row in run(asked.pairs, asked.flips):
        rows.append(row)
        low, high = row["alarm_rate_ci95"]
        print(
            f"{row['name']:28} n {row['samples']:5} loss {row['loss']:4.1f} x tolerated   "
            f"alarms {row['alarm_rate']:.3f} [{low:.3f}, {high:.3f}]   "
            f"{dict(sorted(row['verdicts'].items()))}   {row['seconds']} s",
            flush=True,
        )
    if not asked.dry:
        keep("gate", {"flips": asked.flips, "scenarios": rows})


if __name__ == "__main__":
    main()
