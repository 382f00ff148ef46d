"""What is written down of a run while it goes: what its rows were made from, and their editions."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from medgen.engine.errors import CorruptError
from medgen.engine.plan.plan import Node
from medgen.engine.run.board import Queue
from medgen.engine.run.editions import note_editions
from medgen.engine.run.faults import FaultPolicy
from medgen.engine.run.pool import Receipt, Target, Unit, inputs_of, narrow
from medgen.engine.run.reader import RunReader
from medgen.engine.run.staff import Staff
from medgen.engine.run.survey import Todo, survey
from medgen.engine.run.together import declare
from medgen.engine.store.layout import is_edition
from medgen.engine.store.shards import Head

Look = Callable[[RunReader], Todo]  # what is left to do


@dataclass(slots=True)
class Books:
    """A run's commits, for whoever reads its rows or goes on with it."""

    reader: RunReader
    todo: Todo
    _noted: float = 0.0  # when the editions were written
    _editions: dict[str, str] = field(default_factory=dict)  # as they were then

    def declare(self) -> None:
        """Leave beside the rows to come what they are made by."""
        wanted = [n for key, n in self.reader.plan.nodes.items() if self.todo.targets[key]]
        for group in dict.fromkeys(node.group for node in wanted):
            declare(self.reader, [node for node in wanted if node.group == group])

    def note_commit(self, unit: Unit, receipts: Sequence[Receipt]) -> None:
        """A unit's shards are in the store."""
        for receipt in receipts:
            if receipt.edition != self.todo.editions.get(receipt.key):
                self.reader.pin(receipt.key, receipt.edition)
            self.todo.note_commit(receipt.key, unit.shard, receipt.sha256, receipt.edition)
        told = {receipt.key: receipt for receipt in receipts}
        for target in unit.targets:
            inputs = inputs_of(self.reader.plan.nodes[target.key], unit)
            read = {place: one.sha256 for place, one in inputs.items()}
            said = told[target.key]
            head = None if said.stood else Head(said.sha256, read, said.identity)
            self.reader.note_commit(target.key, unit.shard, target.revision, head, said.md5)

    def note_found(self, node: Node, shard: int, revision: int) -> bool:
        """Another driver has committed a shard; False: of other inputs than are known here."""
        try:
            head = self.reader.stage(node).head(shard, revision)
        except CorruptError:
            return False  # whoever is to write there says so
        above = self.todo.inputs(self.reader.plan, node, shard // node.split)
        if {place: one.sha256 for place, one in above.items()} != dict(head.inputs):
            return False
        edition = self.reader.editions[node.key]
        self.reader.note_commit(node.key, shard, revision, head)
        self.todo.note_commit(node.key, shard, head.sha256, edition)
        self.todo.revisions[node.key][shard] = revision
        return True

    def take_up(self, queue: Queue, faults: FaultPolicy, staff: Staff) -> None:
        """Leave of a queue's next shard only what no earlier start has done."""
        whole = queue.fresh[0]
        if whole.positions is not None or whole.merge:
            return
        size = staff.samples(whole)
        alike = self._alike(whole)
        if len(alike) > 1:  # an earlier start had not all of them together
            whole, *others = [narrow(whole, targets) for targets in alike.values()]
            queue.fresh.popleft()
            queue.fresh.extendleft(reversed([whole, *others]))
        spans = [span for span in next(iter(alike)) if span[1] <= size]
        if spans:
            queue.fresh.popleft()
            queue.fresh.extendleft(reversed(faults.take_up(whole, spans, size)))
            for low, high in spans:
                staff.note_done(whole, high - low)

    def _alike(self, unit: Unit) -> dict[tuple[tuple[int, int], ...], tuple[Target, ...]]:
        """A unit's targets by the positions that an earlier start has committed of them."""
        found: dict[tuple[tuple[int, int], ...], tuple[Target, ...]] = {}
        for target in unit.targets:
            spans = self._spans_of(unit, target)
            found[spans] = (*found.get(spans, ()), target)
        return found

    def _spans_of(self, unit: Unit, target: Target) -> tuple[tuple[int, int], ...]:
        node = self.reader.plan.nodes[target.key]
        stage, known = self.reader.stage(node), self.reader.listing(node).parts
        if not known or target.edition not in ("", stage.place.edition):
            return ()
        made_from = {place: one.sha256 for place, one in inputs_of(node, unit).items()}
        parts = stage.parts(unit.shard, target.revision, made_from)
        return tuple(sorted(parts.spans())) if parts.name in known else ()

    def look_again(self, receipts: Sequence[Receipt], look: Look) -> None:
        """Rows are to be of another edition: what is to do is found anew."""
        for receipt in receipts:
            self.reader.pin(receipt.key, receipt.edition)
        self.todo.adopt(look(self.reader))
        self.declare()
        self.note_editions()

    def confirm(self, reader: RunReader) -> Todo:
        """What is missing by now, or stale: another driver may have made it of older rows.

        In the editions that this run has, whatever lies beneath its recipes by now.
        """
        for key, edition in self.todo.editions.items():
            if is_edition(edition):
                reader.pin(key, edition)
        return survey(reader, "nothing", None)

    def note_editions(self, every_s: float = 0.0) -> None:
        """Leave in the run's folder which editions it reads and writes; what changed, so often."""
        if every_s and self.todo.editions == self._editions:
            return
        if time.monotonic() - self._noted >= every_s:
            note_editions(self.reader.objects, self.reader.plan.run_id, self.todo.editions)
            self._noted, self._editions = time.monotonic(), dict(self.todo.editions)
