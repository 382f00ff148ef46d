"""What runs in a worker: read a shard, do the stage, commit, and return receipts.

A worker is made once in its process from the plan and the name of its group. Rows never travel
through the driver: they are read from the store and written to it.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.codec import fingerprint
from medgen.engine.conditions.shown import Shown
from medgen.engine.data import Prediction, Sample, Score, Verdict
from medgen.engine.environment import code_digest, environment_lock
from medgen.engine.errors import CorruptError, IdentityError, StaleError, StoreError
from medgen.engine.occasion import Occasion, during
from medgen.engine.plan.effective import Effective, changes, content_parts, resolve, seen_parts
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.editions import (
    Home,
    Terms,
    around,
    claim,
    find_home,
    record_identity,
    spec_of,
)
from medgen.engine.run.pool import Receipt, Target, Unit, editions_read, inputs_of, narrow
from medgen.engine.run.reader import combine, part_of, stage_shards
from medgen.engine.run.receipts import Written, elsewhere, receipt_of
from medgen.engine.run.together import record_identities, together_of
from medgen.engine.stages import stage_kind
from medgen.engine.store.connect import connect
from medgen.engine.store.gathering import create_together, delete_parts, fetch_packs
from medgen.engine.store.glance import glance, is_there
from medgen.engine.store.layout import StagePlace, part
from medgen.engine.store.mirror import fetch_all
from medgen.engine.store.objects import Objects
from medgen.engine.store.pack_layout import pack_of_parts, pack_of_shard
from medgen.engine.store.shards import Parts, Sealed, Stage, concat, label, labels, md5_of
from medgen.engine.threads import in_threads
from medgen.engine.trouble import log_failed_row

log = logging.getLogger(__name__)

_KEPT = 64 * 2**20  # bytes of rows that a worker keeps for the next part of their shard
_SEALS_AT_ONCE = 4  # compressing and hashing hold no other thread up
_ANEW = "start again: the next start looks at what is there"
# What Arrow and JSON raise for values that they cannot hold.
_UNSTORABLE = (pa.ArrowException, UnicodeError, OverflowError, ValueError, TypeError)
Row = TypeVar("Row", Prediction, Score, Verdict)


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of one benchmark shard: one object, so that threads cannot mix two."""

    shard: int
    samples: list[Sample]
    rows: dict[str, tuple[pa.Table, str]] = field(default_factory=dict)  # and their sha256, by path


class StageWorker(ABC):
    """What all stages share: parts, merging, labels, committing."""

    def __init__(self, url: str, plan: Plan, group: str) -> None:
        """Open the store and build what the group holds.

        Raises:
            AdapterError: the model, weights or endpoint cannot be used.
        """
        self.plan = plan
        self.group = plan.groups[group]
        self.objects = connect(url)
        fetch_all(self.objects, self.group.spec.kwargs)
        nodes = {node.label: node for node in self._nodes()}
        self._before = {n: content_parts(spec_of(plan, node)) for n, node in nodes.items()}
        self.benchmark = Benchmark(self.objects, plan.benchmark)
        self.shown = Shown(self.benchmark)
        self.terms = Terms()
        self._read = _Read(-1, [])
        self._names: dict[str, tuple[str, ...]] = {}  # of shards, by key
        self._held: dict[str, Effective] = {}  # by label
        self._called: dict[str, str] = {}  # their names
        self._homes: dict[tuple[str, str, tuple[tuple[str, str], ...]], Home] = {}
        self._recorded: set[str] = set()
        self.together = together_of(plan, group)
        self._seen: Objects = self.objects  # as it was listed when a unit began

    def introduce(self, terms: Terms) -> None:
        """Find out what this worker holds, and hold that against the others of its run.

        Raises:
            IdentityError: the first worker of the group was another.
        """
        self.terms = terms
        claim(
            self.objects,
            self.plan,
            self.group.name,
            terms,
            {node.label: self.effective(node) for node in self._nodes()},
        )

    def _nodes(self) -> list[Node]:
        return [n for n in self.plan.nodes.values() if n.group == self.group.name]

    def __call__(self, unit: Unit) -> Sequence[Receipt]:
        """Do a unit and commit it; or say that its rows belong elsewhere, and do nothing."""
        start = time.monotonic()
        self._seen = glance(self.objects)
        homes = {t: self.home(t, unit) for t in unit.targets}
        if any(home.why for home in homes.values()):
            return [elsewhere(self.node(t), unit, home) for t, home in homes.items()]
        there = self._there(unit, start)
        left = narrow(unit, tuple(t for t in unit.targets if t not in there))
        tables = self._tables(left) if left.targets else {}
        if len(tables) > 1:
            together = self._commit_together if unit.positions is None else self._commit_parts
            return [*there.values(), *together(left, tables, start)]
        made = [self._commit(left, target, table, start) for target, table in tables.items()]
        return [*there.values(), *made]

    def _tables(self, unit: Unit) -> dict[Target, pa.Table]:
        if unit.merge:
            if len(unit.targets) > 1:
                names = [pack_of_parts(self._pack_name(unit), span) for span in unit.parts]
                fetch_packs(self.objects, self.together.place, names)
            return {t: self._merge(unit, t) for t in unit.targets}
        if unit.quarantined or unit.late:
            return {t: self.untried_rows(self.node(t), unit) for t in unit.targets}
        # Of several targets each has its own; whose worker asks for it says so.
        alone = unit.targets[0] if len(unit.targets) == 1 else None
        with during(None if alone is None else self.occasion(alone, unit)):
            return self.work(unit)

    def occasion(self, target: Target, unit: Unit) -> Occasion:
        """For which rows a component is asked, in whichever unit."""
        edition = self.home(target, unit).edition
        return Occasion(self.objects, fingerprint("occasion", target.key, edition, target.revision))

    @abstractmethod
    def work(self, unit: Unit) -> dict[Target, pa.Table]: ...

    @abstractmethod
    def untried_rows(self, node: Node, unit: Unit) -> pa.Table:
        """The row of the one sample that a unit spans: quarantined, or too late."""

    @abstractmethod
    def passport(self, node: Node) -> Mapping[str, Any]: ...

    def node(self, target: Target) -> Node:
        return self.plan.nodes[target.key]

    def effective(self, node: Node) -> Effective:
        """What this worker holds for a node, found out once.

        Raises:
            IdentityError: a file was changed while it was loaded: nobody knows what is held.
        """
        if node.label not in self._held:
            outer = around(self.plan, node)
            held = resolve(spec_of(self.plan, node), self.passport(node), environment_lock())
            more = seen_parts(outer, patient=True) if outer else {}
            before = self._before[node.label]
            if words := changes(held.parts, before, partly=True):
                raise IdentityError(f"{node.label} was changed while it was loaded: {words[0]}")
            self._held[node.label] = replace(held, parts={**more, **held.parts})
        return self._held[node.label]

    def identity(self, node: Node) -> str:
        """The name of that, which every label and receipt says."""
        if node.label not in self._called:
            self._called[node.label] = self.effective(node).name
        return self._called[node.label]

    def home(self, target: Target, unit: Unit) -> Home:
        """Where this worker writes the rows of a target."""
        node = self.node(target)
        upstream = editions_read(node, unit)
        asked = (node.key, target.edition, tuple(sorted(upstream.items())))
        if asked not in self._homes:
            find = find_home(self._seen, node, self.effective(node), upstream, self.terms)
            self._homes[asked] = find(target.edition)
        return self._homes[asked]

    def stage(self, target: Target, unit: Unit) -> Stage:
        """Where the rows of a target lie."""
        node, edition = self.node(target), self.home(target, unit).edition
        return self._stage(node, edition)

    def _stage(self, node: Node, edition: str) -> Stage:
        if node.key not in self._names:
            self._names[node.key] = self.plan.shard_names(node)
        names = self._names[node.key]
        return Stage(self.objects, node.stage, node.key, names, edition=edition)

    def _shard(self, shard: int) -> list[Sample]:
        return self._reading(shard).samples

    def _reading(self, shard: int) -> "_Read":
        read = self._read
        if read.shard != shard:
            read = self._read = _Read(shard, self.benchmark.samples(shard))
        return read

    def samples(self, unit: Unit) -> Sequence[Sample]:
        """The unit's samples, whatever they ask."""
        split = self.node(unit.targets[0]).split
        samples = part_of(self._shard(unit.shard // split), split, unit.shard)
        low, high = unit.positions or (0, len(samples))
        return samples[low:high]

    def rows(self, node: Node, shard: int, unit: Unit) -> pa.Table:
        """The rows of an upstream node for one benchmark shard: the very objects that are known.

        Raises:
            StoreError: one is gone, or is another by now.
        """
        tables = []
        for index in stage_shards(node, shard):
            known = unit.inputs[f"{node.key}/{self.plan.shard_name(node, index)}"]
            stage = self._stage(node, known.edition)
            place = stage.path(index, known.revision)
            kept = self._reading(shard).rows
            try:
                table, digest = kept.get(place) or stage.read_sealed(index, known.revision)
            except FileNotFoundError as err:
                raise StaleError(
                    f"{place}: a shard that this stage needs is gone; {_ANEW}"
                ) from err
            if known.sha256 not in ("", digest):
                raise StaleError(f"{place} was exchanged since this run began; {_ANEW}")
            if unit.positions and sum(t.nbytes for t, _ in list(kept.values())) < _KEPT:
                kept[place] = table, digest  # whoever has a part of a shard mostly has the next
            tables.append(table)
        return concat(tables)

    def predictions(
        self, node: Node, unit: Unit, samples: Sequence[Sample]
    ) -> dict[str, Prediction]:
        """The upstream predictions of the node's samples, by sample id."""
        shard = unit.shard // node.split
        above = (self.plan.nodes[key] for key in node.upstream)
        upstream = [n for n in above if stage_kind(n.stage).predicts]
        tables = [(n, self.rows(n, shard, unit)) for n in upstream]
        rows = combine([(s.id, s.asks) for s in self._shard(shard)], tables)
        return {s.id: rows[s.id] for s in samples if s.asks in node.gives}

    def previous(self, target: Target, unit: Unit, samples: Sequence[Sample]) -> pa.Table | None:
        """The samples' rows in the revision before, when it repeats some of them; else None."""
        if not target.redo:
            return None
        table = self.stage(target, unit).read(unit.shard, target.revision - 1)
        return table.filter(pc.is_in(table["sample_id"], pa.array([s.id for s in samples])))

    def _merge(self, unit: Unit, target: Target) -> pa.Table:
        node = self.node(target)
        committed = self._parts(node, unit, target)
        try:
            parts = [(span, committed.read(span)) for span in unit.parts]
        except FileNotFoundError as gone:
            # A worker that died after it had put the parts together may have dropped them, too.
            return self._whole(unit, target, gone)
        samples = self.samples(unit)
        for position in (*unit.quarantined, *unit.late):
            lone = replace(unit, targets=(target,), positions=(position, position + 1), merge=False)
            parts.append(((position, position + 1), self.untried_rows(node, lone)))
        return concat([table for _, table in _tiling(parts, len(samples), node)])

    def _whole(self, unit: Unit, target: Target, gone: FileNotFoundError) -> pa.Table:
        try:
            return self.stage(target, unit).read(unit.shard, target.revision)
        except FileNotFoundError:
            raise gone from None

    def _there(self, unit: Unit, start: float) -> dict[Target, Receipt]:
        """Receipts of shards that were made since the driver claimed them, by whomever."""
        kind = stage_kind(self.group.stage)
        if not unit.wary or unit.positions or unit.merge or kind.shard_major:
            return {}
        found = {target: self._found(target, unit, start) for target in unit.targets}
        return {target: receipt for target, receipt in found.items() if receipt is not None}

    def _found(self, target: Target, unit: Unit, start: float) -> Receipt | None:
        node = self.node(target)
        stage = self.stage(target, unit)
        path = stage.path(unit.shard, target.revision)
        if len(unit.targets) > 1 and not is_there(
            self._seen, path, pack_of_shard(self._pack_name(unit))
        ):
            return None  # one listing for all of them
        try:
            table, digest = stage.read_sealed(unit.shard, target.revision)
        except (FileNotFoundError, CorruptError):  # whoever writes over the latter is told
            return None
        said = labels(table)
        # Of other inputs: the driver learns that it is stale, and nothing is paid for in vain.
        stood = said.get("inputs") != self.labels(node, unit, target)["inputs"]
        seconds, who = time.monotonic() - start, str(said.get("identity", ""))
        written = Written(stage.place.edition, seconds, sha256=digest, identity=who)
        counted = receipt_of(node, unit, table, written)
        counted = replace(counted, cost_usd=0.0, prompt_tokens=0, completion_tokens=0)
        return replace(counted, cached_tokens=0, stood=stood)

    def _commit(self, unit: Unit, target: Target, table: pa.Table, start: float) -> Receipt:
        node, stage = self.node(target), self.stage(target, unit)
        if not self.home(target, unit).recorded:
            self._record(stage, node, unit)
        written = Written(stage.place.edition, time.monotonic() - start)
        if unit.positions is not None:
            size = self._parts(node, unit, target).write(unit.positions, table)
            return receipt_of(node, unit, table, replace(written, size=size))
        table = label(table, self.labels(node, unit, target))
        if self.is_owed(node, table):
            stage.note_owed(unit.shard, target.revision)
        sealed = stage.seal(unit.shard, table, target.revision)
        stood = not stage.publish(sealed)
        if unit.merge:
            self._parts(node, unit, target).drop()
        receipt = self._receipt_of(unit, target, table, sealed, stood)
        md5 = "" if stood else md5_of(sealed.data)
        return replace(receipt, seconds=time.monotonic() - start, md5=md5)

    def _commit_together(
        self, unit: Unit, tables: Mapping[Target, pa.Table], start: float
    ) -> list[Receipt]:
        """Commit the shards of several keys as one object."""
        self._record_all(unit, tables)
        contents: dict[str, bytes] = {}
        made = self._seal_all(unit, tables)
        for target, (table, _) in made.items():
            if self.is_owed(self.node(target), table):
                owed = self.stage(target, unit).owed_path(unit.shard, target.revision)
                contents[owed] = b"{}"
        shards = {sealed.path: sealed for _, sealed in made.values()}
        contents |= {path: sealed.data for path, sealed in shards.items()}
        notes = {path: sealed.note for path, sealed in shards.items()}
        name = pack_of_shard(self._pack_name(unit))
        stood = create_together(self.objects, self.together, name, contents, notes)
        took = time.monotonic() - start
        receipts = [
            replace(self._receipt_of(unit, t, *found, found[1].path in stood), seconds=took)
            for t, found in made.items()
        ]
        if unit.merge:
            folders = [self._parts(self.node(target), unit, target).folder for target in tables]
            delete_parts(self.objects, [part(f, span) for f in folders for span in unit.parts])
        return receipts

    def _seal_all(
        self, unit: Unit, tables: Mapping[Target, pa.Table]
    ) -> dict[Target, tuple[pa.Table, Sealed]]:
        def seal(target: Target) -> tuple[pa.Table, Sealed]:
            table = label(tables[target], self.labels(self.node(target), unit, target))
            return table, self.stage(target, unit).seal(unit.shard, table, target.revision)

        return dict(zip(tables, in_threads(seal, tables, _SEALS_AT_ONCE), strict=True))

    def _commit_parts(
        self, unit: Unit, tables: Mapping[Target, pa.Table], start: float
    ) -> list[Receipt]:
        """Commit the same part of the shards of several keys as one object."""
        self._record_all(unit, tables)
        span = unit.positions or (0, 0)
        contents: dict[str, bytes] = {}
        receipts = []
        for target, table in tables.items():
            node, stage = self.node(target), self.stage(target, unit)
            path, data = self._parts(node, unit, target).seal(span, table)
            contents[path] = data
            written = Written(stage.place.edition, time.monotonic() - start, len(data))
            receipts.append(receipt_of(node, unit, table, written))
        name = pack_of_parts(self._pack_name(unit), span)
        create_together(self.objects, self.together, name, contents, {})
        return receipts

    def _pack_name(self, unit: Unit) -> str:
        """What packs of a unit's shard are called."""
        node = self.node(unit.targets[0])
        return self.plan.shard_name(node, unit.shard)

    def _receipt_of(
        self, unit: Unit, target: Target, table: pa.Table, sealed: Sealed, stood: bool
    ) -> Receipt:
        """Of what stands there now: ours, or what another wrote before."""
        node, stage = self.node(target), self.stage(target, unit)
        head = stage.head(unit.shard, target.revision) if stood else sealed.head
        held, size = self.identity(node), len(sealed.data)
        written = Written(stage.place.edition, 0.0, size, sha256=head.sha256, identity=held)
        return replace(receipt_of(node, unit, table, written), stood=stood)

    def _record_all(self, unit: Unit, targets: Iterable[Target]) -> None:
        homes = {t: self.home(t, unit) for t in targets}
        places = {self.stage(t, unit).place: self.node(t) for t in homes if not homes[t].recorded}
        fresh = {p: n for p, n in places.items() if p.folder not in self._recorded}
        made = {p: (self.effective(n), editions_read(n, unit)) for p, n in fresh.items()}
        record_identities(self.objects, self._seen, self.together, made)
        self._recorded |= {place.folder for place in fresh}

    def _record(self, stage: Stage, node: Node, unit: Unit) -> None:
        """Leave beside the rows what makes them, before the first of them."""
        if stage.place.folder not in self._recorded:
            upstream = editions_read(node, unit)
            record_identity(self.objects, stage.place, self.effective(node), upstream)
            self._recorded.add(stage.place.folder)

    def is_owed(self, node: Node, table: pa.Table) -> bool:
        """Whether a plain start may repeat some of the rows: they are no result of the system's."""
        kind = stage_kind(node.stage)
        return not {*kind.outside, *kind.unforeseen}.isdisjoint(table["status"].to_pylist())

    def _parts(self, node: Node, unit: Unit, target: Target) -> Parts:
        made_from = {place: one.sha256 for place, one in inputs_of(node, unit).items()}
        return self.stage(target, unit).parts(unit.shard, target.revision, made_from)

    def labels(self, node: Node, unit: Unit, target: Target) -> dict[str, Any]:
        return {
            "stage": node.stage,
            "key": node.key,
            "shard": self.plan.shard_name(node, unit.shard),
            "revision": target.revision,
            "inputs": {place: one.sha256 for place, one in inputs_of(node, unit).items()},
            "identity": self.identity(node),
            "engine": _version(),
            "code": code_digest(),
        }


@cache
def _version() -> str:
    try:
        return version("medgen-engine")
    except PackageNotFoundError:  # the code came as an upload and was never installed
        return "not installed"


def to_table(
    rows: Sequence[Row],
    table: Callable[[Sequence[Row]], pa.Table],
    blank: Callable[[Row, str], Row],
) -> pa.Table:
    """The rows as a table; one that no table can hold becomes a row that says so.

    Half a surrogate pair, NaN among details, a count of tokens beyond 64 bits: adapters keep them
    out, but one that does not must cost its sample and not the shard.
    """
    try:
        return table(rows)
    except _UNSTORABLE:
        sound = []
    for row in rows:
        try:
            table([row])
            sound.append(row)
        except _UNSTORABLE as err:
            log_failed_row(log, err, row.sample_id)
            sound.append(blank(row, f"cannot be stored ({type(err).__name__})"))
    return table(sound)


def _tiling(
    parts: Iterable[tuple[tuple[int, int], pa.Table]], count: int, node: Node
) -> list[tuple[tuple[int, int], pa.Table]]:
    """The parts in order, when they cover 0..count once each.

    Raises:
        StoreError: a stretch of rows has no part, or two.
    """
    ordered = sorted(parts, key=lambda part: part[0])
    at = 0
    for (low, high), _ in ordered:
        if low != at:
            break
        at = high
    if at != count:
        raise StoreError(
            f"{StagePlace(node.stage, node.key).key_folder}: no part begins at row {at} of {count}"
        )
    return ordered
