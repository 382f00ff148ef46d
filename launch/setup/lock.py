"""`python -m medgen.launch.setup.lock REPORT`: pip's report of an installation as constraints.

Names and versions only: a build's label (`2.13.0+cpu`), hashes and addresses belong to one machine.
"""

import json
import sys
from pathlib import Path


def constraints(report: str) -> str:
    """A line for each package of the report, but for this distribution itself."""
    found = [item["metadata"] for item in json.loads(report)["install"]]
    pins = {p["name"].lower().replace("_", "-"): p["version"].partition("+")[0] for p in found}
    return "".join(f"{n}=={v}\n" for n, v in sorted(pins.items()) if n != "medgen-engine")


if __name__ == "__main__":
    sys.stdout.write(constraints(Path(sys.argv[1]).read_text(encoding="utf-8")))
