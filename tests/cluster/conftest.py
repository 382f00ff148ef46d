"""One cluster of two machines for the tests of submitting, and a small plan."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.ray_machines import Machines, machines
from fakes import plan

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
