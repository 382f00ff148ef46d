"""Answers with one right form: multiple choice and blank filling.

An answer is parsed first. What cannot be parsed is *unparseable*, which is not the same as
wrong: it has no value, and coverage shows it. The compat parser follows the rules of the benchmark
authors' later state (their earlier one had none), odd as some are; the strict parser refuses
to guess.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medgen.engine.benchmark.canonical import (
    CLOSED_TASKS,
    as_option,
    one_form,
    spellings_of,
    squeeze,
)
from medgen.engine.data import Sample, Score
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.port import Golden, Output, TextMetric, text_gap
from medgen.metrics.profiles import FOLLOWS, Profile, choose_profile
from medgen.metrics.samples import choice_pair

_SHORT = 20  # words: a longer last line of a blank-filling answer is an explanation
_FINAL = re.compile(
    r"(?:final\s+answer|answer|option|choice)\s*(?:is|:|=|-)?\s*\(?([a-z])\)?(?:\.|\)|\s|$)"
)
_BLANK_LABEL = re.compile(
    r"^(?:(?:final\s+)?(?:answer|response|blank)|the\s+blank)\s*(?:is|:|=|-)?\s*", re.IGNORECASE
)
_EDGES = re.compile(r"^[\s[\]().,:;-]+|[\s[\]().,:;-]+$")


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
    line = _EDGES.sub("", _BLANK_LABEL.sub("", text.splitlines()[-1].strip()))
    if not line or len(line.split()) > _SHORT:
        return Parsed(None, "no_short_answer")
    return Parsed(squeeze(line))


def parse_strict(text: str, choices: Sequence[str], task: str) -> Parsed:
    """Parse an answer without guessing.

    Unicode compatibility forms are folded. A choice is a labelled final answer, a whole line
    that is one option, or the only option letter (a capital) or option text that the answer
    mentions; two different ones are ambiguous. A letter that is no option is not an answer.
    """
    text = unicodedata.normalize("NFKC", text).strip()
    if not text:
        return Parsed(None, "empty")
    if task != "multiple-choice":
        return _blank_strict(text)
    options = spellings_of(choices)
    if not options:
        letter = one_form(text)
        return Parsed(letter) if len(letter) == 1 else Parsed(None, "no_options_given")
    return _parse_stated(text, options) or _parse_mentioned(text, options)


# A lower-case "a" is an article unless something ends it.
_STRICT_FINAL = re.compile(
    r"\b(?i:final\s+answer|answer|option|choice)\b\s*(?:is|:|=|-)?\s*[(\[*\"']*"
    r"([A-Zb-z]|a(?=\s*(?:[.):,\]*\"'}]|$)))(?![\w'])"
)
# A capital "A" that opens a sentence may be an article too.
_STRICT_LETTER = re.compile(
    r"(?<![\w'])((?<=[a-z,;(]\s)A|A(?=\s*(?:[.):,\]*}/]|or\b|and\b|$))|[B-Z])(?![\w'])",
    re.MULTILINE,
)


def _parse_stated(text: str, options: Mapping[str, str]) -> Parsed | None:
    for line in reversed(text.splitlines()):
        labelled = [x.lower() for x in _STRICT_FINAL.findall(line) if x.lower() in options]
        if labelled:
            return Parsed(options[labelled[-1]])
        form = as_option(line.strip(" \t*_`\"'()[]{}.").strip(), options)
        if form in options:
            return Parsed(options[form])
    return None


def _parse_mentioned(text: str, options: Mapping[str, str]) -> Parsed:
    named = {options[x.lower()] for x in _STRICT_LETTER.findall(text) if x.lower() in options}
    plain = squeeze(text)
    texts = [o for o in options if len(o) > 2 and re.search(rf"(?<!\w){re.escape(o)}(?!\w)", plain)]
    named |= {options[o] for o in texts if not any(o != p and o in p for p in texts)}
    if len(named) == 1:
        return Parsed(named.pop())
    return Parsed(None, "ambiguous" if named else "no_option_detected")


_STRICT_BLANK = re.compile(
    r"^(?:the\s+)?(?:final\s+)?(?:answer|response|blank)\b\s*(?:is\b|:|=|-)?\s*", re.IGNORECASE
)

# Brackets, emphasis, and quotation marks of every kind.
_STRICT_MARKS = "[]().,:;-{}*_`\"' \t\u201c\u201d\u2018\u2019"


def _blank_strict(text: str) -> Parsed:
    line = _STRICT_BLANK.sub("", text.splitlines()[-1].strip())
    line = line.strip(_STRICT_MARKS)
    if not line or len(line.split()) > _SHORT:
        return Parsed(None, "no_short_answer")
    return Parsed(squeeze(line))


def task_accuracy(text: str, reference: str, choices: Sequence[str], task: str) -> float:
    """1 when both are the same answer by the authors' first state, without any parsing."""
    if task != "multiple-choice":
        return float(squeeze(text) == squeeze(reference))
    options = spellings_of(choices)
    return float(as_option(text, options) == as_option(reference, options))


class _ClosedForm(TextMetric):
    """What both closed-form metrics share: where they apply, and a score a pair."""

    profile: Profile

    def applies(self, sample: Sample) -> str:
        """Multiple choice and blank filling with a reference."""
        if sample.task not in CLOSED_TASKS:
            return f"{self.name} does not apply to {sample.task}"
        return text_gap(sample)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        follows = FOLLOWS[
            "compat-newer"
            if self.name == "exact_match" and self.profile == "compat"
            else self.profile
        ]
        return {"profile": self.profile, "follows": follows}


class ExactMatch(_ClosedForm):
    """Whether the parsed answer is the reference; an unparseable answer has no value.

    compat follows the benchmark authors' state 6f43dc8, the first that parses; strict reads
    full-width letters and quotes, and refuses ambiguous answers instead of taking the last letter.
    """

    name = "exact_match"
    outputs = (Output("exact_match", authors="Text_EM"),)

    def __init__(self, profile: str = "compat") -> None:
        """`profile` is compat or strict."""
        self.profile = choose_profile(self.name, profile, "compat", "strict")

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`."""
        return [self._one(pair.sample, pair.prediction.text or "") for pair in batch.pairs]

    def _one(self, sample: Sample, text: str) -> Score:
        parse = parse_strict if self.profile == "strict" else parse_compat
        ours = parse(text, sample.choices, sample.task)
        theirs = parse(sample.reference_text or "", sample.choices, sample.task)
        if ours.answer is None:
            return Score(sample.id, "unparseable", ours.reason)
        if theirs.answer is None:
            return Score(sample.id, "not_applicable", f"reference_unparsed: {theirs.reason}")
        return Score(sample.id, values={self.name: float(ours.answer == theirs.answer)})

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        return (
            Golden(*choice_pair("The answer is (B)."), {self.name: 1.0}),
            Golden(*choice_pair("It must be a mass, option C."), {self.name: 0.0}),
        )


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
            value = task_accuracy(*texts, sample.choices, sample.task)
            scores.append(Score(sample.id, values={self.name: value}))
        return scores
