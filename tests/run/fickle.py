"""A model and a judge that say something else of some samples when they are asked again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fakes import Echo, FixedJudge

from medgen.engine.data import Prediction, Request, Sample, Verdict


class Fickle(Echo):
    """Echoes; of samples in `fickle` also how often they were asked before."""

    def __init__(self, fickle: Sequence[str] = (), execution: Mapping[str, str] | None = None):
        super().__init__(execution=execution)
        self.fickle = frozenset(fickle)

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        made = super().predict(requests)
        asked = Path(self.calls).read_text().split()
        return [
            replace(p, text=f"{p.text} {asked.count(p.sample_id)}")
            if p.sample_id in self.fickle
            else p
            for p in made
        ]


class FickleJudge(FixedJudge):
    """Takes two points from samples in `fickle` for each time that it has judged them before."""

    def __init__(
        self,
        name: str,
        fickle: Sequence[str] = (),
        execution: Mapping[str, str] | None = None,
    ):
        super().__init__(name)
        self.fickle, self.seen = frozenset(fickle), dict(execution or {})["seen"]

    def judge(self, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> list[Verdict]:
        seen = Path(self.seen).read_text().split() if Path(self.seen).exists() else []
        made = super().judge(samples, predictions)
        with Path(self.seen).open("a") as sink:
            sink.write("".join(f"{s.id}\n" for s in samples))
        return [
            replace(
                v, scores={n: mark - 2 * seen.count(v.sample_id) for n, mark in v.scores.items()}
            )
            if v.sample_id in self.fickle
            else v
            for v in made
        ]
