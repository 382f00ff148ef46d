"""Every path of the store, and nowhere else: those of packs are in `pack_layout.py`.

    samples/<digest>.arrow
    benchmarks/<ref>/{manifest.json, order.arrow, digests.arrow,
                      tables/samples/part-00000.parquet …, tables/samples.json}
    stages/<stage>/<key>/{stage.json, <edition>/…}
    stages/<stage>/<key>/<edition>/{identity.json, identity-<name>.json, shard-<digest>.arrow,
                                    shard-<digest>-r1.arrow, _owed-<digest>, parts-<digest>/…,
                                    quarantine/…}
    runs/<run id>/{plan.json, config.yaml, status.json, cancel.json, editions.json, heads.json,
                   known.json, control/<number>.json, events/<chunk>.jsonl, identities/<driver>/…,
                   drivers/<driver>{.json,.gone}, certainty.json, sentinels.json, sets/…, report/…,
                   {summary,conditions,subgroups,labels,calibration}.parquet, published.json,
                   tables.json, tables/{values,predictions,verdicts}/<system>/part-00000.parquet …}
    claims/<scope>/<range>-<number>.json   sentinels/<identity>/<session>-<worker>.json
    nightly/<name>/{nights/<date>.json, nights/<date>.md, history.parquet, latest.json, lease/…}
    weights/<owner>--<model>/<commit>/{manifest.json, part-<digest>}
    chaos/<death>   speeds/<recipe>.json   batches/<model>/<token>{.json,.sent.json}

A place is a folder, and its properties and methods are the paths in it. `quarantine/` stands beside
whatever was damaged.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, Protocol

from medgen.engine.errors import ConfigError

Beside = Literal["conditions", "subgroups", "labels", "calibration", "repeats"]

SAMPLES = "samples"
BENCHMARKS = "benchmarks"
RUNS = "runs"
STAGES = "stages"
NIGHTLY = "nightly"
CLAIMS = "claims"
WEIGHTS = "weights"
DEATHS = "chaos"  # marks of those that a rehearsal has caused
QUARANTINE = "quarantine"
PARTS = "parts-"  # how the folder of a shard's parts begins
SUMMARY = "summary.parquet"

LONGEST_NAME = 100  # bytes
_LONGEST_FOLDER = 60
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]+")
_NAME = r"[0-9a-z]+(?:-\d+of\d+)?"  # of a shard: what samples it is about
_SHARD = re.compile(rf"shard-({_NAME})(?:-r(\d+))?\.arrow")
_PART = re.compile(r"(\d{5,})-(\d{5,})\.arrow")
_LEASE = re.compile(r"lease-(\d{6,})\.json")
_ORDER = re.compile(r"(\d{6}|[1-9]\d{6,17})\.json", re.ASCII)
_COMMIT = re.compile(rf"stages/(\w+)/\w+/(?:\w+/)?(shard|parts)-({_NAME})")
_EDITION = re.compile(r"[0-9a-f]{16}")
_IDENTITY = re.compile(r"identity(?:-\w+)?\.json")


class _Below:
    """A path in the folder of a place."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, place: "_Place", kind: type["_Place"]) -> str:
        return f"{place.folder}/{self._name}"


class _Place(Protocol):
    @property
    def folder(self) -> str: ...


@dataclass(frozen=True, slots=True)
class BenchmarkPlace:
    """The folder of a benchmark."""

    ref: str

    @property
    def folder(self) -> str:
        """Where it is."""
        return f"{BENCHMARKS}/{self.ref}"

    manifest = _Below("manifest.json")  # what the benchmark is
    order = _Below("order.arrow")  # what every sample is, and in which order they came
    digests = _Below("digests.arrow")  # those of the samples, in the benchmark's order
    samples = _Below("tables/samples")  # the folder of the samples' table for other programs
    samples_whole = _Below("tables/samples.json")  # the note that this table is whole


def sample_shard(digest: str) -> str:
    """A shard of samples, which every benchmark that holds them shares."""
    return f"{SAMPLES}/{digest}.arrow"


@dataclass(frozen=True, slots=True)
class StagePlace:
    """The folder of what a stage made under one key: in an edition, what one identity made."""

    stage: str
    key: str
    edition: str = ""  # empty: the folder above them all, or rows that have none

    @property
    def key_folder(self) -> str:
        """Where everything under the key is."""
        return f"{STAGES}/{self.stage}/{self.key}"

    @property
    def folder(self) -> str:
        """Where it is."""
        return f"{self.key_folder}/{self.edition}" if self.edition else self.key_folder

    @property
    def recipe(self) -> str:
        """What the key stands for."""
        return f"{self.key_folder}/stage.json"

    def identity(self, name: str = "") -> str:
        """What made the edition; with a name, another that has added to it."""
        return f"{self.folder}/identity-{name}.json" if name else f"{self.folder}/identity.json"

    quarantine = _Below(QUARANTINE)  # where damaged shards were put

    def shard(self, name: str, revision: int = 0) -> str:
        """A shard of rows, by the name of the samples that they are about (`piece_name`)."""
        return f"{self.folder}/shard-{name}{_revision_suffix(revision)}.arrow"

    def note(self, name: str, revision: int = 0) -> str:
        """The note that the outside kept some rows of a shard from us."""
        return f"{self.folder}/{owed_note(name, revision)}"

    def parts(self, name: str, revision: int, inputs: str) -> str:
        """The folder of a shard's parts; `inputs` tells apart what they were made from."""
        suffix = f"-{inputs}" if inputs else ""
        return f"{self.folder}/{PARTS}{name}{_revision_suffix(revision)}{suffix}"


@dataclass(frozen=True, slots=True)
class RunPlace:
    """The folder of a run."""

    run_id: str

    @property
    def folder(self) -> str:
        """Where it is."""
        return f"{RUNS}/{self.run_id}"

    plan = _Below("plan.json")  # what is to be done
    config = _Below("config.yaml")  # what the user said
    status = _Below("status.json")  # where it stands
    editions = _Below("editions.json")  # which edition of each stage the run reads and writes
    heads = _Below("heads.json")  # what its shards say that they are
    known = _Below("known.json")  # what the store's listings told when all of it was there

    def identity_claim(self, driver: str, group: str) -> str:
        """What the first worker of a group was, under one driver; `group` is a digest of it."""
        return f"{self.folder}/identities/{driver}/{group}.json"

    drivers = _Below("drivers")  # the folder of the drivers' signs of life

    def presence(self, driver: str) -> str:
        """What a driver writes anew as long as it lives."""
        return f"{self.drivers}/{driver}.json"

    def tombstone(self, driver: str) -> str:
        """That another driver has found it dead."""
        return f"{self.drivers}/{driver}.gone"

    cancel = _Below("cancel.json")  # a request to stop
    control = _Below("control")  # the folder of orders to the driver

    def order(self, number: int) -> str:
        """One of them."""
        return f"{self.control}/{number:06d}.json"

    events = _Below("events")  # the folder of the drivers' logs

    def log(self, chunk: str) -> str:
        """A chunk of a driver's log, by its file name."""
        return f"{self.events}/{chunk}"

    summary = _Below(SUMMARY)  # means and their intervals
    sentinels = _Below("sentinels.json")  # whether the judges moved
    certainty = _Below("certainty.json")  # who leads each format, and how surely

    def beside(self, table: Beside) -> str:
        """A table beside the means; a run of which it says nothing has none."""
        return f"{self.folder}/{table}.parquet"

    sets = _Below("sets")  # the folder of notes on encoders that the run's sets were looked at with

    def encoder(self, identity: str) -> str:
        """The note on one of them."""
        return f"{self.sets}/{identity}.json"

    tables = _Below("tables")  # the folder of the tables for other programs

    def table(self, kind: str, system: str) -> str:
        """The folder of a system's part of one of them: values, predictions or verdicts."""
        return f"{self.tables}/{kind}/{table_folder(system)}"

    # The note on which systems' tables are whole, and what they were made from.
    tables_whole = _Below("tables.json")
    publishing = _Below("published.json")  # the note on what was published, and from what

    def report(self, name: str) -> str:
        """A page or an image of the report."""
        return f"{self.folder}/report/{name}"


@dataclass(frozen=True, slots=True)
class SentinelPlace:
    """The folder of what a judge said of the sentinels."""

    identity: str

    @property
    def folder(self) -> str:
        """Where it is."""
        return f"sentinels/{self.identity}"

    def table(self, name: str) -> str:
        """What one worker's judge said, by its file name."""
        return f"{self.folder}/{name}"


@dataclass(frozen=True, slots=True)
class NightlyPlace:
    """The folder of the nights of one name."""

    name: str

    @property
    def folder(self) -> str:
        """Where it is."""
        return f"{NIGHTLY}/{self.name}"

    nights = _Below("nights")  # the folder of the nights' records

    def record(self, date: str) -> str:
        """One night."""
        return f"{self.nights}/{date}.json"

    def page(self, date: str) -> str:
        """One night for people."""
        return f"{self.nights}/{date}.md"

    history = _Below("history.parquet")  # all nights in a table
    latest = _Below("latest.json")  # the record of the last night
    lease = _Below("lease")  # the folder of the lease that one night at a time holds


@dataclass(frozen=True, slots=True)
class WeightsPlace:
    """The folder of a model of the hub at a commit."""

    model: str  # owner/name
    commit: str

    @property
    def folder(self) -> str:
        """Where it is."""
        return f"{WEIGHTS}/{self.model.replace('/', '--')}/{self.commit}"

    manifest = _Below("manifest.json")  # its files and their parts: what has this is whole

    def part(self, digest: str) -> str:
        """A part of one or more files, by the sha256 of its bytes."""
        return f"{self.folder}/part-{digest}"


def path_name(text: str, what: str) -> str:
    """A name from outside that becomes a part of a path: of a run, a benchmark, the nights.

    Raises:
        ConfigError: it is empty, too long, begins with `.` or `-`, or has a sign beside letters,
            digits, `-`, `_` and `.`.
    """
    why = ""
    if not text or not all(ch.isalnum() or ch in "-_." for ch in text):
        why = "use letters, digits, '-', '_' and '.'"
    elif text.startswith((".", "-")):
        why = f"it begins with {text[0]!r}"
    elif len(text.encode()) > LONGEST_NAME:
        why = f"it has more than {LONGEST_NAME} bytes"
    if why:
        raise ConfigError(f"{what}: {text!r} is no name; {why}")
    return text


def piece_name(digest: str, piece: int, pieces: int) -> str:
    """The name of a shard of rows: the digest of its samples, or which piece of them it is."""
    return digest if pieces == 1 else f"{digest}-{piece + 1}of{pieces}"


def pieces_of(name: str) -> tuple[str, int, int]:
    """The digest in a name that `piece_name` made, which piece it is from 0, and of how many."""
    digest, _, rest = name.partition("-")
    piece, _, pieces = rest.partition("of")
    return (digest, int(piece) - 1, int(pieces)) if rest else (digest, 0, 1)


def shard_of(file: str) -> tuple[str, int] | None:
    """The shard's name and the revision that a file name stands for; None: it is no shard's."""
    match = _SHARD.fullmatch(file)
    return (match[1], int(match[2] or 0)) if match else None


def is_edition(name: str) -> bool:
    """Whether a name below a key is an edition's."""
    return bool(_EDITION.fullmatch(name))


def is_identity(file: str) -> bool:
    """Whether a file name in an edition's folder is of what made its rows."""
    return bool(_IDENTITY.fullmatch(file))


def owed_note(name: str, revision: int) -> str:
    """The file name of the note that a shard has rows which a plain start is to repeat."""
    return f"_owed-{name}{_revision_suffix(revision)}"


def part(parts: str, positions: tuple[int, int]) -> str:
    """The rows of some positions, in a folder of parts."""
    return f"{parts}/{positions[0]:05d}-{positions[1]:05d}.arrow"


def positions_of(name: str) -> tuple[int, int] | None:
    """The positions that a part's file name stands for; None: it is no part's."""
    match = _PART.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def commit_of(path: str) -> tuple[str, ...] | None:
    """Stage, `shard` or `parts`, and name, of a path that is written to commit rows."""
    match = _COMMIT.match(path)
    return match.groups() if match else None


def stage_folder(stage: str) -> str:
    """Where the keys of a stage are."""
    return f"{STAGES}/{stage}"


def is_of_tables(path: str) -> bool:
    """Whether an object is a part of the tables for other programs."""
    return "/tables/" in path


def quarantine_path(path: str) -> str:
    """Where a damaged object is put."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{QUARANTINE}/{name}"


def table_folder(system: str) -> str:
    """The folder of a system in a table, never to be read back: the system is a column.

    Plain letters, so that no reader takes it for a pattern, a URL or `key=value`, and no `.` or
    `_` in front, for which readers pass over a folder.
    """
    plain = _FOREIGN.sub("-", system)[:_LONGEST_FOLDER].strip("-._") or "x"
    if plain == system:
        return plain
    return f"{plain}-{hashlib.sha256(system.encode(errors='surrogatepass')).hexdigest()[:10]}"


def table_part(folder: str, number: int) -> str:
    """A part of a table."""
    return f"{folder}/part-{number:05d}.parquet"


def lease(folder: str, number: int) -> str:
    """One holding of the lease in a folder."""
    return f"{folder}/lease-{number:06d}.json"


def lease_number(name: str) -> int | None:
    """The number of a holding, by its file name; None: it is none."""
    match = _LEASE.fullmatch(name)
    return int(match[1]) if match else None


def claim_folder(scope: str) -> str:
    """Where claims of one scope are: of a stage's rows under one key, or of a run's scoring."""
    return f"{CLAIMS}/{scope}"


def claim(scope: str, span: str, number: int) -> str:
    """A claim of a range of shards; the higher number stands in place of one that is void."""
    return f"{claim_folder(scope)}/{span}-{number}.json"


def control_number(name: str) -> int | None:
    """The number of an order, by its file name; None: it is none."""
    return int(match[1]) if (match := _ORDER.fullmatch(name)) else None


def session_table(session: str, worker: str) -> str:
    """The file name of what a worker's judge said in a session; sorts by session."""
    return f"{session}-{worker}.json"


def log_chunk(driver: str, number: int) -> str:
    """The file name of a chunk of a driver's log."""
    return f"{driver}-{number:05d}.jsonl"


def edition_of(path: str) -> StagePlace:
    """The edition that an object lies in."""
    _, stage, key, edition, *_ = path.split("/")
    return StagePlace(stage, key, edition)


def driver_of(chunk: str) -> str:
    """The driver whose log a chunk is of."""
    return chunk.rpartition("-")[0]


def report_image(number: int) -> str:
    """An image of the report, as the pages beside it name it."""
    return f"pictures/sample-{number}.png"


def death(identity: str) -> str:
    """The mark of a death that a rehearsal has caused."""
    return f"{DEATHS}/{identity}"


def speed_name(key: str) -> str:
    """How fast a recipe was, by the fingerprint of what that depends on."""
    return f"speeds/{key}.json"


def batch_folder(scope: str) -> str:
    """The notes of what was handed to a vendor in batches, of one model at one endpoint."""
    return f"batches/{scope}"


def benchmark_ref(name: str, fingerprint: str) -> str:
    """The name under which a benchmark stands in the store."""
    return f"{name}-{fingerprint}"


def benchmark_name(ref: str) -> str:
    """The name in it."""
    return ref.rpartition("-")[0]


def _revision_suffix(revision: int) -> str:
    return f"-r{revision}" if revision else ""
