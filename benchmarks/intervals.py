"""How often does a 95 % interval of a summary hold the true mean?

Simulates means of values with several items a source: a normal one, right or wrong, and a skewed
one; half of the variance is the source's. `authors` are the intervals of the benchmark authors'
evaluator, which take items as independent.

    python -m benchmarks.intervals                    2,000 rounds a cell, some minutes
    python -m benchmarks.intervals --rounds 50 --dry  a look, kept nowhere
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks._records import keep
from medgen.engine.results.statistics import Floats, bootstrap_mean, clustered_mean

SEED = 20_251_122
PER_SOURCE = 4
SOURCES = (5, 10, 20, 30, 60, 120)


def _normal(rng: np.random.Generator, sources: int) -> Floats:
    return rng.normal(size=(sources, 1)) + rng.normal(size=(sources, PER_SOURCE))


def _right_or_wrong(rng: np.random.Generator, sources: int) -> Floats:
    chance = rng.beta(2, 2, size=(sources, 1))
    right: Floats = (rng.random((sources, PER_SOURCE)) < chance).astype(np.float64)
    return right


def _skewed(rng: np.random.Generator, sources: int) -> Floats:
    values: Floats = np.exp(0.5 * _normal(rng, sources))
    return values


# What is drawn, and its true mean.
KINDS: dict[str, tuple[Callable[[np.random.Generator, int], Floats], float]] = {
    "normal": (_normal, 0.0),
    "right or wrong": (_right_or_wrong, 0.5),
    "skewed": (_skewed, float(np.exp(0.25))),
}


def coverage(kind: str, sources: int, rounds: int, rng: np.random.Generator) -> dict[str, float]:
    """The share of rounds in which each interval holds the true mean."""
    draw, truth = KINDS[kind]
    clusters = np.repeat(np.arange(sources), PER_SOURCE)
    hits = {"summary": 0, "authors": 0}
    for _ in range(rounds):
        values = draw(rng, sources).ravel()
        for name, found in (
            ("summary", clustered_mean(values, clusters)),
            ("authors", bootstrap_mean(values)),
        ):
            assert found.low is not None
            assert found.high is not None
            hits[name] += found.low <= truth <= found.high
    return {name: count / rounds for name, count in hits.items()}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--dry", action="store_true", help="keep nothing")
    given = parser.parse_args()
    rng, start = np.random.default_rng(SEED), time.monotonic()
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        for sources in SOURCES:
            found = coverage(kind, sources, given.rounds, rng)
            rows.append({"values": kind, "sources": sources, "rounds": given.rounds, **found})
            print(rows[-1], flush=True)
    if not given.dry:
        keep("intervals", {"seconds": round(time.monotonic() - start), "coverage": rows})


if __name__ == "__main__":
    main()
