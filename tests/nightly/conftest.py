"""A webhook's listener, known to the configuration by its variable."""

from collections.abc import Iterator
from threading import Thread

import pytest
from nightly.webhooks import Board


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A listener whose URL, with a secret in it, is in NIGHT_BOARD."""
    server = Board()
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("NIGHT_BOARD", f"http://127.0.0.1:{server.server_port}/hook?secret=s3cr3t")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
