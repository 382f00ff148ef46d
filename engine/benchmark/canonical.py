"""The texts that the benchmark authors' evaluator compares: both sides made canonical first.

An answer that came as report sections is their serialised text. A closed answer is the option
that it is, as `b. pleural effusion`; one that is no option keeps its words, in lower case. Any
other text has its white space collapsed. Nothing is parsed: "The answer is B." stays that sentence.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from medgen.engine.answers.closed import is_closed
from medgen.engine.data import Sample

_LABELLED_OPTION = re.compile(r"([A-Z])[.)\]:-]\s*(.*)")


def canonical_response(sample: Sample, text: str) -> str:
    """What is compared of an answer to the sample."""
    if is_closed(sample):
        return as_option(text, spellings_of(own_choices(sample)))
    return collapse(text)


def canonical_reference(sample: Sample) -> str:
    """What an answer to the sample is compared with; empty when there is no reference text."""
    text = sample.reference_text or ""
    return text if _was_sections(sample) else canonical_response(sample, text)


def own_choices(sample: Sample) -> tuple[str, ...]:
    """The options of the record's own list: those found in an instruction are none of it."""
    return tuple(sample.raw.get("choice", sample.choices))


def _was_sections(sample: Sample) -> bool:
    """Whether the answer came in another form than the text that stands for it."""
    answer = sample.raw.get("answer")
    return answer is not None and answer != sample.reference_text


def collapse(text: str) -> str:
    """White space collapsed, ends stripped."""
    return " ".join(text.split())


def squeeze(text: str) -> str:
    """Lower case, white space collapsed."""
    return collapse(text).lower()


def spellings_of(choices: Sequence[str]) -> Mapping[str, str]:
    """Every spelling of an option (letter, letter and dot, text, both), to its one form."""
    return _spellings(tuple(choices))


@lru_cache(maxsize=1024)
def _spellings(choices: tuple[str, ...]) -> Mapping[str, str]:
    spellings: dict[str, str] = {}
    for choice in choices:
        form, (letter, text) = one_form(choice), _parts(choice)
        spellings[form] = form
        if letter:
            spellings |= {letter: form, f"{letter}.": form} | ({text: form} if text else {})
    return spellings


def as_option(text: str, options: Mapping[str, str]) -> str:
    """The option that a whole text is, or the text in one form."""
    form = one_form(text)
    return options.get(form, form)


def one_form(text: str) -> str:
    """`b. text` for "B) Text", `b` for "B.", the squeezed text for anything else."""
    letter, rest = _parts(text)
    if not letter:
        return squeeze(text)
    return f"{letter}. {rest}" if rest else letter


def _parts(text: str) -> tuple[str, str]:
    """Letter and text of a labelled option, ("", "") for anything else.

    The detour over capitals folds letters that have no capital of their own, such as the micro
    sign, exactly as the authors' evaluator does.
    """
    found = _LABELLED_OPTION.fullmatch(squeeze(text).upper())
    return (found.group(1).lower(), squeeze(found.group(2))) if found else ("", "")
