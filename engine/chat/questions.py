"""A sample as the turns of a chat: demonstrations, then images, context, instruction, choices."""

from collections.abc import Iterator, Sequence

from medgen.engine.answers.forms import canonical
from medgen.engine.answers.options import options_in, options_of
from medgen.engine.chat.messages import Message
from medgen.engine.chat.quoting import defang
from medgen.engine.data import Image, Sample

Part = str | Image


def demonstrations(sample: Sample) -> tuple[Message, ...]:
    """What was said before the question, each turn's images before its words."""
    return tuple(
        Message(turn.role, (*_with_labels(turn.images), f"{_HEAD[turn.role]}{defang(turn.text)}"))
        for turn in sample.turns
    )


_HEAD = {"user": "Instruction: ", "assistant": ""}


def question(sample: Sample, images: Sequence[Image], order: str) -> Message:
    """The question itself.

    Args:
        sample: whose context, instruction and choices are put.
        images: its images in order, or one contact sheet of them. One with a place stands there
            if the instruction has it, the others stand before the text, each after its label.
        order: in which form the answer is wanted; may be empty.
    """
    context = f"Context: {defang(sample.context)}\n\n" if sample.context else ""
    after = _choices(sample) + (f"\n\n{order}" if order else "")
    return with_images(sample, images, (f"{context}Instruction: ", after))


def with_images(sample: Sample, images: Sequence[Image], around: tuple[str, str]) -> Message:
    """The instruction between two texts, with images at their marks in it or before all of it."""
    pieces = _in_places(sample.instruction, images)
    standing = [piece for piece in pieces if isinstance(piece, Image)]
    before = [image for image in images if not any(image is piece for piece in standing)]
    words = [defang(piece) if isinstance(piece, str) else piece for piece in pieces]
    parts = [around[0], *words, around[1]]
    return Message("user", (*_with_labels(before), *_with_texts_as_one(parts)))


def _in_places(text: str, images: Sequence[Image]) -> list[Part]:
    """The text, cut at the marks of the images that stand in it."""
    marks: list[tuple[int, int]] = []
    ends: dict[str, int] = {}  # of the last of equal marks, each of which is one image
    for at, image in enumerate(images):
        start = text.find(image.place, ends.get(image.place, 0)) if image.place else -1
        if start >= 0:
            marks.append((start, at))
            ends[image.place] = start + len(image.place)
    pieces: list[Part] = []
    end = 0
    for start, at in sorted(marks):
        if start < end:  # a mark inside another: its image stands before the text
            continue
        pieces += [text[end:start], images[at]]
        end = start + len(images[at].place)
    return [*pieces, text[end:]]


def _with_labels(images: Sequence[Image]) -> Iterator[Part]:
    for image in images:
        if image.label:
            yield defang(image.label)
        yield image


def _with_texts_as_one(parts: Sequence[Part]) -> Iterator[Part]:
    """The parts with neighbouring texts as one, and none that is blank."""
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        if text.strip():
            yield text.strip()
        text = ""
        yield part
    if text.strip():
        yield text.lstrip()


def _choices(sample: Sample) -> str:
    choices = [] if _lists(sample) else options_of(sample.choices).lines()
    return "".join(f"\n{line}" for line in ("Choices:", *map(defang, choices)) if choices)


def _lists(sample: Sample) -> bool:
    """Whether the instruction shows the options already, with the labels they are read by."""
    shown = options_of(options_in(sample.instruction))
    return bool(sample.choices) and [(o.key, canonical(o.words)) for o in shown.each] == [
        (o.key, canonical(o.words)) for o in options_of(sample.choices).each
    ]
