"""What was found of whole sets of pictures (FID, KID), as it is noted beside a run.

`medgen sets` makes the notes, one for each encoder; reading them takes no encoder.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medgen.engine.codec import decode, fingerprint, with_seal
from medgen.engine.run.reader import RunReader
from medgen.engine.store.layout import RunPlace


@dataclass(frozen=True, slots=True)
class SetRow:
    """The distances of one system's pictures from the references; None when they are too few."""

    system: str
    values: Mapping[str, float] | None
    pairs: int
    left_out: int  # without two pictures that can be decoded
    random_weights: bool
    encoder: str
    made_from: str  # the predictions, as `prediction_digest` names them


@dataclass(frozen=True, slots=True)
class SetNote:
    """The rows of a run's systems in the features of one encoder."""

    passport: Mapping[str, Any]
    rows: tuple[SetRow, ...]


def prediction_digest(reader: RunReader, system: str) -> str:
    """Names all predictions of a system that are there by what they hold."""
    nodes = reader.plan.predictions(system)
    return fingerprint(
        {n.key: sorted((i, h.sha256) for i, h in reader.heads(n).items()) for n in nodes}
    )


def keep_set_note(reader: RunReader, note: SetNote) -> None:
    """Leave a note beside the run, in place of the last one on the same encoder."""
    place = RunPlace(reader.plan.run_id).encoder(fingerprint(note.passport))
    reader.objects.replace(place, with_seal(note))


def stored_set_rows(reader: RunReader) -> Iterator[SetRow]:
    """The rows that are noted, of systems whose predictions are the same still.

    Raises:
        CorruptError: a note cannot be read.
    """
    place, systems = RunPlace(reader.plan.run_id), {s.name for s in reader.plan.answering}
    for name in sorted(reader.objects.names(place.sets)):
        path = place.encoder(name.removesuffix(".json"))
        note = decode(SetNote, reader.objects.read(path), f"{path}: not a note on sets")
        for row in note.rows:
            if row.system in systems and row.made_from == prediction_digest(reader, row.system):
                yield row
