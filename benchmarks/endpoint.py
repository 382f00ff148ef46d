"""What asking an endpoint costs beside a bare client of the same library, and beside inspect_ai.

    python -m benchmarks.endpoint [--items 2000] [--inspect PYTHON]

Each item is a multiple-choice question with a JPEG of 512 x 512 of its own. A server in a process
of its own answers after 100 ms. With 64 and with 512 requests in flight it is asked by a bare
aiohttp client, by our client alone, and by `medgen run` in one process, from an imported benchmark
to the table of results; and, where the interpreter given with `--inspect` has it, by inspect_ai.
Every side is a process, whose seconds and processor seconds are taken from its start to its end.
Kept in results/endpoint.json.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image as Pillow

from benchmarks._endpoint_sides import CHOICES, QUESTION
from benchmarks._records import keep
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Image, Sample
from medgen.engine.store.connect import connect

ROOT = Path(__file__).resolve().parents[1]
SIDES = ROOT / "benchmarks" / "_endpoint_sides.py"
IN_FLIGHT = (64, 512)
LATENCY_S = 0.1
_DRAWN = 16  # pictures that are really drawn; the others differ by a comment


@dataclass(frozen=True, slots=True)
class Taken:
    """What one side took."""

    seconds: float
    cpu_s: float
    answered: int

    def beside(self, bare: "Taken") -> dict[str, Any]:
        """As JSON, with its ratios to the bare client."""
        return {
            "seconds": round(self.seconds, 2),
            "cpu_s": round(self.cpu_s, 2),
            "answered": self.answered,
            "requests_a_second": round(self.answered / self.seconds, 1),
            "wall_ratio": round(self.seconds / bare.seconds, 2),
            "cpu_ratio": round(self.cpu_s / bare.cpu_s, 2),
        }


class Items:
    """A source of multiple-choice questions with one picture each."""

    def __init__(self, folder: Path) -> None:
        """Pictures are read when their sample is."""
        self._paths = sorted(folder.glob("*.jpg"))

    def __iter__(self) -> Iterator[Sample | Problem]:
        """See `medgen.engine.benchmark.source.Source`."""
        for path in self._paths:
            yield Sample(
                path.stem,
                "choice",
                "multiple-choice",
                "CT",
                QUESTION,
                choices=CHOICES,
                input_images=(Image(path.read_bytes(), path.name),),
                reference_choices=(1,),
                source=path.stem,
            )

    def expected_counts(self) -> Mapping[tuple[str, str], int]:
        """None are promised."""
        return {}

    def describe(self) -> Mapping[str, Any]:
        """See `medgen.engine.benchmark.source.Source`."""
        return {"layout": "endpoint", "count": len(self._paths)}


def draw(folder: Path, count: int) -> None:
    """`count` JPEGs of about 90 kB, each with bytes of its own."""
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(_DRAWN):
        levels = rng.normal(128, 26, (512, 512, 3)).clip(0, 255).astype("uint8")
        sink = io.BytesIO()
        Pillow.fromarray(levels).save(sink, "JPEG", quality=80)
        drawn.append(sink.getvalue())
    for number in range(count):
        plain, comment = drawn[number % _DRAWN], f"{number:06d}".encode()
        marked = plain[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + plain[2:]
        (folder / f"p{number:05d}.jpg").write_bytes(marked)


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server, for as long as the context lasts."""
    child = subprocess.Popen(
        [sys.executable, str(SIDES), "serve", "", "", str(LATENCY_S)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(child.stdout.readline())}/v1"
    finally:
        child.kill()
        child.wait()


def measured(arguments: list[str], log: Path) -> tuple[float, float, str]:
    """Seconds and processor seconds of a process with its children, and its last line.

    Raises:
        SystemExit: it failed.
    """
    start = time.monotonic()
    with log.open("wb") as sink, log.with_suffix(".err").open("wb") as errors:
        child = subprocess.Popen(arguments, stdout=sink, stderr=errors, cwd=ROOT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - start
    if child.returncode:
        raise SystemExit(f"{arguments} ended with {child.returncode}; see {log.parent}")
    return seconds, usage.ru_utime + usage.ru_stime, log.read_text().splitlines()[-1]


def side(name: str, python: str, folder: Path, url: str, in_flight: int) -> Taken:
    """One side that needs no store."""
    arguments = [python, str(SIDES), name, str(folder / "pictures"), url, str(in_flight)]
    seconds, cpu_s, said = measured(arguments, folder / f"{name}-{in_flight}.log")
    return Taken(seconds, cpu_s, int(said))


def run(folder: Path, url: str, in_flight: int) -> Taken:
    """`medgen run` over the imported items, in one process."""
    path = folder / f"run-{in_flight}.yaml"
    path.write_text(yaml.safe_dump(configuration(str(folder / "store"), url, in_flight)))
    arguments = [sys.executable, "-m", "medgen", "run", "--config", str(path), "--json"]
    seconds, cpu_s, said = measured(arguments, folder / f"run-{in_flight}.log")
    if not json.loads(said)["complete"]:
        raise SystemExit(f"the run is not complete; see {folder}")
    return Taken(seconds, cpu_s, len(list((folder / "pictures").iterdir())))


def configuration(store: str, url: str, in_flight: int) -> dict[str, Any]:
    """One hosted system, one metric, no report."""
    endpoint = {"base_url": url, "concurrency": in_flight}
    chat = {"target": "openai", "kwargs": {"model": "served", "endpoint": endpoint}}
    shards = 1 + in_flight // 64  # in hand at once
    resources = {"cpus": 1.0, "in_flight": shards}
    answer = {"target": "answers", "kwargs": {"chat": chat}, "resources": resources}
    return {
        "name": f"endpoint-{in_flight}",
        "store": store,
        "benchmark": {"name": "endpoint"},
        "systems": [{"name": f"served-{in_flight}", "answer": answer}],
        "protocol": {"name": "choices", "metrics": {"choice_accuracy": {}}},
        "cluster": {"name": "here", "pool": "local"},
        "report": False,
    }


def sides(folder: Path, in_flight: int, inspect: str) -> dict[str, Taken]:
    """Every side, one after the other, against one server."""
    with server() as url:
        taken = {
            "bare": side("bare", sys.executable, folder, url, in_flight),
            "client": side("ours", sys.executable, folder, url, in_flight),
            "run": run(folder, url, in_flight),
        }
        if inspect:
            taken["inspect_ai"] = side("inspect", inspect, folder, url, in_flight)
    return taken


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--inspect", default="", help="an interpreter that has inspect_ai")
    given = parser.parse_args()
    found: dict[str, Any] = {"items": given.items, "latency_s": LATENCY_S, "in_flight": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pictures").mkdir()
        draw(folder / "pictures", given.items)
        store = connect(str(folder / "store"))
        import_benchmark(Items(folder / "pictures"), store, ImportOptions("endpoint"))
        for in_flight in IN_FLIGHT:
            taken = sides(folder, in_flight, given.inspect)
            beside = {n: one.beside(taken["bare"]) for n, one in taken.items()}
            found["in_flight"][str(in_flight)] = beside
            for n, one in beside.items():
                print(in_flight, n, json.dumps(one), flush=True)
    keep("endpoint", found)


if __name__ == "__main__":
    main()
