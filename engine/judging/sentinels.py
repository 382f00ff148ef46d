"""Sentinels: frozen cases that every run has judged, to see whether the judge itself has moved.

The cases of a benchmark never change: they are drawn by a seed from its samples, and their
predictions are made from the samples alone (the reference itself, another sample's reference, the
input given back). The same judge must say the same of them in every run.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from medgen.engine.data import FORMS, Prediction, Sample, Verdict
from medgen.engine.errors import CorruptError

Kind = Literal["reference", "unrelated", "input"]
_KINDS: tuple[Kind, ...] = ("reference", "unrelated", "input")
TABLE_VERSION = "sentinels/1"


@dataclass(frozen=True, slots=True)
class Sentinel:
    """One frozen case. The prediction's id is the sample's, as everywhere."""

    sample: Sample
    prediction: Prediction
    kind: Kind


class Row(TypedDict):
    """What a judge said of one sentinel, as a table holds it."""

    sample_id: str
    view: str
    repeat: int
    status: str
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Drift:
    """Two tables of one judge, compared.

    `changed` rows of `compared` differ in status or in any score by more than the tolerance;
    `shift` is the mean change of each dimension over rows that are ok in both, on the judge's own
    scale. `moved` says whether anything changed; `words` says it to people.
    """

    moved: bool
    compared: int
    changed: int
    largest: float
    shift: Mapping[str, float]
    words: str


def choose_sentinels(
    samples: Iterable[Sample], count: int = 12, seed: int = 20251122
) -> tuple[Sentinel, ...]:
    """Draw the frozen cases of a benchmark: as even as can be over forms of answer and kinds.

    Args:
        samples: of the whole benchmark, or of its first shards: shards are laid in a seeded order,
            so these are an even draw too. Only samples with a reference are drawn. Fewer than two
            of a form give no unrelated case.
        count: how many cases at most.
        seed: of the draw; the same samples and seed give the same cases whatever their order.
    """
    by_form: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.reference_text or sample.reference_images:
            by_form[sample.form].append(sample)
    for group in by_form.values():
        group.sort(key=lambda s: _draw(seed, s.id))
    chosen: list[Sentinel] = []
    for turn in range(count):
        for form in FORMS:
            group = by_form[form]
            if turn < len(group) and len(chosen) < count:
                chosen.append(_sentinel(group, turn))
    return tuple(chosen)


def sentinel_table(
    sentinels: Sequence[Sentinel], verdicts: Sequence[Verdict], judge: Mapping[str, Any]
) -> dict[str, Any]:
    """What a judge said of the sentinels, as JSON to keep with the run.

    Args:
        sentinels: as drawn.
        verdicts: the judge's, on `[s.sample for s in sentinels]` and their predictions.
        judge: what identifies it: the recipe's identity, not its whole passport, for a table is
            compared only with one of the same identity.
    """
    kinds = {s.sample.id: s.kind for s in sentinels}
    rows = [
        {
            "sample_id": v.sample_id,
            "kind": kinds[v.sample_id],
            "view": v.view,
            "repeat": v.repeat,
            "status": v.status,
            "scores": dict(sorted(v.scores.items())),
        }
        for v in verdicts
    ]
    return {"version": TABLE_VERSION, "judge": dict(judge), "rows": rows}


def compare_sentinels(
    before: Mapping[str, Any], now: Mapping[str, Any], tolerance: float = 0.0
) -> Drift:
    """Whether the judge moved between two tables.

    Args:
        before: the table of an earlier run.
        now: the table of this run.
        tolerance: largest change of a score that counts as none, on the judge's scale. 0 for a
            judge that should repeat itself; sampling or unequal batches on a GPU need more.

    Raises:
        CorruptError: the tables are of another version or of different judges.
    """
    if {before.get("version"), now.get("version")} != {TABLE_VERSION}:
        raise CorruptError(f"a sentinel table is not of version {TABLE_VERSION}")
    if before["judge"] != now["judge"]:
        raise CorruptError("these sentinel tables are of different judges")
    rows_before: list[Row] = before["rows"]
    rows_now: list[Row] = now["rows"]
    earlier = {_slot(row): row for row in rows_before}
    pairs = [(earlier[_slot(row)], row) for row in rows_now if _slot(row) in earlier]
    changes = [_change(a, b) for a, b in pairs]
    changed = sum(change > tolerance for change in changes)
    finite = [c for c in changes if c != float("inf")]
    largest = max(finite, default=0.0)
    shift = _shift(pairs)
    return Drift(changed > 0, len(pairs), changed, largest, shift, _words(pairs, changed, shift))


def _draw(seed: int, sample_id: str) -> str:
    return hashlib.sha256(f"sentinel\x1f{seed}\x1f{sample_id}".encode()).hexdigest()


def _sentinel(group: Sequence[Sample], turn: int) -> Sentinel:
    sample, kind = group[turn], _KINDS[turn % len(_KINDS)]
    if kind == "unrelated" and len(group) < 2:
        kind = "reference"
    if kind == "unrelated":
        other = group[(turn + 1) % len(group)]
        given = Prediction(sample.id, text=other.reference_text, images=other.reference_images[:1])
    elif kind == "input":
        given = Prediction(sample.id, text=sample.instruction, images=sample.shown_images[:1])
    else:
        given = Prediction(
            sample.id, text=sample.reference_text, images=sample.reference_images[:1]
        )
    return Sentinel(sample, given, kind)


def _slot(row: Row) -> tuple[str, str, int]:
    return row["sample_id"], row["view"], row["repeat"]


def _change(before: Row, now: Row) -> float:
    """The largest change of a score; infinite when the status or the dimensions differ."""
    if before["status"] != now["status"] or set(before["scores"]) != set(now["scores"]):
        return float("inf")
    return max((abs(now["scores"][n] - s) for n, s in before["scores"].items()), default=0.0)


def _shift(pairs: Sequence[tuple[Row, Row]]) -> dict[str, float]:
    moves: dict[str, list[float]] = defaultdict(list)
    for before, now in pairs:
        for name in set(before["scores"]) & set(now["scores"]):
            moves[name].append(now["scores"][name] - before["scores"][name])
    return {name: sum(m) / len(m) for name, m in sorted(moves.items())}


def _words(pairs: Sequence[object], changed: int, shift: Mapping[str, float]) -> str:
    if not pairs:
        return "no sentinel was judged in both runs, so nothing can be said of the judge"
    if not changed:
        return f"the judge gave all {len(pairs)} sentinels the verdicts it gave before"
    means = ", ".join(f"{name} {move:+.2f}" for name, move in shift.items() if move)
    found = f"the judge moved: {changed} of {len(pairs)} sentinel verdicts differ"
    return f"{found} (mean shift: {means})" if means else found
