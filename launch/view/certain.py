"""The words of certainty of a run: computed when it is summarised, stored, and read by pages.

`runs/<run>/certainty.json` holds who leads each format and how surely, which systems beat the
floor, and which are not shown to be worse than the best of each value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medgen.engine.codec import decode, with_seal
from medgen.engine.errors import CorruptError
from medgen.engine.results.certainty import (
    Field,
    PairWord,
    Standing,
    best_group,
    mean_known,
    pair_words,
    standing,
)
from medgen.engine.results.statistics import Floats
from medgen.launch.view.data import FLOORS, Key, StoredRun, ValueEntry

Mask = NDArray[np.bool_]
VERSION = "certainty/1"
_SOUND_ORACLE = 8.0


@dataclass(frozen=True, slots=True)
class FormatCertainty:
    """What may be said of one format."""

    format: str
    headline: Key
    title: str
    direction: str | None
    standing: Standing | None
    floor: str  # the control that is the floor; empty when none ran
    beats: dict[str, str]  # system -> the word of its lead over the floor; `worse` when below
    best: dict[str, tuple[str, ...]]  # value, as `stage/label/output` -> systems in bold
    spread: float | None  # standard deviation of the headline over samples
    doubts: dict[str, str] = field(default_factory=dict)  # system -> why its lead is not sure

    @property
    def word(self) -> str:
        """How surely the first leads; of the only system, whether it is above the floor."""
        if self.standing is None:
            return "not shown"
        if self.standing.over is not None:
            return self.standing.word
        word = self.beats.get(self.standing.order[0], "")
        return word if word in ("sure", "likely") else "not shown"


@dataclass(frozen=True, slots=True)
class Certainty:
    """Of a run."""

    formats: tuple[FormatCertainty, ...]
    judge: str = ""  # what is known against the judge
    usage: dict[str, dict[str, float]] = field(default_factory=dict)  # system -> what it took
    statuses: dict[str, dict[str, int]] = field(default_factory=dict)  # system -> of predictions
    coverage: tuple[int, int] = (0, 0)  # values that rank, of systems that are results; owed
    schema: str = VERSION


def certainty_of(data: StoredRun) -> Certainty:
    """As it is stored; computed where it is not, which takes a second a million values."""
    try:
        stored = data.objects.read(data.place.certainty)
        return decode(Certainty, stored, f"{data.place.certainty}: not readable")
    except (FileNotFoundError, CorruptError):
        return compute(data)


def write_certainty(data: StoredRun) -> Certainty:
    """Compute and store."""
    found = compute(data)
    data.objects.replace(data.place.certainty, with_seal(found))
    return found


def compute(data: StoredRun) -> Certainty:
    """The words of every format that has a headline."""
    found = [_format_certainty(data, name) for name in data.formats]
    made = tuple(f for f in found if f is not None)
    statuses = {entry.name: data.prediction_statuses(entry.name) for entry in data.systems}
    return Certainty(made, data.doubts, usage_of(data), statuses, _coverage(data, made))


def _coverage(data: StoredRun, made: Sequence[FormatCertainty]) -> tuple[int, int]:
    heads, own = {(f.format, f.headline) for f in made}, {s.name for s in data.eligible}
    rows = [
        r
        for r in data.summary
        if (r["format"], (r["stage"], r["label"], r["output"])) in heads and r["system"] in own
    ]
    return sum(r["n"] for r in rows), sum(r["expected"] - r["not_applicable"] for r in rows)


def usage_of(data: StoredRun) -> dict[str, dict[str, float]]:
    """Rows, tokens, seconds and dollars of each system's predictions."""
    names = ("prompt_tokens", "completion_tokens", "cached_tokens", "seconds", "cost_usd")
    found = {entry.name: data.prediction_sums(entry.name, names) for entry in data.systems}
    return {system: sums for system, sums in found.items() if sums["rows"]}


def headline(data: StoredRun, format_: str) -> ValueEntry | None:
    """The value that ranks a format: the judge with the reference, else the first that can.

    A judge that has random weights, or that did not judge every eligible system, ranks nobody.
    """
    everyone = {s.name for s in data.eligible if data.owes(s.name, format_)}
    everyone = everyone or {s.name for s in data.controls}
    having: dict[Key, set[str]] = {}
    for row in data.summary:
        if row["group_kind"] == "all" and row["format"] == format_ and row["n"]:
            key = (row["stage"], row["label"], row["output"])
            having.setdefault(key, set()).add(row["system"])
    able = [v for v in data.values if v.direction and v.overall and having.get(v.key)]
    judges = [v for v in able if v.key[0] == "judge" and everyone <= having[v.key]]
    if "random" in data.doubts:
        judges = []
    metrics = [v for v in able if v.key[0] != "judge"]
    several = [v for v in judges if v.key[1] == "judges"]
    return next(iter([*several, *judges, *metrics]), None)


def field_of(data: StoredRun, value: ValueEntry, systems: Sequence[str], mask: Mask) -> Field:
    """One value of some systems on the samples of a mask."""
    places = {s.name: s.place for s in data.systems}
    grid = data.grid.get(value.key)
    size = int(mask.sum())
    values: Floats = (
        np.full((len(systems), size), np.nan)
        if grid is None
        else grid[[places[s] for s in systems]][:, mask].astype(np.float64)
    )
    clusters = data.clusters[mask]
    low, high = (1.0, 10.0) if value.key[0] == "judge" else (None, None)
    doubts = data.doubts if value.key[0] == "judge" else ""
    return Field(tuple(systems), values, clusters, value.direction or "higher", low, high, doubts)


def format_mask(data: StoredRun, format_: str) -> Mask:
    """Which samples are of a format."""
    words = data.samples.facet("format").words
    if format_ not in words:
        return np.zeros(len(data.samples), dtype=bool)
    found: Mask = data.samples.facet("format").codes == words.index(format_)
    return found


def _format_certainty(data: StoredRun, name: str) -> FormatCertainty | None:
    value = headline(data, name)
    if value is None:
        return None
    mask = format_mask(data, name)
    own = [s.name for s in data.eligible if data.owes(s.name, name)]
    owed = field_of(data, value, own, mask)
    floor = _floor(data, value, mask)
    known = owed.values[np.isfinite(owed.values)]
    pairs = _over_floor(data, value, (floor, *own), mask) if floor and own else []
    return FormatCertainty(
        format=name,
        headline=value.key,
        title=value.title,
        direction=value.direction,
        standing=standing(owed) if own else None,
        floor=floor,
        beats={p.right: _word_over_floor(p, value.direction) for p in pairs},
        best={"/".join(v.key): _best(data, v, own, mask) for v in _columns(data, name)},
        spread=float(known.std()) if len(known) > 1 else None,
        doubts={p.right: p.why for p in pairs if p.why},
    )


def _columns(data: StoredRun, format_: str) -> list[ValueEntry]:
    return [v for v in data.values if format_ in v.formats and v.direction]


def _floor(data: StoredRun, value: ValueEntry, mask: Mask) -> str:
    """The best of the controls that need no model."""
    names = [s.name for s in data.controls if s.name in FLOORS]
    means = {n: mean_known(field_of(data, value, [n], mask).values) for n in names}
    known = {n: m for n, m in means.items() if np.isfinite(m)}
    if not known:
        return ""
    sign = -1 if value.direction == "lower" else 1
    return max(known, key=lambda n: sign * known[n])


def _over_floor(
    data: StoredRun, value: ValueEntry, systems: Sequence[str], mask: Mask
) -> list[PairWord]:
    """Each system against the first, the floor."""
    found = field_of(data, value, systems, mask)
    return list(pair_words(found, [(0, i) for i in range(1, len(systems))]))


def _word_over_floor(pair: PairWord, direction: str | None) -> str:
    """How surely it is better; `worse` when it is surely below."""
    below = pair.difference is not None and (pair.difference < 0) == (direction != "lower")
    return "worse" if below and pair.excludes_zero else pair.word


def _best(
    data: StoredRun,
    value: ValueEntry,
    systems: Sequence[str],
    mask: Mask,
) -> tuple[str, ...]:
    """The systems that are not shown to be worse than the best of a value."""
    return best_group(field_of(data, value, systems, mask))


def is_sound_oracle(mean: float | None) -> bool:
    """Whether a judge knows the reference when it sees it."""
    return mean is None or mean >= _SOUND_ORACLE
