"""Which test runs when: `-m quick` in minutes, `make test`, and all of `make trial`."""

import re
from pathlib import Path

import pytest

# Tests that took long in a whole run: `cp var/slow-tests.txt tests/slow.txt` after one renews it.
SLOW = frozenset(Path(__file__).with_name("slow.txt").read_text(encoding="utf-8").split())
EXPENSIVE = ("slow", "cluster", "vllm", "gpu", "trial")
# One case of each kind stays in `make test`; what is listed here is its twins and the long hauls.
TRIAL = {
    # Twins: a promise's other formats, pools, places and seeds.
    "more orders on both pools": r"test_steering.py::test_(?!a_paused_system).*\[ray\]",
    "more runs on both pools": (
        r"test_run.py::test_(?!every_sample_ends|a_run_resumes|a_system_that_cannot).*\[ray\]"
    ),
    "more diagnoses on Ray": r"test_diagnosis.py::test_(an_engine|a_worker|a_discreet).*\[ray\]",
    "more secrets on Ray": r"test_secrets.py::test_(an_open|a_protected)_run_.*\[ray\]",
    "more ways of a bad actor": r"test_bad_workers.py::test_one_bad_actor_.*\[(?!hangs)",
    "a sample of many by further adapters": (
        r"test_server_table.py::test_what_one_sample_of_many_.*(unified|images)\]"
    ),
    "batches of the other vendor": (
        r"test_batches.py::test_(?!every_request|a_death_between).*anthropic\]"
    ),
    "a cluster named in other ways": r"test_addresses.py::test_a_job_goes_.*\[(file|setting)\]",
    "seeds of recoverable chaos": r"test_chaos.py::test_faults_that_can_be_.*\[(?!0\])",
    "seeds of other chaos": r"test_chaos.py::test_faults_that_cannot_.*\[[1-3]\]",
    "more faults of object storage": (
        r"test_object_storage.py::test_a_store_that_misbehaves_"
        r".*\[(drop|delay|repeat|truncate\d|500(_late)?|503|429|409|412_late|501|unconditional)\]"
    ),
    "a store that is too busy for good": r"test_object_storage.py::test_a_store_that_refuses_.*503",
    "commits of the score stage": r"test_real_deaths.py::test_a_driver_killed_.*-score\]",
    "more steps of a commit": (
        r"test_real_deaths.py::test_a_driver_killed_.*-(before|after)-answer\]"
    ),
    "more ends of a driver beside another": r"test_drivers_at_once.py::test_a_",
    "a race on a directory": r"test_real_deaths.py::test_two_drivers_.*\[directory\]",
    "questions on the demo's store": r"test_leads_questions.py::.*\[demo",
    "a rehearsal on Ray": r"test_chaos_option.py::test_a_rehearsed_run_.*\[overrides1\]",
    "each way to end a process": r"test_ray_faults.py::test_a_sample_that_ends_.*\[exit\]",
    "an endpoint's limits over four actors": r"test_limits.py::test_limits_hold_over_four_",
    "a second signal": r"test_command_line.py::test_a_signal_drains_.*\[2-130\]",
    "simulated pairs of systems": r"test_gate.py::test_false_alarms_.*\[(?!loss as large)",
    "bytes of float64 in another process": r"test_diffusers.py::test_bytes_do_not_depend_on_the_p",
    "bytes on another node": r"test_same_bytes.py::test_another_node_",
    "another cut of the same samples": r"test_shards_by_content.py::test_another_split_.*\[64\]",
    "a wheel in one process": r"test_wheel.py::test_no_module_.*\[in-process\]",
    "a night given to Ray's own submit": r"test_submitting.py::test_rays_own_.*\[night\]",
    "more changes below a known run": r"test_known.py::test_whatever_.*\[(?!owed|harmed_pack)",
    "more damages of what is known": r"test_known.py::test_a_note_that_is_lost_.*\[(?!None)",
    "more widths of pages at four times the size": (
        r"test_look.py::test_nothing_scrolls_sideways_at_four_times_.*\[(?!320)"
    ),
    # Long hauls.
    "a plan that is submitted twice": r"test_submitting.py::test_the_same_plan_is_the_same_run",
    "repeated kills": r"test_driver_kill.py::test_twenty_kills_",
    "kills of a driver of Ray": r"test_driver_kill.py::test_kills_of_a_driver_of_ray_",
    "a driver that is ended at once": r"test_submitting.py::test_a_driver_is_ended_at_once_",
    "a run whose vLLM is killed": r"test_vllm_death.py::test_a_run_whose_engine_is_killed_",
    "a program that leaves its vLLM": r"test_vllm_death.py::test_a_program_that_closes_nothing_",
    "a judge of eight systems": r"test_vllm_judging.py::",
    "LoRA adapters": r"test_vllm_lora.py::test_(an_adapter_that_cannot_be|a_lora_adapter)_",
    "a server with defaults of its vendor": r"test_vllm_serve.py::.*\[as a vendor says\]",
    "the scheduler on pretended GPUs": r"test_schedule_on_ray.py::",
    "memory over many shards": r"test_load.py::test_a_run_of_many_shards_",
    "a model spread over two processes": r"test_vllm_in_actors.py::.*\[(tensor|pipeline)\]",
    "a model after another": r"test_vllm_in_actors.py::test_the_first_of_two_",
    "two releases in one sweep": r"test_two_environments.py::test_two_releases_",
    "a Ray that dies under its driver": r"test_driver_kill.py::test_a_ray_of_this_machine_alone_",
    "the whole demo on a cluster": r"test_submitted_demo.py::",
    "the pages' commands on one store": r"test_shown_commands.py::test_commands_of_the_pages_run",
    "a tutorial over the whole miniature": r"test_tutorials.py::test_the_first_evaluation_",
    "the documentation as a site": r"test_site.py::test_the_site_",
}


def mark(item: pytest.Item) -> None:
    """Give a test its tier."""
    if any(re.search(pattern, item.nodeid) for pattern in TRIAL.values()):
        item.add_marker("trial")
    if item.nodeid.partition("[")[0] in SLOW:
        item.add_marker("slow")
    if not any(item.get_closest_marker(name) for name in EXPENSIVE):
        item.add_marker("quick")


def scope_of(nodeid: str) -> str:
    """What has to stay in one process: a file shares its fixtures, all of vLLM one engine."""
    file = nodeid.partition("::")[0]
    return "vllm" if re.search(r"/test_vll?m_", file) else file
