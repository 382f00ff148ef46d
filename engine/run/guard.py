"""One guard around every component: what it raises on one sample becomes that sample's row.

A component gives rows for all that it foresees. What nobody foresaw is found by halving the batch,
and costs the sample it was raised on. What a component raises on purpose to say that it cannot be
used at all passes: a dead engine, missing credentials, a spending cap, a full store.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from medgen.engine.errors import ImageError, MedgenError, is_out_of_memory
from medgen.engine.trouble import Trouble, log_failed_row, trouble

log = logging.getLogger(__name__)
# The status of such a row, of a prediction, a score or a verdict.
Unforeseen = Literal["internal_error", "out_of_memory"]
UNFORESEEN: Unforeseen = "internal_error"
_LEAST_COMMON = 3  # samples that fail alone, one after the other, before any was done
_MOST_KINDS = 5  # of errors that one unit tells of
Item = TypeVar("Item")
Row = TypeVar("Row")


class Guard:
    """Remembers whether a worker's component ever gave a row.

    So a bad sample can be told from a bad component.
    """

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self._sound = False
        self._alone = 0
        self._troubles: dict[str, Trouble] = {}

    def troubles(self) -> tuple[Trouble, ...]:
        """One error of each kind that became a row since this was last asked."""
        found, self._troubles = tuple(self._troubles.values())[:_MOST_KINDS], {}
        return found

    def rows(
        self,
        items: Sequence[Item],
        give: Callable[[Sequence[Item]], Sequence[Row]],
        blank: Callable[[Item, Unforeseen, str], Sequence[Row]],
        name: Callable[[Item], str],
    ) -> list[Row]:
        """The rows of all items, in their order.

        Args:
            items: what is asked for.
            give: asks for some of them; gives their rows in order, or raises.
            blank: the rows of an item whose asking raised, with their status and reason.
            name: the sample id of an item, for the log.

        Raises:
            MedgenError: on purpose, by the component.
            Exception: what was raised, when no sample was ever done and three in a row
                failed alone: then the component is at fault, not the samples.
        """
        if not items:
            return []
        try:
            rows = list(give(items))
            self._sound = True
            return rows
        except Exception as err:  # the words of `_is_foreseen` say what passes
            if _is_foreseen(err):
                raise
            if len(items) == 1:
                return list(self._blank(err, items[0], blank, name))
        middle = len(items) // 2
        halves = items[:middle], items[middle:]
        return [row for half in halves for row in self.rows(half, give, blank, name)]

    def _blank(
        self,
        err: Exception,
        item: Item,
        blank: Callable[[Item, Unforeseen, str], Sequence[Row]],
        name: Callable[[Item], str],
    ) -> Sequence[Row]:
        self._alone += 1
        if not self._sound and self._alone >= _LEAST_COMMON:
            raise err
        log_failed_row(log, err, name(item))
        said = trouble(err)
        self._troubles.setdefault(said.error_id, said)
        status: Unforeseen = "out_of_memory" if is_out_of_memory(err) else UNFORESEEN
        return blank(item, status, f"{said.error_type}: {said.error}"[:300])


def _is_foreseen(err: Exception) -> bool:
    """Whether an error was raised on purpose, about more than one sample."""
    return isinstance(err, MedgenError) and not isinstance(err, ImageError)
