"""What is written down of a run while it goes: what its rows were made from, and their editions."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medgen.engine.run.editions import note_editions
from medgen.engine.run.pool import Receipt, Unit, inputs_of
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import Todo
from medgen.engine.store.shards import Head


@dataclass(slots=True)
class Books:
    """A run's commits, for whoever reads its rows or goes on with it."""

    reader: RunReader
    todo: Todo
    _noted: float = 0.0  # when the editions were written

    def declare(self) -> None:
        """Leave beside the rows to come what they are made by."""
        for key, node in self.reader.plan.nodes.items():
            if self.todo.targets[key]:
                self.reader.stage(node).declare(node.recipe)

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
            head = Head(told[target.key].sha256, read, told[target.key].identity)
            self.reader.note_commit(target.key, unit.shard, target.revision, head)

    def look_again(self, receipts: Sequence[Receipt], look: Callable[[RunReader], Todo]) -> None:
        """Rows are to be of another edition: what is to do is found anew."""
        for receipt in receipts:
            self.reader.pin(receipt.key, receipt.edition)
        self.todo.adopt(look(self.reader))
        self.declare()
        self.note_editions()

    def note_editions(self, every_s: float = 0.0) -> None:
        """Leave in the run's folder which editions it reads and writes, at most so often."""
        if time.monotonic() - self._noted >= every_s:
            note_editions(self.reader.objects, self.reader.plan.run_id, self.todo.editions)
            self._noted = time.monotonic()
