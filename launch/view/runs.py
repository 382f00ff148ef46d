"""The runs of a store, and its nights."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medgen.engine.codec import decode
from medgen.engine.errors import MedgenError
from medgen.engine.run.folder import RunFolder, run_ids
from medgen.engine.store.layout import NIGHTLY, NightlyPlace, RunPlace
from medgen.engine.store.objects import Objects
from medgen.launch.report.escaping import visible
from medgen.launch.view import numbers
from medgen.launch.view.board import format_short
from medgen.launch.view.certain import Certainty
from medgen.launch.view.samples import sample_digest

_MOST_RUNS = 1000
_MOST_NIGHTS = 120
_WITHOUT_MONTHS = 60  # runs that need no heads of months


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run of the store."""

    run_id: str
    digest: str
    state: str
    tone: str
    benchmark: str
    protocol: str
    systems: int
    updated: str
    leaders: tuple[tuple[str, str, str], ...]  # format, word, leader
    coverage: str = "-"
    cost: str = "-"
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class NightLine:
    """One night: its word and what is to be known of it."""

    date: str
    word: str
    glyph: str
    tone: str
    run_id: str
    baseline: str
    changed: bool
    reasons: str


_TONES = {"success": "ok", "started": "warn", "partial": "warn", "error": "bad"}
_NIGHTS = {
    "pass": ("✓", "ok"), "first": ("✓", "ok"), "regression": ("✕", "bad"), "error": ("✕", "bad"),
    "inconclusive": ("?", "warn"), "partial": ("!", "warn"), "missed": ("·", "plain"),
}  # fmt: skip


def run_lines(objects: Objects) -> list[RunLine]:
    """Every run, newest first."""
    found = [_run_line(objects, i) for i in run_ids(objects)[:_MOST_RUNS]]
    return sorted(found, key=lambda line: line.updated, reverse=True)


def _run_line(objects: Objects, run_id: str) -> RunLine:
    folder = RunFolder(objects, run_id)
    digest = sample_digest(run_id)
    try:
        status, plan = folder.status(), folder.plan()
    except MedgenError as err:
        words = visible(str(err))
        return RunLine(run_id, digest, "unreadable", "bad", "", "", 0, "", (), trouble=words)
    stored = _certainty(objects, run_id)
    have, owed = stored.coverage if stored else (0, 0)
    usage = stored.usage.values() if stored else ()
    word = status.status if status else "not started"
    return RunLine(
        run_id=run_id,
        digest=digest,
        state="complete" if word == "success" else word,
        tone=_TONES.get(word, "plain"),
        benchmark=plan.benchmark,
        protocol=plan.protocol,
        systems=len(plan.systems),
        updated=status.updated[:16].replace("T", " ") if status else "",
        leaders=tuple(_leaders(stored)) if stored else (),
        coverage=numbers.percent(have, owed),
        cost=numbers.dollars(sum(u.get("cost_usd", 0.0) for u in usage)) if usage else "-",
    )


def by_month(lines: Sequence[RunLine]) -> list[tuple[str, list[RunLine]]]:
    """Many runs by the month in which they were updated, newest first; few in one part."""
    if len(lines) <= _WITHOUT_MONTHS:
        return [("", list(lines))]
    found: dict[str, list[RunLine]] = {}
    for line in lines:
        found.setdefault(line.updated[:7] or "no date", []).append(line)
    return list(found.items())


def _certainty(objects: Objects, run_id: str) -> Certainty | None:
    path = RunPlace(run_id).certainty
    try:
        return decode(Certainty, objects.read(path), f"{path}: not readable")
    except (FileNotFoundError, MedgenError):
        return None  # the run is older than these words, or is not summarised


def _leaders(stored: Certainty) -> list[tuple[str, str, str]]:
    return [
        (format_short(f.format), f.word, f.standing.order[0]) for f in stored.formats if f.standing
    ]


def nights(objects: Objects) -> dict[str, list[NightLine]]:
    """The nights of every name, oldest first; a night that differs from the last one is marked."""
    found = {}
    for name in objects.names(NIGHTLY):
        place, lines, last = NightlyPlace(name), list[NightLine](), ""
        for file in objects.names(place.nights)[-2 * _MOST_NIGHTS :]:
            if file.endswith(".json"):
                record = json.loads(objects.read(place.record(file.removesuffix(".json"))))
                lines.append(_night(record, last))
                last = lines[-1].word
        found[name] = lines[-_MOST_NIGHTS:]
    return found


def _night(record: Mapping[str, Any], last: str) -> NightLine:
    word = str(record.get("outcome", ""))
    glyph, tone = _NIGHTS.get(word, ("?", "plain"))
    reasons = "; ".join(visible(str(r)) for r in record.get("reasons", ()))
    judge = visible(str(record.get("judge", "")))
    return NightLine(
        date=str(record.get("date", "")),
        word=word,
        glyph=glyph,
        tone=tone,
        run_id=str(record.get("run_id", "")),
        baseline=str(record.get("baseline", "")),
        changed=bool(last) and word != last,
        reasons="; ".join(x for x in (reasons, judge) if x),
    )
