"""A mapping guessed from a table: which column is what, and how pictures and answers look."""

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from unicodedata import normalize

from medgen.adapters.sources.folder import FaultyContent, Folder, safe_path
from medgen.adapters.tables.asked import ask, describe
from medgen.adapters.tables.globs import PICTURES
from medgen.adapters.tables.lines import FaultyRow
from medgen.adapters.tables.literals import parse
from medgen.adapters.tables.looks import BASE64, is_picture, sign_between, tails
from medgen.adapters.tables.paths import columns_of, expand
from medgen.adapters.tables.rows import Tables
from medgen.adapters.tables.seen import NAMES, Named, Seen
from medgen.adapters.tables.settings import Files
from medgen.adapters.tables.written import files_of, plain
from medgen.engine.errors import BenchmarkError

__all__ = ["Guess", "Named", "guess"]
LOOKED_AT = 200  # rows from which a mapping is guessed
_HELD = 64 * 2**20  # bytes of them: each may hold pictures
# What the reader says of a row beside its cells.
_OURS = ("_path", "_file", "_folder", "_archive", "_row", "_key", "_keys", "_item")
_FOLDERS = ("", "images", "imgs", "image", "pictures", "figures", "data", "input")
_GROUPS = ("age", "sex", "gender", "site", "center", "centre", "language", "race", "ethnicity")
_TRIED = 5  # cells of a column of pictures, since the first of them may be missing
_LISTED = 12  # columns that a doubt names


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
    try:
        files, doubts = files_of(folder, file, (*NAMES["question"], *NAMES["answer"]))
    except (FaultyContent, OSError, EOFError, zlib.error) as err:
        raise BenchmarkError(f"{file}: {err}") from err
    rows = _rows(folder, files)
    columns = list(dict.fromkeys(name for row in rows for name in row if name not in _OURS))
    _check_columns(columns, file)
    _check_named(named, columns, file)
    seen = Seen(rows, columns, named, doubts)
    try:
        return _Guesser(folder, seen).guess(files)
    except FaultyContent as err:  # a column is called like a range of columns
        raise BenchmarkError(f"{file}: {err}; call the column otherwise") from err


def _rows(folder: Folder, files: Files) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    size = 0
    for place, row in islice(Tables(folder, files, None), LOOKED_AT):
        if isinstance(row, FaultyRow):
            raise BenchmarkError(f"{place.file}:{place.row or 1}: {row.what}")
        found.append(row)
        if (size := size + _size_of(row)) > _HELD:
            break
    if not found:
        raise BenchmarkError(f"{files.glob} has no rows")
    return found


def _size_of(value: object) -> int:
    """About how many bytes a cell's texts and pictures take."""
    if isinstance(value, bytes | str):
        return len(value)
    inner = value.values() if isinstance(value, Mapping) else value
    return sum(map(_size_of, inner)) if isinstance(inner, Iterable) else 0


def _check_columns(columns: Sequence[str], file: str) -> None:
    if not columns:
        lines = "; JSON of one list is called .json" if ".jsonl" in file else ""
        raise BenchmarkError(
            f"{file}: its rows are no objects, so no column has a name; `files: {{glob: {file}, "
            f"header: [question, answer]}}` in a preset names the cells of lists{lines}"
        )


def _check_named(named: Named, columns: Sequence[str], file: str) -> None:
    for column in (named.image, named.question, named.answer, named.reference, *named.choices):
        if column and column not in columns:
            listed = ", ".join(columns)
            raise BenchmarkError(f"{file} has no column {column!r}; there are {listed}")


class _Guesser:
    def __init__(self, folder: Folder, seen: Seen) -> None:
        self._folder, self._seen = folder, seen

    def guess(self, files: Files) -> Guess:
        seen = self._seen
        sample: dict[str, object] = {"instruction": ""}  # first, for whoever reads it
        mapping: dict[str, object] = {"files": plain(files)}
        if images := self._images():
            sample["images"] = images
        sample |= self._known()
        if seen.question:
            sample["instruction"] = seen.question
            protocol = ask(seen, sample)
        elif messages := seen.column("messages"):
            mapping["conversation"] = {"of": messages}
            sample["instruction"] = {"of": "_question", "cut": r"<image>\s*"}
            sample |= {"asks": "text", "task": "open-vqa", "answer": {"text": "_answer"}}
            protocol = "short-answers"
        elif self._image() and seen.answer:
            protocol = describe(seen, sample)
        else:
            raise BenchmarkError(f"{files.glob}: {self._no_question()}")
        if sample.get("asks") == "mask":
            mask = {**self._picture(column := seen.column("mask")), "role": "reference"}
            exact = not any(t.lower().endswith((".jpg", ".jpeg")) for t in seen.texts(column))
            sample["images"] = [*images, mask | ({"white": "any"} if exact else {})]
        groups = {column: column for column in seen.columns if column.casefold() in _GROUPS}
        sample |= {"groups": groups} if groups else {}
        self._doubt_split()
        self._doubt_rest(mapping, sample)
        self._doubt_repeats()
        return Guess({**mapping, "sample": sample}, protocol, seen.doubts)

    def _known(self) -> dict[str, object]:
        """What columns of usual names say beside the question."""
        column = self._seen.column("id")
        found: dict[str, object] = {"modality": self._seen.column("modality") or {"is": "unknown"}}
        if self._unique(column):
            found["id"] = column
        elif column:
            (value, rows), *_ = Counter(map(str, self._seen.cells(column))).most_common(1)
            self._seen.doubts.append(
                f"{column} names no item alone: {value!r} stands in {rows} rows"
            )
        source = self._seen.column("source")
        return found | ({"source": source} if source else {})

    def _no_question(self) -> str:
        listed = ", ".join(self._seen.columns[:_LISTED])
        named = "name it: --question, or of pictures with labels --answer"
        flags = [c for c in self._seen.columns if {*map(_flag, self._seen.cells(c))} == {0, 1}]
        more = (
            f"; {', '.join(flags[:_LISTED])} look like `flags` (docs/layouts.md)" if flags else ""
        )
        return f"no column is a question; {named} ({listed}){more}"

    def _doubt_split(self) -> None:
        column = self._seen.column("split")
        parts = list(dict.fromkeys(self._seen.texts(column))) if column else []
        if len(parts) > 1:
            keep = next((part for part in parts if part.casefold().startswith("test")), parts[-1])
            said = f"{column} is {', '.join(parts[:_LISTED])}, and all are items"
            self._seen.doubts.append(f"{said}: `where: {{{column}: {keep}}}` keeps some")

    def _doubt_rest(self, *read: object) -> None:
        """Tell the columns that the mapping leaves aside."""
        texts = [*_texts_of(read)]
        inner = {name for text in texts if "{" in text for name, _ in expand(text)}
        named = {*texts, *inner, *(c for text in inner for c in columns_of(text))}
        named |= {text.partition("[")[0].partition(".")[0] for text in texts}
        if rest := [name for name in self._seen.columns if name.strip() and name not in named]:
            more = f" and {len(rest) - _LISTED} more" if len(rest) > _LISTED else ""
            self._seen.doubts.append(f"no part of an item: {', '.join(rest[:_LISTED])}{more}")

    def _doubt_repeats(self) -> None:
        """Tell rows that stand twice, word for word; they are items each, and count as such."""
        rows = [tuple(map(row.get, self._seen.columns)) for row in self._seen.rows]
        plain = [row for row in rows if all(isinstance(c, str | float | int | None) for c in row)]
        if repeats := len(plain) - len(set(plain)):
            self._seen.doubts.append(f"rows that repeat another, and count once more: {repeats}")

    def _images(self) -> list[dict[str, object]]:
        image = self._image()
        found = [self._picture(name) for name in ([image] if image else self._picture_columns())]
        if reference := self._seen.reference:
            found.append({**self._picture(reference), "role": "reference"})
        return found

    def _image(self) -> str:
        return self._seen.named.image or self._seen.column("image")

    def _picture_columns(self) -> list[str]:
        """The columns, called whatever they are, that hold or name pictures."""
        known = (self._seen.reference, self._seen.column("mask"), self._seen.answer)
        others = [name for name in self._seen.columns if name not in known]
        found = [name for name in others if is_picture(next(self._seen.cells(name), None))]
        if found:
            self._seen.doubts.append(f"pictures are taken from {', '.join(found)}: `images`")
        return found

    def _picture(self, column: str) -> dict[str, object]:
        cells = [*islice(self._seen.cells(column), _TRIED)]
        settings: dict[str, object] = {"of": column}
        if paths := _paths_of(cells):
            settings["of"] = column = f"{column}.path"
            cells = [*paths]
        cell = cells[0] if cells else None
        value = cell[0] if isinstance(cell, list) and cell else cell
        value = str(value) if isinstance(value, int) else value
        if isinstance(value, str) and (listed := _list_of(value)):
            settings["parse"], value = listed
        elif isinstance(value, str) and (sign := self._sign_between_pictures(column)):
            value = value.split(sign)[0].strip()
            settings["parse"] = f"split:{sign}"
        elif isinstance(value, str):
            value = next((c for c in cells if isinstance(c, str) and self._is_there(c)), value)
        if isinstance(value, str):
            settings |= self._path(value.strip(), column)
        filled = sum(1 for _ in self._seen.cells(column.removesuffix(".path")))
        if without := len(self._seen.rows) - filled:
            settings["optional"] = True
            if column.removesuffix(".path") == self._image():
                said = f"{without} of the first {len(self._seen.rows)} rows have no picture"
                self._seen.doubts.append(f"{said} in {column!r}: `optional`")
        return settings

    def _sign_between_pictures(self, column: str) -> str:
        return sign_between([str(cell) for cell in self._seen.cells(column)], pictures=True)

    def _is_there(self, value: str) -> bool:
        try:
            path = safe_path(value.strip()) if len(value) <= 1024 else ""
        except FaultyContent:
            return False
        return bool(path) and any(
            self._folder.exists(f"{below}/{path}" if below else path) for below in self._below()
        )

    def _path(self, value: str, column: str) -> dict[str, object]:
        """How a text names a picture: as base64, below a folder, or inside an archive."""
        if value.startswith(BASE64) or len(value) > 1024:
            return {"as": "base64"}
        try:
            path = safe_path(value)
        except FaultyContent:
            return {"as": "base64"} if value.startswith("data:") else self._outside(value, column)
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
        self._seen.doubts.append(
            f"picture {value[:100]!r} was not found below the table's folder{self._alike(path)}"
        )
        return {}

    def _outside(self, value: str, column: str) -> dict[str, object]:
        found = self._elsewhere(value, column)
        if not found and ".." in value.split("/"):
            self._seen.doubts.append(
                f"picture {value[:100]!r} lies outside the table's folder, of which nothing is "
                "read: put the table into a folder above both"
            )
        return found

    def _alike(self, path: str) -> str:
        """That a file is called so but for the case, or for how its accents are written."""
        own = path.rpartition("/")[2]
        for below in self._below():
            for name in self._folder.names(below):
                if normalize("NFC", name).casefold() == normalize("NFC", own).casefold():
                    where = f"{below}/{name}".removeprefix("/")
                    how = "accents" if name.casefold() != own.casefold() else "capitals"
                    return f"; {where!r} is there, whose {how} are written otherwise: rename one"
        return ""

    def _elsewhere(self, value: str, column: str) -> dict[str, object]:
        """Of a path of another machine, what makes of it the one below the table's folder."""
        turned: dict[str, object] = {"replace": {r"\\": "/"}} if "\\" in value else {}
        cells = [str(cell) for cell in self._seen.cells(column)]
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
                zeros = stem != value and value.isdigit() and stem == value.zfill(len(stem))
                if (stem == value or zeros) and f".{ending.lower()}" in PICTURES:
                    filled = f":0{len(stem)}" if zeros else ""
                    return f"{below}/{{{column}{filled}}}.{ending}".removeprefix("/")
        return ""

    def _below(self) -> Iterator[str]:
        yield from _FOLDERS
        yield from (name for name in self._folder.names() if "." not in name)

    def _unique(self, column: str) -> bool:
        values = [str(row.get(column)) for row in self._seen.rows]
        return bool(column) and len(set(values)) == len(values) and "None" not in values


def _flag(cell: object) -> int:
    """0 or 1, however written; 2 for anything else."""
    words = str(cell) if isinstance(cell, str | int | float) else ""
    return {"0": 0, "1": 1, "0.0": 0, "1.0": 1}.get(words.strip()[:4], 2)


def _paths_of(cells: Sequence[object]) -> list[str]:
    """The paths of embedded pictures of which none has its bytes; else empty."""
    found = [cell for cell in cells if isinstance(cell, Mapping)]
    paths = [str(cell["path"]) for cell in found if cell.get("path") and not cell.get("bytes")]
    return paths if len(paths) == len(cells) else []


def _list_of(value: str) -> tuple[str, object] | None:
    """How a text becomes a list, and the first of it; None where it is none."""
    for kind in ("json", "literal") if value.lstrip().startswith("[") else ():
        try:
            listed = parse(kind, value)
        except FaultyContent:
            continue
        if isinstance(listed, list) and listed:
            return kind, listed[0]
    return None


def _texts_of(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts_of(inner)
