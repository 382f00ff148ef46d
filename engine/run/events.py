"""What happens in a run, for progress bars and event logs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from medgen.engine.run.pool import Receipt

EventKind = Literal[
    "opened",
    "released",  # workers were given back, or are gone
    "closed",
    "receipt",
    "trouble",
    "gave_up",
    "retired",  # a worker or a machine on which one unit after another failed
    "draining",
    "control",  # an order of `medgen control` was heard of
    "identity",  # what makes rows now is not what made those that are there
    "system_finished",  # every row of a system is there
    "quarantined",  # before a run: a damaged object was put aside
    "warning",  # before a run: something that will not always be as it is
    "chaos",  # before a run: it is a rehearsal with faults
    "predictions",  # after a run: which replayed predictions are missing, unknown or unreadable
    "forecast",  # before a run: what it will take
    "found",  # another driver has committed shards of this run
    "taken_over",  # rows that stood under other shards
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for progress bars and event logs. Never holds sample text."""

    kind: EventKind
    group: str
    receipt: Receipt | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
