"""What a run has published and from what, so that a start with nothing to do publishes nothing.

`runs/<run>/published.json` is written last. It holds while rows, plan, code and what is said beside
them are the same, and while what was published is there with the bytes that it had.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from medgen.engine.codec import decode, encode, fingerprint, with_seal
from medgen.engine.environment import code_digest
from medgen.engine.errors import CorruptError
from medgen.engine.results.gaps import given_up
from medgen.engine.run.reader import RunReader
from medgen.engine.store.known_layout import is_written_once
from medgen.engine.store.layout import RunPlace
from medgen.engine.store.objects import Objects, sha256_at

_OURS = ("engine", "adapters", "metrics", "launch")


@dataclass(frozen=True, slots=True)
class Published:
    """What stands beside a run."""

    made_from: str = ""  # a fingerprint; empty: nobody knows
    failed: float = 0.0  # the largest share of samples without value or answer
    beside: tuple[str, ...] = ()  # lines for a terminal
    report: str = ""  # the path of its page; empty: none was asked for
    objects: Mapping[str, str] = field(default_factory=dict)  # path -> sha256 of all of it
    beside_it: Mapping[str, str] = field(default_factory=dict)  # and of what else stays as it is
    logs: tuple[str, ...] = ()  # paths of the drivers' logs, which carry their own


def made_from(reader: RunReader, report: bool) -> str:
    """A fingerprint of all that a run's summary, tables and report are made from."""
    plan, place = reader.plan, RunPlace(reader.plan.run_id)
    notes = [place.encoder(n.removesuffix(".json")) for n in reader.objects.names(place.sets)]
    paths = (*sorted(notes), place.sentinels)
    beside = [(path, sha256_at(reader.objects, path)) for path in paths]
    whole = hashlib.sha256(encode(replace(plan, content=())))
    for shard in plan.content:
        whole.update(f"{shard.digest} {shard.sha256}\n".encode())
    said = code_digest(_OURS), whole.hexdigest(), reader.rows(), dict(given_up(reader))
    return fingerprint(said, beside, report)


def read_published(objects: Objects, run_id: str) -> Published:
    """What a run has published; nothing of it counts once any of its objects is another."""
    try:
        found = note_on(objects, run_id)
    except CorruptError:  # it is written again
        return Published()
    sound = all(sha256_at(objects, path) == sha256 for path, sha256 in found.objects.items())
    return found if sound else Published()


def note_on(objects: Objects, run_id: str) -> Published:
    """What a run's note says, whether that still holds or not; nothing where there is none.

    Raises:
        CorruptError: it cannot be read.
    """
    place = RunPlace(run_id)
    try:
        return decode(Published, objects.read(place.publishing), f"{place.publishing}: not a note")
    except FileNotFoundError:
        return Published()


def forget_published(objects: Objects, run_id: str) -> None:
    """Take the note away: what it is about is written anew from now on."""
    objects.remove(RunPlace(run_id).publishing)


def keep_published(objects: Objects, run_id: str, made: Published) -> None:
    """Leave a note of what was published, all of which is there by now."""
    place = RunPlace(run_id)
    paths = objects.walk(place.folder)
    digests = {p: sha256_at(objects, p) for p in paths if _is_made(place, p)}
    stays = {p: sha256_at(objects, p) for p in paths if is_written_once(p)}
    logs = tuple(path for path in paths if path.startswith(f"{place.events}/"))
    note = replace(made, objects=digests, beside_it=stays, logs=logs)
    objects.replace(place.publishing, with_seal(note))


@contextlib.contextmanager
def published_anew(objects: Objects, run_id: str) -> Iterator[None]:
    """What is published is written anew within; the note says then what it said before of it."""
    before = read_published(objects, run_id)
    forget_published(objects, run_id)
    yield
    keep_published(objects, run_id, before)


def _is_made(place: RunPlace, path: str) -> bool:
    """Whether an object of a run's folder is made by publishing; tables have a note of theirs."""
    if path in (place.tables_whole, place.certainty) or path.startswith(place.report("")):
        return True
    name = path.removeprefix(f"{place.folder}/")
    return name.endswith(".parquet") and "/" not in name
