"""Right or wrong among options: one, several, or the better of two answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from medgen.engine.answers.choice import Reading
from medgen.engine.answers.closed import answers_right, fault_of, is_closed
from medgen.engine.answers.official import READINGS
from medgen.engine.answers.options import options_of
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.answers.several import read_choices
from medgen.engine.data import Asks, Sample, Score
from medgen.engine.errors import ConfigError
from medgen.metrics.port import AnswerMetric, Golden, Output
from medgen.metrics.profiles import Profile, choose_profile
from medgen.metrics.samples import choice_pair


class ChoiceAccuracy(AnswerMetric):
    """Whether the option that was chosen is the right one.

    `correct` has no value where nobody can tell which was chosen, as everywhere in this engine;
    `correct_or_wrong` counts such an answer as wrong, as published accuracies do; the share of them
    is `unread`. Predictions that failed have none of the three. An official reading may guess; the
    share of guesses is `guessed`.
    """

    name = "choice_accuracy"
    outputs = (
        *(Output("correct_or_wrong"), Output("correct")),
        *(Output("unread", higher_is_better=False), Output("guessed", higher_is_better=False)),
    )
    asks: tuple[Asks, ...] = ("choice", "choices")

    def __init__(self, profile: str = "strict", reading: str = "strict") -> None:
        """`reading` is strict, or `official:<name>`.

        Raises:
            ConfigError: nobody reads by that name.
        """
        self.profile: Profile = choose_profile(self.name, profile, "strict")
        if reading != "strict" and reading not in READINGS:
            known = ", ".join(("strict", *READINGS))
            raise ConfigError(f"metric {self.name}: reading {reading!r} is none of {known}")
        self.reading = reading

    def applies(self, sample: Sample) -> str:
        """Where options are asked for, and it is known which is right."""
        if sample.asks not in self.asks:
            return f"{self.name} does not apply to samples that ask for {sample.asks}"
        if sample.reference_choices:
            return ""
        if not is_closed(sample) or not sample.reference_text:
            return "it is not known which option is right"
        fault = fault_of(sample)
        return fault and f"reference_unparsed: {fault}"

    def one(self, sample: Sample, text: str) -> Score:
        """See `AnswerMetric`."""
        if self.reading != "strict" and sample.asks != "choices" and sample.reference_choices:
            return self._official(sample, text)
        right, why = _several(sample, text) if sample.asks == "choices" else _single(sample, text)
        if right is None:
            wrong = {"correct_or_wrong": 0.0, "unread": 1.0}
            return Score(sample.id, "ok", f"unparseable: {why}", wrong)
        value = float(right)
        return Score(sample.id, values={"correct": value, "correct_or_wrong": value, "unread": 0.0})

    def _official(self, sample: Sample, text: str) -> Score:
        words = part_thoughts(text).answer
        found = READINGS[self.reading](words, sample.choices, sample.id)
        each = options_of(sample.choices).each
        value = float(found.key in {each[place].key for place in sample.reference_choices})
        values = {"correct": value, "correct_or_wrong": value, "guessed": float(found.guessed)}
        return Score(sample.id, values=values)

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        right = {"correct": 1.0, "correct_or_wrong": 1.0, "unread": 0.0}
        return (
            () if self.reading != "strict" else (Golden(*choice_pair("The answer is (B)."), right),)
        )

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {"profile": self.profile, "reading": self.reading}


class Vote(ChoiceAccuracy):
    """Whether a judge of two answers, or of several, prefers what people voted for."""

    name = "vote"
    asks = ("preference",)

    def golden(self) -> Sequence[Golden]:
        """None: the choice's own stands for it."""
        return ()


class Labels(AnswerMetric):
    """The labels that an answer names against those that are right, sample by sample.

    Precision, recall and F1 over the labels of one sample (example-based, Tsoumakas and Katakis,
    "Multi-label classification", IJDWM 2007), and whether both sets are equal.
    """

    name = "labels"
    outputs = (Output("f1"), Output("precision"), Output("recall"), Output("equal"))

    def __init__(self, profile: str = "strict") -> None:
        """`profile` can only be strict."""
        self.profile: Profile = choose_profile(self.name, profile, "strict")

    def applies(self, sample: Sample) -> str:
        """Where options are asked for, and it is known which are right."""
        if sample.asks not in ("choice", "choices"):
            return f"{self.name} does not apply to samples that ask for {sample.asks}"
        return "" if sample.reference_choices else "it is not known which options are right"

    def one(self, sample: Sample, text: str) -> Score:
        """See `AnswerMetric`."""
        found, why = read_choices(text, sample.choices)
        if not found:
            return Score(sample.id, "unparseable", why)
        right = right_keys(sample)
        hits = len(found & right)
        precision, recall = hits / len(found), hits / len(right)
        f1 = 2 * hits / (len(found) + len(right))
        equal = float(found == right)
        return Score(
            sample.id,
            values={"f1": f1, "precision": precision, "recall": recall, "equal": equal},
        )

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {"profile": self.profile}


def right_keys(sample: Sample) -> frozenset[str]:
    """The keys of the options that are right."""
    each = options_of(sample.choices).each
    return frozenset(each[place].key for place in sample.reference_choices)


def _single(sample: Sample, text: str) -> tuple[bool | None, str]:
    right = answers_right(sample, text)
    return (None, right.reason) if isinstance(right, Reading) else (right, "")


def _several(sample: Sample, text: str) -> tuple[bool | None, str]:
    found, why = read_choices(text, sample.choices)
    return (None, why) if not found else (found == right_keys(sample), "")
