"""Two systems of a run against each other: by format, by task and modality, and in all values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medgen.engine.results.certainty import PairWord, correct, pair_words
from medgen.launch.view import numbers
from medgen.launch.view.board import Axis, format_short, format_title
from medgen.launch.view.certain import Certainty, field_of, format_mask, headline
from medgen.launch.view.data import StoredRun, SystemEntry, ValueEntry

_FLIPS = 1999
_MOVED = 6
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Contrast:
    """One value in one group. In `pair` the difference is right - left."""

    title: str
    short: str
    value: ValueEntry
    pair: PairWord
    whole: bool = False

    @property
    def lower(self) -> bool:
        """Whether less is better."""
        return self.value.direction == "lower"

    @property
    def places(self) -> int:
        """Decimals of its numbers."""
        return numbers.decimals(numbers.half_width(self.pair.low, self.pair.high))

    @property
    def ahead(self) -> str:
        """`left` or `right`: whose side the difference is on; empty when its interval holds 0."""
        if not self.pair.excludes_zero or self.pair.difference is None:
            return ""
        return "right" if (self.pair.difference > 0) != self.lower else "left"

    def shares(self) -> tuple[float, float, float]:
        """Losses, ties and wins of the right side, in percent."""
        total = max(1, self.pair.wins + self.pair.ties + self.pair.losses)
        found = [100 * n / total for n in (self.pair.losses, self.pair.ties, self.pair.wins)]
        return round(found[0], 2), round(found[1], 2), round(found[2], 2)


@dataclass(frozen=True, slots=True)
class Moved:
    """A sample on which the two are far apart."""

    digest: str
    sample: str
    modality: str
    left: float
    right: float
    gain: float  # how much better the right one is, in the value's own unit
    pictured: bool


@dataclass(frozen=True, slots=True)
class PairPage:
    """What the page of a pair shows."""

    left: SystemEntry
    right: SystemEntry
    verdict: str
    more: str
    cards: tuple[Contrast, ...]
    tasks: tuple[Contrast, ...]
    modalities: tuple[Contrast, ...]
    values: tuple[Contrast, ...]
    moved: tuple[Moved, ...]
    left_out: str
    axis: Axis


def pair_page(data: StoredRun, certainty: Certainty, left: int, right: int) -> PairPage:
    """Compare the systems at two places of the plan."""
    one, two = data.systems[left], data.systems[right]
    shared = [
        f
        for f in data.formats
        if all(f in data.plan.formats(data.plan.system(s.name).gives) for s in (one, two))
        and headline(data, f)
    ]
    cards = [_card(data, certainty, f, (one, two)) for f in shared]
    tasks = _by_group(data, shared, (one, two), "task", cards)
    modalities = _by_group(data, shared, (one, two), "modality", cards)
    values = _all_values(data, shared, (one, two))
    drawn = [
        c for c in (*tasks, *modalities) if c.value.key == (cards[0].value.key if cards else "")
    ]
    return PairPage(
        one, two, _verdict(cards, one, two), _more(values, one, two), tuple(cards), tuple(tasks),
        tuple(modalities), tuple(values), tuple(_moves(data, shared, (one, two))),
        _left_out(cards, one, two), _axis(drawn),
    )  # fmt: skip


def _card(
    data: StoredRun, certainty: Certainty, format_: str, sides: tuple[SystemEntry, SystemEntry]
) -> Contrast:
    value = headline(data, format_)
    if value is None:
        raise LookupError(f"{format_} has no value that ranks it")
    pair = _known_pair(certainty, format_, sides) or _pair(
        data, value, sides, format_mask(data, format_)
    )
    return Contrast(format_title(format_), format_short(format_), value, pair, whole=True)


def _known_pair(
    certainty: Certainty, format_: str, sides: tuple[SystemEntry, SystemEntry]
) -> PairWord | None:
    """The pair as it was compared with all others of the format, turned to our sides."""
    said = next((f for f in certainty.formats if f.format == format_), None)
    for pair in said.standing.pairs if said and said.standing else ():
        if (pair.left, pair.right) == (sides[0].name, sides[1].name):
            return pair
        if (pair.left, pair.right) == (sides[1].name, sides[0].name):
            return _turn(pair)
    return None


def _turn(pair: PairWord) -> PairWord:
    def minus(x: float | None) -> float | None:
        return None if x is None else -x

    return replace(
        pair, left=pair.right, right=pair.left, left_mean=pair.right_mean,
        right_mean=pair.left_mean, difference=minus(pair.difference), low=minus(pair.high),
        high=minus(pair.low), worst=minus(pair.worst), best=minus(pair.best), wins=pair.losses,
        losses=pair.wins,
    )  # fmt: skip


def _pair(
    data: StoredRun,
    value: ValueEntry,
    sides: tuple[SystemEntry, SystemEntry],
    mask: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]",
) -> PairWord:
    field = field_of(data, value, [s.name for s in sides], mask)
    return pair_words(field, [(0, 1)], _FLIPS)[0]


def _by_group(
    data: StoredRun,
    formats: Sequence[str],
    sides: tuple[SystemEntry, SystemEntry],
    kind: str,
    cards: Sequence[Contrast],
) -> list[Contrast]:
    """A line a format, and below it one a group; corrected over all groups of the kind."""
    codes, words = data.samples.codes[kind], data.samples.words[kind]
    found: list[Contrast] = []
    for format_, card in zip(formats, cards, strict=True):
        mask = format_mask(data, format_)
        for code in np.unique(codes[mask]):
            pair = _pair(data, card.value, sides, mask & (codes == code))
            found.append(Contrast(words[code] or "(none)", card.short, card.value, pair))
    groups = _correct(data, found, sides)
    lines: list[Contrast] = []
    for card in cards:
        own = [g for g in groups if g.short == card.short]
        own.sort(key=lambda c: -(c.pair.difference or 0.0) * (-1 if c.lower else 1))
        lines += [card, *own]
    return lines


def _all_values(
    data: StoredRun, formats: Sequence[str], sides: tuple[SystemEntry, SystemEntry]
) -> list[Contrast]:
    """Every other value, surest difference first; corrected over all of them."""
    found = []
    for format_ in formats:
        own, mask = headline(data, format_), format_mask(data, format_)
        for value in data.values:
            if format_ in value.formats and value.direction and value != own:
                pair = _pair(data, value, sides, mask)
                if pair.n:
                    found.append(Contrast(value.title, format_short(format_), value, pair))
    return sorted(_correct(data, found, sides), key=lambda c: -_sureness(c.pair))


def _correct(
    data: StoredRun, found: Sequence[Contrast], sides: tuple[SystemEntry, SystemEntry]
) -> list[Contrast]:
    """The contrasts, corrected over all of them."""
    names, none = [s.name for s in sides], format_mask(data, "")
    fixed = correct([field_of(data, c.value, names, none) for c in found], [c.pair for c in found])
    return [replace(c, pair=p) for c, p in zip(found, fixed, strict=True)]


def _sureness(pair: PairWord) -> float:
    half = numbers.half_width(pair.low, pair.high)
    return abs(pair.difference or 0.0) / half if half else 0.0


def _verdict(cards: Sequence[Contrast], left: SystemEntry, right: SystemEntry) -> str:
    ahead = {c.short: c.ahead for c in cards if c.ahead and c.pair.word == "sure"}
    for side, entry in (("left", left), ("right", right)):
        own = [name for name, who in ahead.items() if who == side]
        if own and len(own) == len(cards):
            return f"{entry.name} is better, surely, in every format."
        if own and set(ahead.values()) == {side}:
            return (
                f"{entry.name} is better in {' and '.join(own)}; elsewhere no difference is sure."
            )
    if ahead:
        return (
            "Each is better somewhere: "
            + ", ".join(
                f"{(left if who == 'left' else right).name} in {name}"
                for name, who in ahead.items()
            )
            + "."
        )
    return "Close: neither system is shown to be better overall."


def _more(values: Sequence[Contrast], left: SystemEntry, right: SystemEntry) -> str:
    sure = [c for c in values if c.pair.word == "sure"][:_NAMED]
    if not sure:
        return ""
    words = [
        f"{(left if c.ahead == 'left' else right).name} in {c.title} ({c.short})" for c in sure
    ]
    return f"Sure among the other values: {', '.join(words)}."


def _left_out(cards: Sequence[Contrast], left: SystemEntry, right: SystemEntry) -> str:
    lost = sum(c.pair.owed - c.pair.n for c in cards)
    if not lost:
        return "Both systems have a value for every sample that they share."
    turned = [c for c in cards if c.pair.word == "likely" and "turn" in c.pair.why]
    at_worst = "could turn a word above" if turned else "change no word above"
    pairs = f"{numbers.count(lost)} pair{'s were' if lost != 1 else ' was'} left out"
    return f"{pairs}: one of the two has no value there. At the worst they {at_worst}."


def _moves(
    data: StoredRun, formats: Sequence[str], sides: tuple[SystemEntry, SystemEntry]
) -> list[Moved]:
    """The samples that moved most, both ways in turn, on the way from low to high of each value."""
    found: list[tuple[float, Moved]] = []
    for format_ in formats:
        value, mask = headline(data, format_), format_mask(data, format_)
        grid = data.grid.get(value.key) if value else None
        if value is None or grid is None:
            continue
        sign = -1 if value.direction == "lower" else 1
        gains = sign * (grid[sides[1].place] - grid[sides[0].place])
        gains[~mask] = np.nan
        width = float(np.nanmax(grid) - np.nanmin(grid)) or 1.0
        order = np.argsort(np.where(np.isnan(gains), 0, gains))
        for at in {int(i) for i in (*order[:_MOVED], *order[-_MOVED:])}:
            if np.isfinite(gains[at]) and gains[at]:
                found.append(
                    (
                        float(gains[at]) / width,
                        _moved_sample(data, at, grid, sides, float(gains[at])),
                    )
                )
    up = [m for g, m in sorted(found, key=lambda p: -p[0]) if g > 0][:_MOVED]
    down = [m for g, m in sorted(found, key=lambda p: p[0]) if g < 0][:_MOVED]
    return up + down


def _moved_sample(
    data: StoredRun,
    at: int,
    grid: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
    sides: tuple[SystemEntry, SystemEntry],
    gain: float,
) -> Moved:
    modality = data.samples.words["modality"][data.samples.codes["modality"][at]]
    left, right = (float(grid[s.place, at]) for s in sides)
    slots = data.picture_slots[at]
    return Moved(
        data.samples.digests[at], data.samples.ids[at], modality, left, right, gain, slots[1] > 0
    )


def _axis(contrasts: Sequence[Contrast]) -> Axis:
    ends = [
        abs(x)
        for c in contrasts
        for x in (c.pair.low, c.pair.high, c.pair.difference)
        if x is not None
    ]
    top = max(ends, default=1.0) or 1.0
    return Axis(-top, top)
