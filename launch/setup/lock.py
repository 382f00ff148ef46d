"""`python -m medgen.launch.setup.lock CPU GPU`: two reports of pip as one list of constraints.

Names and versions only: a build's label (`2.13.0+cpu`), hashes and addresses belong to one machine.
The list must fit both builds of vLLM, so a package of which they want two releases is left out.
"""

import json
import sys
from pathlib import Path


def constraints(cpu: str, gpu: str) -> str:
    """A line for each package of the first report whose release the second does not contradict."""
    other = _releases(gpu)
    pins = {n: v for n, v in _releases(cpu).items() if other.get(n, v) == v}
    return "".join(f"{n}=={v}\n" for n, v in sorted(pins.items()) if n != "medgen-engine")


def _releases(report: str) -> dict[str, str]:
    found: list[dict[str, str]] = [item["metadata"] for item in json.loads(report)["install"]]
    return {p["name"].lower().replace("_", "-"): p["version"].partition("+")[0] for p in found}


if __name__ == "__main__":
    sys.stdout.write(constraints(*(Path(f).read_text(encoding="utf-8") for f in sys.argv[1:3])))
