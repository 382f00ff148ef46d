"""How far the profiles of each metric lie apart on the miniature benchmark.

    python -m benchmarks.metrics_profiles

Scores the classical and the unrelated control in every profile of every metric and prints, for
each output, the means and the largest difference from compat. The networks have small seeded
random weights, so of LPIPS, BERTScore and embedding similarity only the direction means anything.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from medgen.adapters.controls.systems import Classical, Unrelated
from medgen.adapters.mini.build import build_mini
from medgen.engine.codec import plain
from medgen.engine.data import Request, Sample, Score
from medgen.metrics import tiny
from medgen.metrics.catalogue import CATALOGUE, metric_spec
from medgen.metrics.scorer import FusedScorer

RESULTS = Path(__file__).parent / "results" / "metrics-profiles.md"
_ELSEWHERE = ("radgraph_f1", "medimageinsight_similarity", "lpips_vgg")


def main() -> None:
    """Score, compare, print and write the table."""
    samples = [s for s in build_mini() if isinstance(s, Sample)]
    with tempfile.TemporaryDirectory() as folder:
        tiny.make(Path(folder))
        os.environ["MEDGEN_WEIGHTS"] = folder
        found = scores(samples)
    lines = [
        "# Profiles on the miniature benchmark",
        "",
        "| output | compat: mean (n) | profile | mean (n) | mean shift | largest | rows whose "
        "status differs |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, entry in CATALOGUE.items():
        if name in _ELSEWHERE or "compat" not in entry.profiles:
            continue
        for profile in entry.profiles[1:]:
            lines += rows(found[f"{name}@compat"], found[f"{name}@{profile}"], profile)
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text, encoding="utf-8")


def scores(samples: Sequence[Sample]) -> Mapping[str, list[Score]]:
    """Scores of both controls, one after the other, by `metric@profile`."""
    kinds = {
        f"{name}@{profile}": plain(metric_spec(name, {"profile": profile}))
        for name, entry in CATALOGUE.items()
        if name not in _ELSEWHERE
        for profile in entry.profiles
    }
    requests = [Request(sample) for sample in samples]
    systems = {"classical": Classical(), "unrelated": Unrelated()}
    predictions = {name: list(system.predict(requests)) for name, system in systems.items()}
    scorer = FusedScorer(kinds, threads=1, device="cpu")
    found = scorer.score(samples, predictions, {name: list(kinds) for name in systems})
    return {kind: [s for name in systems for s in found[name, kind]] for kind in kinds}


def rows(compat: Sequence[Score], other: Sequence[Score], profile: str) -> list[str]:
    """One line for every output of a metric."""
    outputs = dict.fromkeys(name for score in compat for name in score.values)
    changed = sum(a.status != b.status for a, b in zip(compat, other, strict=True))
    lines = []
    for name in outputs:
        ours = [s.values[name] for s in compat if name in s.values]
        theirs = [s.values[name] for s in other if name in s.values]
        shifts = [
            b.values[name] - a.values[name]
            for a, b in zip(compat, other, strict=True)
            if name in a.values and name in b.values
        ]
        shift, largest = sum(shifts) / len(shifts), max(map(abs, shifts))
        cells = (name, _mean(ours), profile, _mean(theirs), f"{shift:+.4f}", f"{largest:.4f}")
        lines.append(f"| {' | '.join(cells)} | {changed} |")
    return lines


def _mean(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.4f} ({len(values)})"


if __name__ == "__main__":
    main()
