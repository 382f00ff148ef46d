"""FID and KID of a run's systems: states are made shard by shard, kept in the store, and merged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import ConfigError
from engine.plan import System
from engine.reading import RunReader
from engine.spec import fingerprint
from engine.stages import Stage
from metrics.sets import SetFeatures, SetState, from_table


@dataclass(frozen=True, slots=True)
class SetRow:
    """The distances of one system's pictures from the references; None when they are too few."""

    system: str
    values: Mapping[str, float] | None
    pairs: int
    left_out: int  # without two pictures that can be decoded
    random_weights: bool


def set_rows(reader: RunReader, features: SetFeatures) -> Iterator[SetRow]:
    """One row for each system that gives pictures, as they are done.

    Raises:
        MissingWeightsError: the encoder's weights are not on this machine.
    """
    random = bool(features.passport.get("random_weights"))
    for system in reader.plan.systems:
        state = system_state(reader, system, features)
        if state is None:
            continue
        try:
            values: Mapping[str, float] | None = state.values()
        except ConfigError:  # fewer than two pairs: nothing can be said of such a set
            values = None
        yield SetRow(system.name, values, len(state.rows), state.left_out, random)


def system_state(reader: RunReader, system: System, features: SetFeatures) -> SetState | None:
    """The merged state over every shard whose predictions exist; None when there is none."""
    nodes = reader.plan.predictions(system.name)
    revisions = {n.key: dict(reader.revisions(n)) for n in nodes}
    recipe: dict[str, Any] = {"passport": dict(features.passport), "of": [n.key for n in nodes]}
    merged: SetState | None = None
    for shard in range(reader.plan.shards):
        if any(reader.table(n, shard) is None for n in nodes):
            continue
        made_of = [
            revisions[n.key][i]
            for n in nodes
            for i in range(shard * n.split, (shard + 1) * n.split)
        ]
        stage = Stage(reader.objects, "sets", fingerprint(recipe, made_of))
        state = _shard_state(reader, system, features, stage, shard)
        merged = state if merged is None else merged.merge(state)
    return merged


def _shard_state(
    reader: RunReader, system: System, features: SetFeatures, stage: Stage, shard: int
) -> SetState:
    if shard in stage.revisions():
        return from_table(stage.read(shard))
    samples = [s for s in reader.benchmark.samples(shard) if s.format in system.formats]
    predictions = reader.predictions(system.name, shard)
    state = features.state(samples, predictions)
    stage.write(shard, state.table())
    return state
