"""Files that a person asked for, at a place that a person named."""

from pathlib import Path

from medgen.engine.errors import StoreError


def write_asked(path: Path, content: str | bytes) -> Path:
    """Write a file, and its folder where that is not there.

    Raises:
        StoreError: it cannot be written there.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as err:
        raise StoreError(f"cannot write {path}: {err.strerror}; name another place") from err
    return path
