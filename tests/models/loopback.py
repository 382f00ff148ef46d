"""HTTP servers on loopback whose replies a test decides, one thread a connection."""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What the server does: a status and a body, a pause before, a cut in the middle."""

    body: bytes | Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    hang_up_after: int | None = None  # bytes of the body

    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Server:
    url: str
    asked: list[Asked]
    most_at_once: list[int]


def send(handler: http.server.BaseHTTPRequestHandler, answer: Answer) -> None:
    data = answer.encoded()
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data if answer.hang_up_after is None else data[: answer.hang_up_after])


@contextlib.contextmanager
def serve(
    script: Callable[[Asked], Answer], port: int = 0, host: str = "127.0.0.1"
) -> Iterator[Server]:
    """A server on a free port, or on one that was free, for as long as the context lasts."""
    asked: list[Asked] = []
    busy, peak, lock = [0], [0], threading.Lock()
    over = threading.Event()

    class Scripted(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Asked(self.command, self.path, dict(self.headers), body, time.monotonic())
            with lock:
                asked.append(request)
                busy[0] += 1
                peak[0] = max(peak[0], busy[0])
            try:
                self._write(script(request))
            finally:
                with lock:
                    busy[0] -= 1

        do_POST = do_GET = _answer

        def _write(self, answer: Answer) -> None:
            over.wait(answer.pause_s)
            with contextlib.suppress(OSError):  # the client may have left
                send(self, answer)
            if answer.hang_up_after is not None:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer((host, port), Scripted)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Server(f"http://{host}:{server.server_port}", asked, peak)
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
