"""What a table asks and what answers are compared with, guessed from its cells."""

import re
from collections.abc import Mapping, Sequence

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables import replies
from medgen.adapters.tables.literals import parse
from medgen.adapters.tables.looks import are_several, as_range, is_picture, sign_between
from medgen.adapters.tables.options import MAX_OPTIONS, inline_options, letter_in
from medgen.adapters.tables.seen import Seen, fold
from medgen.adapters.tables.values import is_empty
from medgen.engine.errors import BenchmarkError

Settings = dict[str, object]
_WRONG = re.compile(
    r"(?:distractors?|(?:wrong|incorrect)(?:[ _]?(?:answers?|options?|choices?))?)[ _]?\d*",
    re.IGNORECASE,
)
_OPEN = ("how", "what", "which", "where", "who", "when", "why", "count")
# "B", "(b)", "Option B", and "B. lung", "b) lung".
_LETTERED = re.compile(r"(?:(?i:option|choice|answer)\W*)?.{1,3}$|\W?[A-Za-z]\W+\s*\S")
_OPTION = re.compile(r"(?:(?:option|choice|answer|op)[ _]?)?([A-Ia-i]|[0-9])", re.IGNORECASE)
_CORNERS = (
    ("xyxy", ("x1", "y1", "x2", "y2")),
    ("xyxy", ("x0", "y0", "x1", "y1")),
    ("xyxy", ("xmin", "ymin", "xmax", "ymax")),
    ("xyxy", ("x_min", "y_min", "x_max", "y_max")),
    ("xywh", ("x", "y", "w", "h")),
    ("xywh", ("x", "y", "width", "height")),
)
_RUNS = ("encodedpixels", "rle", "mask_rle", "segmentation_rle")
_MOSTLY = 0.8  # of the answers are letters: so are the others meant to be
_SHORT = 8  # words of an answer that may be a few texts
_UNSAID = frozenset({"nan", "null", "<na>", "n/a", "none", "-"})
_CLOSED: Settings = {"asks": "choice", "task": "closed-vqa", "choices": {"is": ["yes", "no"]}}


def describe(seen: Seen, sample: Settings) -> str:
    """Of a table of pictures and labels or reports, which asks nothing; the protocol's name."""
    answer, values = seen.answer, seen.texts(seen.answer)
    words, protocol = "Which of these is it?", "choices"
    kind = replies.list_kind([*seen.cells(answer)])
    signed = "split:|" if kind is None and any("|" in value for value in values) else kind
    each = [*replies.elements([*seen.cells(answer)], signed or "")]
    classes = sorted({one for several in each for one in several})
    if signed is not None and 2 <= len(classes) <= MAX_OPTIONS:
        sample |= {"asks": "choices", "task": "classification", "choices": {"is": classes}}
        sample["answer"] = {"texts": replies.of_list(answer, signed)}
        words, protocol = "Which of these are there?", "labels"
    elif 2 <= len(classes) <= min(MAX_OPTIONS, len(values) - 1):
        sample |= {"asks": "choice", "task": "classification", "choices": {"is": classes}}
        sample["answer"] = {"text": answer}
        if all(map(str.isdigit, classes)):
            seen.doubts.append(
                f"classes are numbers: `map` names {', '.join(classes[:4])} in words"
            )
    else:
        words, protocol = "Write the report of this image.", "reports"
        sample |= {"asks": "text", "task": "report-generation", "answer": {"text": answer}}
    sample["instruction"] = {"is": words}
    seen.doubts.append(f"no column is a question, so all ask {words!r}; --question names one")
    return protocol


def ask(seen: Seen, sample: Settings) -> str:
    """Fill in what is asked and compared; the name of the protocol.

    Raises:
        BenchmarkError: there is no answer, or one in a form that is not read.
    """
    answer = seen.answer
    choices, letters = _choices(seen)
    if seen.reference:
        sample |= {"asks": "image", "task": "editing"}
        return "region-edits"
    if not answer:
        return _mark(seen, sample)
    if not seen.texts(answer):
        raise BenchmarkError(f"column {answer!r} is empty in the first {len(seen.rows)} rows")
    if choices:
        _choose(seen, sample, choices, letters)
        return "choices"
    unsaid = sorted({value for value in seen.texts(answer) if value.casefold() in _UNSAID})
    if unsaid:
        some = ", ".join(map(repr, unsaid))
        seen.doubts.append(f"{some} is taken for an answer: `unless` leaves such rows out")
    return _compare(seen, sample)


def _compare(seen: Seen, sample: Settings) -> str:
    """Of answers without options."""
    answer, cells = seen.answer, [*seen.cells(seen.answer)]
    values = {str(value).strip().casefold() for value in cells}
    if form := replies.box_form(cells):
        return _box(seen, sample, {"boxes": answer, "form": form})
    if (kind := replies.list_kind(cells)) is not None:
        sample |= {"asks": "text", "task": "open-vqa"}
        sample["answer"] = {"texts": replies.of_list(answer, kind)}
        seen.doubts.append("answers are lists: each of their texts is taken for right: `texts`")
        return "short-answers"
    number, doubt = replies.numbers_of(answer, seen.texts(answer), seen.column("unit"))
    if number:
        seen.doubts.extend([doubt] if doubt else [])
        sample |= {"asks": "number", "task": "measurement", "answer": number}
        return "numbers"
    sample["answer"] = {"text": answer}
    if truth := _truth(seen, values):
        sample |= _CLOSED | {"answer": {"text": {"of": answer, "map": truth}}}
        return "choices"
    return _say(seen, sample, values)


def _say(seen: Seen, sample: Settings, values: set[str]) -> str:
    """Of answers in words."""
    answer = seen.answer
    if values <= {"yes", "no"}:
        sample |= _CLOSED
        return "choices"
    if {value.rstrip(".") for value in values} <= {"yes", "no"}:
        sample |= _CLOSED | {"answer": {"text": {"of": answer, "cut": r"\.\s*$"}}}
        return "choices"
    _doubt_signs(seen, values)
    if values & {"yes", "no"}:
        open_ones: Settings = {"asks": "text", "task": "open-vqa"}
        sample["variants"] = [{"when": {answer: ["yes", "no"]}, **_CLOSED}, open_ones]
        return "short-answers"
    if replies.listed_in(seen.texts(seen.question), seen.texts(answer)):
        seen.doubts.append("options are read from the question: `choices`")
        sample |= {"asks": "choice", "task": "choice-vqa"}
        sample |= {"choices": {"of": seen.question, "as": "inline"}, "answer": {"letter": answer}}
        return "choices"
    sample |= {"asks": "text", "task": "open-vqa"}
    long = sum(len(text.split()) > 20 for text in seen.texts(answer))
    return "reports" if 2 * long > len(seen.rows) else "short-answers"


def _doubt_signs(seen: Seen, values: set[str]) -> None:
    """Tell of short answers that may be several, parted by a sign."""
    for sign in "|;":
        if any(sign in value and len(value.split()) <= _SHORT for value in values):
            how = f"`texts: {{of: {seen.answer}, parse: 'split:{sign}'}}` parts them"
            seen.doubts.append(f"answers with {sign} are taken for one text each: {how}")


def _mark(seen: Seen, sample: Settings) -> str:
    """Of what is answered by places or masks, in columns of their own."""
    mask = seen.column("mask")
    if mask and is_picture(next(seen.cells(mask), None)):
        sample |= {"asks": "mask", "task": "segmentation"}
        seen.doubts.append(f"what is marked in {mask} is taken for the mask: `white`")
        return "masks"
    boxes = seen.column("boxes")
    if boxes and (form := replies.box_form([*seen.cells(boxes)])):
        return _box(seen, sample, {"boxes": boxes, "form": form})
    folded = {fold(name): name for name in seen.columns}
    for form, names in _CORNERS:
        if all(name in folded for name in names):
            four = " ".join(f"{{{folded[name]}}}" for name in names)
            return _box(seen, sample, {"boxes": four, "form": form})
    if runs := next((folded[name] for name in _RUNS if name in folded), ""):
        raise BenchmarkError(f"{runs!r} holds masks as run lengths, which are not read: write PNG")
    raise BenchmarkError("no column is an answer; name it: --answer (or --reference for pictures)")


def _box(seen: Seen, sample: Settings, answer: Settings) -> str:
    sample |= {"asks": "boxes", "task": "grounding", "answer": answer}
    seen.doubts.append(f"four numbers are taken for a box, {answer['form']}: `form`")
    return "boxes"


def _truth(seen: Seen, values: set[str]) -> dict[str, str]:
    """Which answers stand for yes and no, where the questions can be answered so."""
    asked = [words.casefold() for words in seen.texts(seen.question)]
    yes, no = next(((y, n) for y, n in replies.TRUTHS if values == {y, n}), ("", ""))
    if not yes or any(words.startswith(_OPEN) for words in asked):
        return {}
    seen.doubts.append(f"{yes} is taken for yes and {no} for no: `answer`")
    return {yes: "yes", no: "no"}


def _choose(seen: Seen, sample: Settings, choices: Settings, letters: Sequence[str]) -> None:
    """Of answers that are among options."""
    right = _right(seen, choices, letters)
    sample |= {"asks": "choice", "task": "choice-vqa", "choices": choices, "answer": right}
    kind = replies.list_kind([*seen.cells(seen.answer)])
    if kind is not None or "letters" in right or "texts" in right:
        sample["asks"] = "choices"
        seen.doubts.append("some answers are several of the options: `asks: choices`")


def _right(seen: Seen, choices: Settings, letters: Sequence[str]) -> Settings:
    answer, cells = seen.answer, [*seen.cells(seen.answer)]
    kind = replies.list_kind(cells)
    if kind is not None:
        return _right_of_lists(seen, choices, kind, letters)
    values = seen.texts(answer)
    if _stand_among(seen.rows, answer, choices):
        if any(len(value) == 1 for value in values):
            some = next(value for value in values if len(value) == 1)
            said = f"{some!r} is taken for the words of an option, not for a letter or place"
            seen.doubts.append(f"answer {said}: `answer`")
        return {"text": answer}
    if lettered := _right_letters(seen, values, letters):
        return lettered
    if replies.are_places(values):
        whole = all(map(str.isdigit, values))
        index = answer if whole else {"of": answer, "cut": r"\.0+$"}
        return {"index": index, "base": _base(seen, values, choices)}
    split = str(choices.get("parse", ""))
    if split.startswith("split:") and any(split[6:] in value for value in values):
        return {"texts": {"of": answer, "parse": split}}
    return {"text": answer}


def _right_letters(seen: Seen, values: Sequence[str], letters: Sequence[str]) -> Settings:
    """Of answers that are letters of options, or call them by their columns; else empty."""
    if are_several(values, letters):
        return {"letters": seen.answer}
    if all(letter_in(v) in letters and _LETTERED.match(v) and not v.isdigit() for v in values):
        return {"letter": seen.answer}
    plain = [v for v in values if len(v) == 1 and v.isalpha() and letter_in(v) in letters]
    if len(plain) >= _MOSTLY * len(values) > 0:  # the others are mistakes, and are named as such
        return {"letter": seen.answer}
    if called := _column_letters(seen, values):
        return {"letter": {"of": seen.answer, "map": called}}
    return {}


def _right_of_lists(seen: Seen, choices: Settings, kind: str, letters: Sequence[str]) -> Settings:
    column = replies.of_list(seen.answer, kind)
    values = [
        one for several in replies.elements([*seen.cells(seen.answer)], kind) for one in several
    ]
    if replies.are_places(values):
        return {"index": column, "base": _base(seen, values, choices)}
    if all(letter_in(value) in letters and len(value) < 4 for value in values):
        return {"letters": column}
    return {"texts": column}


def _base(seen: Seen, values: Sequence[str], choices: Settings) -> int:
    """From which number places are counted."""
    columns = choices.get("columns")
    first = str(columns[0]) if isinstance(columns, list) and columns else ""
    base = 0 if first.endswith("0") or any(float(value) == 0 for value in values) else 1
    sure = " (no answer is 0)" if base else ""
    seen.doubts.append(f"answers are counted from {base}{sure}: `answer: {{index, base}}`")
    return base


def _stand_among(rows: Sequence[Mapping[str, object]], answer: str, choices: Settings) -> bool:
    """Whether every answer is, letter and all, one of its row's options."""
    columns = choices.get("columns") or [choices.get("of") or answer]
    names = columns if isinstance(columns, list) else []
    sign = str(choices.get("parse", "")).removeprefix("split:")
    for row in rows:
        told = [text for name in names for text in _texts_in(row.get(name), sign)]
        if not is_empty(row.get(answer)) and str(row[answer]).strip() not in told:
            return False
    return True


def _choices(seen: Seen) -> tuple[Settings, list[str]]:
    """The options as the mapping has them, and their letters."""
    columns = list(seen.named.choices) or _option_columns(seen)
    if not columns and (wrong := _distractors(seen)):
        return {"answer": seen.answer, "distractors": wrong}, []
    if len(columns) > 1:
        return {"columns": columns}, [chr(65 + n) for n in range(len(columns))]
    column = columns[0] if columns else seen.column("options")
    cell = next(seen.cells(column), None) if column else None
    if cell is None:
        return {}, []
    kind, value = _list_in(cell)
    if not isinstance(value, list | Mapping):
        return _choices_in_text(column, [str(one) for one in seen.cells(column)])
    settings: Settings = {"of": column}
    if isinstance(value, list) and value and isinstance(value[0], Mapping) and not kind:
        return _choices_of_objects(column, value[0])
    settings |= {"parse": kind} if kind else {}
    settings |= {"as": "letters"} if isinstance(value, Mapping) else {}
    return settings, [chr(65 + n) for n in range(len(value))]


def _choices_in_text(column: str, cells: list[str]) -> tuple[Settings, list[str]]:
    if not inline_options(cells[0]):
        if all(len(cell.splitlines()) > 1 for cell in cells):
            return {"of": column, "parse": "lines"}, list("ABCDEFGHI")
        if sign := sign_between(cells):
            return {"of": column, "parse": f"split:{sign}"}, list("ABCDEFGHI")
    return {"of": column, "as": "inline"}, list("ABCDEFGHI")


def _choices_of_objects(column: str, first: Mapping[str, object]) -> tuple[Settings, list[str]]:
    words, name = replies.keys_of_options(first)
    settings: Settings = {"of": f"{column}[].{words}" if words else column}
    settings |= {"names": f"{column}[].{name}"} if name and words else {}
    return settings, list("ABCDEFGHI")


def _option_columns(seen: Seen) -> list[str]:
    found = [name for name in seen.columns if _OPTION.fullmatch(name.strip())]
    return found if len(found) > 1 else []


def _distractors(seen: Seen) -> str:
    wrong = [name for name in seen.columns if _WRONG.fullmatch(name.strip())]
    return as_range(wrong) or (wrong[0] if len(wrong) == 1 else "")


def _column_letters(seen: Seen, values: Sequence[str]) -> dict[str, str]:
    """The letters of options that answers call by their columns: "choice_a"."""
    columns = list(seen.named.choices) or _option_columns(seen)
    letters = {name: chr(65 + at) for at, name in enumerate(columns) if len(name) > 1}
    return letters if values and set(values) <= set(letters) else {}


def _list_in(cell: object) -> tuple[str, object]:
    """How a cell is parsed to a list or an object, and what comes out."""
    for kind in ("json", "literal") if isinstance(cell, str) else ():
        try:
            value = parse(kind, cell)
        except FaultyContent:
            continue
        if isinstance(value, list | Mapping) and value:
            return kind, value
    return "", cell


def _texts_in(cell: object, sign: str) -> list[str]:
    value = _list_in(cell)[1]
    if isinstance(value, str) and sign and sign not in ("json", "literal"):
        value = value.splitlines() if sign == "lines" else value.split(sign)
    given = [*value.values()] if isinstance(value, Mapping) else value
    return [str(text).strip() for text in (given if isinstance(given, list) else [given])]
