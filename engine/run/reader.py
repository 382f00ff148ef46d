"""Reads a run's rows: highest revisions, checked ids, and rows for what is missing."""

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.codec import fingerprint
from medgen.engine.data import Asks, Prediction, PredictionStatus
from medgen.engine.errors import CorruptError
from medgen.engine.plan.effective import Effective
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.editions import Chooser, Record, Terms, record_of
from medgen.engine.run.heads import Heads
from medgen.engine.run.known import Known
from medgen.engine.run.spans import Span, whole
from medgen.engine.stages import JUDGE
from medgen.engine.store import schemas
from medgen.engine.store.glance import glance
from medgen.engine.store.layout import is_edition
from medgen.engine.store.objects import Objects
from medgen.engine.store.shards import BROKEN, Head, Listing, Stage, concat
from medgen.engine.threads import AT_ONCE, in_threads

_BROKEN: Head | None = Head(BROKEN)
_NONE = (-1, None)  # no revision of a shard, and nothing known of it

_Row = TypeVar("_Row")
T = TypeVar("T")


def part_of(samples: Sequence[_Row], split: int, index: int) -> Sequence[_Row]:
    """The samples of stage shard `index`, when each benchmark shard is cut into `split`."""
    piece, count = index % split, len(samples)
    return samples[piece * count // split : (piece + 1) * count // split]


def stage_shards(node: Node, shard: int) -> range:
    """The node's own shards that make up one benchmark shard."""
    return range(shard * node.split, (shard + 1) * node.split)


class RunReader:
    """The rows of one plan's stages. Listings are taken once, when a node is first read."""

    def __init__(self, objects: Objects, plan: Plan, benchmark: Benchmark | None = None) -> None:
        """Opens the benchmark, unless it is open; reads nothing of the stages yet."""
        self.objects = objects
        self.plan = plan
        self.benchmark = benchmark or Benchmark(objects, plan.benchmark)
        self.editions: dict[str, str] = {}  # by key, once they are settled
        self._pinned: dict[str, str] = {}
        self._listings: dict[str, Listing] = {}
        # Names of shards, which are the same for all nodes that give and are cut alike.
        self._names: dict[tuple[tuple[Asks, ...], int], tuple[str, ...]] = {}
        self._heads: dict[str, Mapping[int, Head]] = {}
        self._told: dict[tuple[str, str], dict[int, tuple[int, Head | None]]] = {}
        # Heads that were read, with their revisions: an object is never another one.
        self._read: dict[tuple[str, str], dict[int, tuple[int, Head]]] = {}
        self._records: dict[tuple[str, str], Record | None] = {}
        self._glance = glance(objects)
        self._is_fresh = False  # whether the next to settle may go by this look
        self._inputs: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}  # of all heads
        self.noted = Heads(objects, plan.run_id)
        self.known: Known | None = None  # all of it is there, and need not be looked at

    def rely_on(self, known: Known) -> None:
        """Go by what was noted of a complete run in place of a look."""
        self.known, self.editions = known, dict(known.editions)

    def settle(self, terms: Terms | None = None) -> Mapping[str, tuple[str, ...]]:
        """Choose the edition of each node.

        Args:
            terms: given, what can be seen from here is held against what made the rows; else the
                run's own choice stands, or the last edition.

        Returns:
            By key, how what would make rows now differs from what made those that are there.
        """
        if self.known is not None:
            return {}
        if not self._is_fresh:
            self._glance = glance(self.objects)
        self._is_fresh = False
        chosen = Chooser(self._glance, self.plan, terms or Terms()).settle(
            self._pinned, look=terms is not None
        )
        self.editions = dict(chosen.editions)
        self._listings, self._heads, self._records = {}, {}, {}
        return chosen.changed

    def keep_look(self) -> None:
        """What was listed a moment ago still holds: who settles next need not list again."""
        self._is_fresh = True

    def pin(self, key: str, edition: str) -> None:
        """A worker has said which edition it writes: the run's, until it is settled anew."""
        self._pinned[key] = self.editions[key] = edition

    def stage(self, node: Node) -> Stage:
        """Where a node's shards are."""
        if node.key not in self.editions:
            self.settle()
        cut = node.gives, node.split
        if cut not in self._names:
            self._names[cut] = self.plan.shard_names(node)
        names, edition = self._names[cut], self.editions[node.key]
        return Stage(self.objects, node.stage, node.key, names, edition=edition)

    def listing(self, node: Node) -> Listing:
        """What there is of a node's shards."""
        if node.key not in self._listings and self.known is not None:
            there = Span(self.plan.shards * node.split, 0)
            there.update(self.known.revisions.get(node.key, ()))
            self._listings[node.key] = Listing(there, {})
        if node.key not in self._listings:
            listed = self.stage(node).over(self._glance).listing()
            told = self._told.get((node.key, self.editions[node.key]), {})
            joined = listed.join({i: r for i, (r, _) in dict(told).items()})
            count = self.plan.shards * node.split
            self._listings[node.key] = replace(joined, revisions=whole(joined.revisions, count))
        return self._listings[node.key]

    def look_anew(self) -> None:
        """From now on `list_again` says what there is now, and lists once for all nodes."""
        self._glance = glance(self.objects)

    def list_again(self, node: Node, terms: Terms) -> Listing:
        """What there was at that look; in which edition, if that was not known."""
        if not is_edition(self.editions.get(node.key, "")):
            upstream = {key: self.editions.get(key, "") for key in node.upstream}
            chooser = Chooser(self._glance, self.plan, terms, (node.key,))
            chosen = chooser.choose(node.key, upstream)
            if not is_edition(chosen):
                return Listing({}, {})
            self.pin(node.key, chosen)
        self._listings.pop(node.key, None)
        return self.listing(node)

    def revisions(self, node: Node) -> Mapping[int, int]:
        """The highest revision of each of a node's shards."""
        return self.listing(node).revisions

    def heads(self, node: Node) -> Mapping[int, Head]:
        """What each of a node's shards says it is, at its highest revision.

        One that breaks off has no checksum; whoever reads its rows is told so.
        """
        if node.key not in self._heads:
            self._heads[node.key] = self._read_heads(node)
        return self._heads[node.key]

    def rows(self) -> str:
        """A fingerprint of all rows that are there: of editions, and what shards say they are."""
        if self.known is not None:
            return self.known.rows
        said = {key: self.rows_of(node) for key, node in self.plan.nodes.items()}
        return fingerprint({k: (self.editions[k], rows) for k, rows in said.items()})

    def rows_of(self, node: Node) -> str:
        """A fingerprint of what a node's shards say they are."""
        whole = hashlib.sha256()  # not of a list: of a large run that is many MiB for a moment
        for shard, head in sorted(self.heads(node).items()):
            whole.update(f"{shard} {head.sha256}\n".encode())
        return whole.hexdigest()

    def _read_heads(self, node: Node) -> dict[int, Head]:
        have, stage = self.revisions(node), self.stage(node)
        of = (node.key, self.editions[node.key])
        told, read = self._told.get(of, {}), self._read.setdefault(of, {})

        def known(shard: int) -> Head | None:
            for revision, head in (told.get(shard, _NONE), read.get(shard, _NONE)):
                if revision == have[shard] and head is not None:
                    return head
            return _unless_broken(partial(stage.head_at_hand, shard, have[shard]), _BROKEN)

        found = {shard: known(shard) for shard in have}
        if missing := {shard: have[shard] for shard, head in found.items() if head is None}:
            found |= self.noted.proven(stage, missing)
            found |= self._ask(stage, {s: r for s, r in missing.items() if found[s] is None})
        known_now = {shard: self._share(head) for shard, head in found.items() if head is not None}
        sound = (shard for shard in missing if known_now[shard].sha256 != BROKEN)
        read |= {shard: (have[shard], known_now[shard]) for shard in sound}
        return known_now

    def _ask(self, stage: Stage, revisions: Mapping[int, int]) -> dict[int, Head]:
        """What shards say at these revisions, asked of each."""

        def ask(shards: Sequence[int]) -> list[tuple[Head, str]]:
            asks = (partial(stage.ask, shard, revisions[shard]) for shard in shards)
            return [_unless_broken(one, (Head(BROKEN), "")) for one in asks]

        found: dict[int, Head] = {}
        shares = [[*revisions][n::AT_ONCE] for n in range(min(AT_ONCE, len(revisions)))]
        for share, said in zip(shares, in_threads(ask, shares), strict=True):
            for shard, (head, md5) in zip(share, said, strict=True):
                found[shard] = head
                self.noted.note(stage.path(shard, revisions[shard]), head, md5)
        return found

    def _share(self, head: Head) -> Head:
        """The head, with what others have as well kept once: metrics read the same answers."""
        if self._inputs.get(tuple(head.inputs.items())) is head.inputs:  # this one is shared
            return head
        inputs = {sys.intern(key): sys.intern(sha256) for key, sha256 in head.inputs.items()}
        read = self._inputs.setdefault(tuple(inputs.items()), inputs)
        return Head(sys.intern(head.sha256), read, sys.intern(head.identity))

    def note_commit(
        self, key: str, shard: int, revision: int, head: Head | None = None, md5: str = ""
    ) -> None:
        """Remember a commit that was heard of: a listing may lag behind."""
        if head is not None:
            head = self._share(head)
            self.noted.note(self.stage(self.plan.nodes[key]).path(shard, revision), head, md5)
        told = self._told.setdefault((key, self.editions.get(key, "")), {})
        told[shard] = (revision, head)

    def anew(self, objects: Objects | None = None) -> "RunReader":
        """A reader that lists again, and remembers what this one heard of.

        It may read by another connection to the store.
        """
        reader = RunReader(objects or self.objects, self.plan, self.benchmark)
        reader._told, reader._read, reader._pinned = self._told, self._read, dict(self._pinned)
        reader.editions, reader.noted = dict(self.editions), self.noted
        reader._names, reader._inputs = self._names, self._inputs
        return reader

    def identity(self, node: Node, name: str = "") -> Record | None:
        """What made rows of a node: those whose labels say that name, or the edition's own."""
        if (node.key, name) not in self._records:
            place = self.stage(node).place
            self._records[node.key, name] = record_of(self.objects, place, name)
        return self._records[node.key, name]

    def identities(self, node: Node) -> list[Effective]:
        """Everything that has made rows of a node, each once: one, unless changes are accepted."""
        names = dict.fromkeys(head.identity for head in self.heads(node).values())
        found = (self.identity(node, name) for name in names)
        return [record.effective for record in found if record is not None]

    def table(self, node: Node, shard: int) -> pa.Table | None:
        """A node's rows for one benchmark shard; None when any of them is not committed."""
        pieces = self.pieces(node, shard)
        return None if pieces is None else concat(pieces)

    def pieces(self, node: Node, shard: int) -> list[pa.Table] | None:
        """The stage shards of one benchmark shard, each with its labels; None as for `table`."""
        have = self.revisions(node)
        indexes = stage_shards(node, shard)
        if any(i not in have for i in indexes):
            return None
        return [_with_own_name(node, self.stage(node).read(i, have[i])) for i in indexes]

    def due(self, system: str, shards: range) -> pa.Table:
        """What the index says of the samples of some shards that a system must answer, in order."""
        index = self.benchmark.index(shards)
        gives = pa.array(self.plan.system(system).gives, pa.string())
        return index.filter(pc.is_in(index["asks"], value_set=gives))

    def clusters(self, system: str) -> NDArray[np.int32]:
        """The source of each sample that a system must answer, as `Benchmark.clusters` has it."""
        return self.benchmark.clusters(self.plan.system(system).gives, self.plan.shards)

    def predictions(self, system: str, shard: int) -> list[Prediction]:
        """One prediction for every sample of a shard that the system must answer, in order.

        A row that is not in the store is `missing`.

        Raises:
            CorruptError: a stored shard has other sample ids than the benchmark.
        """
        gives = self.plan.system(system).gives
        asked = self.benchmark.asks(shard)
        tables = [(n, self.table(n, shard)) for n in self.plan.predictions(system)]
        rows = combine(asked, tables)
        return [rows[name] for name, asks in asked if asks in gives]


def _unless_broken(ask: Callable[[], T], broken: T) -> T:
    try:
        return ask()
    except CorruptError:
        return broken


def _with_own_name(node: Node, table: pa.Table) -> pa.Table:
    """Verdicts under the name that the plan has for the judge: no key holds the one it had then."""
    if node.stage != JUDGE.name:
        return table
    column = table.column_names.index("judge")
    names = pa.array([node.label] * len(table), pa.string())
    return table.set_column(column, "judge", names)


def combine(
    asked: Sequence[tuple[str, Asks]], tables: Sequence[tuple[Node, pa.Table | None]]
) -> dict[str, Prediction]:
    """The answer's words and the render's picture as one prediction, by sample id.

    `asked` are all samples of a benchmark shard, whatever they ask for.

    Raises:
        CorruptError: a table's sample ids are not those of the benchmark.
    """
    merged: dict[str, Prediction] = {}
    for node, table in tables:
        due = [name for name, asks in asked if asks in node.gives]
        if table is None:
            rows = [Prediction(i, "missing", f"the {node.stage} stage has no row") for i in due]
        else:
            rows = schemas.predictions(schemas.check(table, schemas.PREDICTION, node.label))
        if [r.sample_id for r in rows] != due:
            raise CorruptError(f"{node.stage}/{node.key}: sample ids are not the benchmark's")
        for row in rows:
            merged[row.sample_id] = (
                _join(merged[row.sample_id], row) if row.sample_id in merged else row
            )
    return merged


def _join(answer: Prediction, render: Prediction) -> Prediction:
    # Both halves must be there: the first failure along the way is the prediction's.
    status: PredictionStatus = answer.status if answer.status != "ok" else render.status
    return replace(
        render,
        status=status,
        reason=answer.reason if answer.status != "ok" else render.reason,
        text=answer.text,
        image_prompt=answer.image_prompt,
        images=render.images or answer.images,
        details={**answer.details, **render.details},
    )
