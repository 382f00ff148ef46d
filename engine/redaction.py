"""Keys taken out of words that leave a process: tracebacks, errors, log records.

What a key is, is known by the name of its variable in the environment, or because whoever reads a
key says so.
"""

import os
import re
from collections.abc import Mapping

# Not TOKENIZERS_PARALLELISM, GIT_AUTHOR_NAME and their like, whose values are in many files.
SECRET_NAME = re.compile(
    r"KEY(?!BOARD)|TOKEN(?!IZER)|SECRET|PASSW|CREDENTIAL|AUTH(?!OR)", re.IGNORECASE
)
_SHORTEST = 12  # characters; shorter values would be found everywhere
_IN_URL = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")  # user:password
_READ: set[str] = set()  # keys that were read under whatever name


def secret_values() -> Mapping[str, str]:
    """The keys in the environment, by the name of their variable; a path of a file is none."""
    return {
        name: value
        for name, value in os.environ.items()
        if SECRET_NAME.search(name) and len(value) >= _SHORTEST and not os.path.exists(value)
    }


def remember_secret(value: str) -> None:
    """Have a key blanked whatever its variable is called."""
    _READ.add(value)


def redact(text: str) -> str:
    """The text with `***` for every key, as it is and as Python would quote it."""
    found = {*secret_values().values(), *_READ}
    for secret in sorted(found | {repr(s)[1:-1] for s in found}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _IN_URL.sub("***", text)
