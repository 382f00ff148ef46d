"""FID and KID of a run's systems: states are made shard by shard, kept in the store, and merged.

Which encoders a run was looked at with is noted beside it, so that its report can show what is
stored without an encoder.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medgen.engine.codec import fingerprint
from medgen.engine.data import Prediction, Sample
from medgen.engine.errors import ConfigError
from medgen.engine.plan.plan import System
from medgen.engine.run.reader import RunReader
from medgen.engine.store.layout import RunPlace
from medgen.engine.store.schemas import dumps
from medgen.engine.store.shards import Stage
from medgen.metrics.image.sets import SetFeatures, SetState, from_table

MakeState = Callable[[Sequence[Sample], Sequence[Prediction]], SetState]


@dataclass(frozen=True, slots=True)
class SetRow:
    """The distances of one system's pictures from the references; None when they are too few."""

    system: str
    values: Mapping[str, float] | None
    pairs: int
    left_out: int  # without two pictures that can be decoded
    random_weights: bool
    encoder: str


def set_rows(reader: RunReader, features: SetFeatures) -> Iterator[SetRow]:
    """One row for each system that gives pictures, as they are done.

    Raises:
        MissingWeightsError: the encoder's weights are not on this machine.
    """
    passport = dict(features.passport)
    note = RunPlace(reader.plan.run_id).encoder(fingerprint(passport))
    reader.objects.replace(note, dumps(passport).encode())
    for system in reader.plan.answering:
        state = system_state(reader, system, passport, features.state)
        if state is not None:
            yield _row(system, state, passport)


def stored_rows(reader: RunReader) -> Iterator[SetRow]:
    """The rows that need no encoder: of systems whose states are stored for all they predicted."""
    place = RunPlace(reader.plan.run_id)
    for name in sorted(reader.objects.names(place.sets)):
        passport = json.loads(reader.objects.read(place.encoder(name.removesuffix(".json"))))
        for system in reader.plan.answering:
            state = system_state(reader, system, passport)
            if state is not None:
                yield _row(system, state, passport)


def _row(system: System, state: SetState, passport: Mapping[str, Any]) -> SetRow:
    try:
        values: Mapping[str, float] | None = state.values()
    except ConfigError:  # fewer than two pairs: nothing can be said of such a set
        values = None
    return SetRow(
        system=system.name,
        values=values,
        pairs=len(state.rows),
        left_out=state.left_out,
        random_weights=bool(passport.get("random_weights")),
        encoder=str(passport.get("model", "")),
    )


def system_state(
    reader: RunReader, system: System, passport: Mapping[str, Any], make: MakeState | None = None
) -> SetState | None:
    """The merged state over every shard whose predictions exist; None when there is none.

    Without `make` also None when the state of one of these shards is not stored.
    """
    nodes = reader.plan.predictions(system.name)
    recipe: dict[str, Any] = {"passport": dict(passport), "of": [n.key for n in nodes]}
    recipe["gives"] = sorted(system.gives)
    merged: SetState | None = None
    for shard in range(reader.plan.shards):
        if any(reader.table(n, shard) is None for n in nodes):
            continue
        made_of = [
            reader.heads(n)[i].sha256
            for n in nodes
            for i in range(shard * n.split, (shard + 1) * n.split)
        ]
        stage = Stage(reader.objects, "sets", fingerprint(recipe, made_of), reader.plan.digests)
        if shard in stage.revisions():
            state = from_table(stage.read(shard))
        elif make is None:
            return None
        else:
            state = make(*_pairs(reader, system, shard))
            stage.declare(recipe | {"made_of": made_of})  # what it is kept for
            stage.write(shard, state.table())
        merged = state if merged is None else merged.merge(state)
    return merged


def _pairs(reader: RunReader, system: System, shard: int) -> tuple[list[Sample], list[Prediction]]:
    samples = [s for s in reader.benchmark.samples(shard) if s.asks in system.gives]
    return samples, reader.predictions(system.name, shard)
