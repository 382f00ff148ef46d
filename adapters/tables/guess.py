"""A mapping guessed from a table: which column is what, and how pictures and answers look."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from medgen.adapters.sources.folder import FaultyContent, Folder, safe_path
from medgen.adapters.tables.globs import PICTURES
from medgen.adapters.tables.lines import FaultyRow
from medgen.adapters.tables.literals import parse
from medgen.adapters.tables.looks import (
    BASE64,
    are_several,
    as_range,
    is_picture,
    sign_between,
    tails,
)
from medgen.adapters.tables.options import MAX_OPTIONS, inline_options, letter_in
from medgen.adapters.tables.paths import columns_of, expand
from medgen.adapters.tables.rows import Tables
from medgen.adapters.tables.settings import Files
from medgen.adapters.tables.values import is_empty
from medgen.engine.beside import read_beside
from medgen.engine.errors import BenchmarkError

LOOKED_AT = 200  # rows from which a mapping is guessed
_FOLDERS = ("", "images", "imgs", "image", "pictures", "figures", "data", "input")
_NAMES = read_beside(__package__, "guess.yaml", dict[str, tuple[str, ...]])
_GROUPS = ("age", "sex", "gender", "site", "center", "centre", "language", "race", "ethnicity")
_WRONG = re.compile(
    r"(?:distractors?|(?:wrong|incorrect)(?:[ _]?(?:answers?|options?|choices?))?)[ _]?\d*",
    re.IGNORECASE,
)
_TRUTHS = (("1", "0"), ("true", "false"))
_OPEN = ("how", "what", "which", "where", "who", "when", "why", "count")
_MEASURE = re.compile(r"[+-]?\d+(\.\d+)?")
_LETTERED = re.compile(r".{1,3}$|\W?[A-Za-z]\W+\s*\S")  # "B", "(b)", and "B. lung", "b) lung"
_OPTION = re.compile(r"(?:(?:option|choice|answer|op)[ _]?)?([A-Ia-i]|[0-9])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Named:
    """Columns that the user named; empty ones are guessed."""

    image: str = ""
    question: str = ""
    answer: str = ""
    choices: tuple[str, ...] = ()
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Guess:
    """A mapping as plain values of YAML, the protocol that fits, and what a person should check."""

    mapping: dict[str, object]
    protocol: str
    doubts: list[str] = field(default_factory=list)


def guess(folder: Folder, file: str, named: Named) -> Guess:
    """The mapping of one table.

    Raises:
        BenchmarkError: it cannot be read, or no column can be taken for a question.
    """
    files = files_of(folder, file)
    rows = _rows(folder, files)
    columns = list(dict.fromkeys(name for row in rows for name in row if not name.startswith("_")))
    _check_named(named, columns, file)
    guesser = _Guesser(folder, rows, columns, named)
    if files.encoding != "utf-8":
        guesser.doubts.append(f"read as {files.encoding}: are letters with marks the right ones?")
    try:
        return guesser.guess(files)
    except FaultyContent as err:  # a column is called like a range of columns
        raise BenchmarkError(f"{file}: {err}; call the column otherwise") from err


def _rows(folder: Folder, files: Files) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for place, row in islice(Tables(folder, files, None), LOOKED_AT):
        if isinstance(row, FaultyRow):
            raise BenchmarkError(f"{place.file}:{place.row or 1}: {row.what}")
        found.append(row)
    if not found:
        raise BenchmarkError(f"{files.glob} has no rows")
    return found


def _check_named(named: Named, columns: Sequence[str], file: str) -> None:
    for column in (named.image, named.question, named.answer, named.reference, *named.choices):
        if column and column not in columns:
            listed = ", ".join(columns)
            raise BenchmarkError(f"{file} has no column {column!r}; there are {listed}")


class _Guesser:
    def __init__(
        self, folder: Folder, rows: list[dict[str, object]], columns: list[str], named: Named
    ) -> None:
        self._folder, self._rows, self._columns, self._named = folder, rows, columns, named
        self.doubts: list[str] = []

    def guess(self, files: Files) -> Guess:
        sample: dict[str, object] = {"instruction": ""}  # first, for whoever reads it
        mapping: dict[str, object] = {"files": plain(files)}
        if images := self._images():
            sample["images"] = images
        sample["modality"] = self._column("modality") or {"is": "unknown"}
        if self._unique(column := self._column("id")):
            sample["id"] = column
        if source := self._column("source"):
            sample["source"] = source
        if question := self._named.question or self._column("question"):
            sample["instruction"] = question
            protocol = self._ask(sample)
        elif messages := self._column("messages"):
            mapping["conversation"] = {"of": messages}
            sample["instruction"] = {"of": "_question", "cut": r"<image>\s*"}
            sample |= {"asks": "text", "task": "open-vqa", "answer": {"text": "_answer"}}
            protocol = "short-answers"
        elif self._image() and (answer := self._named.answer or self._column("answer")):
            protocol = self._describe(sample, answer)
        else:
            listed = ", ".join(self._columns)
            what = f"{files.glob}: no column is a question; name it: --question ({listed})"
            raise BenchmarkError(what)
        if groups := {c: c for c in self._columns if c.casefold() in _GROUPS}:
            sample["groups"] = dict(groups)
        self._doubt_rest(mapping, sample)
        return Guess({**mapping, "sample": sample}, protocol, self.doubts)

    def _doubt_rest(self, *read: object) -> None:
        """Tell the columns that the mapping leaves aside."""
        texts = [*_texts_of(read)]
        inner = {name for text in texts if "{" in text for name, _ in expand(text)}
        named = {*texts, *inner, *(c for text in inner for c in columns_of(text))}
        if rest := [name for name in self._columns if name.strip() and name not in named]:
            self.doubts.append(f"no part of an item: {', '.join(rest)}")

    def _describe(self, sample: dict[str, object], answer: str) -> str:
        """Of a table of pictures and labels or reports, which asks nothing."""
        values = [str(value).strip() for value in self._cells(answer)]
        classes = sorted(set(values))
        words = "Which of these is it?"
        if 2 <= len(classes) <= min(MAX_OPTIONS, len(values) - 1):
            sample |= {"asks": "choice", "task": "classification", "choices": {"is": classes}}
            protocol = "choices"
        else:
            words = "Write the report of this image."
            sample |= {"asks": "text", "task": "report-generation"}
            protocol = "reports"
        sample |= {"instruction": {"is": words}, "answer": {"text": answer}}
        self.doubts.append(f"no column is a question, so all ask {words!r}; --question names one")
        return protocol

    def _ask(self, sample: dict[str, object]) -> str:
        """Fill in what is asked and compared; the name of the protocol."""
        answer = self._named.answer or self._column("answer")
        choices, letters = self._choices()
        if self._reference():
            sample |= {"asks": "image", "task": "editing"}
            return "region-edits"
        if not answer:
            raise BenchmarkError(
                "no column is an answer; name it: --answer (or --reference for pictures)"
            )
        if choices:
            sample |= {"asks": "choice", "task": "choice-vqa", "choices": choices}
            known = letters if not self._stand_among(answer, choices) else []
            sample["answer"] = right = self._right(answer, known)
            sample["asks"] = "choices" if "letters" in right else "choice"
            return "choices"
        values = {str(v).strip().casefold() for v in self._cells(answer)}
        sample["answer"] = {"text": answer}
        if self._measures(values):
            sample |= {"asks": "number", "task": "measurement"}
            sample["answer"] = {"number": answer, "unit": self._column("unit")}
            return "numbers"
        if truth := self._truth(values):
            sample["answer"] = {"text": {"of": answer, "map": truth}}
            values = {"yes", "no"}
        if values <= {"yes", "no"}:
            sample |= {"asks": "choice", "task": "closed-vqa", "choices": {"is": ["yes", "no"]}}
            return "choices"
        if values & {"yes", "no"}:
            closed = {"asks": "choice", "task": "closed-vqa", "choices": {"is": ["yes", "no"]}}
            sample["variants"] = [
                {"when": {answer: ["yes", "no"]}, **closed},
                {"asks": "text", "task": "open-vqa"},
            ]
            return "short-answers"
        sample |= {"asks": "text", "task": "open-vqa"}
        long = sum(len(str(v).split()) > 20 for v in self._cells(answer))
        return "reports" if 2 * long > len(self._rows) else "short-answers"

    def _truth(self, values: set[str]) -> dict[str, str]:
        """Which answers stand for yes and no, where the questions can be answered so."""
        question = self._named.question or self._column("question")
        asked = [str(words).strip().casefold() for words in self._cells(question)]
        yes = next((one for one, none in _TRUTHS if values == {one, none}), "")
        if not yes or any(words.startswith(_OPEN) for words in asked):
            return {}
        no = dict(_TRUTHS)[yes]
        self.doubts.append(f"{yes} is taken for yes and {no} for no: `answer`")
        return {yes: "yes", no: "no"}

    def _stand_among(self, answer: str, choices: Mapping[str, object]) -> bool:
        """Whether every answer is, letter and all, one of its row's options."""
        columns = choices.get("columns") or [choices.get("of") or answer]
        names = columns if isinstance(columns, list) else []
        for row in self._rows:
            told = [text for name in names for text in _texts_in(row.get(name))]
            if not is_empty(row.get(answer)) and str(row[answer]).strip() not in told:
                return False
        return True

    def _measures(self, values: set[str]) -> bool:
        return bool(self._column("unit")) and all(map(_MEASURE.fullmatch, values))

    def _reference(self) -> str:
        return self._named.reference or self._column("reference")

    def _choices(self) -> tuple[dict[str, object], list[str]]:
        """The options as the mapping has them, and their letters."""
        columns = list(self._named.choices) or self._option_columns()
        if not columns and (wrong := self._distractors()):
            answer = self._named.answer or self._column("answer")
            return {"answer": answer, "distractors": wrong}, []
        if len(columns) > 1:
            return {"columns": columns}, [chr(65 + n) for n in range(len(columns))]
        column = columns[0] if columns else self._column("options")
        cell = next(self._cells(column), None) if column else None
        if cell is None:
            return {}, []
        kind, value = _list_in(cell)
        if not isinstance(value, list | Mapping):
            if not inline_options(str(value)) and (
                sign := sign_between([*map(str, self._cells(column))])
            ):
                return {"of": column, "parse": f"split:{sign}"}, []
            return {"of": column, "as": "inline"}, list("ABCDEFGHI")
        settings: dict[str, object] = {"of": column}
        settings |= {"parse": kind} if kind else {}
        settings |= {"as": "letters"} if isinstance(value, Mapping) else {}
        return settings, [chr(65 + n) for n in range(len(value))]

    def _option_columns(self) -> list[str]:
        found = [name for name in self._columns if _OPTION.fullmatch(name.strip())]
        return found if len(found) > 1 else []

    def _distractors(self) -> str:
        wrong = [name for name in self._columns if _WRONG.fullmatch(name.strip())]
        return as_range(wrong) or (wrong[0] if len(wrong) == 1 else "")

    def _right(self, answer: str, letters: Sequence[str]) -> dict[str, object]:
        values = [str(value).strip() for value in self._cells(answer)]
        if are_several(values, letters):
            self.doubts.append("some answers are several letters: `asks: choices`")
            return {"letters": answer}
        if values and all(
            letter_in(v) in letters and _LETTERED.match(v) and not v.isdigit() for v in values
        ):
            return {"letter": answer}
        if called := self._column_letters(values):
            return {"letter": {"of": answer, "map": called}}
        if values and all(value.isdigit() for value in values):
            base = 0 if "0" in values else 1
            self.doubts.append(f"answers are counted from {base}: `answer: {{index, base}}`")
            return {"index": answer, "base": base}
        return {"text": answer}

    def _column_letters(self, values: Sequence[str]) -> dict[str, str]:
        """The letters of options that answers call by their columns: "choice_a"."""
        columns = list(self._named.choices) or self._option_columns()
        letters = {name: chr(65 + at) for at, name in enumerate(columns) if len(name) > 1}
        return letters if values and set(values) <= set(letters) else {}

    def _images(self) -> list[dict[str, object]]:
        image = self._image()
        found = [self._picture(name) for name in ([image] if image else self._picture_columns())]
        if reference := self._reference():
            found.append({**self._picture(reference), "role": "reference"})
        return found

    def _image(self) -> str:
        return self._named.image or self._column("image")

    def _picture_columns(self) -> list[str]:
        """The columns, called whatever they are, that hold or name pictures."""
        others = [name for name in self._columns if name != self._reference()]
        found = [name for name in others if is_picture(next(self._cells(name), None))]
        if found:
            self.doubts.append(f"pictures are taken from {', '.join(found)}: `images`")
        return found

    def _picture(self, column: str) -> dict[str, object]:
        cell = next(iter(self._cells(column)), None)
        value = cell[0] if isinstance(cell, list) and cell else cell
        value = str(value) if isinstance(value, int) else value
        settings: dict[str, object] = {"of": column}
        if isinstance(value, str) and value.lstrip().startswith("["):
            kind = "json" if value.lstrip().startswith('["') else "literal"
            listed = parse(kind, value)
            value = listed[0] if isinstance(listed, list) and listed else value
            settings["parse"] = kind
        elif isinstance(value, str) and (sign := self._sign_between_pictures(column)):
            value = value.split(sign)[0].strip()
            settings["parse"] = f"split:{sign}"
        if isinstance(value, str):
            settings |= self._path(value, column)
        if sum(not is_empty(row.get(column)) for row in self._rows) < len(self._rows):
            settings["optional"] = True
        return settings

    def _sign_between_pictures(self, column: str) -> str:
        return sign_between([str(cell) for cell in self._cells(column)], pictures=True)

    def _path(self, value: str, column: str) -> dict[str, object]:
        """How a text names a picture: as base64, below a folder, or inside an archive."""
        if value.startswith(BASE64) or len(value) > 1024:
            return {"as": "base64"}
        try:
            path = safe_path(value)
        except FaultyContent:
            return {"as": "base64"} if value.startswith("data:") else self._elsewhere(value, column)
        for below in self._below():
            if self._folder.exists(f"{below}/{path}" if below else path):
                return {"below": below} if below else {}
        if named := self._without_ending(value, column):
            return {"of": named}
        archives = (
            n for n in self._folder.names() if n.endswith((".zip", ".tar", ".tar.gz", ".tgz"))
        )
        if archive := next(archives, ""):
            return {"in": archive}
        if found := self._elsewhere(value, column):
            return found
        self.doubts.append(f"picture {value!r} was not found below the table's folder")
        return {}

    def _elsewhere(self, value: str, column: str) -> dict[str, object]:
        """Of a path of another machine, what makes of it the one below the table's folder."""
        turned: dict[str, object] = {"replace": {r"\\": "/"}} if "\\" in value else {}
        cells = [str(cell) for cell in self._cells(column)]
        for before, path in [("", value.replace("\\", "/")), *tails(value)]:
            if path.startswith("/") or ":" in path or not all(c.startswith(before) for c in cells):
                continue
            for below in self._below():
                if self._folder.exists(f"{below}/{path}" if below else path):
                    found = {"cut": f"^{re.escape(before)}", **turned} if before else turned
                    return found | ({"below": below} if below else {})
        return {}

    def _without_ending(self, value: str, column: str) -> str:
        """The text that makes a path of a name to which the ending lacks."""
        for below in self._below():
            for name in self._folder.names(below):
                stem, _, ending = name.rpartition(".")
                if stem == value and f".{ending.lower()}" in PICTURES:
                    return f"{below}/{{{column}}}.{ending}".removeprefix("/")
        return ""

    def _below(self) -> Iterator[str]:
        yield from _FOLDERS
        yield from (name for name in self._folder.names() if "." not in name)

    def _column(self, what: str) -> str:
        folded = {name.strip().casefold().replace(" ", "_"): name for name in self._columns}
        return next((folded[name] for name in _NAMES[what] if name in folded), "")

    def _cells(self, column: str) -> Iterator[object]:
        return (row[column] for row in self._rows if not is_empty(row.get(column)))

    def _unique(self, column: str) -> bool:
        values = [str(row.get(column)) for row in self._rows]
        return bool(column) and len(set(values)) == len(values) and "None" not in values


def _texts_of(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts_of(inner)


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


def _texts_in(cell: object) -> list[str]:
    value = _list_in(cell)[1]
    given = [*value.values()] if isinstance(value, Mapping) else value
    return [str(text).strip() for text in (given if isinstance(given, list) else [given])]


_LOOKED_AT = 2**20  # bytes
_USUAL = {".csv": ",", ".tsv": "\t"}
_DELIMITERS = ";\t|,"


def files_of(folder: Folder, file: str) -> Files:
    """The `files` of a table, with a delimiter and an encoding where they are not the usual ones.

    Windows' encoding stands for all that is no UTF-8: which of its relatives it is, nobody can say.
    """
    usual = _USUAL.get(f".{file.rpartition('.')[2].lower()}", "")
    if not usual:
        return Files(glob=file)
    with folder.open(file) as opened:
        begins = opened.read(_LOOKED_AT)
    head = begins.split(b"\n", 1)[0].decode("latin-1")
    delimiter = "" if usual in head else max(_DELIMITERS, key=head.count)
    return Files(
        glob=file,
        delimiter=delimiter if delimiter and delimiter in head else "",
        encoding="utf-8" if _is_utf8(begins) else _windows(begins),
    )


def plain(files: Files) -> object:
    """The short form that a preset has of `files`."""
    long: dict[str, object] = {"glob": files.glob}
    long |= {"delimiter": files.delimiter} if files.delimiter else {}
    long |= {"encoding": files.encoding} if files.encoding != "utf-8" else {}
    return long if len(long) > 1 else files.glob


def _is_utf8(begins: bytes) -> bool:
    # What is looked at may end within a letter; of UTF-16 the reader says what to do.
    whole = begins.rpartition(b"\n")[0] if len(begins) == _LOOKED_AT else begins
    if whole.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    try:
        whole.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _windows(begins: bytes) -> str:
    try:
        begins.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"
