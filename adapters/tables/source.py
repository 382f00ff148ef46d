"""A table of somebody else's, read as a benchmark by a mapping."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any, ClassVar

from medgen.adapters.sources.folder import FaultyContent, Folder
from medgen.adapters.sources.records import ahead
from medgen.adapters.tables.gather import gather
from medgen.adapters.tables.items import ItemMaker, content_id
from medgen.adapters.tables.joins import Counted
from medgen.adapters.tables.paths import root_of
from medgen.adapters.tables.pictures import Gallery, Limits
from medgen.adapters.tables.rows import Place, Tables
from medgen.adapters.tables.settings import Expected, RecordsMapping, as_files
from medgen.adapters.tables.talks import Gathered
from medgen.adapters.tables.wanted import read_columns
from medgen.engine.benchmark.checking import sample_faults
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Sample, Turn
from medgen.engine.guard import guard_row

_OF_A_KIND = 5  # faults that are told one by one
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_NAMED = 12  # columns that a message lists


@dataclass
class _Kind:
    """Faults of one kind: how many, and those that were told."""

    count: int = 0
    told: list[str] = field(default_factory=list)

    def is_new(self, what: str) -> bool:
        """Count one; whether it is to be told."""
        self.count += 1
        if what in self.told or len(self.told) == _OF_A_KIND:
            return False
        self.told.append(what)
        return True


class RecordsSource:
    """Reads rows by a mapping, in bounded memory; see docs/benchmarks.md."""

    name: ClassVar[str] = "records"

    def __init__(
        self, url: str, mapping: RecordsMapping, about: Mapping[str, Any] | None = None
    ) -> None:
        """`url` is the folder that everything lies in; `about` joins the manifest."""
        self._folder = Folder(url)
        self._mapping = mapping
        self._about = dict(about or {})
        self._notes: list[str] = []
        self._place = Place("", None)

    @property
    def place(self) -> tuple[str, int | None]:
        """See `medgen.engine.benchmark.source.TellsPlace`."""
        return self._place.file, self._place.row

    def __iter__(self) -> Iterator[Sample | Problem]:
        """See `medgen.engine.benchmark.source.Source`; equal faults are told once and counted."""
        self._notes = []
        kinds: dict[tuple[str, str], _Kind] = {}
        for item in self._items():
            if isinstance(item, Problem):
                # Faults that differ in what they quote are one kind; some of a kind are told.
                words = item.what if item.row is None else _QUOTED.sub("…", item.what)
                kind = kinds.setdefault((item.file, words), _Kind())
                if not kind.is_new(item.what):
                    continue
            yield item
        for (file, words), kind in kinds.items():
            if more := kind.count - len(kind.told):
                same = f": {kind.told[0]}" if len(kind.told) == 1 else f" like: {words}"
                yield Problem(file, None, None, f"{more:,} more row(s){same}")

    def expected_counts(self) -> Mapping[tuple[str, str], int]:
        """Nothing: what is expected of a table stands in its mapping."""
        return {}

    def describe(self) -> Mapping[str, Any]:
        """See `medgen.engine.benchmark.source.Source`."""
        return {"layout": "records", "url": self._folder.url, **self._about, "notes": self._notes}

    def _items(self) -> Iterator[Sample | Problem]:
        mapping = self._mapping
        columns, needed = read_columns(mapping)
        tables = Tables(self._folder, as_files(mapping.files), columns)
        gallery = Gallery(
            self._folder,
            Limits(
                mapping.most_bytes_a_cell, mapping.most_pixels, mapping.most_images, mapping.shrink
            ),
        )
        with closing(gallery):
            yield from self._read(tables, gallery, needed)
        self._take_notes(tables, gallery)

    def _read(
        self, tables: Tables, gallery: Gallery, needed: set[str]
    ) -> Iterator[Sample | Problem]:
        mapping = self._mapping
        maker = ItemMaker(mapping.sample, mapping.tasks, gallery)
        counted, seen = Counted(), Counter[str]()
        items = images = 0
        gathered = gather(tables, mapping, self._folder, counted)
        read = partial(_results, maker)
        # Rows of words alone are made sooner than a thread is told of them.
        results = ahead(read, gathered) if maker.shows else chain.from_iterable(map(read, gathered))
        for self._place, item in results:
            if isinstance(item, Sample):
                items += 1
                images += len(item.input_images) + len(item.reference_images)
                yield _with_id(item, seen)
            else:
                yield item
        yield from self._missing_columns(needed, counted.columns | tables.columns)
        yield from self._differing_counts({"rows": counted.rows, "items": items, "images": images})

    def _missing_columns(self, needed: set[str], columns: set[str]) -> Iterator[Problem]:
        known = frozenset(columns)
        listed = ", ".join(sorted(n for n in known if not n.startswith("_"))[:_NAMED])
        for path in sorted(needed) if known else ():
            if root_of(path, known) not in known:
                what = (
                    f"column {path!r} is in no row; there are {listed} (words that stand for "
                    "themselves are {is: …})"
                )
                yield Problem(self._files(), None, None, what)

    def _differing_counts(self, found: Mapping[str, int]) -> Iterator[Problem]:
        expect = self._mapping.expect
        wanted = expect if isinstance(expect, Expected) else Expected(items=expect)
        for name in ("rows", "items", "images"):
            count: int | None = getattr(wanted, name)
            if count is not None and count != found[name]:
                what = f"{found[name]:,} {name}, not the {count:,} of `expect`"
                yield Problem(self._files(), None, None, f"{what}; is this the same release?")

    def _files(self) -> str:
        glob = as_files(self._mapping.files).glob
        return glob if isinstance(glob, str) else ", ".join(glob)

    def _take_notes(self, tables: Tables, gallery: Gallery) -> None:
        if tables.json.not_finite:
            self._notes.append(f"{tables.json.not_finite} numbers that are none were read as null")
        if gallery.made_smaller:
            self._notes.append(f"{gallery.made_smaller} pictures were made smaller")
        if gallery.absent:
            self._notes.append(f"{gallery.absent} optional pictures are not there")
        if gallery.empty_masks:
            self._notes.append(
                f"nothing is marked in {gallery.empty_masks} of {gallery.masks} masks"
            )
        self._notes += gallery.depths.notes()
        if self._mapping.expect is None:
            self._notes.append("the preset expects no count")


def _results(maker: ItemMaker, gathered: Gathered) -> list[tuple[Place, Sample | Problem]]:
    return [(gathered.place, one) for one in _items_of(maker, gathered)]


def _items_of(maker: ItemMaker, gathered: Gathered) -> list[Sample | Problem]:
    place = gathered.place
    if gathered.fault:
        return [_problem(place, "", gathered.fault)]
    name = ""
    try:
        name = maker.id_of(gathered.rows[-1])
        sample = guard_row(lambda: _sample(maker, gathered), lambda found: found.reason)
    except FaultyContent as err:
        return [_problem(place, name, str(err))]
    if isinstance(sample, str):
        return [_problem(place, name, sample)]
    faults = sample_faults(sample)
    return [_problem(place, name, fault) for fault in faults] if faults else [sample]


def _sample(maker: ItemMaker, gathered: Gathered) -> Sample | str:
    """The sample, or what is wrong with its rows."""
    try:
        return _make(maker, gathered)
    except FaultyContent as err:
        return str(err)


def _make(maker: ItemMaker, gathered: Gathered) -> Sample:
    *before, last = gathered.rows
    sample = maker.sample(last)
    turns: list[Turn] = []
    for row in before:
        if gathered.talk:
            turns.append(Turn("user", _without_marks(maker.instruction(row), sample)))
            turns.append(Turn("assistant", str(row["_answer"])))
            continue
        shown = maker.sample(row)
        pictures = (*shown.context_images, *shown.input_images)
        turns.append(Turn("user", shown.instruction, pictures))
        turns.append(Turn("assistant", _answer_of(shown)))
    return replace(sample, turns=tuple(turns))


def _without_marks(words: str, sample: Sample) -> str:
    """What was said earlier, without the marks of pictures: they stand by the last question."""
    for image in sample.input_images:
        words = words.replace(image.place, "") if image.place else words
    return words.strip()


def _answer_of(sample: Sample) -> str:
    right = ", ".join(sample.choices[place] for place in sample.reference_choices)
    sections = "\n".join(f"{name}: {text}" for name, text in sample.reference_sections.items())
    return right or sections or (sample.reference_texts[0] if sample.reference_texts else "")


def _with_id(sample: Sample, seen: Counter[str]) -> Sample:
    if sample.id:
        return sample
    made = content_id(sample)
    seen[made] += 1
    return replace(sample, id=made if seen[made] == 1 else f"{made}-{seen[made]}")


def _problem(place: Place, name: str, what: str) -> Problem:
    return Problem(place.file, place.row, name or None, what)
