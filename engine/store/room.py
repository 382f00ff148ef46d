"""Files without a name on the local disk, and what is said where it has no room for them."""

import contextlib
import tempfile
from collections.abc import Iterator

from medgen.engine.errors import StoreError


@contextlib.contextmanager
def room(what: str) -> Iterator[None]:
    """Say where the disk has no room for something, and what to do.

    Raises:
        StoreError: it has none, or cannot be written.
    """
    try:
        yield
    except OSError as err:
        where = tempfile.gettempdir()
        raise StoreError(
            f"no room for {what} in {where} ({err}); name another folder in TMPDIR"
        ) from err
