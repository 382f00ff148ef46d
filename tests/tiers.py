"""Which test runs when: `-m quick` in minutes, `make test`, and all of `make trial`."""

import re

import pytest

EXPENSIVE = ("slow", "cluster", "vllm", "gpu", "trial")
# One case of each kind stays in `make test`; what is listed here is its twins and the long hauls.
TRIAL = {
    "repeated kills": r"test_driver_kill.py::test_twenty_kills_",
    "seeds of recoverable chaos": r"test_chaos.py::test_faults_that_can_be_.*\[(?![0-4]\])",
    "seeds of other chaos": r"test_chaos.py::test_faults_that_cannot_.*\[[1-3]\]",
    "more faults of object storage": (
        r"test_object_storage.py::test_a_store_that_misbehaves_"
        r".*\[(drop|delay|repeat|truncate1|503|429|409|501|unconditional|500_late)\]"
    ),
    "commits of the score stage": r"test_real_deaths.py::test_a_driver_killed_.*-score\]",
    "a race on a directory": r"test_real_deaths.py::test_two_drivers_.*\[directory\]",
    "a rehearsal on Ray": r"test_chaos_option.py::test_a_rehearsed_run_.*\[overrides1\]",
    "each way to end a process": r"test_ray_faults.py::test_a_sample_that_ends_.*\[exit\]",
    "a model in stages on two processes": r"test_vllm_in_actors.py::.*\[pipeline\]",
    "the whole demo on a cluster": r"test_submitted_demo.py::",
    "a night given to Ray's own submit": r"test_submitting.py::test_rays_own_.*\[night\]",
}


def mark(item: pytest.Item) -> None:
    """Give a test its tier, and the group that has to stay in one process."""
    if any(re.search(pattern, item.nodeid) for pattern in TRIAL.values()):
        item.add_marker("trial")
    if not any(item.get_closest_marker(name) for name in EXPENSIVE):
        item.add_marker("quick")
    # One worker loads engines; the others share a file's fixtures, as they do in one process.
    group = "vllm" if item.get_closest_marker("vllm") else item.nodeid.partition("::")[0]
    item.add_marker(pytest.mark.xdist_group(group))
