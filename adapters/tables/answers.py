"""What an item expects, from a row."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.boxes import read_boxes
from medgen.adapters.tables.options import Options
from medgen.adapters.tables.paths import Missing, as_text, at
from medgen.adapters.tables.settings import Answer, Value
from medgen.adapters.tables.values import (
    Row,
    evaluate,
    is_empty,
    list_of,
    same,
    text_of,
    title_of,
)
from medgen.engine.data import Asks, Box, Number

_WORDS = re.compile(r"[^\W_]+")
# A number, with commas between thousands only, and what may stand behind it as its unit.
_NUMBER = re.compile(
    r"([+-]?(?:\d{1,3}(?:,\d{3})+|\d*)(?:(?<=\d)\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\W\d][^\d]*|[%°].*)?"
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """The compared fields of a sample."""

    texts: tuple[str, ...] = ()
    sections: tuple[tuple[str, str], ...] = ()
    choices: tuple[int, ...] = ()
    number: Number | None = None
    boxes: tuple[Box, ...] = ()


def expectation(
    answer: Answer, row: Row, asks: Asks, options: Options | None, sizes: list[tuple[int, int]]
) -> Expectation:
    """What a row's answer is.

    Args:
        answer: where it stands.
        row: the row.
        asks: what is asked; a text that answers a choice is looked for among the options.
        options: those of the item.
        sizes: width and height of every input picture, for boxes given as shares.

    Raises:
        FaultyContent: there is no answer, or it does not fit the question.
    """
    if answer.sections:
        return Expectation(sections=_sections(answer, row))
    if answer.number:
        return Expectation(number=_number(answer, row))
    if answer.boxes:
        return Expectation(boxes=_boxes(answer, row, sizes))
    if options is not None and asks in ("choice", "choices", "preference"):
        return Expectation(choices=_right(answer, row, options, asks))
    if any((answer.letter, answer.letters, answer.index, answer.flags, answer.best)):
        if options is None:
            raise FaultyContent("the answer is a place among options, and there are no `choices`")
        right = _right(answer, row, options, "choices")
        return Expectation(texts=tuple(options.texts[place] for place in right))
    return Expectation(texts=_texts(answer, row))


def _right(answer: Answer, row: Row, options: Options, asks: Asks) -> tuple[int, ...]:
    unsaid = answer.none and not answer.flags and _is_unsaid(answer, row)
    found = [options.of_text(answer.none)] if unsaid else _places(answer, row, options)
    right = tuple(sorted(set(found)))
    if not right:
        raise FaultyContent("no option is right; `none` in `answer` names the one that is then")
    if asks != "choices" and len(right) != 1:
        raise FaultyContent(f"{len(right)} right options; `asks: choices` takes several")
    return right


def _places(answer: Answer, row: Row, options: Options) -> list[int]:
    if answer.letter:
        return [options.of_letter(_words(answer.letter, row))]
    if answer.letters:
        return [options.of_letter(letter) for letter in _letters(answer, row)]
    if answer.index:
        return [options.of_index(value, answer.base) for value in list_of(answer.index, row)]
    if answer.flags:
        return _flags(answer, row, options)
    if answer.best:
        return _best(answer, row, options)
    if answer.texts:
        words = [as_text(value, "answer") for value in list_of(answer.texts, row)]
        return [options.of_text(text) for text in words if text.strip()]
    return [options.of_text(_words(answer.text, row))]


def _is_unsaid(answer: Answer, row: Row) -> bool:
    values = (answer.letter, answer.letters, answer.index, answer.text, answer.texts, answer.best)
    return all(is_empty(evaluate(value, row)) for value in values if value)


def _letters(answer: Answer, row: Row) -> list[str]:
    values = list_of(answer.letters, row)
    if len(values) == 1 and isinstance(values[0], str):
        # "ABD", "A, C", "A and C" and "A;C" are lists that were written as one text.
        words = [word for word in _WORDS.findall(values[0]) if word.lower() not in ("and", "or")]
        signs = [*words[0]] if len(words) == 1 else words
        return signs if signs else [values[0]]
    return [as_text(value, "answer") for value in values]


def _flags(answer: Answer, row: Row, options: Options) -> list[int]:
    if isinstance(answer.flags, list):
        values = [at(row, column) for column in answer.flags]
    else:
        values = list_of(answer.flags, row)
    if len(values) != len(options.positions) - bool(answer.none):
        what = f"{len(values)} flags for {len(options.positions)} options"
        raise FaultyContent(f"{what}; one for each but that of `none` is expected")
    found = [place for place, value in enumerate(values) if same(value, 1)]
    return found if found or not answer.none else [options.of_text(answer.none)]


def _best(answer: Answer, row: Row, options: Options) -> list[int]:
    """The option with the highest number; of equal ones `none`, where the preset names it."""
    given = evaluate(answer.best, row)
    values = [*given.values()] if isinstance(given, Mapping) else list_of(answer.best, row)
    words = [as_text(value, "a number of `best`").strip() for value in values]
    if len(words) != len(options.positions) - bool(answer.none):
        raise FaultyContent(f"`best` has {len(words)} numbers for {len(options.positions)} options")
    try:
        numbers = [float(word) for word in words]
    except ValueError as err:
        raise FaultyContent(f"`best` is {', '.join(words)[:80]}, no numbers") from err
    first = [place for place, number in enumerate(numbers) if number == max(numbers)]
    if len(first) == 1 or not answer.none:
        return first
    return [options.of_text(answer.none)]


def _words(value: Value, row: Row) -> str:
    found = text_of(value, row)
    if not found.strip():
        raise _no_answer(value)
    return found


def _no_answer(value: Value) -> FaultyContent:
    return FaultyContent(f"no answer in {title_of(value)}; an item is compared with one")


def _texts(answer: Answer, row: Row) -> tuple[str, ...]:
    if answer.texts:
        values = [as_text(value, "answer").strip() for value in list_of(answer.texts, row)]
        found = tuple(dict.fromkeys(text for text in values if text))
    else:
        found = (text_of(answer.text, row).strip(),) if answer.text else ()
    aliases = (as_text(v, "alias").strip() for v in list_of(answer.aliases, row) if not is_empty(v))
    found = tuple(dict.fromkeys((*found, *aliases))) if answer.aliases and any(found) else found
    if not any(found):
        raise _no_answer(answer.texts or answer.text)
    return found


def _sections(answer: Answer, row: Row) -> tuple[tuple[str, str], ...]:
    pairs = ((name, text_of(value, row).strip()) for name, value in answer.sections.items())
    found = tuple((name, text) for name, text in pairs if text)
    if not found:
        raise FaultyContent(f"all sections are empty ({', '.join(answer.sections)})")
    return found


def _number(answer: Answer, row: Row) -> Number:
    words = as_text(evaluate(answer.number, row), "answer").strip()
    found = _NUMBER.fullmatch(words)
    if found is None:
        advice = "; `match` takes it out of a text" if any(sign.isdigit() for sign in words) else ""
        advice = "; a comma is no decimal point here: `replace`" if "," in words else advice
        raise FaultyContent(f"answer {words[:60]!r} is no number{advice}")
    value = float(found[1].replace(",", ""))
    if not math.isfinite(value):
        raise FaultyContent(f"answer {words[:60]!r} is not finite")
    own = (found[2] or "").strip()
    unit = text_of(answer.unit, row).strip() if answer.unit else own
    if own and unit.casefold() != own.casefold():
        advice = "without `unit` each number keeps the one behind it"
        raise FaultyContent(f"answer {words[:60]!r} is not in {unit!r}; {advice}")
    return Number(value, unit)


_NO_BOX = "no box; an item is compared with one (`unless` leaves such rows out)"


def _boxes(answer: Answer, row: Row, sizes: list[tuple[int, int]]) -> tuple[Box, ...]:
    value = evaluate(answer.boxes, row)
    if is_empty(value) or isinstance(value, Missing):
        raise FaultyContent(_NO_BOX)
    image = _image_number(answer, row, sizes)
    size = sizes[image] if sizes else (0, 0)
    boxes = tuple(
        Box(image, *corners) for corners in read_boxes(value, answer.form, size, answer.scale)
    )
    if not boxes:
        raise FaultyContent(_NO_BOX)
    return boxes


def _image_number(answer: Answer, row: Row, sizes: list[tuple[int, int]]) -> int:
    words = text_of(answer.image, row).strip() if answer.image else "0"
    if not words.isdigit() or (sizes and int(words) >= len(sizes)):
        raise FaultyContent(f"box lies in picture {words[:20]!r}, of {len(sizes)}, counted from 0")
    return int(words)
