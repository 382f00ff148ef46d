"""Judges: a vision-language model under a protocol, and a rule that needs no model.

Both give every prediction its verdicts in the same order (repeats, and within a repeat the view
without a reference first) and read replies by the same strict reader.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec import structs

from medgen.adapters.images.contact_sheet import contact_sheet
from medgen.adapters.judges.settings import JudgeSampling
from medgen.engine.chat.messages import Chat, ChatReply, ChatRequest, Sampling, seed_for
from medgen.engine.data import VIEWS, Prediction, Sample, Verdict, VerdictStatus, View
from medgen.engine.errors import ImageError
from medgen.engine.judging.expected import expected_scores
from medgen.engine.judging.prompts import (
    Bounds,
    Rubric,
    Texts,
    has_reference,
    judge_messages,
    reply_schema,
)
from medgen.engine.judging.protocols import protocol_of
from medgen.engine.judging.replies import read_reply
from medgen.engine.plan.identity import Spec
from medgen.engine.settings import read

_STATUS: Mapping[str, VerdictStatus] = {
    "refused": "refused",
    "truncated": "parse_error",
    "rejected": "rejected",
    "unforeseen": "internal_error",
}
_TRIED_AGAIN = ("parse_error", "schema_error")


@dataclass(frozen=True, slots=True)
class Case:
    """One verdict to give."""

    sample: Sample
    prediction: Prediction
    view: View
    repeat: int
    place: int = 0  # of the prediction among those that are judged together

    def why_skipped(self) -> str:
        """Why there is nothing to judge; empty when there is."""
        if self.prediction.status != "ok":
            return f"the prediction is {self.prediction.status}: {self.prediction.reason}"
        if self.view == "reference_based" and not has_reference(self.sample):
            return "the sample has no reference"
        return ""


class ChatJudge:
    """A judge over any chat model: vLLM in this process, or an OpenAI-compatible endpoint."""

    def __init__(
        self,
        chat: Mapping[str, Any] | Chat,
        *,
        name: str,
        protocol: str | Mapping[str, Any],
        prompt: str = "judge/1",
        captions: str = "literal",
        texts: Texts = "given",
        bounds: Mapping[str, Any] | Bounds | None = None,
        sampling: Mapping[str, Any] | JudgeSampling | None = None,
        repeats: int = 1,
        retries: int = 0,
        expected: bool = False,
        constrained: bool = True,
        images: int = 10,
    ) -> None:
        """Build the chat model when only its recipe is given.

        Args:
            chat: `target` and `kwargs` of a chat model, or a chat model.
            name: stands in every verdict.
            protocol: "table-iv/1" and so on, or a whole protocol as JSON.
            prompt: version of our prompts.
            captions: "literal" or "shared"; see `medgen.engine.judging.protocols.find_protocol`.
            texts: "given" shows texts as they came, "canonical" as the benchmark authors'
                evaluator compares them; a compat protocol asks for the latter.
            bounds: fields of `medgen.engine.judging.prompts.Bounds`.
            sampling: fields of `medgen.adapters.judges.settings.JudgeSampling`; its seed is mixed
                with each verdict's place.
            repeats: verdicts in each view.
            retries: how often a reply that cannot be read is asked for again, with another seed.
                Pointless at temperature 0 on hardware that repeats itself.
            expected: also give expected scores, from the probabilities of the digits.
            constrained: hold replies to the JSON schema.
            images: how many pictures one prompt may hold. Inputs that would not fit beside
                candidate and reference are shown as one contact sheet.

        Raises:
            ConfigError: an unknown protocol, prompt, sampling or bounds field.
            AdapterError: the model cannot be used.
        """
        self.name, self._repeats, self._retries = name, repeats, retries
        self._expected, self._constrained, self._images = expected, constrained, images
        longest = read(Bounds, bounds, "bounds")
        self._rubric = Rubric(protocol_of(protocol, captions), prompt, longest, texts)
        self._sampling: Sampling = read(JudgeSampling, sampling, "sampling")
        if expected and not self._sampling.logprobs:
            # All points of the longest scale have their first digit among so many.
            self._sampling = structs.replace(self._sampling, logprobs=12)
        self._chat: Chat = Spec(**chat).build() if isinstance(chat, Mapping) else chat

    def judge(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction]
    ) -> Sequence[Verdict]:
        """See `medgen.engine.ports.Judge`."""
        cases = cases_in_order(samples, predictions, self._repeats)
        verdicts = {i: skip(c, self.name) for i, c in enumerate(cases) if c.why_skipped()}
        open_ = [i for i in range(len(cases)) if i not in verdicts]
        for attempt in range(1 + self._retries):
            verdicts |= self._attempt(cases, open_, attempt)
            open_ = [i for i in open_ if verdicts[i].status in _TRIED_AGAIN]
        return [verdicts[i] for i in range(len(cases))]

    def passport(self) -> Mapping[str, Any]:
        """See `medgen.engine.ports.Judge`."""
        return {
            **self._chat.passport(),
            "judge": self.name,
            "protocol": self._rubric.protocol.id,
            "protocol_hash": self._rubric.protocol.fingerprint(),
            "prompt": self._rubric.prompt,
            "prompt_hash": self._rubric.fingerprint(),
            "texts": self._rubric.texts,
            "repeats": self._repeats,
            "retries": self._retries,
            "sampling": self._sampling.values(),
        }

    def _attempt(
        self, cases: Sequence[Case], open_: Sequence[int], attempt: int
    ) -> dict[int, Verdict]:
        """Ask for the open verdicts, those of one prediction as one chain."""
        chains: dict[int, list[int]] = {}
        for i in open_:
            chains.setdefault(cases[i].place, []).append(i)
        asked = [[self._request(cases[i], attempt) for i in chain] for chain in chains.values()]
        replies = self._chat.chat(asked) if asked else []
        found: dict[int, Verdict] = {}
        for chain, answers in zip(chains.values(), replies, strict=True):
            for i, reply in zip(chain, answers, strict=True):
                found[i] = self._verdict(cases[i], reply)
        return found

    def _request(self, case: Case, attempt: int) -> ChatRequest:
        place = (case.sample.id, case.view, str(case.repeat), str(attempt))
        sampling = structs.replace(
            self._sampling, seed=seed_for(self._sampling.seed, "judge", *place)
        )
        sample = self._fitting(case.sample)
        messages = judge_messages(self._rubric, sample, case.prediction, case.view)
        schema = reply_schema(self._rubric, case.sample.form) if self._constrained else None
        return ChatRequest(messages, sampling, schema, sample.id)

    def _fitting(self, sample: Sample) -> Sample:
        shown = sample.shown_images
        if len(shown) + 2 <= self._images or len(shown) < 2:
            return sample
        try:
            return replace(sample, context_images=(), input_images=(contact_sheet(shown),))
        except ImageError:
            return sample  # sent as it is, so that the row says which picture is none

    def _verdict(self, case: Case, reply: ChatReply) -> Verdict:
        verdict = read_verdict(case, reply, self._rubric, self.name)
        if not self._expected or verdict.status != "ok":
            return verdict
        means = expected_scores(reply.tokens, self._rubric, case.sample.form)
        return replace(verdict, expected=means)


def read_verdict(case: Case, reply: ChatReply, rubric: Rubric, judge: str) -> Verdict:
    """What a reply says about a case. No reply, no scores: never a number in their place."""
    if reply.status != "ok":
        status, reason = _STATUS.get(reply.status, "transport_error"), reply.reason
        return _blank(case, judge, status, reason or reply.status, reply)
    reading = read_reply(reply.text, rubric, case.sample.form)
    verdict = _blank(case, judge, reading.status, reading.reason, reply)
    return replace(verdict, scores=reading.scores, explanations=reading.explanations)


def _blank(case: Case, judge: str, status: VerdictStatus, reason: str, reply: ChatReply) -> Verdict:
    return Verdict(
        sample_id=case.sample.id,
        view=case.view,
        judge=judge,
        repeat=case.repeat,
        status=status,
        reason=reason,
        raw=reply.text,
        usage=reply.usage,
    )


def skip(case: Case, judge: str) -> Verdict:
    """The verdict on a case where there is nothing to judge."""
    return _blank(case, judge, "skipped", case.why_skipped(), ChatReply())


def cases_in_order(
    samples: Sequence[Sample], predictions: Sequence[Prediction], repeats: int
) -> list[Case]:
    """Every verdict that is due, in the order in which judges give them."""
    return [
        Case(sample, prediction, view, repeat, place)
        for place, (sample, prediction) in enumerate(zip(samples, predictions, strict=True))
        for repeat in range(repeats)
        for view in VIEWS
    ]
