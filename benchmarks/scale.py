"""What the engine itself costs: synthetic samples through the null system, at growing sizes.

    python -m benchmarks.scale [count ...]

Each size is imported into a new store and run by the command line in a process of its own, on a
Ray of this machine, with one text metric. Time per sample, the driver's peak memory, and how
long a second `medgen run` takes that finds nothing to do, are kept in results/scale.json.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml

from benchmarks._records import keep
from medgen.adapters.sources.synthetic import SyntheticSource
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.store.connect import connect

SIZES = (6_422, 64_220, 642_200)
ROOT = Path(__file__).resolve().parents[1]


def configuration(store: str) -> dict[str, Any]:
    """The null system and one text metric, two workers each."""
    two = {"cpus": 1.0, "workers": 2}
    null = {"target": "empty", "resources": two}
    return {
        "name": "scale",
        "store": store,
        "benchmark": {"name": "synthetic"},
        "systems": [{"name": "null", "answer": null}],
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "cluster": {"name": "here", "pool": "ray", "num_cpus": 8},
        "scoring": {"resources": two},
        "report": False,
    }


def command(config: Path, log: Path) -> tuple[float, int, dict[str, Any]]:
    """Run once: seconds, peak memory of the driver in bytes, and its last word."""
    start = time.monotonic()
    with log.open("wb") as sink:
        child = subprocess.Popen(
            [sys.executable, "-m", "medgen", "run", "--config", str(config), "--json"],
            stdout=sink,
            cwd=ROOT,
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"the run ended with {child.returncode}; see {log}")
    last = json.loads(log.read_bytes().splitlines()[-1])
    return time.monotonic() - start, usage.ru_maxrss * 1024, last


def import_synthetic(count: int, store: str) -> float:
    """Import so many synthetic samples: seconds."""
    start = time.monotonic()
    import_benchmark(SyntheticSource(count), connect(store), ImportOptions("synthetic"))
    return time.monotonic() - start


def measure(count: int, folder: Path) -> dict[str, Any]:
    """Import, run, and run again."""
    store = str(folder / "store")
    # Elsewhere: a child's peak memory, as the system tells it, is never below its parent's.
    with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:
        imported = elsewhere.submit(import_synthetic, count, store).result()
    config = folder / "run.yaml"
    config.write_text(yaml.safe_dump(configuration(store)))
    total, memory, last = command(config, folder / "first.jsonl")
    again, _, _ = command(config, folder / "second.jsonl")
    return {
        "samples": count,
        "import_s": round(imported, 2),
        "run_s": round(total, 2),
        "run_ms_per_sample": round(1000 * total / count, 3),
        "work_ms_per_sample": round(1000 * last["work_seconds"] / count, 3),
        "driver_peak_mib": round(memory / 2**20),
        "second_run_s": round(again, 2),
    }


def main(sizes: list[int]) -> None:
    """Measure every size and print the ratios that matter."""
    rows = []
    for count in sizes:
        with tempfile.TemporaryDirectory(prefix="medgen-scale-") as folder:
            rows.append(measure(count, Path(folder)))
        print(json.dumps(rows[-1]), flush=True)
    first, last = rows[0], rows[-1]
    ratios = {
        "time_per_sample": round(last["run_ms_per_sample"] / first["run_ms_per_sample"], 2),
        "work_per_sample": round(last["work_ms_per_sample"] / first["work_ms_per_sample"], 2),
        "driver_memory": round(last["driver_peak_mib"] / first["driver_peak_mib"], 2),
    }
    print(f"largest over smallest: {ratios}")
    print(keep("scale", {"sizes": rows, "largest_over_smallest": ratios}))


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or list(SIZES))
