"""The long test of what must not happen slowly: growth, lost rows, parsers that give way.

    python -m benchmarks.soak [shards] [seconds of fuzzing a parser] [seeds]

1. A run of 10,000 shards in one process, under faults: neither memory nor open files nor threads
   may grow by more than a tenth after the first fifth of it.
2. A coverage-guided fuzzer on every parser of outside bytes, 30 seconds each.
3. 200 rehearsals of a run under faults of other seeds; every one must give the undisturbed rows.

Any failure ends the program with a sentence. Kept in results/soak.json.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks._records import keep
from medgen.adapters.sources.synthetic import SyntheticSource
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.run.events import Event
from medgen.engine.store.chaos import Chaos, parse_chaos
from medgen.engine.store.connect import connect

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
FAULTS = "seed=1,worker_kill=0.02,node_loss=0.02,store_errors=0.02"
MOST_GROWTH = 0.10
PER_SHARD = 2
# What a tenth of a small number would forbid: a thread or a socket more is no leak.
SLACK = {"files": 3, "threads": 2, "mib": 10}


@dataclass
class Gauge:
    """Looks at this process while a run goes on."""

    total: int
    seen: int = 0
    looks: list[dict[str, float]] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Look a hundred times in a run."""
        if event.receipt is None or event.receipt.part is not None:
            return
        self.seen += 1
        if self.seen % max(1, self.total // 100) == 0:
            self.looks.append({"done": self.seen / self.total, **now()})

    def growth(self) -> dict[str, float]:
        """By how much each number grew from the first fifth to the end, as a share.

        Raises:
            SystemExit: one grew by more than a tenth.
        """
        early = [look for look in self.looks if 0.1 < look["done"] <= 0.2]
        late = [look for look in self.looks if look["done"] > 0.9]
        grown = {}
        for name in ("mib", "files", "threads"):
            first = max(look[name] for look in early)
            last = sum(look[name] for look in late) / len(late)
            grown[name] = round(last / first - 1, 3)
            if last > first * (1 + MOST_GROWTH) + SLACK[name]:
                raise SystemExit(f"{name} grew from {first:g} to {last:g} in {self.seen} shards")
        return grown


def now() -> dict[str, float]:
    """Resident memory (MiB), open files and threads of this process."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "mib": int(status["VmRSS"].split()[0]) / 1024,
        "files": len(os.listdir("/proc/self/fd")),
        "threads": int(status["Threads"]),
    }


def steady(shards: int, folder: Path) -> dict[str, Any]:
    """A whole run in this process, of so many shards a stage."""
    from medgen.launch.commands.options import configuration
    from medgen.launch.run.evaluation import RunOptions, evaluate
    from medgen.launch.run.stop import Stop

    folder.mkdir(parents=True)
    store = str(folder / "store")
    import_benchmark(
        SyntheticSource(shards * PER_SHARD), connect(store), ImportOptions("synthetic", PER_SHARD)
    )
    body = {
        "name": "soak",
        "store": store,
        "benchmark": {"name": "synthetic"},
        "systems": [{"name": "null", "answer": {"target": "empty"}}],
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "cluster": {"name": "here", "pool": "local"},
        "report": False,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(body), encoding="utf-8")
    gauge, start = Gauge(2 * shards), time.monotonic()
    options = RunOptions(quiet=True, chaos=parse_chaos(FAULTS))
    done = evaluate(configuration(str(path), None, ()), options, Stop(), gauge)
    if not done.complete:
        raise SystemExit(f"rows are missing: {dict(done.ending.failed)}")
    seconds = time.monotonic() - start
    return {"shards": shards, "seconds": round(seconds), "growth": gauge.growth(), **now()}


def fuzz_all(seconds: int) -> dict[str, Any]:
    """Every target in a process of its own, for the coverage of one is nothing to another."""
    sys.path.insert(0, str(TESTS))
    from hostile.targets import TARGETS

    found = {}
    for name in TARGETS:
        command = [sys.executable, "-m", "benchmarks._fuzz", name, str(seconds)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name} gave way:\n{done.stderr[-3000:]}")
        found[name] = _runs(done.stderr)
        print(f"fuzzed {name}: {found[name]} inputs", flush=True)
    return found


def _runs(text: str) -> int:
    """How many inputs libFuzzer says that it tried: `Done 12345 runs in 31 second(s)`."""
    counts = [line.split()[1] for line in text.splitlines() if line.startswith("Done ")]
    return int(counts[-1]) if counts else 0


def rehearse_all(count: int, folder: Path) -> dict[str, Any]:
    """Whole runs of the miniature benchmark under faults, each compared with the calm one."""
    sys.path.insert(0, str(TESTS))
    from faults.rehearsal import carry, configured, copy_of, tables

    from medgen.launch import compose

    calm = folder / "calm"
    compose.ensure_benchmark(connect(str(calm)), configured().benchmark)
    expected = tables(calm, carry(calm, Chaos())[1])
    for seed in range(1000, 1000 + count):
        drawn = random.Random(seed)
        rates = [round(drawn.uniform(0, most), 3) for most in (0.5, 0.5, 0.2, 0.1)]
        chaos = Chaos(seed, *rates)
        with tempfile.TemporaryDirectory() as place:
            ending, plan = carry(copy_of(calm, Path(place)), chaos)
            if ending.failed or tables(Path(place), plan) != expected:
                raise SystemExit(f"other rows under {chaos}: {dict(ending.failed)}")
        print(f"the same rows under {chaos}", flush=True)
    return {"seeds": count}


def main(arguments: list[str]) -> None:
    """Everything, one after the other."""
    shards, seconds, seeds = [int(a) for a in arguments] + [10_000, 30, 200][len(arguments) :]
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {"run": steady(shards, Path(folder, "run"))}
        print(json.dumps(found["run"]), flush=True)
        found["fuzzed"] = {"seconds_each": seconds, "inputs": fuzz_all(seconds)}
        found["rehearsals"] = rehearse_all(seeds, Path(folder))
    print(f"kept in {keep('soak', found)}")


if __name__ == "__main__":
    main(sys.argv[1:])
