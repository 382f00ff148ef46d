"""Tables of facts that lie as YAML beside the module that reads them."""

from importlib.resources import files
from typing import TypeVar

import msgspec

T = TypeVar("T")


def read_beside(package: str, name: str, kind: type[T]) -> T:
    """A file of a package (the module's `__package__`) as what it is to be.

    Raises:
        msgspec.ValidationError: it is not.
    """
    return msgspec.yaml.decode((files(package) / name).read_bytes(), type=kind)
