"""Boxes as tables have them: lists, objects, texts, corners apart; in pixels or shares."""

import re
from collections.abc import Iterator, Mapping, Sequence

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.paths import as_text
from medgen.adapters.tables.settings import BoxForm

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_BETWEEN = re.compile(r"[\s,;()\[\]]*")
# Keys of an object, without case, blanks and `_`: the order in which an object has them says
# nothing, so only those that are known by name are read.
_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("left", "top", "right", "bottom"),
)
_SIZES = tuple(
    (*corner, *size)
    for corner in (("x", "y"), ("left", "top"), ("xmin", "ymin"))
    for size in (("w", "h"), ("width", "height"))
)
_CENTRES = (("cx", "cy", "w", "h"), ("xcenter", "ycenter", "width", "height"))
_NAMED = (("xyxy", _CORNERS), ("xywh", _SIZES), ("cxcywh", _CENTRES))
Corners = tuple[float, float, float, float]


def read_boxes(
    value: object, form: BoxForm, size: tuple[int, int], scale: float = 1.0
) -> Iterator[Corners]:
    """Every box as left, upper, right and lower edge in pixels.

    Args:
        value: one box or several: four numbers, an object of sides by name, a text of numbers, two
            corners, an outline of three points or more (the box around it).
        form: what the numbers are; an object says itself what is corner and what is size.
        size: width and height of the picture, for shares of them.
        scale: what a whole side is in shares.

    Raises:
        FaultyContent: it is no box, or one without area.
    """
    shape = form.removeprefix("relative").lstrip("-") or "xyxy"
    for own, numbers in _each(value, shape):
        sides = list(numbers)
        if own == "cxcywh":
            sides[:2] = [sides[0] - sides[2] / 2, sides[1] - sides[3] / 2]
        if own == "yxyx":
            sides = [sides[1], sides[0], sides[3], sides[2]]
        elif own != "xyxy":
            sides[2:] = [sides[0] + sides[2], sides[1] + sides[3]]
        if "relative" in form:
            sides = [n / scale * size[at % 2] for at, n in enumerate(sides)]
        if sides[0] >= sides[2] or sides[1] >= sides[3]:
            raise FaultyContent(
                f"box {list(numbers)} has no area as {own}; `form` says what its numbers are: "
                "xyxy, yxyx, xywh, cxcywh, relative …"
            )
        yield sides[0], sides[1], sides[2], sides[3]


def _each(value: object, shape: str) -> Iterator[tuple[str, Sequence[float]]]:
    if isinstance(value, str):
        yield from ((shape, four) for four in _of_text(value))
    elif isinstance(value, Mapping):
        yield _of_object(value, shape)
    elif isinstance(value, list | tuple):
        yield from _of_list(value, shape)
    else:
        raise FaultyContent(f"box {value!r:.80} is not four numbers")


def _of_list(value: Sequence[object], shape: str) -> Iterator[tuple[str, Sequence[float]]]:
    points = _points(value)
    if points and (len(points) > 2 or shape in ("xyxy", "yxyx")):
        yield shape, _around(points, shape)
    elif points or (value and not any(isinstance(v, list | tuple | Mapping) for v in value)):
        # Four numbers, a corner and a size; or texts of a box each.
        texts = [v for v in value if isinstance(v, str) and len(_NUMBER.findall(v)) > 1]
        if texts:
            yield from (one for text in texts for one in _each(text, shape))
        else:
            yield shape, _four([n for point in points for n in point] or value)
    else:
        for inner in value:
            yield from _each(inner, shape)


def _around(points: Sequence[tuple[float, float]], shape: str) -> Sequence[float]:
    """Of two corners, in any order, and of an outline the box around them."""
    if shape not in ("xyxy", "yxyx"):
        raise FaultyContent(f"{len(points)} points are an outline, and `form` says {shape}")
    first, second = zip(*points, strict=True)
    return min(first), min(second), max(first), max(second)


def _points(value: Sequence[object]) -> list[tuple[float, float]]:
    """Two or more points of two numbers each; empty of anything else."""
    pairs = [pair for pair in value if isinstance(pair, list | tuple) and len(pair) == 2]
    plain = all(isinstance(n, int | float | str) for pair in pairs for n in pair)
    if len(pairs) < 2 or len(pairs) < len(value) or not plain:
        return []
    try:
        return [(float(first), float(second)) for first, second in pairs]
    except ValueError:
        return []


def _of_text(text: str) -> Iterator[Sequence[float]]:
    numbers = _NUMBER.findall(text)
    rest = _NUMBER.sub("", text)
    if not numbers or len(numbers) % 4 or not _BETWEEN.fullmatch(rest):
        raise FaultyContent(f"box {text[:80]!r} is not four numbers")
    yield from (_four(numbers[at : at + 4]) for at in range(0, len(numbers), 4))


def _of_object(value: Mapping[object, object], shape: str) -> tuple[str, Sequence[float]]:
    sides = {str(key).lower().replace("_", "").replace(" ", ""): v for key, v in value.items()}
    for own, every in _NAMED:
        for names in every:
            if set(names) <= set(sides):
                if shape not in (own, "xyxy"):
                    raise FaultyContent(f"box {value!r:.80} is {own}, and `form` says {shape}")
                return own, _four([sides[name] for name in names])
    keys = ", ".join(str(key) for key in value)
    raise FaultyContent(
        f"a box has the keys {keys[:80]}; known are xmin, ymin, xmax, ymax; x1, y1, x2, y2; x, y, "
        'width, height. Others: `boxes: "{box.a} {box.b} {box.c} {box.d}"` puts them in order'
    )


def _four(values: Sequence[object]) -> Sequence[float]:
    if len(values) != 4:
        raise FaultyContent(f"box {list(values)!r:.80} is not four numbers")
    try:
        return [float(as_text(value, "a side")) for value in values]
    except ValueError as err:
        raise FaultyContent(f"box {list(values)!r:.80} is not four numbers") from err
