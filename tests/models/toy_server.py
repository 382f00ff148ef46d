"""An image server of the standard library that paints the version of the package it finds.

Run as a script: `toy_server.py --port N [--children DIRECTORY] [--stubborn] [--fail WORDS]`.
"""

import argparse
import base64
import http.server
import importlib.metadata
import json
import os
import signal
import struct
import subprocess
import sys
import zlib

SIDE = 16


def png(colour: tuple[int, int, int]) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
    rows = zlib.compress((b"\0" + bytes(colour) * SIDE) * SIDE)
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def version(package: str) -> tuple[int, int, int]:
    numbers = [int(n) for n in importlib.metadata.version(package).split(".")[:3]]
    major, minor, patch = (*numbers, 0, 0)[:3]
    return major, minor, patch


class Painter(http.server.BaseHTTPRequestHandler):
    package = "toymodel"

    def do_GET(self) -> None:
        self._reply(503 if self.path == "/sick" else 200, b"{}")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "die" in asked["prompt"]:
            os._exit(7)
        picture = base64.b64encode(png(version(self.package))).decode()
        self._reply(200, json.dumps({"data": [{"b64_json": picture}]}).encode())

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--package", default="toymodel")
    parser.add_argument("--children")
    parser.add_argument("--stubborn", action="store_true")
    parser.add_argument("--fail")
    options = parser.parse_args()
    if options.fail:
        sys.exit(f"{options.fail} {os.environ.get('TOY_SECRET', '')}")
    if options.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.children:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with open(os.path.join(options.children, "pids"), "w") as sink:
            sink.write(f"{os.getpid()} {child.pid}")
    Painter.package = options.package
    http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Painter).serve_forever()


if __name__ == "__main__":
    main()
