"""Has a judge every worker judge the sentinels of a benchmark, and says whether it moved.

Tables lie under `<root>/sentinels/<identity>/<session>-<worker>.json`; the identity covers the
benchmark and the judge's recipe, so only like is compared with like. A session is one driver's
run; its name begins with the time, so names are in order.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.codec import decode, fingerprint, with_seal
from medgen.engine.data import Sample
from medgen.engine.judging.sentinels import (
    Drift,
    choose_sentinels,
    compare_sentinels,
    sentinel_table,
)
from medgen.engine.plan.identity import identity
from medgen.engine.plan.plan import GroupPlan, Plan
from medgen.engine.ports import Judge
from medgen.engine.stages import JUDGE
from medgen.engine.store.layout import SentinelPlace, session_table
from medgen.engine.store.objects import Objects

_SHARDS = 4  # of a seeded order: enough samples to draw a dozen even cases from


@dataclass(frozen=True, slots=True)
class Guarded:
    """A judge, and what it is in a run."""

    plan: Plan
    group: GroupPlan
    judge: Judge


def stand_guard(objects: Objects, benchmark: Benchmark, guarded: Guarded, session: str) -> None:
    """Have the judge of a worker judge the sentinels, and keep what it said."""
    plan, group, judge = guarded.plan, guarded.group, guarded.judge
    samples: list[Sample] = []
    for shard in range(min(_SHARDS, plan.shards)):
        samples += benchmark.samples(shard)
    sentinels = choose_sentinels(samples)
    verdicts = judge.judge([s.sample for s in sentinels], [s.prediction for s in sentinels])
    table = sentinel_table(sentinels, verdicts, _judge(plan, group))
    name = session_table(session, uuid.uuid4().hex[:8])
    place = _place(plan, group)
    objects.create(place.table(name), with_seal(table))


def drifts(objects: Objects, plan: Plan, session: str) -> dict[str, Drift]:
    """For every judge of the plan that worked in the session: has it moved since the last one?

    A judge that nobody saw before has nothing to be compared with, and is left out.
    """
    found: dict[str, Drift] = {}
    for group in plan.groups.values():
        if group.stage != JUDGE.name:
            continue
        place = _place(plan, group)
        names = objects.names(place.folder)
        now = [n for n in names if n.startswith(session)]
        before = [n for n in names if n < session and not n.startswith(session)]
        if now and before:
            earlier = _table(objects, place.table(before[-1]))
            compared = [compare_sentinels(earlier, _table(objects, place.table(n))) for n in now]
            found[group.name] = max(compared, key=lambda drift: drift.changed)
    return found


def sentinel_places(plan: Plan) -> list[SentinelPlace]:
    """The folders of the sentinels of a plan's judges."""
    return [_place(plan, group) for group in plan.groups.values() if group.stage == JUDGE.name]


def _judge(plan: Plan, group: GroupPlan) -> Mapping[str, Any]:
    return {"benchmark": plan.benchmark, "judge": identity(group.spec)}


def _place(plan: Plan, group: GroupPlan) -> SentinelPlace:
    return SentinelPlace(fingerprint(_judge(plan, group)))


def _table(objects: Objects, path: str) -> Mapping[str, Any]:
    return decode(dict[str, Any], objects.read(path), f"{path}: not a table of sentinels")
