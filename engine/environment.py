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


if __name__ == "__main__":
    sys.stdout.write(json.dumps(environment_lock()))
