"""Versions of the libraries that made a value, for passports and self-test messages."""

from importlib.metadata import PackageNotFoundError, version


def versions_of(*distributions: str) -> dict[str, str]:
    """Versions by distribution name; "absent" for one that is not installed."""
    return {name: _version(name) for name in distributions}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
