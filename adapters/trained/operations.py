"""What the small editor can do, and by which words of an instruction it is asked for."""

import re

from medgen.engine.beside import read_beside

_WORDS = read_beside(__package__, "operations.yaml", dict[str, str])
# The order is part of the weights: a row of the network's table belongs to each.
OPERATIONS = tuple(name for name in _WORDS if name != "noise")
_PATTERNS = {n: re.compile(rf"\b(?:{words})", re.IGNORECASE) for n, words in _WORDS.items()}


def operation_of(instruction: str) -> str | None:
    """The operation that an instruction names; None when it names none of `OPERATIONS`."""
    found = next((n for n, words in _PATTERNS.items() if words.search(instruction)), None)
    return "gaussian-noise" if found == "noise" else found
