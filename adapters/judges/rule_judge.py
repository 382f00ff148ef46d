"""A judge without a model: its verdict is a known function of the pictures and words.

It tells nothing about quality. It is there so that the judge stage, the strict reading of replies
and the retry of failed rows can be run and tested anywhere, with known answers.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medgen.adapters.judges.chat_judge import Case, cases_in_order, read_verdict, skip
from medgen.adapters.judges.settings import Faults
from medgen.engine.chat.messages import ChatReply, seed_for
from medgen.engine.data import Form, Image, Prediction, Sample, Usage, Verdict
from medgen.engine.errors import ImageError
from medgen.engine.images import as_rgb, open_image
from medgen.engine.judging.prompts import Rubric
from medgen.engine.judging.protocols import protocol_of
from medgen.engine.settings import read

_SIDE = 64  # pixels: pictures are compared at this size, in grey
_WORD = re.compile(r"[^\W_]+")


class RuleJudge:
    """Scores how much a candidate resembles the reference, or the input where none is shown."""

    def __init__(
        self,
        *,
        name: str,
        protocol: str | Mapping[str, Any],
        repeats: int = 1,
        execution: Mapping[str, Any] | Faults | None = None,
    ) -> None:
        """Needs no weights.

        Args:
            name: stands in every verdict.
            protocol: as for `medgen.adapters.judges.chat_judge.ChatJudge`.
            repeats: verdicts in each view; all alike.
            execution: fields of `Faults`. They stand for what goes wrong while judging, so they
                are no part of the judge's identity, and a retry without them finds the same rows.

        Raises:
            ConfigError: an unknown protocol or field.
        """
        self.name, self._repeats = name, repeats
        self._rubric = Rubric(protocol_of(protocol, "literal"))
        self._faults = read(Faults, execution, "execution")
        self.prepare()

    def prepare(self) -> None:
        """What a subclass needs besides."""

    def judge(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction]
    ) -> Sequence[Verdict]:
        """See `medgen.engine.ports.Judge`."""
        return [self._verdict(c) for c in cases_in_order(samples, predictions, self._repeats)]

    def passport(self) -> Mapping[str, Any]:
        """See `medgen.engine.ports.Judge`."""
        return {
            "judge": self.name,
            "rule": "resemblance/1",
            "model": None,
            "protocol": self._rubric.protocol.id,
            "protocol_hash": self._rubric.protocol.fingerprint(),
        }

    def _verdict(self, case: Case) -> Verdict:
        if case.why_skipped():
            return skip(case, self.name)
        try:
            reply = _reply(self._rubric, case.sample.form, *self.resemblance(case))
        except ImageError as err:
            return read_verdict(case, ChatReply("rejected", str(err)), self._rubric, self.name)
        if strikes(self._faults, case, self.name):
            reply = _spoil(reply, seed_for(self._faults.seed, "kind", case.sample.id, case.view))
        # Words stand for tokens, so that progress and totals have something to count.
        usage = Usage(completion_tokens=len(reply.split()), finish_reason="stop")
        return read_verdict(case, ChatReply(text=reply, usage=usage), self._rubric, self.name)

    def resemblance(self, case: Case) -> tuple[float, str]:
        """How good the candidate is taken to be, in 0 to 1, and the judge's words for it."""
        alike = _resemblance(case)
        return alike, f"Resemblance {alike:.3f} by rule, not by a model."


def strikes(faults: Faults, case: Case, judge: str) -> bool:
    """Whether this case gets rubbish; the same in every run."""
    draw = seed_for(faults.seed, "rubbish", judge, case.sample.id, case.view, str(case.repeat))
    return draw < faults.rubbish * 2**31


def _resemblance(case: Case) -> float:
    """How alike candidate and yardstick are, in 0..1: the mean over words and pictures."""
    sample, given = case.sample, case.prediction
    based = case.view == "reference_based"
    parts = []
    words = sample.reference_text if based else sample.instruction
    if sample.form != "image" and words:
        parts.append(same_words(given.text or "", words))
    pictures = sample.reference_images if based else sample.shown_images
    if sample.form != "text" and pictures:
        parts.append(_same_pixels(given.images, pictures[0]))
    return sum(parts) / len(parts) if parts else 0.0


def same_words(one: str, other: str) -> float:
    """Words shared, of all words of both (Jaccard)."""
    first, second = (set(_WORD.findall(text.lower())) for text in (one, other))
    return len(first & second) / len(first | second) if first | second else 1.0


def _same_pixels(images: Sequence[Image], other: Image) -> float:
    """One less the mean difference of grey values, in 0..1; 0 without a picture."""
    if not images:
        return 0.0
    first, second = _grey(images[0]), _grey(other)
    return 1.0 - float(np.abs(first - second).mean()) / 255.0


def _grey(image: Image) -> np.ndarray[Any, np.dtype[np.float64]]:
    picture = as_rgb(open_image(image.data)).convert("L").resize((_SIDE, _SIDE))
    return np.asarray(picture, dtype=np.float64)


def _reply(rubric: Rubric, form: Form, resemblance: float, said: str) -> str:
    """A reply as a model would write it, every dimension on the same point of the scale."""
    protocol = rubric.protocol
    point = protocol.low + round(resemblance * (protocol.high - protocol.low))
    names = [d.name for d in protocol.dimensions_for(form)]
    reply: dict[str, Any] = {"analysis": said, "explanations": dict.fromkeys(names, said)}
    if checks := protocol.checklist.get(form):
        reply["checklist"] = dict.fromkeys(checks, "not_applicable")
    reply["scores"] = dict.fromkeys(names, point)
    return json.dumps(reply)


def _spoil(reply: str, draw: int) -> str:
    """The kinds of rubbish that judges have been seen to give."""
    found: dict[str, object] = json.loads(reply)
    scores: dict[str, object] = json.loads(reply)["scores"]
    first = next(iter(scores))
    lacking = {k: v for k, v in scores.items() if k != first}
    kinds = (
        "I would rate this answer seven out of ten.",
        reply[: len(reply) // 2],
        f"Here is my verdict: {reply}",
        json.dumps({**found, "scores": lacking}),
        json.dumps({**found, "scores": {**scores, first: 1000}}),
        json.dumps({**found, "scores": {**scores, first: "8"}}),
    )
    return kinds[draw % len(kinds)]
