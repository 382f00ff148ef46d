"""The four text tasks of the miniature benchmark."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from numpy.random import Generator

from medgen.adapters.mini import synthesis as change
from medgen.adapters.mini.items import Item, Scene
from medgen.adapters.mini.pictures import Pixels
from medgen.engine.benchmark.vocabulary import MODALITIES

_PLACES = ("upper left", "upper right", "lower left", "lower right", "centre", "middle right")
_CHANGES: Mapping[str, Callable[[Pixels, Generator], Pixels]] = {
    "noise was added": change.gaussian_noise,
    "its rows were striped": change.stripes,
    "its contrast was lowered": lambda pixels, _: change.faint(pixels),
    "it was blurred": lambda pixels, _: change.blur(pixels, 3),
    "its resolution was lowered": lambda pixels, _: change.blocks(pixels, 6),
}


def multiple_choice(scene: Scene) -> Item:
    """Which modality, structure, place or damage: one option of four is right."""
    ask = (_which_modality, _which_part, _which_place, _which_damage)[scene.number % 4]
    return ask(scene)


def blank_filling(scene: Scene) -> Item:
    """A sentence about the picture with one word or phrase left out."""
    picture = scene.picture
    sentence, answer = (
        ("The kind of imaging that made this picture is ____.", picture.modality),
        (f"In {picture.about}, the structure in the {picture.place} is the ____.", picture.part),
        (f"In {picture.about}, the {picture.part} lies in the ____ of it.", picture.place),
    )[scene.number % 3]
    return Item(
        f"Fill in the blank with a word or a phrase: {sentence}",
        (picture.pixels,),
        answer,
        subtask="cloze",
    )


def report_generation(scene: Scene) -> Item:
    """A short report, as an object of sections or as one text; some about two pictures."""
    picture = scene.picture
    inputs: tuple[Pixels, ...] = (picture.pixels,)
    also = ""
    if scene.number % 4 == 3:
        second = scene.other()
        inputs, also = (*inputs, second.pixels), f" The second picture is {second.about}."
    height, width = picture.pixels.shape[:2]
    findings = f"The {picture.part} is seen in the {picture.place} of the picture.{also}"
    report: dict[str, object] = {
        "IMPRESSION": f"{_capital(picture.about)} with the {picture.part} in view.",
        "FINDINGS": findings,
        "TECHNIQUE": f"{picture.modality}, one picture of {width} x {height} pixels.",
        "EXAMINATION": _capital(picture.about) + ".",
    }
    if scene.number % 3 == 2:
        report["FINDINGS"] = {"Main structure": findings, "Other": "Not assessed."}
    words = f"{report['EXAMINATION']} {findings} {report['IMPRESSION']}"
    return Item(
        f"Write a structured report about {picture.about}. Name the {picture.part} and its place.",
        inputs,
        words if scene.number % 4 == 1 else report,
    )


def question_answering(scene: Scene) -> Item:
    """An open question; every second item compares two or three pictures."""
    picture, second = scene.picture, scene.other()
    if scene.number % 4 == 1:
        return Item(
            f"One of these pictures is {picture.about}. Which one, and where is the "
            f"{picture.part}?",
            (second.pixels, picture.pixels),
            f"The second picture; the {picture.part} lies in its {picture.place}.",
            subtask="image-comparison",
        )
    if scene.number % 4 == 3:
        third = scene.other(2)
        return Item(
            "Name the modality of each of the three pictures, in their order.",
            (picture.pixels, second.pixels, third.pixels),
            f"{picture.modality}, {second.modality}, {third.modality}.",
            subtask="image-comparison",
        )
    return Item(
        f"What does this picture show, and where in it does the {picture.part} lie?",
        (picture.pixels,),
        f"It is {picture.about}; the {picture.part} lies in the {picture.place}.",
    )


def _which_modality(scene: Scene) -> Item:
    others = [name for name in MODALITIES if name != scene.picture.modality]
    return _choice(
        scene,
        "Which kind of imaging made this picture?",
        scene.picture.modality,
        others,
    )


def _which_part(scene: Scene) -> Item:
    picture = scene.picture
    others = {other.part for step in (1, 2, 3, 4) for other in [scene.other(step)]}
    item = _choice(
        scene,
        f"Which structure is outlined in green in this picture, {picture.about}?",
        picture.part,
        sorted(others - {picture.part}),
    )
    return replace(item, inputs=(change.outline(picture.pixels, picture.region),))


def _which_place(scene: Scene) -> Item:
    picture = scene.picture
    question = f"In {picture.about}, where does the {picture.part} lie?"
    return _choice(scene, question, picture.place, [p for p in _PLACES if p != picture.place])


def _which_damage(scene: Scene) -> Item:
    names = sorted(_CHANGES)
    name = names[int(scene.rng.integers(len(names)))]
    item = _choice(
        scene,
        f"What was done to this picture, {scene.picture.about}?",
        name,
        [other for other in names if other != name],
    )
    damaged = _CHANGES[name](scene.picture.pixels, scene.rng)
    return replace(item, inputs=(damaged,))


def _choice(scene: Scene, question: str, right: str, others: Sequence[str]) -> Item:
    wrong = scene.rng.permutation(len(others))[:3]
    options = [others[at] for at in wrong]
    # Each letter is right as often as any other, also within each kind of question.
    options.insert((scene.number + scene.number // 4) % (len(options) + 1), right)
    choices = tuple(f"{letter}. {text}" for letter, text in zip("ABCD", options, strict=False))
    return Item(
        "\n".join([question, *choices]),
        (scene.picture.pixels,),
        choices[options.index(right)],
        choices=choices,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
