"""When something happened, as seconds."""

from datetime import datetime

from medgen.launch.view.data import Row


def moment(event: Row) -> float:
    """The time of an event, in seconds since 1970."""
    return datetime.fromisoformat(str(event["time"])).timestamp()
