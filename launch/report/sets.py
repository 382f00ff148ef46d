"""FID and KID of a run's systems: states are made shard by shard, kept in the store, and merged."""

from collections.abc import Iterator, Mapping
from typing import Any

from medgen.engine.codec import fingerprint
from medgen.engine.data import Prediction, Sample
from medgen.engine.errors import ConfigError
from medgen.engine.plan.plan import System
from medgen.engine.results.sets import SetNote, SetRow, keep_set_note, prediction_digest
from medgen.engine.run.reader import RunReader
from medgen.engine.store.shards import Stage
from medgen.metrics.image.sets import SetFeatures, SetState, from_table


def set_rows(reader: RunReader, features: SetFeatures) -> Iterator[SetRow]:
    """One row for each system that gives pictures, as they are done; noted when all are.

    Raises:
        MissingWeightsError: the encoder's weights are not on this machine.
    """
    rows = []
    for system in reader.plan.answering:
        state = system_state(reader, system, features)
        if state is not None:
            rows.append(_row(reader, system, state, features.passport))
            yield rows[-1]
    keep_set_note(reader, SetNote(dict(features.passport), tuple(rows)))


def _row(reader: RunReader, system: System, state: SetState, passport: Mapping[str, Any]) -> SetRow:
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
        made_from=prediction_digest(reader, system.name),
    )


def system_state(reader: RunReader, system: System, features: SetFeatures) -> SetState | None:
    """The merged state over every shard whose predictions exist; None when there is none."""
    nodes = reader.plan.predictions(system.name)
    recipe: dict[str, Any] = {"passport": dict(features.passport), "of": [n.key for n in nodes]}
    recipe["gives"] = sorted(system.gives)
    merged: SetState | None = None
    for shard in range(reader.plan.shards):
        heads = [
            reader.heads(n).get(i)
            for n in nodes
            for i in range(shard * n.split, (shard + 1) * n.split)
        ]
        made_of = [head.sha256 for head in heads if head is not None]
        if len(made_of) < len(heads):
            continue
        stage = Stage(reader.objects, "sets", fingerprint(recipe, made_of), reader.plan.digests)
        if shard in stage.revisions():
            state = from_table(stage.read(shard))
        else:
            state = features.state(*_pairs(reader, system, shard))
            stage.declare(recipe | {"made_of": made_of})  # what it is kept for
            stage.write(shard, state.table())
        merged = state if merged is None else merged.merge(state)
    return merged


def _pairs(reader: RunReader, system: System, shard: int) -> tuple[list[Sample], list[Prediction]]:
    samples = [s for s in reader.benchmark.samples(shard) if s.asks in system.gives]
    return samples, reader.predictions(system.name, shard)
