"""How much of what comes from outside is read: one budget for a reply, a record or a sample.

`Bounds` says how much there may be, `Budget` counts what is left of it while one thing is read.
Every reader of outside data takes from a budget; none has limits of its own.
"""

from dataclasses import dataclass

from medgen.engine.errors import BoundsError

_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The most that one reply, record or sample may have. What has more is refused, not cut."""

    bytes: int = 256 * _MIB  # of everything that it holds, names or points to, together
    file_bytes: int = 64 * _MIB  # of one file or picture
    line_bytes: int = 4 * _MIB  # of one line; the longest report has a few kilobytes
    values: int = 1_000_000  # signs that begin or part values in JSON: a third of a second
    depth: int = 32  # of lists and objects in each other
    characters: int = 1_000_000  # of one text
    links: int = 16  # places that are asked for what is pointed to
    images: int = 128  # all roles together
    pixels: int = 64 * _MIB  # of one picture: 8192 x 8192, 256 MiB when decoded to RGBA
    scans: int = 64  # of one JPEG; encoders write 1, or some ten when it is progressive
    chunks: int = 100_000  # of one PNG; writers take 8 KiB or more for each
    seconds: float = 10.0  # of processor time for decoding all of its pictures
    memory_bytes: int = 1024 * _MIB  # for decoding one picture, beside the decoder's own


RECORD = Bounds()
REPLY = Bounds()


def too_long(text: str) -> str:
    """Why a text is not read any further; empty when it may be. Readers of words take seconds."""
    if len(text) <= REPLY.characters:
        return ""
    return f"the reply has {len(text):,} characters; at most {REPLY.characters:,} are read"


class Budget:
    """What is left of the bounds of one thing. For one thread.

    Every `take…` raises `BoundsError` with the bound that was passed; nothing is taken then.
    """

    def __init__(self, bounds: Bounds = RECORD) -> None:
        """Nothing taken yet."""
        self.bounds = bounds
        self.left_bytes = bounds.bytes
        self.left_seconds = bounds.seconds
        self._links, self._images = bounds.links, bounds.images

    @property
    def file_bytes(self) -> int:
        """The most bytes that the next file may have."""
        return min(self.bounds.file_bytes, self.left_bytes)

    def take_bytes(self, count: int, what: str) -> None:
        """`count` bytes of `what`, a file or picture by its name."""
        if count > self.bounds.file_bytes:
            raise BoundsError(
                f"{what} has {count:,} bytes, more than {self.bounds.file_bytes:,} bytes"
            )
        if count > self.left_bytes:
            raise BoundsError(f"all files together have more than {self.bounds.bytes:,} bytes")
        self.left_bytes -= count

    def take_links(self, count: int) -> None:
        """`count` places that are about to be asked."""
        if count > self._links:
            allowed = f"endpoint.max_links allows {self.bounds.links}"
            raise BoundsError(f"{count} images are pointed to; {allowed}")
        self._links -= count

    def take_images(self, count: int) -> None:
        """`count` pictures that are about to be read."""
        if count > self._images:
            given = self.bounds.images - self._images + count
            raise BoundsError(f"{given} images; at most {self.bounds.images} are read")
        self._images -= count

    def take_seconds(self, spent: float) -> None:
        """Processor time that a picture took; the next one has what is left."""
        self.left_seconds = max(0.0, self.left_seconds - spent)
