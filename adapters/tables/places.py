"""Where files of rows lie: in a folder, or in an archive."""

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, Protocol

from medgen.adapters.sources.folder import Folder, safe_path
from medgen.adapters.tables.archives import Archives
from medgen.adapters.tables.globs import fitting, named_files

_SHOWN = 8  # names that a message lists


class Inside(Protocol):
    """What holds files; its name is empty of the source's own folder."""

    name: str

    def fitting(self, pattern: str) -> Iterator[tuple[str, dict[str, str]]]:
        """The files that fit a pattern, with what stood for each `{name}` in it."""
        ...

    def open(self, name: str) -> BinaryIO:
        """One of them, which can be sought in."""
        ...

    def some(self) -> str:
        """A few of the names that there are."""
        ...


class InFolder:
    """The files below the source's folder."""

    name = ""

    def __init__(self, folder: Folder) -> None:
        """Nothing is read outside of `folder`."""
        self._folder = folder

    def fitting(self, pattern: str) -> Iterator[tuple[str, dict[str, str]]]:
        """See `Inside.fitting`."""
        return named_files(self._folder, pattern)

    def open(self, name: str) -> BinaryIO:
        """See `Inside.open`."""
        return self._folder.open(name)

    def some(self) -> str:
        """See `Inside.some`."""
        return ", ".join(sorted(self._folder.names(""))[:_SHOWN])


class InArchive:
    """The members of a zip or tar."""

    def __init__(self, archives: Archives, name: str) -> None:
        """It is opened when it is first looked into."""
        self._archives, self.name = archives, name

    def fitting(self, pattern: str) -> Iterator[tuple[str, dict[str, str]]]:
        """See `Inside.fitting`."""
        for name, named in fitting(self._archives.archive(self.name).names(), pattern):
            yield safe_path(name), named

    def open(self, name: str) -> BinaryIO:
        """See `Inside.open`: a copy on the local disk, of which small ones stay in memory."""
        return self._archives.archive(self.name).spool(name)

    def some(self) -> str:
        """See `Inside.some`."""
        return ", ".join(islice(self._archives.archive(self.name).names(), _SHOWN))
