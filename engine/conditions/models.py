"""What a system is given under a condition, as a function of the sample and nothing else."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from PIL import Image as Pillow

from medgen.engine.answers.closed import CHOICE, closed_task, fault_of, right_options
from medgen.engine.answers.forms import canonical
from medgen.engine.answers.options import options_in, options_of
from medgen.engine.conditions.donors import Donors
from medgen.engine.conditions.kinds import Condition
from medgen.engine.data import Image, Sample
from medgen.engine.images import open_image, png

MID_GREY = (128, 128, 128)
Change = Callable[[Sample], Sample | str]


def change_of(condition: Condition, donors: Donors) -> Change:
    """What a condition of models does: the sample as it is given, or why it cannot be."""
    changes: Mapping[str, Change] = {
        "no-image": _without_images,
        "blank-image": _with_blank_images,
        "other-image": partial(_with_other_images, donors),
        "no-question": lambda sample: replace(sample, instruction=""),
        "no-context": lambda sample: replace(sample, context="", context_images=()),
        "no-demonstrations": lambda sample: replace(sample, turns=()),
        "shuffled-options": shuffle_options,
    }
    return changes[condition.name]


def blank_image(image: Image) -> Image:
    """Mid-grey of the same size, under the same label and at the same place.

    Raises:
        ImageError: the image cannot be read.
    """
    size = open_image(image.data).size
    return replace(image, data=png(Pillow.new("RGB", size, MID_GREY)), path="blank.png")


def shuffle_options(sample: Sample) -> Sample | str:
    """The options in an order by the sample's id; letters stay where they stood.

    Where one can be found it is an order in which no option keeps its place.
    """
    options = options_of(sample.choices)
    words = [option.words or option.label for option in options.each]
    order = _derangement(len(words), sample.id)
    right = _right_ones(sample)
    if isinstance(right, str):
        return right
    new = [words[at] for at in order]
    instruction = _list_anew(sample.instruction, words, new)
    if instruction is None:
        return "the instruction lists the options in a way that cannot be shuffled"
    labels = [option.label for option in options.each]
    shown = tuple(f"{label}. {w}" for label, w in zip(labels, new, strict=True))
    chosen = tuple(sorted(order.index(at) for at in right))
    return replace(
        sample,
        instruction=instruction,
        choices=shown if options.labelled else tuple(new),
        reference_choices=chosen if sample.reference_choices else (),
        reference_texts=() if sample.reference_choices else tuple(shown[at] for at in chosen),
        raw={name: value for name, value in sample.raw.items() if name not in ("choice", "answer")},
    )


def _list_anew(instruction: str, words: Sequence[str], new: Sequence[str]) -> str | None:
    """The instruction with its own list of the options in the new order, if it has one.

    None where it has one and the words of an option cannot be found in it.
    """
    listed = [option.words for option in options_of(options_in(instruction)).each]
    if [canonical(w) for w in listed] != [canonical(w) for w in words]:
        return instruction
    end = len(instruction)
    # From the last one back: the words of an option may also stand in the question before them.
    for said, other in reversed([*zip(listed, new, strict=True)]):
        spelt = re.compile(r"\s+".join(map(re.escape, said.split())))
        every = list(spelt.finditer(instruction, 0, end))
        if not every:
            return None
        low, high = every[-1].span()
        instruction, end = f"{instruction[:low]}{other}{instruction[high:]}", low
    return instruction


def _right_ones(sample: Sample) -> tuple[int, ...] | str:
    """Where the right options stand, or why nobody can tell."""
    if right := right_options(sample):
        return right
    if closed_task(sample) != CHOICE or not sample.choices:
        return "there are no options to shuffle"
    return f"the right option cannot be told: {fault_of(sample)}"


def _derangement(count: int, seed: str) -> list[int]:
    def draw(attempt: int, at: int) -> bytes:
        return hashlib.sha256(f"medgen/shuffle/1/{seed}/{attempt}/{at}".encode()).digest()

    order = list(range(count))
    for attempt in range(16):
        found = sorted(order, key=lambda at, n=attempt: draw(n, at))  # type: ignore[misc]
        if all(at != place for place, at in enumerate(found)):
            return found
    return order[1:] + order[:1]


def _without_images(sample: Sample) -> Sample:
    # A mark whose image is gone would stand in the instruction as a riddle.
    words = sample.instruction
    for image in sample.shown_images:
        words = words.replace(image.place, "") if image.place else words
    turns = tuple(replace(turn, images=()) for turn in sample.turns)
    return replace(sample, instruction=words, turns=turns, context_images=(), input_images=())


def _with_blank_images(sample: Sample) -> Sample:
    return replace(
        sample,
        context_images=tuple(map(blank_image, sample.context_images)),
        input_images=tuple(map(blank_image, sample.input_images)),
    )


def _with_other_images(donors: Donors, sample: Sample) -> Sample | str:
    others = donors.images(sample, "input", same_modality=True)
    if not others and sample.input_images:
        return f"no {sample.modality} image of another source to borrow"
    return replace(sample, input_images=_exchange(sample.input_images, others))


def _exchange(images: Sequence[Image], others: Sequence[Image]) -> tuple[Image, ...]:
    """Other images under the labels and at the places of these."""
    return tuple(
        replace(others[at % len(others)], label=image.label, place=image.place)
        for at, image in enumerate(images)
    )
