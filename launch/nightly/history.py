"""What the nights were: one record each in the store, a table of all, and the gaps between.

`<root>/nightly/<name>/{nights/<date>.json, nights/<date>.md, history.parquet, latest.json}`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal

import pyarrow as pa

from medgen.engine.codec import decode, encode, plain
from medgen.engine.store.layout import NIGHTLY, NightlyPlace, path_name
from medgen.engine.store.objects import Objects
from medgen.engine.store.parquet import parquet_bytes
from medgen.engine.store.schemas import columns, schema

# `first` had nothing to be compared with; `missed` is made up when the table is read.
NightOutcome = Literal[
    "first", "pass", "regression", "inconclusive", "partial", "stopped", "error", "kept out",
    "missed",
]  # fmt: skip
GOOD: tuple[NightOutcome, ...] = ("first", "pass")


@dataclass(frozen=True, slots=True)
class Night:
    """One night."""

    name: str
    date: str  # ISO 8601
    outcome: NightOutcome
    exit_code: int
    run_id: str = ""
    baseline: str = ""  # run that it was compared with
    reasons: tuple[str, ...] = ()
    verdicts: Mapping[str, str] = field(default_factory=dict)  # system -> pass, regression …
    judge: str = ""  # whether the judge moved, in words
    missed: tuple[str, ...] = ()  # dates without a night since the one before
    computed: int = 0  # shards that this night wrote; 0: everything was there before
    started: str = ""
    seconds: float = 0.0
    notified: str = ""
    retention: str = ""

    @property
    def good(self) -> bool:
        """Whether later nights may be compared with it."""
        return self.outcome in GOOD


HISTORY = schema(
    "nights/1",
    [
        *columns("date outcome"),
        ("exit_code", pa.int64()),
        *columns("run_id baseline"),
        ("reasons", pa.list_(pa.string())),
        ("verdicts", pa.map_(pa.string(), pa.string())),
        ("judge", pa.string()),
        ("computed", pa.int64()),
        ("started", pa.string()),
        ("seconds", pa.float64()),
    ],
)


class History:
    """The nights of one name."""

    def __init__(self, objects: Objects, name: str, every_days: int = 1) -> None:
        """Nothing is read yet."""
        self.objects, self.name, self.every_days = objects, name, every_days
        self.place = NightlyPlace(path_name(name, "name"))

    def nights(self) -> list[Night]:
        """Every recorded night, by date.

        Raises:
            CorruptError: a record cannot be read.
        """
        return sorted(_records(self.objects, self.place), key=lambda night: night.date)

    def last_good(self, before: str) -> Night | None:
        """The last good night before a date."""
        good = [n for n in self.nights() if n.good and n.date < before]
        return good[-1] if good else None

    def missed_dates(self, day: str) -> tuple[str, ...]:
        """Dates on which there should have been a night between the last one and this."""
        earlier = [n.date for n in self.nights() if n.date < day]
        return tuple(_between(earlier[-1], day, self.every_days)) if earlier else ()

    def whole(self) -> list[Night]:
        """Every night, those that were missed among them."""
        recorded = self.nights()
        found: list[Night] = []
        for night in recorded:
            if found:
                gap = _between(found[-1].date, night.date, self.every_days)
                found += [Night(self.name, day, "missed", 0) for day in gap]
            found.append(night)
        return found

    def save(self, night: Night, page: str = "") -> None:
        """Leave a night's record, its page, the table of all, and `latest.json`."""
        body = encode(night)
        self.objects.replace(self.place.record(night.date), body)
        if page:
            self.objects.replace(self.place.page(night.date), page.encode())
        rows = [{**plain(n), "verdicts": list(n.verdicts.items())} for n in self.whole()]
        table = pa.Table.from_pylist(rows, HISTORY)
        self.objects.replace(self.place.history, parquet_bytes(table))
        if night.date == max(n.date for n in self.nights()):
            self.objects.replace(self.place.latest, body)

    def note(self, night: Night, notified: str) -> Night:
        """Add to a saved record what came of telling others."""
        noted = replace(night, notified=notified)
        self.save(noted)
        return noted


def named_runs(objects: Objects, but: str = "") -> dict[str, str]:
    """Every run that a night names, as itself or as its baseline, with the name of the nights.

    Args:
        objects: of the store.
        but: nights of this name are passed over.

    Raises:
        CorruptError: a record cannot be read.
    """
    found: dict[str, str] = {}
    for name in objects.names(NIGHTLY):
        for night in () if name == but else _records(objects, NightlyPlace(name)):
            found |= {run: name for run in (night.run_id, night.baseline) if run}
    return found


def _records(objects: Objects, place: NightlyPlace) -> Iterator[Night]:
    for file in objects.names(place.nights):
        date_, _, kind = file.partition(".")
        if date_ and kind == "json":
            path = place.record(date_)
            yield decode(Night, objects.read(path), f"{path}: not the record of a night")


def _between(first: str, last: str, every: int) -> Iterator[str]:
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    while (day := day + timedelta(days=every)) < end:
        yield day.isoformat()
