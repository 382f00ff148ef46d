"""Models and judges of which some replies are spoilt on purpose (`medgen.engine.store.chaos`)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from medgen.adapters.images.firewall import Firewall
from medgen.adapters.judges.chat_judge import Case, read_verdict
from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.benchmark.source import UsesBenchmark
from medgen.engine.chat.messages import ChatReply
from medgen.engine.data import Image, Prediction, Request, Sample, Usage, Verdict
from medgen.engine.judging.prompts import Rubric
from medgen.engine.judging.protocols import protocol_of
from medgen.engine.plan.identity import Spec
from medgen.engine.ports import Generator, Judge
from medgen.engine.store.chaos import Chaos, draw

API_ERROR = "chaos: HTTP 503 to the end"
# A judge that rambles, breaks off, begins a list, forgets its keys or says nothing.
_RUBBISH = ("As a judge I feel that", '{"scores": {"overall', "[[[[", "{}", "", "\x00\ufffd{{")


class ChaoticGenerator:
    """A generator whose endpoint fails, and whose pictures are damaged, for some samples."""

    def __init__(self, inner: Mapping[str, Any], chaos: Mapping[str, Any]) -> None:
        """Build the generator of the recipe `inner` (`target`, `kwargs`)."""
        self._inner: Generator = Spec(**inner).build()
        self._chaos, self._firewall = Chaos(**chaos), Firewall()

    def use(self, benchmark: Benchmark) -> None:
        """See `medgen.engine.benchmark.source.UsesBenchmark`."""
        if isinstance(self._inner, UsesBenchmark):
            self._inner.use(benchmark)

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """See `medgen.engine.ports.Generator`. A request whose endpoint fails is not handed on."""
        failed = {r.sample.id for r in requests if self._chaos.strikes("api_errors", r.sample.id)}
        through = [r for r in requests if r.sample.id not in failed]
        given = iter(self._inner.predict(through) if through else ())
        return [
            Prediction(r.sample.id, "model_error", API_ERROR)
            if r.sample.id in failed
            else self._damage(next(given), r.sample)
            for r in requests
        ]

    def _damage(self, prediction: Prediction, sample: Sample) -> Prediction:
        if not prediction.images or not self._chaos.strikes("corrupt_image", sample.id):
            return prediction
        first, *others = prediction.images
        broken = Image(first.data[: len(first.data) // 2], first.path)
        return self._firewall.admit(replace(prediction, images=(broken, *others)), sample)

    def passport(self) -> Mapping[str, Any]:
        """See `medgen.engine.ports.Generator`."""
        return {**self._inner.passport(), "chaos": str(self._chaos)}


class ChaoticJudge:
    """A judge whose endpoint fails, or which talks rubbish, for some samples."""

    def __init__(self, inner: Mapping[str, Any], chaos: Mapping[str, Any]) -> None:
        """Build the judge of the recipe `inner` (`target`, `kwargs`)."""
        self._inner: Judge = Spec(**inner).build()
        self._chaos = Chaos(**chaos)
        protocol = dict(inner["kwargs"]).get("protocol")
        self._rubric = Rubric(protocol_of(protocol, "literal")) if protocol else None

    def judge(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction]
    ) -> Sequence[Verdict]:
        """See `medgen.engine.ports.Judge`. Rubbish goes through the same reading as any reply."""
        pairs = {s.id: (s, p) for s, p in zip(samples, predictions, strict=True)}
        verdicts = self._inner.judge(samples, predictions)
        return [self._spoilt(v, *pairs[v.sample_id]) for v in verdicts]

    def _spoilt(self, verdict: Verdict, sample: Sample, prediction: Prediction) -> Verdict:
        place = (sample.id, verdict.view, verdict.repeat)
        if verdict.status == "skipped":
            return verdict
        if self._chaos.strikes("api_errors", *place):
            return _blank(verdict, "transport_error", API_ERROR)
        if not self._chaos.strikes("judge_rubbish", *place):
            return verdict
        said = _RUBBISH[int(draw(self._chaos.seed, "said", *place) * len(_RUBBISH))]
        if self._rubric is None:
            return _blank(verdict, "parse_error", "chaos: rubbish")
        case = Case(sample, prediction, verdict.view, verdict.repeat)
        return read_verdict(case, ChatReply(text=said), self._rubric, verdict.judge)

    def passport(self) -> Mapping[str, Any]:
        """See `medgen.engine.ports.Judge`."""
        return {**self._inner.passport(), "chaos": str(self._chaos)}


def _blank(verdict: Verdict, status: Any, reason: str) -> Verdict:
    return replace(
        verdict, status=status, reason=reason, scores={}, expected={}, explanations={}, raw="",
        usage=Usage(),
    )  # fmt: skip
