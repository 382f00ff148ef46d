"""Where measurements are kept, and what they were taken on."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """The hardware, in words that mean something elsewhere."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    load = os.getloadavg()[0]
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "load_at_end": round(load, 1),
    }


def keep(name: str, found: dict[str, Any]) -> Path:
    """Write a measurement to `benchmarks/results/<name>.json` with its date and hardware."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    body = {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), **found}
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    return path
