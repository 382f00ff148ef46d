"""Where a run stands, when its driver may be gone: one that was killed says nothing of it.

A driver writes its status three times a minute. How old a status is, by two machines' clocks, is
only a reason to doubt; what is believed is whether it changes while somebody looks.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from medgen.engine.run.folder import RunFolder, Status, heard_at
from medgen.launch import exits

DOUBT = timedelta(minutes=1)  # either way: a clock may be ahead as well
LISTEN_S = 50.0  # more than two of a driver's beats
_LOOK_EVERY_S = 10.0

Tell = Callable[[str], None]


def standing(
    folder: RunFolder, tell: Tell, pause: Callable[[float], None] = time.sleep
) -> Status | None:
    """The run's status; that of a driver which is gone becomes `error`, in the store as well.

    Args:
        folder: of the run.
        tell: is told why it takes a while.
        pause: waits so many seconds between two looks.
    """
    status = folder.status()
    if status is None or not is_doubtful(status):
        return status
    tell(
        f"run {folder.run_id} is not over, and was last heard of at {status.updated}; "
        f"listening for {LISTEN_S:.0f} s whether its driver lives"
    )
    for _ in range(int(LISTEN_S / _LOOK_EVERY_S)):
        pause(_LOOK_EVERY_S)
        heard = folder.status()
        if heard is None or heard.updated != status.updated:
            return heard
    words = f"its driver is gone: nothing was heard of it since {status.updated}"
    gone = replace(
        status,
        status="error",
        reason=f"{words}. Everything committed is kept; start it again to go on",
        exit_code=exits.INCOMPLETE,
    )
    folder.save_status(gone)
    return gone


def is_doubtful(status: Status) -> bool:
    """Whether a run that is not over was not heard of lately, as far as clocks tell."""
    age = datetime.now(UTC) - heard_at(status)
    return status.status == "started" and abs(age) > DOUBT
