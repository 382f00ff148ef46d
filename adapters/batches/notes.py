"""What is noted in the store of every batch: which requests it holds, and its vendor's name for it.

The first note is written before a batch is sent and the second once its vendor has named it. So
whoever goes on after a death finds every batch that may have been paid for.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from medgen.engine.codec import decode, encode
from medgen.engine.store.layout import batch_folder
from medgen.engine.store.objects import Objects

KEEP_S = 30 * 24 * 3600.0  # after 29 or 30 days vendors have no results of a batch any more
_SENT = ".sent.json"
_ASKED = ".json"


@dataclass(frozen=True, slots=True)
class Record:
    """One batch."""

    token: str
    ids: tuple[str, ...]  # of its requests, in the order of the file
    created: float  # seconds since 1970, on the clock of whoever wrote it
    batch: str = ""  # the vendor's name; empty: nobody knows whether it was accepted


@dataclass(slots=True)
class Notes:
    """The notes of all batches of one model at one endpoint."""

    objects: Objects
    scope: str
    _known: dict[str, Record] = field(default_factory=dict)

    def records(self) -> dict[str, Record]:
        """All that there are, by token; those that are too old to be found are removed."""
        names = set(self.objects.names(batch_folder(self.scope)))
        tokens = {n.removesuffix(_ASKED) for n in names if not n.endswith(_SENT)}
        self._known = {t: r for t, r in self._known.items() if t in tokens}
        for token in sorted(tokens - self._known.keys()):
            data = self.objects.read(self._path(token, _ASKED))
            self._known[token] = decode(Record, data, f"{token}: not the note of a batch")
        for token, record in list(self._known.items()):
            if time.time() - record.created > KEEP_S:
                self.forget(token)
            elif not record.batch and f"{token}{_SENT}" in names:
                named = self.objects.read(self._path(token, _SENT)).decode()
                self._known[token] = replace(record, batch=named)
        return dict(self._known)

    def intend(self, token: str, ids: Sequence[str]) -> Record:
        """Note that a batch is about to be sent."""
        record = Record(token, tuple(ids), time.time())
        self.objects.replace(self._path(token, _ASKED), encode(record))
        self._known[token] = record
        return record

    def note_sent(self, record: Record, batch: str) -> Record:
        """Note what its vendor calls it."""
        self.objects.replace(self._path(record.token, _SENT), batch.encode())
        self._known[record.token] = found = replace(record, batch=batch)
        return found

    def leave_out(self, record: Record, ids: Collection[str]) -> None:
        """Some requests of a batch got nothing that could be a result, and are to be sent anew."""
        left = replace(record, ids=tuple(i for i in record.ids if i not in ids))
        self.objects.replace(self._path(record.token, _ASKED), encode(left))
        self._known[record.token] = left

    def forget(self, token: str) -> None:
        """Nothing was paid for a batch, or nothing is left of it."""
        self._known.pop(token, None)
        for kind in (_SENT, _ASKED):  # in this order: half of it says less and not something else
            self.objects.delete(self._path(token, kind))

    def _path(self, token: str, kind: str) -> str:
        return f"{batch_folder(self.scope)}/{token}{kind}"
