"""Bodies of replies as JSON, within bounds.

The parser holds the interpreter while it works: nothing else of this process moves, no other
reply and no deadline. So what would keep it long is refused by counting, before it begins.
"""

import json
from typing import Any

from medgen.engine.bounds import REPLY

_SIGNS = (b",", b"{", b"[")  # every value but the first follows one of them


def too_many_values(body: bytes) -> str:
    """Why a body is not parsed; empty when it may be. Signs inside strings are counted too."""
    signs = sum(body.count(sign) for sign in _SIGNS)
    if signs <= REPLY.values:
        return ""
    return f"its JSON has about {signs:,} values; at most {REPLY.values:,} are read"


def read_json(body: bytes) -> Any:
    """A body as JSON, with or without a byte-order mark.

    Raises:
        ValueError: it is none, lies too deep, or has more values than are read.
    """
    if why := too_many_values(body):
        raise ValueError(why)
    try:
        return json.loads(body)
    except RecursionError as err:  # lists in lists without end
        raise ValueError("nested too deep") from err
