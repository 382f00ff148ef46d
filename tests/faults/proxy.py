"""An HTTP proxy on loopback that does to a store's traffic what networks and servers do."""

import contextlib
import http.client
import http.server
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

LAG_S = 1.5


@dataclass(frozen=True)
class Seen:
    """A request: `number` counts those of the same method and path, from 0."""

    method: str
    path: str
    number: int

    @property
    def listing(self) -> bool:
        return self.method == "GET" and "list-type" in parse_qs(urlsplit(self.path).query)


# What to do with a request; "pass" hands it on.
Script = Callable[[Seen], str]


@dataclass
class Traffic:
    """Where the proxy is, and what it did."""

    url: str
    done: Counter[str] = field(default_factory=Counter)


Found = tuple[int, list[tuple[str, str]], bytes]  # status, headers, body


class Server(http.server.ThreadingHTTPServer):
    """The proxy's server and what its threads share."""

    daemon_threads = True

    def __init__(self, upstream: str, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), Faulty)
        self.target, self.script = urlsplit(upstream).netloc, script
        self.traffic = Traffic(f"http://127.0.0.1:{self.server_port}")
        self.listings: dict[str, tuple[float, Found | None]] = {}
        self.lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def seen(self, method: str, path: str, counted: str) -> Seen:
        with self.lock:
            self._counts[method, counted] += 1
            return Seen(method, path, self._counts[method, counted] - 1)

    def handle_error(self, *_: object) -> None:
        """Clients hang up as well."""


class Faulty(http.server.BaseHTTPRequestHandler):
    server: "Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0] if self.command != "GET" else self.path
        seen = self.server.seen(self.command, self.path, path)
        action = self.server.script(seen)
        with self.server.lock:
            self.server.traffic.done[action] += 1
        with contextlib.suppress(OSError):
            getattr(self, f"_{action.replace('-', '_')}")(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _any

    def _ask(self, body: bytes) -> Found:
        connection = http.client.HTTPConnection(self.server.target, timeout=30)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}
        connection.request(self.command, self.path, body, headers)
        reply = connection.getresponse()
        found = reply.status, reply.getheaders(), reply.read()
        connection.close()
        return found

    def _answer(self, found: Found, kept: float = 1.0) -> None:
        status, headers, body = found
        self.send_response(status)
        unwanted = {"connection", "transfer-encoding", "date", "server", "content-length"}
        for name, value in headers:
            if name.lower() not in unwanted:
                self.send_header(name, value)
        length = {k.lower(): v for k, v in headers}.get("content-length", len(body))
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body[: int(len(body) * kept)])
        if kept < 1:
            self._hang_up()

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def _error(self, status: int, code: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>{code} by proxy</Message></Error>"
        self._answer((status, [("Content-Type", "application/xml")], text.encode()))

    def _pass(self, body: bytes) -> None:
        self._answer(self._ask(body))

    def _drop(self, body: bytes) -> None:
        self._hang_up()

    def _drop_late(self, body: bytes) -> None:
        self._ask(body)
        self._hang_up()

    def _delay(self, body: bytes) -> None:
        time.sleep(0.3)
        self._pass(body)

    def _hang(self, body: bytes) -> None:
        self._ask(body)
        time.sleep(2.5)
        self._hang_up()

    def _repeat(self, body: bytes) -> None:
        self._ask(body)
        self._pass(body)

    def _truncate(self, body: bytes) -> None:
        self._answer(self._ask(body), kept=0.5)

    def _500(self, body: bytes) -> None:
        self._error(500, "InternalError")

    def _500_late(self, body: bytes) -> None:
        self._ask(body)
        self._error(500, "InternalError")

    def _503(self, body: bytes) -> None:
        self._error(503, "SlowDown")

    def _429(self, body: bytes) -> None:
        self._error(429, "TooManyRequests")

    def _403(self, body: bytes) -> None:
        self._error(403, "AccessDenied")

    def _409(self, body: bytes) -> None:
        self._error(409, "ConditionalRequestConflict")

    def _412_late(self, body: bytes) -> None:
        self._ask(body)
        self._error(412, "PreconditionFailed")

    def _501(self, body: bytes) -> None:
        if self.headers.get("If-None-Match"):
            self._error(501, "NotImplemented")
        else:
            self._pass(body)

    def _unconditional(self, body: bytes) -> None:
        del self.headers["If-None-Match"]
        self._pass(body)

    def _lag(self, body: bytes) -> None:
        """An old listing, for a while."""
        listings = self.server.listings
        at, found = listings.get(self.path, (0.0, None))
        if found is None or time.monotonic() - at > LAG_S:
            found = self._ask(body)
            listings[self.path] = (time.monotonic(), found)
        self._answer(found)


@contextlib.contextmanager
def between(upstream: str, script: Script) -> Iterator[Traffic]:
    """A proxy before `upstream` (an http URL) for as long as the context lasts."""
    with Server(upstream, script) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.traffic
        finally:
            server.shutdown()
            thread.join()
