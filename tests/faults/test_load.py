"""Load in small: many requests in flight, and a run that does not grow. `make soak` does more."""

from pathlib import Path

import pytest

from benchmarks import load, soak


@pytest.mark.slow
def test_two_hundred_requests_are_in_flight_and_no_more() -> None:
    found = load.in_flight()
    assert found["most_at_once"] == found["limit"] == 200
    assert found["ok"] == found["questions"] == 600


@pytest.mark.slow
def test_a_run_of_many_shards_under_faults_does_not_grow(tmp_path: Path) -> None:
    found = soak.steady(600, tmp_path / "run")
    assert found["growth"].keys() == {"mib", "files", "threads"}


def test_growth_is_noticed() -> None:
    gauge = soak.Gauge(100)
    for at in range(1, 101):
        gauge.looks.append({"done": at / 100, "mib": 200 + at, "files": 9, "threads": 4})
    with pytest.raises(SystemExit, match="mib grew from 220 to 295"):
        gauge.growth()
