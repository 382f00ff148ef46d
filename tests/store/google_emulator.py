"""gcp-storage-emulator with what it lacks of Google's storage.

It keeps no condition of a request, files an object under its name with each backslash as a slash,
and takes what follows `;` in a name for something else. Here an insert with `ifGenerationMatch=0`
of an object that is there is answered with 412, as Google does, and every name is one of its own.
"""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

_REFUSED = {
    "code": 412,
    "message": "A pre-condition you specified did not hold.",
}


class StandsError(Exception):
    """An object is there that the request wants to be absent."""


class Conditional(Storage):
    """All in memory; for a server of one request at a time, so that each insert is one step."""

    absent = False  # whether the request in hand wants no such object to be there

    def create_file(self, bucket: str, name: str, *said: Any) -> None:
        """Keep an object, whole, where the request's condition holds now."""
        if self.absent and name in self.objects.get(bucket, {}):
            raise StandsError
        super().create_file(bucket, name, *said)

    def _object_path(self, bucket: str, name: str) -> str:
        return f"{bucket}/{name.encode().hex()}"

    def _write_config_to_file(self) -> None:
        """All that it knows, after each request; nobody reads it."""


class Handler(RequestHandler):
    """Requests to a `Conditional` storage."""

    def parse_request(self) -> bool:
        """Keep `;` a sign of the path."""
        sound: bool = super().parse_request()
        self.path = self.path.replace(";", "%3B") if sound else ""
        return sound

    def do_POST(self) -> None:
        """An object whole, or the beginning of one in parts."""
        self._insert(super().do_POST)

    def do_PUT(self) -> None:
        """A part of an object, whose URL has the condition of the beginning."""
        self._insert(super().do_PUT)

    def _insert(self, answer: Callable[[], None]) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        self.storage.absent = asked.get("ifGenerationMatch") == ["0"]
        try:
            answer()
        except StandsError:
            self.send_response(HTTPStatus.PRECONDITION_FAILED)
            self.end_headers()
            self.wfile.write(json.dumps({"error": _REFUSED}).encode())
