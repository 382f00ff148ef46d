"""Bodies of replies as JSON, within bounds.

The parser holds the interpreter while it works: nothing else of this process moves, no other
reply and no deadline. So what would keep it long is refused by counting, before it begins.
"""

import json
import re
from typing import Any

from medgen.engine.bounds import REPLY

# Encodings of words that a server may declare for JSON, which is UTF-8 where it is not said.
_DECLARED = re.compile(
    r"charset=\"?(iso-?8859-\d{1,2}|latin-?1|windows-125\d|gbk|gb2312|gb18030|big5|shift_jis"
    r"|euc-jp|euc-kr)\b",
    re.IGNORECASE,
)
_SIGNS = (b",", b"{", b"[")  # every value but the first follows one of them


def too_many_values(body: bytes) -> str:
    """Why a body is not parsed; empty when it may be. Signs inside strings are counted too."""
    signs = sum(body.count(sign) for sign in _SIGNS)
    if signs <= REPLY.values:
        return ""
    return f"its JSON has about {signs:,} values; at most {REPLY.values:,} are read"


def read_json(body: bytes, content_type: str = "") -> Any:
    """A body as JSON, with or without a byte-order mark.

    Args:
        body: in UTF-8, -16 or -32, or in what its type declares.
        content_type: as the server said it.

    Raises:
        ValueError: it is none, lies too deep, or has more values than are read.
    """
    if why := too_many_values(body):
        raise ValueError(why)
    try:
        return json.loads(body)
    except UnicodeDecodeError:
        declared = _DECLARED.search(content_type)
        if not declared:
            raise
        return json.loads(body.decode(declared[1]))
    except RecursionError as err:  # lists in lists without end
        raise ValueError("nested too deep") from err
