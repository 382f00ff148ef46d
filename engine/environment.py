"""The lock of a Python environment: every distribution in it, as `name==version`.

The standard library only, and no import of ours: another environment's interpreter runs this very
text, whatever it holds (`python -c`), and prints its lock as JSON.
"""

import hashlib
import importlib.metadata
import json
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any


@cache
def environment_lock() -> dict[str, Any]:
    """What the environment of this process holds; read once.

    Returns:
        `python`, `sha256` of the list, and the list: `packages`, sorted. Of a package that is
        there twice, the one found first is the one that is imported, and listed.
    """
    found: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        name = (each.metadata["Name"] or "").lower().replace("_", "-").replace(".", "-")
        found.setdefault(name, f"{name}=={each.version}")
    packages = sorted(found.values())
    digest = hashlib.sha256("\n".join(packages).encode()).hexdigest()
    return {"python": platform.python_version(), "sha256": digest, "packages": packages}


@cache
def code_digest(folders: tuple[str, ...] = ("engine", "adapters", "metrics")) -> str:
    """16 hex digits of this package's source, as it lies in this process's environment."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for folder in folders:
        written = (f for f in (root / folder).rglob("*") if f.suffix in (".py", ".yaml"))
        for path in sorted(written):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(root)}\0{content}\n".encode())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(environment_lock()))
