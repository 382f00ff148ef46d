"""Somebody's own table, or folder of pairs, as a benchmark, with the mapping written beside it."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import yaml

from medgen.adapters.sources.folder import Folder
from medgen.adapters.sources.layouts import is_recognised
from medgen.adapters.tables.guess import Guess, Named, guess
from medgen.conf.loading import benchmark_file
from medgen.conf.schema import BenchmarkConf
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Sample
from medgen.engine.errors import BenchmarkError
from medgen.launch.presets import records_source
from medgen.launch.writing import write_asked

_TEXTS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")  # also with .gz behind it
TABLES = (*_TEXTS, ".parquet", ".arrow", ".feather")
_ENDINGS = (*TABLES, *(f"{ending}.gz" for ending in _TEXTS))
_SPREADSHEETS = (".xlsx", ".xls", ".ods")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_PAIRS = "pairs.jsonl"
_LONGEST = 60  # signs of a benchmark's name
_HEADER = (
    "# Guessed by `medgen import`; docs/benchmarks.md explains every key. Change what is wrong.\n"
)


@dataclass(frozen=True, slots=True)
class OwnTable:
    """The preset that was written, and what a person should look at."""

    conf: BenchmarkConf
    file: Path
    doubts: list[str] = field(default_factory=list)
    fresh: bool = True  # it was written now


def own_data(path: str, named: Named | None = None) -> OwnTable:
    """The benchmark that a table or folder is, after the preset that stands beside it.

    A preset of the table's name is used as it is; there being none, one is guessed and written:
    beside the table, or in the current folder where nothing can be written there.

    Raises:
        BenchmarkError: nothing there can be read as one.
    """
    table = _table(Path(path))
    file, source = _place(table)
    if file.is_file() and (named is None or named == Named()):
        return OwnTable(_preset(file, table), file, fresh=False)
    if any(sign in table.name for sign in "*?[{") or not table.name.isprintable():
        raise BenchmarkError(
            f"call {table} otherwise: its name has signs of patterns (*, ?, [, {{) or no text"
        )
    found = guess(Folder(str(table.parent)), table.name, named or Named())
    _write(file, _HEADER + _yaml(found, source))
    return OwnTable(_preset(file, table), file, found.doubts)


def _place(table: Path) -> tuple[Path, str]:
    """Where a table's preset lies, and the table's folder as seen from there."""
    beside = table.with_name(f"{_stem(table)}.yaml")
    if beside.exists() or os.access(table.parent, os.W_OK):
        return beside, "."
    return Path.cwd() / beside.name, str(table.parent.resolve())


def _write(file: Path, text: str) -> None:
    try:
        if not file.exists():
            file.write_text(text, encoding="utf-8")
        elif file.read_bytes() != text.encode():
            raise BenchmarkError(
                f"{file} stands there already and says something else; "
                f"`medgen import {file}` uses it, or remove it first"
            )
    except OSError as err:
        raise BenchmarkError(f"the preset {file} cannot be written: {err.strerror}") from err


def _preset(file: Path, table: Path) -> BenchmarkConf:
    """The preset, under a name that a benchmark may have, whatever the table is called."""
    conf = benchmark_file(str(file))
    if conf.name == _stem(table):
        plain = (sign if sign.isalnum() or sign in "-_." else "-" for sign in conf.name)
        conf.name = "".join(plain).strip("-.")[:_LONGEST] or "table"
    return conf


def is_own(path: str) -> bool:
    """Whether a path names a table, or a folder that holds one or pairs of pictures.

    Raises:
        BenchmarkError: it is a spreadsheet.
    """
    place = Path(path)
    if place.is_file():
        if place.suffix.lower() in _SPREADSHEETS:
            raise BenchmarkError(f"{place} is a spreadsheet: save its sheet as .csv (UTF-8) first")
        return place.name.lower().endswith(_ENDINGS)
    if place.is_dir() and is_recognised(path):
        return False
    return place.is_dir() and (_is_pairs(place) or len(_tables(place)) == 1)


def first_samples(conf: BenchmarkConf, count: int = 3) -> tuple[list[Sample], list[Problem]]:
    """The first samples of a preset, and the problems that came before them."""
    samples: list[Sample] = []
    problems: list[Problem] = []
    for item in islice(iter(records_source(conf)), 50):
        if isinstance(item, Sample):
            samples.append(item)
        else:
            problems.append(item)
        if len(samples) == count:
            break
    return samples, problems


def words_of(sample: Sample) -> Iterator[str]:
    """A sample in a few lines, for people."""
    sizes = [f"{len(image.data):,} bytes" for image in sample.shown_images]
    yield f"{sample.id}: {_short(sample.instruction)}"
    yield f"  asks {sample.asks}, task {sample.task}, modality {sample.modality}"
    if sizes:
        yield f"  pictures: {', '.join(sizes)}"
    if sample.choices:
        yield f"  options: {' | '.join(_short(choice, 40) for choice in sample.choices)}"
    if sample.reference_text:
        yield f"  answer: {_short(sample.reference_text)}"
    if sample.reference_images:
        yield f"  reference pictures: {len(sample.reference_images)}"
    if sample.region_images:
        yield f"  regions: {len(sample.region_images)}"


def _table(place: Path) -> Path:
    if place.is_file():
        return place
    if not place.is_dir():
        raise BenchmarkError(f"there is nothing at {place}")
    if _is_pairs(place):
        return _write_pairs(place)
    tables = _tables(place)
    if len(tables) != 1:
        listed = ", ".join(table.name for table in tables) or "none"
        endings = ", ".join(TABLES)
        raise BenchmarkError(f"{place} should hold one table ({endings}); there is {listed}")
    return tables[0]


def _tables(place: Path) -> list[Path]:
    found = (file for file in place.iterdir() if file.name.lower().endswith(_ENDINGS))
    return sorted(file for file in found if file.is_file() and not file.name.startswith("."))


def _stem(table: Path) -> str:
    ending = next(e for e in reversed(_ENDINGS) if table.name.lower().endswith(e))
    return table.name[: -len(ending)]


def _is_pairs(place: Path) -> bool:
    return (place / "input").is_dir() and (place / "output").is_dir()


def _write_pairs(place: Path) -> Path:
    """A table of a folder of pairs: `input/x.png` belongs to `output/x.*`.

    The instruction stands in `prompt.txt`, or in `prompt/x.txt` for each.
    """
    outputs = {file.stem: file for file in _pictures(place / "output")}
    _check_pairs(place, outputs)
    common = place / "prompt.txt"
    rows = []
    for file in _pictures(place / "input"):
        own = place / "prompt" / f"{file.stem}.txt"
        prompt = own if own.is_file() else common
        if not prompt.is_file():
            raise BenchmarkError(f"{common} is missing; it says what is to be done to the pictures")
        rows.append(
            {
                "id": file.stem,
                "prompt": prompt.read_text(encoding="utf-8").strip(),
                "image": f"input/{file.name}",
                "reference_image": f"output/{outputs[file.stem].name}",
            }
        )
    if not rows:
        raise BenchmarkError(f"{place / 'input'} holds no pictures ({', '.join(_PICTURES)})")
    table = place / _PAIRS
    return write_asked(table, "".join(json.dumps(row) + "\n" for row in rows))


def _check_pairs(place: Path, outputs: Mapping[str, Path]) -> None:
    inputs = {file.stem: file for file in _pictures(place / "input")}
    alone = [file for stem, file in inputs.items() if stem not in outputs]
    alone += [file for stem, file in outputs.items() if stem not in inputs]
    if alone:
        some = ", ".join(f"{file.parent.name}/{file.name}" for file in alone[:5])
        more = f" and {len(alone) - 5:,} more" if len(alone) > 5 else ""
        raise BenchmarkError(
            f"{place}: {some}{more} have no picture of their name on the other side"
        )


def _pictures(place: Path) -> list[Path]:
    return sorted(file for file in place.iterdir() if file.suffix.lower() in _PICTURES)


def _yaml(found: Guess, source: str) -> str:
    body = {"reader": "records", "source": source, **found.mapping, "protocol": found.protocol}
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=100)


def _short(text: str, length: int = 90) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= length else f"{flat[: length - 1]}…"
