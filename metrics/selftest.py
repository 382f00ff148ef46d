"""The start-up check: a worker whose numbers differ from known ones does not score.

A library that moves (a new resampling filter, another tokenizer) would otherwise change a
benchmark silently between two runs, or between two machines of one run.
"""

from medgen.engine.errors import AdapterError
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs
from medgen.metrics.port import Golden, Metric
from medgen.metrics.versions import versions_of


def check(name: str, metric: Metric) -> None:
    """Score the metric's golden pairs and compare.

    Raises:
        AdapterError: a value differs; names the pair, both values and the library that moved.
    """
    for golden in metric.golden():
        batch = ScoringBatch([Pair(golden.sample, golden.prediction)])
        score = score_pairs(metric, batch)[0]
        for output, want in golden.values.items():
            got = score.values.get(output)
            if got is None or abs(got - want) > golden.tolerance:
                raise AdapterError(_explain(name, golden, output, got, score.reason))


def _explain(name: str, golden: Golden, output: str, got: float | None, reason: str) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in versions_of(*golden.libraries).items())
    seen = f"{got!r}" if got is not None else f"no value ({reason})"
    return (
        f"metric {name} fails its self-test: {output} of golden pair {golden.sample.id!r} is "
        f"{seen}, not {golden.values[output]!r} within {golden.tolerance:g}. Its numbers would "
        f"not be comparable. Moved: {versions or 'this installation of Python'}; install the "
        "versions named in pyproject.toml"
    )
