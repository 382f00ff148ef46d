"""A run as pages read it: the summary, and the tables of values, predictions and verdicts.

Nothing is read before it is asked for, and what was read is kept: the first page needs the summary
alone. Values become one float32 array a column, (systems, samples), NaN where there is none. Pages
never see a path: systems and samples are numbers here, and pictures are asked for by both.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medgen.engine.benchmark.manifest import Manifest, manifest_from_json
from medgen.engine.data import ASKS
from medgen.engine.errors import StoreError
from medgen.engine.plan.plan import Plan
from medgen.engine.results.comparison import Side
from medgen.engine.results.sets import SetRow, stored_set_rows
from medgen.engine.results.statistics import Ints
from medgen.engine.results.summary import read_summary, summarize
from medgen.engine.run.folder import RunFolder, Status
from medgen.engine.run.reader import RunReader
from medgen.engine.store.layout import BenchmarkPlace, RunPlace
from medgen.engine.store.objects import Objects
from medgen.launch.view.parts import Parts
from medgen.launch.view.samples import SampleTable

Row = dict[str, Any]
Key = tuple[str, str, str]  # stage, label and output of a value
Values = NDArray[np.float32]

# Floor and ceiling of a value, and the letters that stand for the controls.
FLOORS = ("copy-input", "blank", "unrelated", "text-only")
LETTERS = {
    "oracle": "o",
    "copy-input": "c",
    "blank": "b",
    "unrelated": "u",
    "classical": "k",
    "replay": "r",
    "text-only": "t",
}
_NEIGHBOURS = 20  # samples that are read together for their pages
_KEPT = 12  # blocks of neighbours, of three tables each
# What a sample's page shows of each table; reading all columns takes five times as long.
_SHOWN = {
    "predictions": (
        "position", "status", "reason", "text", "image_prompt", "prompt_tokens",
        "completion_tokens", "cached_tokens", "seconds", "cost_usd", "finish_reason", "details",
    ),
    "values": ("position", "stage", "label", "output", "value", "status", "reason", "passed"),
    "verdicts": (
        "position", "label", "judge", "view", "scale", "repeat", "value", "status", "reason",
        "prompt_digest", "protocol", "explanation", "raw",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SystemEntry:
    """One system: its place in the plan, and what it is."""

    place: int
    name: str
    control: bool
    random: bool
    number: int  # colour and marker, from 1; 0 for controls and random weights
    of: str = ""  # the system that it shows something about: under a condition, or asked again

    @property
    def letter(self) -> str:
        """The letter of a control."""
        return LETTERS.get(self.name, self.name[:1].lower()) if self.control else ""


@dataclass(frozen=True, slots=True)
class ValueEntry:
    """One value of the run: a metric's output, or a judge's dimension in a view."""

    place: int
    key: Key
    title: str
    direction: str | None
    threshold: float | None
    pass_when: str | None
    formats: tuple[str, ...]

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return {"higher": "↑", "lower": "↓"}.get(self.direction or "", "")

    @property
    def overall(self) -> bool:
        """Whether it is no dimension of a judge: those are left to the sample's page."""
        return self.key[0] != "judge" or self.key[2].startswith("overall")


@dataclass(eq=False)
class StoredRun:
    """One run of a store."""

    objects: Objects
    run_id: str
    reader: RunReader | None = field(
        default=None, repr=False
    )  # of the same run, where there is one
    parts: Parts = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read nothing yet."""
        self.folder = RunFolder(self.objects, self.run_id)
        self.place = RunPlace(self.run_id)
        self.parts = Parts(self.objects)
        self._near: OrderedDict[tuple[str, str, int], dict[int, list[Row]]] = OrderedDict()
        self._lock = Lock()

    @cached_property
    def plan(self) -> Plan:
        """What the run is."""
        return self.reader.plan if self.reader else self.folder.plan()

    @cached_property
    def status(self) -> Status | None:
        """Where it stands."""
        return self.folder.status()

    @cached_property
    def manifest(self) -> Manifest:
        """The benchmark's."""
        name = BenchmarkPlace(self.plan.benchmark).manifest
        return manifest_from_json(self.objects.read(name), name)

    @cached_property
    def summary_table(self) -> pa.Table:
        """`summary.parquet`; of a run that has none yet, a summary of what is there so far."""
        try:
            return read_summary(self.objects.read(self.place.summary), self.place.summary)
        except FileNotFoundError:  # the run goes on, or was stopped before its end
            return summarize(self._reader)

    @cached_property
    def summary(self) -> list[Row]:
        """The rows of whole formats: groups are a tenfold of them, and few pages need those."""
        return self._summary()

    def _summary(self) -> list[Row]:
        table = self.summary_table  # as a pattern, for `pc.equal` imports pandas
        whole = pc.match_substring_regex(table["group_kind"], "^all$")
        return table.filter(whole).to_pylist()

    @cached_property
    def sets(self) -> tuple[SetRow, ...]:
        """Distances of whole sets of pictures, as `medgen sets` has noted them."""
        if not self.objects.names(self.place.sets):
            return ()
        return tuple(stored_set_rows(self._reader))

    def group_rows(self, kind: str, value: "ValueEntry") -> list[Row]:
        """The rows of one value by the groups of a kind, task or modality."""
        table = self.summary_table
        for name, word in zip(
            ("group_kind", "stage", "label", "output"), (kind, *value.key), strict=True
        ):
            table = table.filter(pc.equal(table[name], word))
        return table.to_pylist()

    @cached_property
    def systems(self) -> tuple[SystemEntry, ...]:
        """In the order of the plan; numbers are given to those that are results."""
        return self._systems()

    def _systems(self) -> tuple[SystemEntry, ...]:
        random = {}
        for row in self.summary:
            if row["stage"] == "score":
                random[row["system"]] = bool(row["random_weights"])
        random |= self._random_by_predictions(random)
        found, number = [], 0
        for place, system in enumerate(self.plan.answering):
            plumbing = random.get(system.name, False) and not system.control
            number += not (system.control or plumbing)
            own = 0 if system.control or plumbing else number
            entry = SystemEntry(place, system.name, system.control, plumbing, own, system.of)
            found.append(entry)
        return tuple(found)

    def _random_by_predictions(self, known: Mapping[str, bool]) -> dict[str, bool]:
        """Of systems that no metric looked at."""
        lacking = [s.name for s in self.plan.answering if s.name not in known]
        found = {}
        for name in lacking:
            table = self.parts.table(self._tables("predictions", name), ["random_weights"])
            found[name] = bool(table.num_rows and pc.any(table["random_weights"]).as_py())
        return found

    @property
    def eligible(self) -> tuple[SystemEntry, ...]:
        """Systems whose values are results: no controls, no random weights."""
        return tuple(s for s in self.systems if s.number)

    @property
    def controls(self) -> tuple[SystemEntry, ...]:
        """What is known by construction."""
        return tuple(s for s in self.systems if s.control and not s.of)

    @cached_property
    def values(self) -> tuple[ValueEntry, ...]:
        """Every value of the run, judges' overall scores first, in the plan's order."""
        rows: dict[Key, list[Row]] = {}
        for row in self.summary:
            if row["group_kind"] == "all":
                rows.setdefault(value_key(row), []).append(row)
        overall = [k for k in rows if k[0] == "judge" and k[2].startswith("overall")]
        overall.sort(key=lambda k: not k[2].endswith("reference_based"))
        order = [*overall, *(k for k in rows if k[0] != "judge")]
        order += [k for k in rows if k not in order]
        return tuple(_value_entry(i, key, rows[key]) for i, key in enumerate(order))

    @cached_property
    def doubts(self) -> str:
        """What is known against the judges: they moved, or have random weights; else empty."""
        return self._doubts()

    def _doubts(self) -> str:
        try:
            sentinels = json.loads(self.objects.read(self.place.sentinels))
        except FileNotFoundError:
            sentinels = {}
        if any(isinstance(s, dict) and s.get("moved") for s in dict(sentinels).values()):
            return "the judge moved"
        own = {r["system"]: r["random_weights"] for r in self.summary if r["stage"] == "score"}
        judged = (r for r in self.summary if r["stage"] == "judge" and r["random_weights"])
        if any(not own.get(row["system"], True) for row in judged):
            return "the judge has random weights"
        return ""

    @cached_property
    def formats(self) -> tuple[str, ...]:
        """The formats that the run's systems owe, largest first."""
        sizes = self.plan.formats()
        return tuple(sorted(sizes, key=lambda f: (-sizes[f], f)))

    def owes(self, system: str, format_: str) -> bool:
        """Whether a system is asked for a format."""
        return format_ in self.plan.formats(self.plan.system(system).gives)

    def size_of(self, format_: str) -> int:
        """How many samples are of a format."""
        return self.plan.formats().get(format_, 0)

    def _tables(self, kind: str, system: str) -> list[str]:
        return self.parts.of_system(f"{self.place.tables}/{kind}", system)

    @cached_property
    def _sample_count(self) -> int:
        """How many samples the run takes: a limit takes the first, and the rest is not missing."""
        return sum(self.plan.samples.values())

    @cached_property
    def samples(self) -> SampleTable:
        """The samples that the run takes, without texts and pictures.

        Raises:
            StoreError: the benchmark has no table of samples.
        """
        found = SampleTable(self.parts, self.sample_parts, self._sample_count)
        if not len(found):
            raise StoreError(
                f"{self.plan.benchmark} has no table of samples; `medgen report {self.run_id}` "
                "writes it"
            )
        return found

    @cached_property
    def clusters(self) -> NDArray[np.int32]:
        """The source of every sample, as a number; one without is a source of its own."""
        if self.reader is None:
            return self.samples.clusters
        return self.reader.benchmark.clusters(ASKS, self.plan.shards)  # which it has made already

    @cached_property
    def sample_parts(self) -> list[str]:
        """Where the samples are."""
        place = BenchmarkPlace(self.plan.benchmark).samples
        return [f"{place}/{n}" for n in self.objects.names(place) if n.endswith(".parquet")]

    @cached_property
    def grid(self) -> dict[Key, Values]:
        """Every value of every system and sample: (systems, samples), NaN where there is none."""
        return self._grid()

    def _grid(self) -> dict[Key, Values]:
        shape = (len(self.systems), len(self.samples))
        found: dict[Key, Values] = {}
        for entry in self.systems:
            tables = self._tables("values", entry.name)
            for table in self.parts.batches(tables, ["position", *_KEY, "value"], _KEY):
                for key, positions, values in _by_key(table):
                    if key not in found:
                        found[key] = np.full(shape, np.nan, np.float32)
                    found[key][entry.place, positions] = values
        return found

    @cached_property
    def predictions(self) -> dict[str, pa.Table]:
        """Status, usage and the beginning of the text of every prediction, by system."""
        return self._predictions()

    def _predictions(self) -> dict[str, pa.Table]:
        names = [
            "position", "sample", "format", "task", "modality", "status", "reason",
            "prompt_tokens", "completion_tokens", "cached_tokens", "seconds", "cost_usd",
        ]  # fmt: skip
        return {
            s.name: self.parts.table(self._tables("predictions", s.name), names)
            for s in self.systems
        }

    def prediction_sums(self, system: str, names: Sequence[str]) -> dict[str, float]:
        """How many predictions a system has, as `rows`, and the sums of some of their columns."""
        return self.parts.sums(self._tables("predictions", system), names)

    def prediction_statuses(self, system: str) -> dict[str, int]:
        """How many predictions a system has of each status, of all formats."""
        return self.parts.counts(self._tables("predictions", system), "status")

    def rows(self, kind: str, system: str, positions: tuple[int, int]) -> list[Row]:
        """The rows of a table for some positions (from, up to), pictures left out."""
        return self.parts.rows(self._tables(kind, system), positions, but=("image", "more_images"))

    def rows_at(self, kind: str, system: str, position: int) -> list[Row]:
        """The rows of one sample; those of its neighbours are read along and kept."""
        block = position // _NEIGHBOURS
        key = (kind, system, block)
        known = self._near.get(key)
        if known is None:
            known = {}
            span = (block * _NEIGHBOURS, (block + 1) * _NEIGHBOURS)
            paths = self._tables(kind, system)
            for row in self.parts.rows(paths, span, only=_SHOWN.get(kind, ())):
                known.setdefault(row["position"], []).append(row)
            self._keep_near(key, known)
        return known.get(position, [])

    def _keep_near(self, key: tuple[str, str, int], rows: dict[int, list[Row]]) -> None:
        with self._lock:  # pages are made in threads of their own
            self._near[key] = rows
            while len(self._near) > _KEPT * len(self.systems):
                self._near.popitem(last=False)

    def sample_rows(self, positions: tuple[int, int]) -> list[Row]:
        """The samples at some positions, with the roles of their pictures but not the bytes."""
        span = positions[0], min(positions[1], self._sample_count)
        return self.parts.rows(self.sample_parts, span, but=("images", "raw"))

    def picture(self, position: int, slot: str) -> bytes | None:
        """The bytes of a picture as they came; None when there is none.

        `slot` is `s3`, the output of system 3, or `input-0`, `reference-0`.
        """
        if slot.startswith("s"):
            name = self.systems[int(slot[1:])].name
            row = self.parts.row(self._tables("predictions", name), position, "image")
            data = (row or {}).get("bytes")
        else:
            role, _, number = slot.partition("-")
            images = self.parts.row(self.sample_parts, position, "images") or []
            own = [i["bytes"] for i in images if i["role"] == role]
            data = own[int(number)] if int(number) < len(own) else None
        return bytes(data) if data else None

    @cached_property
    def picture_slots(self) -> list[tuple[int, int]]:
        """How many input and reference pictures each sample has, by position."""
        found = []
        for roles in self.parts.roles(self.sample_parts)[: self._sample_count]:
            found.append((roles.count("input"), roles.count("reference")))
        return found

    @cached_property
    def has_pictures(self) -> bool:
        """Whether any sample comes with a picture."""
        return any(inputs or references for inputs, references in self.picture_slots)

    def side(self, place: int) -> Side:
        """A system as the engine compares it."""
        return Side(self._reader, self.systems[place].name)

    @cached_property
    def _reader(self) -> RunReader:
        return self.reader or RunReader(self.objects, self.plan)

    def events(self) -> list[Row]:
        """What happened, by time."""
        return self.folder.events()


_KEY = ("stage", "label", "output")


def _by_key(table: pa.Table) -> Iterator[tuple[Key, Ints, Values]]:
    """Rows of a table of values, parted by what value they are: their positions and values."""
    coded = [table[name].combine_chunks() for name in _KEY]
    codes = [c if isinstance(c, pa.DictionaryArray) else c.dictionary_encode() for c in coded]
    size = [len(c.dictionary) for c in codes]
    mixed: Ints = np.zeros(table.num_rows, np.int64)
    for column, many in zip(codes, size, strict=True):
        mixed = mixed * many + column.indices.to_numpy()
    positions = table["position"].to_numpy()
    values = table["value"].to_numpy().astype(np.float32)
    order = np.argsort(mixed, kind="stable")
    starts = np.flatnonzero(np.diff(mixed[order], prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        rows, code = order[start:end], int(mixed[order[start]])
        words = []
        for column, many in reversed(list(zip(codes, size, strict=True))):
            code, word = divmod(code, many)
            words.append(str(column.dictionary[word].as_py()))
        stage, label, output = reversed(words)
        yield (stage, label, output), positions[rows], values[rows]


def value_key(row: Mapping[str, Any]) -> Key:
    """What tells a value of the summary from all others."""
    return str(row["stage"]), str(row["label"]), str(row["output"])


_VIEWS = {"reference_based": "with ref.", "reference_free": "no ref."}


def _value_entry(place: int, key: Key, rows: Sequence[Row]) -> ValueEntry:
    first = rows[0]
    formats = tuple(dict.fromkeys(str(r["format"]) for r in rows))
    direction = first["direction"]
    return ValueEntry(
        place=place,
        key=key,
        title=value_title(str(first["metric"]), key),
        direction=None if direction is None else str(direction),
        threshold=first["threshold"],
        pass_when=first["pass_when"],
        formats=formats,
    )


_SPELLINGS = {
    "psnr": "PSNR, dB", "ssim": "SSIM", "lpips": "LPIPS", "bleu": "BLEU", "bertscore": "BERTScore",
    "f1": "F1", "minilm": "(MiniLM)", "efficientnet": "(EfficientNet)",
}  # fmt: skip


def value_title(metric: str, key: Key) -> str:
    """A value as people read it, with its unit and what weights are named."""
    name, _, view = metric.rpartition("/")
    if key[0] == "judge" and view in _VIEWS:
        who, _, dimension = name.rpartition(":")
        what = "judge" if dimension.startswith("overall") else dimension.replace("_", " ")
        return f"{what}, {_VIEWS[view]}" + (f" ({who})" if who else "")
    words = metric.rpartition(".")[2].replace("_", " ").split()
    return " ".join(_SPELLINGS.get(w, w) for w in words)
