"""Small tables in published layouts, made from the facts about each benchmark, not from presets.

`facts.json` says of every benchmark which columns it has, of which type, and how its pictures lie.
A `Layout` adds what no column list says: in which file the rows stand, and which value belongs to
which. Contents are made up; pictures are flat colours.
"""

import base64
import csv
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROWS = 5
BROKEN = 2  # the row, from 0, that a broken twin spoils
LETTERS = "ABCDEFGHI"
Row = dict[str, Any]
Rule = Callable[[int], Any]
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_RANGE = re.compile(r"(.*?)(\d+|[A-Za-z])\.\.(.*?)(\d+|[A-Za-z])(?: \(\?\))?")

# Columns that the facts give in words only: "14 labels", "(labels)", "<image> <labels>".
IN_WORDS = {
    "MedFMC": ("image", "labels"),
    "MedIAnomaly": ("names",),
    "BRSET": ("diabetic_retinopathy", "macular_edema", "amd", "drusens", "hemorrhage"),
    "CheXpert": (
        "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum",
        "Fracture", "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion",
        "Pleural Other", "Pneumonia", "Pneumothorax", "Support Devices",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """How one benchmark lies on a disk.

    Attributes:
        facts: its name there.
        file: where the rows stand; `{n}` makes a file of each row.
        columns: those of the facts that this file has; empty: all of them.
        values: what belongs together, by column.
        shape: rows in the form that the file has them in; None: a list.
        pictures: paths of a row's pictures, as they lie below the root or in the archive.
        archive: name of a zip, or of a tar in parts (`x.part`).
        items: samples that come out.
        spoil: makes a row of the broken twin.
        header: lines without a header have none.
        beside: another table, as (file, rows).
        others: further files of the same benchmark.
    """

    facts: str
    file: str
    columns: tuple[str, ...] = ()
    values: Mapping[str, Rule] = field(default_factory=dict)
    shape: Callable[[list[Row]], Any] | None = None
    pictures: Callable[[Row, int], list[str]] | None = None
    archive: str = ""
    items: int = ROWS
    spoil: Callable[[Row], None] | None = None
    delimiter: str = ""
    beside: tuple[str, Callable[[int], Row]] | None = None
    others: tuple["Layout", ...] = ()


@cache
def facts() -> Mapping[str, Mapping[str, Any]]:
    listed = json.loads((Path(__file__).parent / "facts.json").read_text())
    return {entry["name"]: entry for entry in listed}


def columns(name: str) -> dict[str, str]:
    """The columns that the facts know, ranges written out, with their types."""
    found: dict[str, str] = {}
    for given, kind in facts()[name]["columns"].items():
        for column in _expand(given):
            found[column] = kind
    return found | dict.fromkeys(IN_WORDS.get(name, ()), "string")


def _expand(given: str) -> Iterator[str]:
    given = given.strip()
    if match := _RANGE.fullmatch(given):
        before, first, _, last = match.groups()
        if first.isdigit():
            yield from (f"{before}{n}" for n in range(int(first), int(last) + 1))
        else:
            yield from (f"{before}{chr(n)}" for n in range(ord(first), ord(last) + 1))
    elif " | " in given or (", " in given and not given.startswith("(")):
        yield from (part.strip() for part in re.split(r" \| |, ", given))
    else:
        yield re.sub(r" \((name )?\?\)$", "", given).split("[]")[0]


def picture(number: int, kind: str = "PNG", size: tuple[int, int] = (24, 16)) -> bytes:
    sink = io.BytesIO()
    colour = (number * 37 % 256, number * 91 % 256, 40)
    Image.new("RGB", size, colour).save(sink, kind)
    return sink.getvalue()


def encode(number: int) -> str:
    return base64.b64encode(picture(number)).decode()


def value(column: str, kind: str, number: int) -> Any:
    """A value of the type that the facts name."""
    if "struct<bytes" in kind:
        one = {"bytes": picture(number, "JPEG"), "path": None}
        return [one, one] if kind.startswith("list") else one
    if "base64" in kind and not kind.startswith(("JSON", "list")):
        return encode(number)
    plain = next((make for sign, make in _PLAIN if kind.startswith(sign)), None)
    if plain:
        return plain(column, number)
    if "{A..D" in kind:
        return _letters(column, number)
    return f"{column} {number}"


def _letters(column: str, number: int) -> dict[str, str]:
    return {letter: f"option {letter} of {number}" for letter in "ABCD"}


_PLAIN: tuple[tuple[str, Callable[[str, int], Any]], ...] = (
    ("binary", lambda column, number: picture(number)),
    ("int64", lambda column, number: number),
    ("number", lambda column, number: number + 0.5),
    ("float64", lambda column, number: number + 0.5),
    ("bool", lambda column, number: number % 2 == 0),
    ("letter", lambda column, number: LETTERS[number % 2]),
    (
        "list<string>",
        lambda column, number: [f"{column} {number} {n}" for n in ("first", "second", "third")],
    ),
    ("object {letter", _letters),
)


def rows(layout: Layout) -> list[Row]:
    known = columns(layout.facts)
    wanted = layout.columns or tuple(known)
    made = []
    for number in range(ROWS):
        row = {name: value(name, known[name], number) for name in wanted}
        assert set(layout.values) <= set(wanted), (layout.facts, set(layout.values) - set(wanted))
        row.update({name: rule(number) for name, rule in layout.values.items()})
        made.append(row)
    return made


def write(layout: Layout, root: Path, spoil: Callable[[Row], None] | None = None) -> None:
    """The fixture, or with `spoil` its broken twin."""
    for other in layout.others:
        write(other, root)
    made = rows(layout)
    _write_pictures(layout, root, made)
    if spoil:
        spoil(made[BROKEN])
    if "{n}" in layout.file:
        for number, row in enumerate(made):
            _write_json(root / layout.file.format(n=number), row)
    else:
        _write_rows(root / layout.file, made, layout)
    if layout.beside:
        name, rule = layout.beside
        lines = [json.dumps(rule(number)) for number in range(ROWS)]
        _place(root / name).write_text("\n".join(lines))


def _write_pictures(layout: Layout, root: Path, made: list[Row]) -> None:
    if layout.pictures is None:
        return
    named = [name for n, row in enumerate(made) for name in layout.pictures(row, n)]
    content = {name: picture(n, _kind(name)) for n, name in enumerate(dict.fromkeys(named))}
    if layout.archive.endswith(".part"):
        _write_parts(root / layout.archive, content)
    elif layout.archive:
        with zipfile.ZipFile(_place(root / layout.archive), "w") as packed:
            for name, data in content.items():
                packed.writestr(name, data)
    else:
        for name, data in content.items():
            _place(root / name).write_bytes(data)


def _write_parts(place: Path, content: Mapping[str, bytes]) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as packed:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            packed.addfile(entry, io.BytesIO(data))
    compressed = pa.compress(sink.getvalue(), codec="zstd", asbytes=True)
    third = len(compressed) // 3
    for number in range(3):
        end = len(compressed) if number == 2 else (number + 1) * third
        _place(Path(f"{place}{number}")).write_bytes(compressed[number * third : end])


def _write_rows(place: Path, made: list[Row], layout: Layout) -> None:
    suffix = place.suffix
    if layout.delimiter:
        lines = [layout.delimiter.join(str(cell) for cell in row.values()) for row in made]
        _place(place).write_text("\n".join(lines) + "\n")
    elif suffix in (".csv", ".tsv"):
        with _place(place).open("w", newline="") as file:
            table = csv.writer(file, delimiter="," if suffix == ".csv" else "\t")
            table.writerow(made[0])
            table.writerows([_cell(cell) for cell in row.values()] for row in made)
    elif suffix == ".jsonl":
        _place(place).write_text("".join(json.dumps(row) + "\n" for row in made))
    elif suffix == ".json":
        _write_json(place, layout.shape(made) if layout.shape else made)
    else:
        _write_parquet(place, made)


def _write_parquet(place: Path, made: list[Row]) -> None:
    arrays = {}
    for name in made[0]:
        cells = [row[name] for row in made]
        first = next((cell for cell in cells if cell is not None), None)
        kind = STRUCT if isinstance(first, dict) and "bytes" in first else None
        if isinstance(first, list) and first and isinstance(first[0], dict) and "bytes" in first[0]:
            kind = pa.list_(STRUCT)
        arrays[name] = pa.array(cells, kind)
    pq.write_table(pa.table(arrays), _place(place))


def _write_json(place: Path, content: Any) -> None:
    _place(place).write_text(json.dumps(content, ensure_ascii=False))


def _cell(cell: Any) -> str:
    if isinstance(cell, list | dict):
        return json.dumps(cell)
    return "" if cell is None else str(cell)


def _place(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _kind(name: str) -> str:
    return "PNG" if name.endswith(".png") else "JPEG"
