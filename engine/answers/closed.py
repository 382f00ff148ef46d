"""Whether a reply to a closed question (a choice, blanks) is the reference."""

from collections.abc import Sequence

from medgen.engine.answers.blanks import read_blanks, same_blanks
from medgen.engine.answers.choice import Reading, read_choice, read_reference
from medgen.engine.answers.reasoning import part_thoughts

CHOICE = "multiple-choice"


def read_answer(text: str, choices: Sequence[str], task: str) -> Reading:
    """What a reply answers: an option's key, or the blanks' words one a line.

    Thoughts are left out here too: replies that are replayed come as they were.
    """
    words = part_thoughts(text).answer
    return read_choice(words, tuple(choices)) if task == CHOICE else read_blanks(words)


def reference_fault(reference: str, choices: Sequence[str], task: str) -> str:
    """Why a closed item's own answer cannot be read; empty when it can.

    A fault of the benchmark: the item then has no value for any system, whatever was answered.
    """
    return _reference(reference, choices, task).reason


def is_right(text: str, reference: str, choices: Sequence[str], task: str) -> bool | Reading:
    """Whether a reply is the reference; a reading that says why where nobody can tell.

    Args:
        text: the reply, with or without its thoughts.
        reference: the benchmark's answer, which can be read (see `reference_fault`).
        choices: the options; a multiple-choice item without any is compared by its letter when
            the reference is one, and by its words otherwise.
        task: "multiple-choice" or "blank-filling".
    """
    theirs = _reference(reference, choices, task)
    by_words = task != CHOICE or (not choices and len(theirs.answer or "") > 1)
    ours = read_answer(text, choices, "" if by_words else CHOICE)
    if ours.answer is None or theirs.answer is None:
        return ours
    if not by_words:
        return ours.answer == theirs.answer
    same = same_blanks(ours.answer, theirs.answer)
    count = len(ours.answer.split("\n"))
    wanted = len(theirs.answer.split("\n"))
    return Reading(None, f"{count} answers for {wanted} blanks") if same is None else same


def _reference(reference: str, choices: Sequence[str], task: str) -> Reading:
    if task != CHOICE:
        return read_blanks(reference)
    found = read_reference(reference, tuple(choices))
    return read_blanks(reference) if found.answer is None and not choices else found
