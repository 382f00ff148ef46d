"""What came out, in a sentence a format, and what is to be read with care."""

from collections.abc import Iterator
from dataclasses import dataclass

from medgen.launch.view import numbers
from medgen.launch.view.board import Board, format_short
from medgen.launch.view.certain import Certainty, FormatCertainty, is_sound_oracle
from medgen.launch.view.data import StoredRun, ValueEntry

GLYPHS = {"sure": "●", "likely": "◐", "alike": "≈", "not shown": "○", "too few": "○"}
TONES = {"sure": "ok", "likely": "warn", "alike": "plain", "not shown": "plain", "too few": "plain"}
_MOST_CARE = 2
_LEAST_COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class Saying:
    """One sentence: its word of certainty, what is in bold, the rest, and a short note."""

    format: str
    short: str
    word: str
    bold: str
    rest: str
    note: str

    @property
    def glyph(self) -> str:
        """Shape of the word."""
        return GLYPHS[self.word]

    @property
    def tone(self) -> str:
        """Colour of the word."""
        return TONES[self.word]


@dataclass(frozen=True, slots=True)
class Care:
    """Something that a reader must know before trusting a mean."""

    bold: str
    rest: str


def sayings(data: StoredRun, certainty: Certainty, made: list[Board]) -> list[Saying]:
    """One a format, in the order of the boards."""
    found = []
    for board, said in zip(made, certainty.formats, strict=True):
        word, bold, rest, note = _sentence(data, board, said)
        if not (data.status and data.status.status == "success") and word == "sure":
            word = "likely"  # while a run goes on, nothing is sure
        found.append(Saying(board.format, format_short(board.format), word, bold, rest, note))
    return found


def _sentence(data: StoredRun, board: Board, said: FormatCertainty) -> tuple[str, str, str, str]:
    standing = said.standing
    if standing is None and board.rows:
        return "not shown", "No value.", f" No system has one here:{_ends(board)}", ""
    if standing is None:
        return "not shown", "Controls only.", _ends(board), ""
    leader = standing.order[0]
    if standing.over is None:
        return _alone(board, said, leader)
    places = numbers.decimals(numbers.half_width(standing.over.low, standing.over.high))
    unit = _unit(board.value)
    if standing.word in ("sure", "likely"):
        gap = abs(standing.over.difference or 0)
        low, high = _sizes(standing.over.low, standing.over.high)
        interval = f"({numbers.number(low, places)} to {numbers.number(high, places)}{unit[1]})"
        rest = f" leads, {numbers.number(gap, places)}{unit[0]} above {standing.over.left}"
        rest += f"{_value_phrase(board.value)} {interval}."
        return standing.word, leader, rest, _note(data, said, len(standing.pairs))
    if standing.word == "too few":
        rest = f" {_count_sources(said)} cannot decide between {len(standing.order)} systems."
        return "too few", "Too few.", rest, _floor_note(said)
    group = [n for n in standing.order if n in standing.leaders]
    means = [r.mean for r in board.rows if r.entry.name in group and r.mean is not None]
    spread = max(means) - min(means) if means else 0.0
    names = numbers.join_names(group)
    rest = f" {names} lie within {numbers.number(spread, max(2, board.places))}{unit[0]}"
    rest += f"{unit[1]} and cannot be told apart."
    return standing.word, "No leader.", rest, _needed(said) or _floor_note(said)


def _alone(board: Board, said: FormatCertainty, leader: str) -> tuple[str, str, str, str]:
    """The only system of a format: against the floor, in the word of that comparison."""
    beats = said.beats.get(leader, "")
    if board.floor is None:
        return "not shown", leader, f" answered alone: {_one(board)}", ""
    place = (
        "above"
        if said.word != "not shown"
        else "below"
        if beats == "worse"
        else "not shown to be above"
    )
    own = next((r.text for r in board.rows if r.entry.name == leader), "-")
    ceiling = f"; ceiling {board.ceiling.text}" if board.ceiling else ""
    rest = (
        f" answered alone: {own}{_value_phrase(board.value)}, {place} the floor, "
        f"{board.floor.text} of {said.floor}{ceiling}."
    )
    why = said.doubts.get(leader, "")
    return said.word, leader, rest, f"{_reason(why, 1)}." if why else ""


def _reason(why: str, pairs: int) -> str:
    """Why a lead is not sure, as a sentence without its stop; one pair is not corrected."""
    words = "the p-value is not below 0.05" if "correction" in why and pairs == 1 else why
    words = words.replace("all pairs", f"{pairs} pairs")
    return f"{words[:1].upper()}{words[1:]}"


def _unit(value: ValueEntry) -> tuple[str, str]:
    return (" points", " of 10") if value.key[0] == "judge" else ("", "")


def _value_phrase(value: ValueEntry) -> str:
    return "" if value.key[0] == "judge" else f" in {value.title.partition(',')[0]}"


def _sizes(low: float | None, high: float | None) -> tuple[float, float]:
    ends = sorted(abs(x) for x in (low or 0.0, high or 0.0))
    return ends[0], ends[1]


def _one(board: Board) -> str:
    rows = [r for r in board.rows if r.mean is not None]
    own = rows[0].text if rows else "-"
    return f"{own}{_ends(board, ', ')}"


def _ends(board: Board, start: str = " ") -> str:
    words = []
    if board.floor:
        words.append(f"floor {board.floor.text}")
    if board.ceiling:
        words.append(f"ceiling {board.ceiling.text}")
    return (start + ", ".join(words) + ".") if words else ""


def _note(data: StoredRun, said: FormatCertainty, pairs: int) -> str:
    standing = said.standing
    if standing is None:
        return ""
    notes = []
    if standing.word == "sure":
        times = f"corrected for {pairs} pairs, and " if pairs > 1 else ""
        notes.append(f"Holds {times}with missing answers at worst")
    else:
        notes.append(_reason(standing.why, pairs))
    others = _contradictions(data, said, standing.order[0])
    return "; ".join([*notes, *others]) + "."


def _contradictions(data: StoredRun, said: FormatCertainty, leader: str) -> Iterator[str]:
    """Values in which another system leads, at most two of one system."""
    found: dict[str, list[str]] = {}
    for value in data.values:
        best = said.best.get("/".join(value.key), ())
        if value.overall and value.key != said.headline and best and leader not in best:
            found.setdefault(best[0], []).append(value.title.partition(",")[0])
    for name, titles in list(found.items())[:1]:
        yield f"in {numbers.join_names(titles[:2])} {name} leads"


def _needed(said: FormatCertainty) -> str:
    from medgen.engine.results.certainty import samples_needed

    standing = said.standing
    if standing is None or standing.over is None or not said.spread:
        return ""
    gap = float(f"{said.spread / 10:.1g}")
    many = samples_needed(standing.over, gap)
    return f"About {many:,} samples would be needed to tell a gap of {gap:g}." if many else ""


def _floor_note(said: FormatCertainty) -> str:
    above = [name for name, word in said.beats.items() if word == "sure"]
    if above:
        return f"{numbers.join_names(above[:3])} beat{'s' if len(above) == 1 else ''} {said.floor}."
    return f"No system is shown to beat {said.floor}." if said.floor and said.beats else ""


def _count_sources(said: FormatCertainty) -> str:
    pair = said.standing.over if said.standing else None
    if pair is None:
        return "the samples"
    few = pair.n < 30 and pair.sources >= 10
    return f"{pair.n} samples" if few else f"{pair.sources} source images"


def cares(data: StoredRun, certainty: Certainty, made: list[Board]) -> list[Care]:
    """At most two, the worst first."""
    return [*_all_cares(data, certainty, made)][:_MOST_CARE]


def _all_cares(data: StoredRun, certainty: Certainty, made: list[Board]) -> Iterator[Care]:
    if data.status is None or data.status.status != "success":
        word = data.status.status if data.status else "not started"
        yield Care("The run is not complete", f" ({word}): means are over what is there.")
    empty = [format_short(b.format) for b in made if b.rows and not any(r.n for r in b.rows)]
    if empty:
        where = numbers.join_names(empty)
        yield Care("No system has a value", f" in {where}: see what failed, and why.")
    yield from (care for board in made for care in _coverage_cares(board))
    yield from (care for said in certainty.formats for care in _floor_cares(said))
    if certainty.judge:
        words = certainty.judge[:1].upper() + certainty.judge[1:]
        yield Care(words, ": it says nothing of quality.")
    yield from (care for board in made for care in _oracle_cares(board))


def _coverage_cares(board: Board) -> Iterator[Care]:
    for row in board.rows:
        if row.mean is not None and row.owed and row.n < _LEAST_COVERAGE * row.owed:
            lost = numbers.percent(row.owed - row.n, row.owed)
            rest = f" has no value for {lost} of {format_short(board.format)}; its means cover "
            yield Care(row.entry.name, f"{rest}the easier rest.")


def _floor_cares(said: FormatCertainty) -> Iterator[Care]:
    below = [name for name, word in said.beats.items() if word != "sure"]
    if below and said.floor and said.standing:
        where, named = format_short(said.format), [_behind(said, name) for name in below]
        if len(said.beats) == 1:
            word = "is worse than" if said.beats[below[0]] == "worse" else "does not surely beat"
            yield Care(below[0], f" {word} {said.floor} in {where}.")
        else:
            rest = f" of {len(said.beats)} in {where} do not surely beat {said.floor}: "
            yield Care(str(len(below)), f"{rest}{numbers.join_names(named)}.")


def _behind(said: FormatCertainty, name: str) -> str:
    return f"{name} (worse)" if said.beats[name] == "worse" else name


def _oracle_cares(board: Board) -> Iterator[Care]:
    ceiling = board.ceiling
    if board.value.key[0] == "judge" and ceiling and not is_sound_oracle(ceiling.mean):
        rest = f" of 10: the judge does not know the reference in {format_short(board.format)}."
        yield Care(f"The oracle has {ceiling.text}", rest)
