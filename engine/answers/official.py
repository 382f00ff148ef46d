"""Readings of choices as the usual harnesses of benchmarks have them; they may guess."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from medgen.engine.answers.options import Option, options_of


@dataclass(frozen=True, slots=True)
class Official:
    """The option that was read, and whether it was guessed."""

    key: str
    guessed: bool = False


_EDGES = ",.!?;:' "
Rule = Callable[[str, Sequence[str], str], Official]


def mmmu(text: str, choices: Sequence[str], sample_id: str) -> Official:
    """MMMU's rule for multiple choice: the last letter in brackets, else alone, else an option.

    A reply without any is given a random option, here by the item's own seed.

    Source: MMMU-Benchmark/MMMU, `mmmu/utils/eval_utils.py`, `parse_multi_choice_response`.
    """
    each = options_of(choices).each
    words = f" {text.strip(_EDGES)} "
    for form in ("({})", " {} ", " {}."):
        if found := _last(words, each, [form.format(option.label) for option in each]):
            return Official(found.key)
    if len(words.split()) > 5:
        lower = words.lower()
        if found := _last(lower, each, [option.words.lower() for option in each]):
            return Official(found.key)
    return Official(_draw(each, sample_id).key, guessed=True)


def first_letter(text: str, choices: Sequence[str], sample_id: str) -> Official:
    """The first capital letter of an option that stands alone; without any the first option.

    Source: the rule that several harnesses fall back on; written after VLMEvalKit's description.
    """
    each = options_of(choices).each
    signs = "".join(sign if sign.isalnum() else " " for sign in text).split()
    labels = {option.label: option for option in each}
    found = next((labels[sign] for sign in signs if sign in labels), None)
    return Official(found.key) if found else Official(each[0].key, guessed=True)


READINGS: Mapping[str, Rule] = {"official:mmmu": mmmu, "official:first-letter": first_letter}


def _last(text: str, each: Sequence[Option], forms: Sequence[str]) -> Option | None:
    """The option whose form stands last in the text."""
    pairs = zip(forms, each, strict=True)
    places = [(text.rfind(form), option) for form, option in pairs if form.strip()]
    found = [place for place in places if place[0] >= 0]
    return max(found, key=lambda place: place[0])[1] if found else None


def _draw(each: Sequence[Option], sample_id: str) -> Option:
    seed = hashlib.sha256(f"guess/{sample_id}".encode()).digest()
    return each[int.from_bytes(seed[:8]) % len(each)]
