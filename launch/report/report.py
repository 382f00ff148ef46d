"""The report of a run: a short `index.md` and its pictures, written into the store.

Everything in it comes from the store, so a report can be made again at any time, of a run that
is complete or not. Benchmark text and model output are escaped; secrets are in no row.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine.data import Prediction, Sample
from medgen.engine.errors import CorruptError
from medgen.engine.plan.graph import stages_saved
from medgen.engine.plan.plan import Node
from medgen.engine.results.calibration import CALIBRATION, CalibrationRow
from medgen.engine.results.conditions import CONDITIONS, ConditionEffect
from medgen.engine.results.gaps import given_up, stopped_early
from medgen.engine.results.labels import LABELS, LabelRow
from medgen.engine.results.repeats import REPEATS, Spread
from medgen.engine.results.sets import SetRow, stored_set_rows
from medgen.engine.results.subgroups import SUBGROUPS, GroupMean
from medgen.engine.results.summary import has_random_weights
from medgen.engine.run.reader import RunReader
from medgen.engine.store.layout import RunPlace, report_image
from medgen.launch.report.conditions import (
    PairingTable,
    model_rows,
    pairing_tables,
)
from medgen.launch.report.labels import over_all
from medgen.launch.report.pages import page
from medgen.launch.report.pictures import Panel, panel_sheet
from medgen.launch.report.subgroups import first_values
from medgen.launch.report.tables import FormatTable, format_tables

# Six pictures show something of every format; shards are stratified, so few need be read.
_SHOWN = 6
_GROUPED = 2  # values of each format that are shown by group
_SHARDS_READ = 4
_INPUTS_SHOWN = 4
_PAGE = "index.md"


@dataclass(frozen=True, slots=True)
class Shown:
    """One sample in the report: its sheet, and every system's words for it."""

    sample: Sample
    picture: str
    predictions: tuple[tuple[str, Prediction], ...]


@dataclass(frozen=True, slots=True)
class StageLine:
    """One stage as it stands in the store."""

    node: Node
    done: int
    shards: int
    random_weights: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What the templates show."""

    run_id: str
    benchmark: str
    protocol: str
    notes: tuple[str, ...]
    samples: int
    tables: tuple[FormatTable, ...]
    conditions: tuple[ConditionEffect, ...]
    repeats: tuple[Spread, ...]
    subgroups: tuple[GroupMean, ...]
    labels: tuple[LabelRow, ...]
    calibration: tuple[CalibrationRow, ...]
    pairings: tuple[PairingTable, ...]
    sets: tuple[SetRow, ...]
    shown: tuple[Shown, ...]
    stages: tuple[StageLine, ...]
    saved: int
    stopped: tuple[tuple[str, str], ...]  # systems that the run stopped early, and why
    plumbing: bool
    pictures: dict[str, bytes] = field(default_factory=dict)


def write_report(reader: RunReader, summary: pa.Table) -> list[str]:
    """Write the report beside the run; returns the paths of its objects, the page first.

    Raises:
        StoreError: rows cannot be read, or the report cannot be written.
    """
    report = make_report(reader, summary)
    place = RunPlace(report.run_id)
    # Pictures first: the page never points at one that is not there yet.
    objects = report.pictures | {_PAGE: page(f"{_PAGE}.j2", report=report).encode()}
    for name, content in objects.items():
        reader.objects.replace(place.report(name), content)
    return [place.report(name) for name in (_PAGE, *report.pictures)]


def make_report(reader: RunReader, summary: pa.Table) -> Report:
    """Collect what the report shows."""
    plan, manifest = reader.plan, reader.benchmark.manifest
    plain_rows = _as_they_are(reader, summary)
    stored = (reader.objects, plan.run_id)
    effects = CONDITIONS.read(*stored)
    stages = tuple(_stage_line(reader, node) for node in plan.nodes.values())
    sets = tuple(stored_set_rows(reader))
    pictures: dict[str, bytes] = {}
    shown = tuple(_show(reader, pictures))
    return Report(
        run_id=plan.run_id,
        benchmark=plan.benchmark,
        protocol=plan.protocol,
        notes=tuple(manifest.notes),
        samples=sum(plan.samples.values()),
        tables=tuple(format_tables(plain_rows)),
        conditions=tuple(model_rows(effects)),
        repeats=tuple(REPEATS.read(*stored)),
        subgroups=tuple(first_values(SUBGROUPS.read(*stored), _GROUPED)),
        labels=over_all(LABELS.read(*stored)),
        calibration=tuple(CALIBRATION.read(*stored)),
        pairings=tuple(pairing_tables(effects)),
        sets=sets,
        shown=shown,
        stages=stages,
        saved=stages_saved(plan)[1],
        stopped=tuple(stopped_early(plan, given_up(reader)).items()),
        plumbing=any(x.random_weights for x in stages) or any(x.random_weights for x in sets),
        pictures=pictures,
    )


def _as_they_are(reader: RunReader, summary: pa.Table) -> pa.Table:
    """The rows of systems as they are: conditions and repeats have tables of their own."""
    names = pa.array([s.name for s in reader.plan.systems if not s.of], pa.string())
    return summary.filter(pc.is_in(summary["system"], names))


def _stage_line(reader: RunReader, node: Node) -> StageLine:
    held = {one.name: dict(one.passport) for one in reader.identities(node)}
    return StageLine(
        node=node,
        done=len(reader.revisions(node)),
        shards=reader.plan.shards * node.split,
        random_weights=has_random_weights(held),
    )


# ---- six samples ---------------------------------------------------------------------------


def _show(reader: RunReader, pictures: dict[str, bytes]) -> Iterator[Shown]:
    chosen = _choose(reader)
    rows = _predictions(reader, chosen)
    for at, (_, sample) in enumerate(chosen, start=1):
        given = [(system, found[sample.id]) for system, found in rows.items() if sample.id in found]
        name = report_image(at)
        pictures[name] = panel_sheet(list(_panels(sample, given)))
        yield Shown(sample, name, tuple(given))


def _predictions(
    reader: RunReader, chosen: Sequence[tuple[int, Sample]]
) -> dict[str, dict[str, Prediction]]:
    """What each system gave for the chosen samples; each shard is read once and let go."""
    wanted = {sample.id for _, sample in chosen}
    shards = sorted({shard for shard, _ in chosen})
    return {
        system.name: {
            p.sample_id: p
            for shard in shards
            for p in _readable(reader, system.name, shard)
            if p.sample_id in wanted
        }
        for system in reader.plan.answering
    }


def _readable(reader: RunReader, system: str, shard: int) -> Sequence[Prediction]:
    """A system's predictions for a shard; of a damaged one, that it is. The tables need it not."""
    try:
        return reader.predictions(system, shard)
    except CorruptError as err:
        why = f"{err}; `medgen run --repair` replaces it"
        warnings.warn(f"{system} is shown without shard {shard}: {why}", stacklevel=2)
        return [Prediction(s.id, "missing", why) for s in reader.benchmark.samples(shard)]


def _choose(reader: RunReader) -> list[tuple[int, Sample]]:
    """Six samples from the first shards: formats in turn, no task twice while others are left."""
    found: dict[str, list[tuple[int, Sample]]] = {}
    for shard in range(min(_SHARDS_READ, reader.plan.shards)):
        for sample in reader.benchmark.samples(shard):
            found.setdefault(sample.format, []).append((shard, sample))
    pools = dict(sorted(found.items()))
    chosen: list[tuple[int, Sample]] = []
    tasks: set[str] = set()
    while len(chosen) < _SHOWN and any(pools.values()):
        for pool in (p for p in pools.values() if p):
            new = (i for i, (_, s) in enumerate(pool) if s.task not in tasks)
            shard, sample = pool.pop(next(new, 0))
            tasks.add(sample.task)
            chosen.append((shard, sample))
    return sorted(chosen[:_SHOWN], key=lambda pair: pair[0])


def _panels(sample: Sample, given: Sequence[tuple[str, Prediction]]) -> Iterator[Panel]:
    for at, picture in enumerate(sample.shown_images[:_INPUTS_SHOWN], start=1):
        count = len(sample.shown_images)
        yield Panel("input" if count == 1 else f"input {at} of {count}", picture)
    for picture in sample.reference_images[:1]:
        yield Panel("reference", picture)
    if not sample.reference_images:
        yield Panel("reference", text=sample.reference_text or "(no reference)")
    for system, prediction in given:
        image = prediction.images[0] if prediction.images else None
        if prediction.status == "ok":
            yield Panel(system, image, prediction.text or "(no text)")
        else:
            yield Panel(system, text=f"{prediction.status}: {prediction.reason}")
