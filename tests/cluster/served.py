"""A stand-in for `vllm serve` in a process of its own, which speaks its protocol and counts.

    python -m cluster.served HOST PORT LOG SECONDS

Each answer takes so many seconds, and leaves a line in LOG when it is made: who serves by the token
wants to be paid then, whether or not somebody still listens.
"""

import hashlib
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.ray_machines import ROOT
from models.loopback import Answer, Asked, serve

MODEL = {
    "id": "vlm", "object": "model", "owned_by": "vllm", "root": "/models/vlm",
    "parent": None, "max_model_len": 8192,
}  # fmt: skip
STARTS_IN_S = 60


def completion(body: bytes) -> Mapping[str, Any]:
    """What the model says: the reference of the sample that is asked about."""
    found = re.search(rb"say (\d+)", body)
    words = f"reference {int(found[1])}" if found else "nobody asked"
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": words},
        "finish_reason": "stop",
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "vlm",
        "choices": [choice],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }


def main(host: str, port: str, log: str, seconds: str) -> None:
    """Serve until killed."""

    def reply(asked: Asked) -> Answer:
        if asked.method == "GET":
            known = {"/health": b"", "/v1/models": {"object": "list", "data": [MODEL]}}
            return Answer(known.get(asked.path, b""), 200 if asked.path in known else 404)
        time.sleep(float(seconds))
        with Path(log).open("a") as sink:
            sink.write(hashlib.sha256(asked.body).hexdigest() + "\n")
        return Answer(completion(asked.body))

    with serve(reply, int(port), host):
        threading.Event().wait()


@dataclass
class Served:
    """The stand-in, which can be killed and started again at its place."""

    host: str
    log: Path
    seconds: float = 1.0
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        if not self.port:
            with socket.socket() as probe:
                probe.bind((self.host, 0))
                self.port = probe.getsockname()[1]
        words = [self.host, str(self.port), str(self.log), str(self.seconds)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cluster.served", *words],
            cwd=ROOT / "tests", env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        )  # fmt: skip
        until = time.monotonic() + STARTS_IN_S
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=2).close()
                return
            except OSError:
                assert time.monotonic() < until, "the stand-in does not start"
                time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL: what was being answered is not."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def answered(self) -> Counter[str]:
        """How often each call was answered."""
        return Counter(self.log.read_text().split() if self.log.exists() else [])


if __name__ == "__main__":
    main(*sys.argv[1:])
