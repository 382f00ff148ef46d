"""Whether a reply to a closed question (a choice, blanks) is the reference."""

from collections.abc import Sequence

from medgen.engine.answers.blanks import read_blanks, same_blanks
from medgen.engine.answers.choice import Reading, read_choice, read_reference, states_answer
from medgen.engine.answers.exceptions import asks_for_exception, named_exception
from medgen.engine.answers.forms import canonical
from medgen.engine.answers.options import options_of
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.data import CHOOSING, Sample

CHOICE = "multiple-choice"
BLANKS = "blank-filling"


def closed_task(sample: Sample) -> str:
    """How a sample's answer is read: as a choice, as blanks, or, by any other task, as words."""
    return CHOICE if sample.asks in CHOOSING else sample.task


def is_closed(sample: Sample) -> bool:
    """Whether an answer has one right form."""
    return closed_task(sample) in (CHOICE, BLANKS)


def read_answer(text: str, choices: Sequence[str], task: str, question: str = "") -> Reading:
    """What a reply answers: an option's key, or the blanks' words one a line.

    Thoughts are left out here too: replies that are replayed come as they were.

    Args:
        text: the reply.
        choices: the options, if there are any.
        task: "multiple-choice" or another.
        question: whose options they are; one that asks for the option that does not hold is also
            answered by naming that.
    """
    words = part_thoughts(text).answer
    if task != CHOICE:
        return read_blanks(words)
    found = read_choice(words, tuple(choices))
    if not choices or not asks_for_exception(question) or states_answer(words, tuple(choices)):
        return found
    odd = named_exception(words, tuple(choices))
    return found if odd is None else Reading(odd)


def fault_of(sample: Sample) -> str:
    """Why a closed sample's own answer cannot be read; empty when it can."""
    if sample.reference_choices:
        return ""
    return reference_fault(sample.reference_text or "", sample.choices, closed_task(sample))


def right_options(sample: Sample) -> tuple[int, ...]:
    """Where the right options stand, from 0, however it is said; empty where nobody can tell."""
    if sample.reference_choices or closed_task(sample) != CHOICE or not sample.choices:
        return sample.reference_choices
    found = read_reference(sample.reference_text or "", sample.choices)
    keys = [option.key for option in options_of(sample.choices).each]
    return (keys.index(found.answer),) if found.answer in keys else ()


def answers_right(sample: Sample, text: str) -> bool | Reading:
    """Whether a reply is the closed sample's reference; a reading where nobody can tell."""
    if not sample.reference_choices:
        reference = sample.reference_text or ""
        return is_right(text, reference, sample.choices, closed_task(sample), sample.instruction)
    found = read_answer(text, sample.choices, CHOICE, sample.instruction)
    options = options_of(sample.choices).each
    right = {options[index].key for index in sample.reference_choices}
    return found if found.answer is None else found.answer in right


def reference_fault(reference: str, choices: Sequence[str], task: str) -> str:
    """Why a closed item's own answer cannot be read; empty when it can.

    A fault of the benchmark: the item then has no value for any system, whatever was answered.
    """
    return _reference(reference, choices, task).reason


def is_right(
    text: str, reference: str, choices: Sequence[str], task: str, question: str = ""
) -> bool | Reading:
    """Whether a reply is the reference; a reading that says why where nobody can tell.

    Args:
        text: the reply, with or without its thoughts.
        reference: the benchmark's answer, which can be read (see `reference_fault`).
        choices: the options; a multiple-choice item without any is compared by its letter when
            the reference is one, and by its words otherwise.
        task: "multiple-choice" or "blank-filling".
        question: see `read_answer`.
    """
    theirs = _reference(reference, choices, task)
    by_words = task != CHOICE or (not choices and len(theirs.answer or "") > 1)
    ours = read_answer(text, choices, "" if by_words else CHOICE, question)
    if by_words and theirs.answer is not None and canonical(text) == canonical(reference):
        return True  # also where the words alone would say that nobody can tell
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
        return read_blanks(reference, told=True)
    found = read_reference(reference, tuple(choices))
    return read_blanks(reference, told=True) if found.answer is None and not choices else found
