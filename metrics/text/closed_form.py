"""Answers with one right form: multiple choice and blank filling.

An answer is parsed first. What cannot be parsed is *unparseable*, which is not the same as
wrong: it has no value, and coverage shows it. The compat parser follows the rules of the benchmark
authors' later state (their earlier one had none), odd as some are; the strict one is the engine's
reader of answers (`medgen.engine.answers`), which refuses to guess.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medgen.engine.answers.choice import Reading
from medgen.engine.answers.closed import answers_right, closed_task, fault_of, is_closed
from medgen.engine.benchmark.canonical import (
    as_option,
    own_choices,
    spellings_of,
    squeeze,
)
from medgen.engine.data import Sample, Score
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.port import AnswerMetric, Golden, Output, TextMetric, text_gap
from medgen.metrics.profiles import FOLLOWS, Profile, choose_profile
from medgen.metrics.samples import choice_pair

_SHORT = 20  # words: a longer last line of a blank-filling answer is an explanation
_FINAL = re.compile(
    r"(?:final\s+answer|answer|option|choice)\s*(?:is|:|=|-)?\s*\(?([a-z])\)?(?:\.|\)|\s|$)"
)
_BLANK_LABEL = re.compile(
    r"^(?:(?:final\s+)?(?:answer|response|blank)|the\s+blank)\s*(?:is|:|=|-)?\s*", re.IGNORECASE
)
_EDGE = re.compile(r"[\s[\]().,:;-]*")  # of the text, and of the text read backwards


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed answer, or None and why."""

    answer: str | None
    reason: str = ""


def parse_compat(text: str, choices: Sequence[str], task: str) -> Parsed:
    """Parse an answer by the rules of the benchmark authors' evaluator at 6f43dc8.

    Multiple choice, from the last line to the first: a letter after "answer", "option" or
    "choice", or a line that is an option; then the last lone letter that names an option; then
    the longest option text found anywhere. Blank filling: the last line without its label and
    marks, when it has at most 20 words.
    """
    text = text.strip()
    if not text:
        return Parsed(None, "empty")
    return _blank(text) if task != "multiple-choice" else _choice(text, spellings_of(choices))


def _choice(text: str, options: Mapping[str, str]) -> Parsed:
    for line in reversed([line.strip() for line in text.splitlines() if line.strip()]):
        if labelled := _FINAL.search(line.lower()):
            letter = labelled.group(1)
            return Parsed(options.get(letter, letter))
        value = as_option(line, options)
        if value in options:
            return Parsed(value)
    for letter in reversed(re.findall(r"\b([A-Z])\b", text.upper())):
        if letter.lower() in options:
            return Parsed(options[letter.lower()])
    for spelling in sorted((o for o in options if len(o) > 1), key=len, reverse=True):
        if spelling in squeeze(text):
            return Parsed(options[spelling])
    return Parsed(None, "no_option_detected")


def _blank(text: str) -> Parsed:
    line = _without_edges(_BLANK_LABEL.sub("", text.splitlines()[-1].strip()))
    if not line or len(line.split()) > _SHORT:
        return Parsed(None, "no_short_answer")
    return Parsed(squeeze(line))


def _without_edges(line: str) -> str:
    for _ in range(2):  # a pattern for the end would look for it from every sign of a long run
        edge = _EDGE.match(line)
        line = line[edge.end() if edge else 0 :][::-1]
    return line


def task_accuracy(text: str, reference: str, choices: Sequence[str], task: str) -> float:
    """1 when both are the same answer by the authors' first state, without any parsing."""
    if task != "multiple-choice":
        return float(squeeze(text) == squeeze(reference))
    options = spellings_of(choices)
    return float(as_option(text, options) == as_option(reference, options))


class _ClosedForm(TextMetric):
    """What both closed-form metrics share: where they apply."""

    profile: Profile

    def applies(self, sample: Sample) -> str:
        """One choice, or blanks, with a reference."""
        if not is_closed(sample):
            return f"{self.name} does not apply to {sample.task}"
        if sample.asks == "choices":
            return f"{self.name} compares one choice, and several are asked"
        return text_gap(sample)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        follows = FOLLOWS[
            "compat-newer"
            if self.name == "exact_match" and self.profile == "compat"
            else self.profile
        ]
        return {"profile": self.profile, "follows": follows}


class ExactMatch(_ClosedForm, AnswerMetric):
    """Whether the parsed answer is the reference; an unparseable answer has no value.

    compat follows the benchmark authors' state 6f43dc8, the first that parses; strict is
    `medgen.engine.answers`: the stated answer wins, and two different ones are none.
    """

    name = "exact_match"
    outputs = (Output("exact_match", authors="Text_EM"),)

    def __init__(self, profile: str = "compat") -> None:
        """`profile` is compat or strict."""
        self.profile = choose_profile(self.name, profile, "compat", "strict")

    def applies(self, sample: Sample) -> str:
        """As for both; and the reference can be read.

        One that cannot is the benchmark's fault, and has no value for any system.
        """
        if gap := super().applies(sample):
            return gap
        reference, task = sample.reference_text or "", closed_task(sample)
        fault = (
            fault_of(sample)
            if self.profile == "strict"
            else parse_compat(reference, own_choices(sample), task).reason
        )
        return fault and f"reference_unparsed: {fault}"

    def one(self, sample: Sample, text: str) -> Score:
        """See `AnswerMetric`."""
        if self.profile == "strict":
            right = answers_right(sample, text)
            if isinstance(right, Reading):
                return Score(sample.id, "unparseable", right.reason)
            return Score(sample.id, values={self.name: float(right)})
        choices, task = own_choices(sample), closed_task(sample)
        ours = parse_compat(text, choices, task)
        theirs = parse_compat(sample.reference_text or "", choices, task)
        if ours.answer is None:
            return Score(sample.id, "unparseable", ours.reason)
        return Score(sample.id, values={self.name: float(ours.answer == theirs.answer)})

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        return (
            Golden(*choice_pair("The answer is (B)."), {self.name: 1.0}),
            Golden(*choice_pair("It must be a mass, option C."), {self.name: 0.0}),
        )


class Accuracy(ExactMatch):
    """`exact_match` by the engine's own reader, whatever the protocol's profile.

    It stands beside the authors' value, whose parser guesses (docs/metrics.md names how).
    """

    name = "accuracy"
    outputs = (Output("accuracy"),)

    def __init__(self, profile: str = "strict") -> None:
        """`profile` can only be strict."""
        choose_profile(self.name, profile, "strict")
        super().__init__("strict")


class TaskAccuracy(_ClosedForm):
    """Accuracy as the benchmark authors' first state has it: nothing is ever unparseable."""

    name = "task_accuracy"
    outputs = (Output("task_accuracy", authors="Task_Accuracy"),)

    def __init__(self, profile: str = "compat") -> None:
        """`profile` can only be compat."""
        self.profile = choose_profile(self.name, profile, "compat")

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`."""
        scores = []
        for index, pair in enumerate(batch.pairs):
            sample, texts = pair.sample, (batch.text(index), batch.reference_text(index))
            value = task_accuracy(*texts, own_choices(sample), closed_task(sample))
            scores.append(Score(sample.id, values={self.name: value}))
        return scores
