"""One cluster of two machines for the tests of submitting."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from fakes import plan
from remote.ray_machines import Machines, machines
from remote.webhooks import Board

from medgen.engine.plan.plan import Plan
from medgen.engine.store.connect import connect


@pytest.fixture(scope="session")
def two_machines() -> Iterator[Machines]:
    """A head and a second machine; the token is on."""
    with machines() as cluster:
        yield cluster


@pytest.fixture
def small_plan(tmp_path: Path) -> Plan:
    """A plan of one fake system."""
    return plan(connect(str(tmp_path / "plan-store")))


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
