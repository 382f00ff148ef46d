"""Names that nobody has, and what was probably meant."""

import difflib
from collections.abc import Collection

from medgen.engine.errors import ConfigError


def check_names(
    complaint: str, given: Collection[str], known: Collection[str], there: str = "There are"
) -> None:
    """Refuse a name that is not known, with the one that was probably meant, or all there are.

    Raises:
        ConfigError: `complaint`, the first unknown name and what to write in its place.
    """
    for name in given:
        if name not in known:
            raise ConfigError(f"{complaint} {name!r}. {hint(name, known, there)}")


def hint(name: str, known: Collection[str], there: str = "There are") -> str:
    """What to write in the place of a name that is not known."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"{there} {', '.join(known) or 'none'}"
