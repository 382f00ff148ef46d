"""Load: many samples in bounded memory, and many requests in flight against a slow endpoint.

    python -m benchmarks.load [samples]

The samples (642,200 by default) have small pictures. They are imported and run in processes of
their own, whose peak memory must stay below `MOST_MIB`. Then 600 questions are put to an endpoint
on loopback that takes two seconds for each, 200 at a time. Kept in results/load.json.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from benchmarks._records import keep
from benchmarks.scale import configuration
from medgen.adapters.models.answering import Answers
from medgen.adapters.models.openai_chat import OpenAIChat
from medgen.adapters.sources.synthetic import SyntheticSource
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.data import Request, Sample
from medgen.engine.store.connect import connect

ROOT = Path(__file__).resolve().parents[1]
MOST_MIB = 1024  # of the importing process and of driver with worker in one process
IN_FLIGHT, QUESTIONS, PAUSE_S = 200, 600, 2.0


class Slow(BaseHTTPRequestHandler):
    """A chat endpoint that thinks about every question."""

    protocol_version = "HTTP/1.1"
    busy, most, lock = 0, 0, threading.Lock()

    def do_POST(self) -> None:
        """Answer after the pause; remember how many were waiting at once."""
        self.rfile.read(int(self.headers["Content-Length"]))
        with Slow.lock:
            Slow.busy += 1
            Slow.most = max(Slow.most, Slow.busy)
        time.sleep(PAUSE_S)
        with Slow.lock:
            Slow.busy -= 1
        message = {"message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}
        body = json.dumps({"model": "m", "choices": [message]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Endpoint(ThreadingHTTPServer):
    """Takes as many connections at once as are asked for."""

    request_queue_size = 512
    daemon_threads = True


def in_flight() -> dict[str, Any]:
    """Ask all questions at once; the client's limit is what holds them back."""
    with Endpoint(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        model = Answers(OpenAIChat("m", endpoint={"base_url": url, "concurrency": IN_FLIGHT}))
        samples = [
            Sample(f"s{n}", "text", "question-answering", "CT", f"say {n}")
            for n in range(QUESTIONS)
        ]
        start = time.monotonic()
        rows = model.predict([Request(sample) for sample in samples])
        seconds = time.monotonic() - start
        server.shutdown()
    return {
        "questions": QUESTIONS,
        "limit": IN_FLIGHT,
        "most_at_once": Slow.most,
        "ok": sum(row.status == "ok" for row in rows),
        "seconds": round(seconds, 1),
        "at_best_s": QUESTIONS / IN_FLIGHT * PAUSE_S,
    }


def measured(arguments: list[str], log: Path) -> tuple[float, float]:
    """Seconds and peak MiB of a process of ours.

    Raises:
        SystemExit: it failed.
    """
    start = time.monotonic()
    with log.open("wb") as sink:
        child = subprocess.Popen([sys.executable, *arguments], stdout=sink, stderr=sink, cwd=ROOT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{arguments} ended with {child.returncode}: {log.read_text()[-2000:]}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def samples(count: int, folder: Path) -> dict[str, Any]:
    """Import and run; driver and worker share one process, so its memory is all there is."""
    store = str(folder / "store")
    conf = configuration(store)
    conf["cluster"] = {"name": "here", "pool": "local"}
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(conf), encoding="utf-8")
    arguments = ["-m", "benchmarks.load", "import", str(count), store]
    import_s, import_mib = measured(arguments, folder / "import.log")
    run_s, run_mib = measured(
        ["-m", "medgen", "run", "--config", str(path), "--json"], folder / "run.log"
    )
    return {
        "samples": count,
        "import_s": round(import_s, 1),
        "import_peak_mib": round(import_mib),
        "run_s": round(run_s, 1),
        "run_peak_mib": round(run_mib),
        "store_mib": round(sum(p.stat().st_size for p in folder.rglob("*.arrow")) / 2**20),
    }


def main(arguments: list[str]) -> None:
    """Measure, print, keep, and fail when a limit is broken."""
    if arguments[:1] == ["import"]:
        source = SyntheticSource(int(arguments[1]), images=True)
        import_benchmark(source, connect(arguments[2]), ImportOptions("synthetic"))
        return
    requests = in_flight()
    print(json.dumps(requests))
    with tempfile.TemporaryDirectory() as folder:
        many = samples(int(arguments[0]) if arguments else 642_200, Path(folder))
    print(json.dumps(many))
    keep("load", {"requests": requests, "samples": many})
    whole = requests["ok"] == QUESTIONS and requests["most_at_once"] == IN_FLIGHT
    if not whole or max(many["import_peak_mib"], many["run_peak_mib"]) > MOST_MIB:
        raise SystemExit(f"a limit is broken: at most {MOST_MIB} MiB, all questions answered")


if __name__ == "__main__":
    main(sys.argv[1:])
