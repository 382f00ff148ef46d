"""A worker whose failures are in the log of its process, with whose they are."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from medgen.engine.plan.plan import Plan
from medgen.engine.run.pool import Receipt, Unit, Worker
from medgen.engine.trouble import Place, log_failed_unit, working_at

log = logging.getLogger(__name__)


class LoggedWorker:
    """Another worker, made and called at its place; what it raises is logged and raised again."""

    def __init__(self, make: Callable[[], Worker], place: Place) -> None:
        """Make it."""
        self._place = place
        with _log_failure(place):
            self._worker = make()

    def __call__(self, unit: Unit) -> Sequence[Receipt]:
        """See `Worker`."""
        with _log_failure(replace(self._place, shard=unit.shard)):
            return self._worker(unit)


@contextmanager
def _log_failure(place: Place) -> Iterator[None]:
    with working_at(place):
        try:
            yield
        except Exception as err:
            log_failed_unit(log, err)
            raise


def place_of(plan: Plan, group: str, discreet: bool) -> Place:
    """The place of a group's workers. Scoring has many components, so its place names none."""
    given = plan.groups[group]
    labels = {node.label for node in plan.nodes.values() if node.group == group}
    named = given.spec.kwargs.get("model") if given.stage in ("answer", "render") else None
    component = str(named) if named else labels.pop() if len(labels) == 1 else ""
    return Place(group, given.stage, component, discreet=discreet)
