"""What the small editor can do, and by which words of an instruction it is asked for."""

import re

# Name and words, most particular first: an instruction asks for the first whose words it has.
_WORDS = {
    "gaussian-noise": r"gaussian noise",
    "speckle": r"speckle",
    "photon-noise": r"photon noise",
    "blocks": r"1/\d of its resolution|low resolution|pixelated",
    "blur": r"blur",
    "faint": r"contrast",
    "stripes": r"stripes",
    "ghost": r"ghost",
    "dropout": r"dropout|shadows",
    "grid": r"grid",
    "pen-marks": r"pen marks?",
    "dust": r"dust|specks",
    "bone-window": r"bone window",
    "negative": r"negative|light and dark exchanged|invert",
    "amber": r"amber",
    "eosin": r"eosin",
    "red-free": r"red-free",
    "brighten": r"brighten",
    "noise": r"nois[ey]",
}
# The order is part of the weights: a row of the network's table belongs to each.
OPERATIONS = tuple(name for name in _WORDS if name != "noise")
_PATTERNS = {n: re.compile(rf"\b(?:{words})", re.IGNORECASE) for n, words in _WORDS.items()}


def operation_of(instruction: str) -> str | None:
    """The operation that an instruction names; None when it names none of `OPERATIONS`."""
    found = next((n for n, words in _PATTERNS.items() if words.search(instruction)), None)
    return "gaussian-noise" if found == "noise" else found
