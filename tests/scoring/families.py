"""Pairs for the metrics of families: choices, short answers, numbers, boxes, masks, edits."""

import io
from collections.abc import Callable, Mapping, Sequence

from PIL import Image as Pillow
from PIL import ImageDraw

from medgen.engine.data import Box, Image, Number, Prediction, Sample
from medgen.metrics.batch import Pair

OPTIONS = ("effusion", "mass", "fracture", "none of these")


def choosing(text: str, asks: str = "choice", right: tuple[int, ...] = (1,)) -> Pair:
    sample = Sample(
        f"c{abs(hash((text, asks)))}", asks, "choice-vqa", "CT", "Which?", choices=OPTIONS,
        reference_choices=right,
    )  # type: ignore[arg-type]  # fmt: skip
    return Pair(sample, Prediction(sample.id, text=text))


def short(text: str, *references: str) -> Pair:
    sample = Sample("s", "text", "open-vqa", "CT", "What?", reference_texts=references)
    return Pair(sample, Prediction("s", text=text))


def number(text: str, value: float, unit: str = "") -> Pair:
    sample = Sample(
        "n", "number", "measurement", "CT", "How long?", reference_number=Number(value, unit)
    )
    return Pair(sample, Prediction("n", text=text))


def boxes(text: str, *references: Sequence[float]) -> Pair:
    wanted = tuple(Box(0, *sides) for sides in references)
    sample = Sample("b", "boxes", "grounding", "CT", "Where?", reference_boxes=wanted)
    return Pair(sample, Prediction("b", text=text))


def square(size: tuple[int, int], box: tuple[int, int, int, int], level: int) -> Image:
    picture = Pillow.linear_gradient("L").resize(size)
    ImageDraw.Draw(picture).rectangle(box, fill=level)
    sink = io.BytesIO()
    picture.save(sink, "PNG")
    return Image(sink.getvalue(), "square.png")


INSIDE, OUTSIDE = (8, 8, 23, 23), (32, 32, 39, 39)
GIVEN = square((48, 48), INSIDE, 0)
WANTED = square((48, 48), INSIDE, 200)


def mask(box: tuple[int, int, int, int] = INSIDE) -> Image:
    picture = Pillow.new("L", (48, 48), 0)
    ImageDraw.Draw(picture).rectangle(box, fill=255)
    sink = io.BytesIO()
    picture.save(sink, "PNG")
    return Image(sink.getvalue(), "mask.png")


def edit(answer: Image, region: Image | None = None, reference: bool = True) -> Pair:
    sample = Sample(
        "e", "image", "region-edit", "MRI", "Brighten it.", input_images=(GIVEN,),
        reference_images=(WANTED,) if reference else (), region_images=(region or mask(),),
    )  # fmt: skip
    return Pair(sample, Prediction("e", images=(answer,)))


def marked(answer: Image, reference: Image) -> Pair:
    sample = Sample(
        "m", "mask", "segmentation", "MRI", "Mark the lesion.", input_images=(GIVEN,),
        reference_images=(reference,),
    )  # fmt: skip
    return Pair(sample, Prediction("m", images=(answer,)))


FAMILIES: Mapping[str, Callable[[], list[Pair]]] = {
    "choice_accuracy": lambda: [choosing("B"), choosing("mass."), choosing("perhaps A or C")],
    "vote": lambda: [choosing("B", "preference"), choosing("A", "preference")],
    "labels": lambda: [choosing("A, B", "choices", (0, 1)), choosing("C", "choices", (0, 1))],
    "short_answer": lambda: [short("The lung", "lung"), short("left", "right lung", "left lung")],
    "number": lambda: [number("2 cm", 21, "mm"), number("7", 7), number("0.5", 0)],
    "boxes": lambda: [boxes("[0,0,4,4]", (0, 0, 4, 4)), boxes("[0,0,4,4]", (2, 0, 6, 4))],
    "masks": lambda: [marked(mask(), mask(OUTSIDE)), marked(mask((6, 8, 23, 23)), mask())],
    "region_edit": lambda: [edit(WANTED), edit(square((48, 48), OUTSIDE, 255)), edit(GIVEN)],
}
