"""Whoever reads words from outside takes time in proportion to them, whatever they say."""

import time
from collections.abc import Callable, Mapping, Sequence

import pytest
from hostile.targets import SAMPLE, TARGETS

from medgen.adapters.http.endpoint import Call, Reply
from medgen.adapters.http.verdict import judge
from medgen.adapters.tables.options import letter_in
from medgen.engine.answers.choice import read_choice
from medgen.engine.answers.closed import reference_fault
from medgen.engine.answers.exceptions import asks_for_exception, named_exception
from medgen.engine.answers.forms import canonical
from medgen.engine.answers.options import options_in, options_of
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.answers.several import read_choices
from medgen.engine.chat.questions import question
from medgen.engine.chat.quoting import defang, quote
from medgen.engine.redaction import redact
from medgen.metrics.text.clinical import asserted_entities, entities
from medgen.metrics.text.closed_form import task_accuracy
from medgen.metrics.text.measures import read_boxes, read_number
from medgen.metrics.text.negation import sentences
from medgen.metrics.text.ngrams import words
from medgen.metrics.text.short import answer_in, normal
from medgen.metrics.text.tokens import tokens

CHOICES = ("Pleural effusion", "Pneumothorax", "No finding")


def _verdict(text: str) -> None:
    for body in (text.encode(), f'{{"error": {{"message": {text!a}}}}}'.encode()):
        judge(Reply(400, body, {}), Call(), str)


READERS: Mapping[str, Callable[[str], object]] = {
    **{
        name: lambda text, name=name: TARGETS[name](text.encode("utf-8", "surrogatepass"))  # type: ignore[misc]
        for name in ("choices", "answers", "judge_replies", "paths")
    },
    "errors of a server": _verdict,
    "letters of a table": letter_in,
    "options of a question": options_in,
    "options that are listed": lambda text: options_of([text, "B. two"]),
    "options with numerals": lambda text: read_choice(
        "grade 3", tuple(f"grade {text[::4].replace(' ', ' 1 ')} {n}" for n in range(2))
    ),
    "a reference": lambda text: reference_fault(text, CHOICES, "multiple-choice"),
    "forms": canonical,
    "several": lambda text: read_choices(text, CHOICES),
    "exceptions": lambda text: (asks_for_exception(text), named_exception(text, CHOICES)),
    "thoughts": part_thoughts,
    "prompts": lambda text: question(SAMPLE, (), text),
    "quotations": lambda text: (defang(text), quote("x", text, "k", 5000)),
    "secrets": redact,
    "entities": lambda text: (entities(text), asserted_entities(text)),
    "closed forms": lambda text: task_accuracy(text, "B", CHOICES, "multiple-choice"),
    "numbers": lambda text: read_number(text, "mm"),
    "boxes": lambda text: read_boxes(text, 0),
    "sentences": sentences,
    "words": lambda text: (words(text), tokens(text), normal(text), answer_in(text)),
}
REPEATED = (
    *(" ", "\n", "\t", "\u3000", "a", "A", "9", ".", ",", "-", "_", "=", "*", "#", "/", "\\", "`"),
    *("(", ")", "[", "]", "{", "<", ">", '"', "'", "&", "%", "@", ":", "|", "\u7b54", "\u00e9"),
    *("a ", "A. ", "a, ", "no ", "the answer is ", "answer: ", "not a ", "](", "![", "a\n"),
    *("<think>", "</think>", "http://", "data:,", "\\n", "\\u0041", "%20", "&amp;", "1. ", "1."),
    *("=&", "(a) ", "a=a;", "a.a@", "I cannot ", "or ", "```", " \n", "-\n", "x:", "9,999", "[9,"),
    *("pneumothorax ", "![a](", "therefore ", "e+", "$\\boxed{", "\\text{", "<b>"),
)  # fmt: skip
AROUND = (("", ""), ("z", "!"), ("{", "\x00z}"))
MANY = 20_000  # characters; what is quadratic takes a second and more for them
MOST_S = 1.0  # of processor time, and the slowest needs some tenths
SOME = (" ", "a", "no ", "(", "the answer is ")


@pytest.mark.parametrize(
    "repeated", [SOME, pytest.param(REPEATED, marks=pytest.mark.trial)], ids=len
)
@pytest.mark.parametrize("name", READERS)
def test_a_reader_takes_linear_time(name: str, repeated: Sequence[str]) -> None:
    read = READERS[name]
    for word in repeated:
        for around in AROUND:
            spent = _seconds(read, word, around, MANY)
            # A busy machine is slow; four times as much is still no more than some four times it.
            assert spent < MOST_S or spent < 8 * _seconds(read, word, around, MANY // 4), (
                f"{word!r} many times within {around!r}: {spent:.1f} s"
            )


def _seconds(
    read: Callable[[str], object], word: str, around: tuple[str, str], length: int
) -> float:
    """Of the processor, for so many characters."""
    text = f"{around[0]}{word * (length // len(word))}{around[1]}"
    began = time.process_time()
    read(text)
    return time.process_time() - began
