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
        if unknown := {*golden.values} - {output.name for output in metric.outputs}:
            listed = ", ".join(sorted(map(str, unknown)))
            raise AdapterError(f"metric {name}: golden values that are no outputs: {listed}")
        batch = ScoringBatch([Pair(golden.sample, golden.prediction)])
        score = score_pairs(metric, batch)[0]
        for output, want in golden.values.items():
            got = score.values.get(output)
            if got is None or abs(got - want) > golden.tolerance:
                seen = f"{got!r}" if got is not None else f"no value ({score.reason})"
                said = _explain(name, golden, output, seen)
                raise AdapterError(f"{said}. {_cure(metric, golden)}")


def _explain(name: str, golden: Golden, output: str, seen: str) -> str:
    return (
        f"metric {name} fails its self-test: {output} of golden pair {golden.sample.id!r} is "
        f"{seen}, not {golden.values[output]!r} within {golden.tolerance:g}"
    )


def _cure(metric: Metric, golden: Golden) -> str:
    """Where the wrong value is to be looked for: of a user's own metric in its file."""
    versions = ", ".join(f"{k} {v}" for k, v in versions_of(*golden.libraries).items())
    if not type(metric).__module__.startswith("medgen."):
        said = f"What it must be stands in `golden` ({_place(metric)})"
        moved = f", and neither have {versions}" if versions else ""
        return f"{said}: either that is wrong, or the metric is{moved}"
    return (
        f"Its numbers would not be comparable. Moved: {versions or 'this installation of Python'}; "
        "install the versions named in pyproject.toml"
    )


def _place(metric: Metric) -> str:
    code = type(metric).golden.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"
