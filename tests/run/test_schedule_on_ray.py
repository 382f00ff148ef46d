"""The scheduler on a real Ray of pretended GPUs takes as long as it does in virtual time.

Workers sleep, a minute in a second; processes start when this machine has time for them, so the
virtual sweep has the loads and the machines' arrivals that were seen.
"""

import pytest

from benchmarks.schedule_on_ray import scaled, thirty_two

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


@pytest.mark.usefixtures("no_ray")
def test_thirty_two_gpus_of_which_eight_join_late() -> None:
    found = thirty_two(seed=0)
    assert found["to_virtual"] < 1.15, found
    assert found["joined_s"][-1] >= 600
    # Groups shrink worker by worker: several gave one back and went on.
    assert len(found["given_back"]) >= 3


@pytest.mark.usefixtures("no_ray")
def test_a_cluster_scaled_to_zero_is_given_the_machines_that_it_asks_for() -> None:
    found = scaled(seed=0)
    assert len(found["joined_s"]) == 2
    assert found["to_virtual"] < 1.15, found
