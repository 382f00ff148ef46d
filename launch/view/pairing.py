"""Two systems of a run against each other: by format, by task and modality, and in all values."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medgen.engine.results.certainty import PairWord, correct, pair_words, samples_needed
from medgen.engine.results.making import unlike_notes
from medgen.launch.view import charts, numbers
from medgen.launch.view.board import Axis, format_short, format_title
from medgen.launch.view.certain import Certainty, field_of, format_mask, headline
from medgen.launch.view.data import StoredRun, SystemEntry, ValueEntry

_FLIPS = 1999
_MOVED = 6
_NAMED = 3
_SHOWN = 3  # samples of each side, as long as both are asked for
_WIDE = 12  # percent of a bar that holds a count


@dataclass(frozen=True, slots=True)
class Contrast:
    """One value in one group. In `pair` the difference is right - left."""

    title: str
    short: str
    value: ValueEntry
    pair: PairWord
    whole: bool = False
    gap: float | None = None  # what would be worth telling, where no margin is given
    against: str = ""  # which other values say that the other system is better

    @property
    def needed(self) -> int | None:
        """How many samples would tell the gap; only where nothing is shown of it."""
        return samples_needed(self.pair, self.gap) if self.gap and not self.ahead else None

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

    def shares(self) -> list[tuple[int, float, float, bool]]:
        """Losses, ties and wins of the right side: count, start and width in percent, room."""
        counts = (self.pair.losses, self.pair.ties, self.pair.wins)
        total, start, found = max(1, sum(counts)), 0.0, []
        for count in counts:
            width = 100 * count / total
            found.append((count, round(start, 2), round(width, 2), width >= _WIDE))
            start += width
        return found


@dataclass(frozen=True, slots=True)
class Moved:
    """A sample on which the two are far apart."""

    digest: str
    sample: str
    modality: str
    left: float
    right: float
    gain: float  # how much better the right one is, in the value's own unit
    places: int
    slots: tuple[tuple[str, str], ...]  # pictures that there are: slot, and whose it is
    rank: int = 0  # among those of its side, from 0

    @property
    def extra(self) -> bool:
        """Whether it is shown only when its side alone is."""
        return self.rank >= _SHOWN


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
    unlike: tuple[str, ...] = ()  # how what they were measured with differs, in words

    @property
    def margins(self) -> tuple[ValueEntry, ...]:
        """The values that a margin may be given for: those that rank a format."""
        return tuple({c.value.key: c.value for c in self.cards}.values())

    def size_of(self, contrast: Contrast) -> float:
        """Half the side of a square whose area is as the pairs of a group."""
        most = max((c.pair.n for c in (*self.tasks, *self.modalities) if not c.whole), default=1)
        return round(max(2.5, 5.5 * math.sqrt(contrast.pair.n / max(1, most))), 1)


def pair_page(data: StoredRun, certainty: Certainty, left: int, right: int) -> PairPage:
    """Compare the systems at two places of the plan."""
    one, two = data.systems[left], data.systems[right]
    shared = [
        f
        for f in data.formats
        if all(data.owes(s.name, f) for s in (one, two)) and headline(data, f)
    ]
    cards = [_card(data, certainty, f, (one, two)) for f in shared]
    values = _all_values(data, shared, (one, two))
    cards = [replace(c, against=_against(c, values, one, two)) for c in cards]
    tasks = _by_group(data, shared, (one, two), "task", cards)
    modalities = _by_group(data, shared, (one, two), "modality", cards)
    drawn = [
        c for c in (*tasks, *modalities) if c.value.key == (cards[0].value.key if cards else "")
    ]
    return PairPage(
        one, two, _verdict(cards, one, two), _more(values, one, two), tuple(cards), tuple(tasks),
        tuple(modalities), tuple(values), tuple(_moves(data, shared, (one, two))),
        _left_out(cards), _axis(drawn), tuple(_unlike(data, (one, two))),
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
    said = next((f for f in certainty.formats if f.format == format_), None)
    gap = float(f"{said.spread / 10:.1g}") if said and said.spread else None
    title, short = format_title(format_), format_short(format_)
    return Contrast(title, short, value, pair, whole=True, gap=gap)


def _unlike(data: StoredRun, sides: tuple[SystemEntry, SystemEntry]) -> list[str]:
    """How the two were not measured alike, in words."""
    names = [s.name for s in sides]
    rows = [r for r in data.summary if r["group_kind"] == "all" and r["system"] in names]
    rows.sort(key=lambda r: names.index(r["system"]))
    made = [(str(r["metric"]), str(r["system"]), json.loads(r["making"] or "{}")) for r in rows]
    return list(dict.fromkeys(unlike_notes(made)))


def _against(
    card: Contrast, values: Sequence[Contrast], left: SystemEntry, right: SystemEntry
) -> str:
    """`SSIM and LPIPS say aster`: values of the format that are sure of the other side."""
    if not card.pair.difference:
        return ""
    up = (card.pair.difference > 0) != card.lower
    other, name = ("left", left.name) if up else ("right", right.name)
    own = [v for v in values if v.short == card.short and v.pair.word == "sure"]
    titles = [v.title for v in own if v.ahead == other][:_NAMED]
    if not titles:
        return ""
    verb = "says" if len(titles) == 1 else "say"
    return f"{numbers.join_names(titles)} {verb} {charts.cut_middle(name, 18)}"


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
    codes, words = data.samples.facet(kind).codes, data.samples.facet(kind).words
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
    if cards and not any(c.pair.n for c in cards):
        return "Nothing can be compared: no sample has a value of both systems."
    if cards and all(c.pair.word == "too few" for c in cards):
        return "Too few independent pairs to show a difference in any format."
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


def _left_out(cards: Sequence[Contrast]) -> str:
    lost = sum(c.pair.owed - c.pair.n for c in cards)
    if not any(c.pair.n for c in cards):
        return ""
    if not lost:
        return "Both systems have a value for every sample that they share."
    turned = [c for c in cards if c.pair.word == "likely" and "turn" in c.pair.why]
    at_worst = "could turn a word above" if turned else "change no word above"
    pairs = f"{numbers.count(lost)} pair{'s were' if lost != 1 else ' was'} left out"
    bounds = "".join(
        f" In {c.short} the difference would be {numbers.number(c.pair.worst, c.places, True)} at "
        f"the worst and {numbers.number(c.pair.best, c.places, True)} at the best with them."
        for c in cards
        if c.pair.owed > c.pair.n and c.pair.worst is not None
    )
    return f"{pairs}: one of the two has no value there. At the worst they {at_worst}.{bounds}"


def _moves(
    data: StoredRun, formats: Sequence[str], sides: tuple[SystemEntry, SystemEntry]
) -> list[Moved]:
    """The samples that moved most, first those where the right one gains; formats in turn.

    In turn, for an answer that is right or wrong moves all the way where no picture ever does.
    """
    found: dict[bool, list[tuple[int, int, ValueEntry]]] = {True: [], False: []}
    for format_ in formats:
        value, mask = headline(data, format_), format_mask(data, format_)
        grid = data.grid.get(value.key) if value else None
        if value is None or grid is None:
            continue
        sign = -1 if value.direction == "lower" else 1
        gains = np.nan_to_num(sign * (grid[sides[1].place] - grid[sides[0].place]))
        gains[~mask] = 0.0
        order = np.argsort(-np.abs(gains), kind="stable")
        for up, side in found.items():
            own = [int(i) for i in order if gains[i] and (gains[i] > 0) == up]
            side += [(rank, at, value) for rank, at in enumerate(own[:_MOVED])]
    return [
        _moved_sample(data, at, value, sides, rank)
        for side in found.values()
        for rank, (_, at, value) in enumerate(sorted(side, key=lambda f: f[0])[:_MOVED])
    ]


def _moved_sample(
    data: StoredRun, at: int, value: ValueEntry, sides: tuple[SystemEntry, SystemEntry], rank: int
) -> Moved:
    modality = data.samples.facet("modality").words[data.samples.facet("modality").codes[at]]
    left, right = (float(data.grid[value.key][s.place, at]) for s in sides)
    gain = (left - right) if value.direction == "lower" else right - left
    wanted = [("input-0", "input"), ("reference-0", "reference")]
    wanted += [(f"s{s.place}", side) for s, side in zip(sides, ("left", "right"), strict=True)]
    slots = [(slot, whose) for slot, whose in wanted if data.picture(at, slot)]
    if all(whose in ("input", "reference") for _, whose in slots):
        slots = []  # an answer in words beside a picture that both saw says nothing of them
    places = 1 if value.key[0] == "judge" else 2
    return Moved(
        data.samples.digests[at], data.samples.ids[at], modality, left, right, gain, places,
        tuple(slots), rank,
    )  # fmt: skip


def _axis(contrasts: Sequence[Contrast]) -> Axis:
    ends = [
        abs(x)
        for c in contrasts
        for x in (c.pair.low, c.pair.high, c.pair.difference)
        if x is not None
    ]
    top = max(ends, default=1.0) or 1.0
    return Axis(-top, top)
