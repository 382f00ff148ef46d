"""Pictures whose levels fill fewer bits than their file has, counted and named.

Scanners of 10 or 12 bits often write files of 16. Nothing is guessed of them: they stay as dark
as the file says, for models as for metrics. Who imports them is told, while they can still be
scaled.
"""

import threading

from medgen.engine.decoding.facts import ImageFacts
from medgen.engine.images import leaves_unused


class UnusedDepth:
    """Counts such pictures; many threads may tell it of theirs."""

    def __init__(self) -> None:
        self._found: list[tuple[str, int, int]] = []
        self._lock = threading.Lock()

    def see(self, seen: ImageFacts, name: str) -> None:
        """Take note of a picture, if it is one; `name` is where it came from."""
        if seen.bits > 8 and leaves_unused(seen.used_bits, seen.bits):
            with self._lock:
                self._found.append((name, seen.used_bits, seen.bits))

    def notes(self) -> list[str]:
        """One sentence on all of them; none when there are none."""
        if not self._found:
            return []
        name, used, bits = min(self._found)
        kinds = {(used, bits) for _, used, bits in self._found}
        said = f"{used}-bit data in a {bits}-bit file"
        also = f" (and others, down to {min(kinds)[0]}-bit data)" if len(kinds) > 1 else ""
        where = f", such as {name!r}: {said}{also}" if name else f": {said}{also}"
        count = len(self._found)
        subject = "1 picture leaves" if count == 1 else f"{count} pictures leave"
        return [
            f"{subject} bits of the file unused{where}; scaled by the file's depth, so dark: "
            "scale them before the import if that is not meant"
        ]
