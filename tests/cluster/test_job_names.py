"""The same plan submitted to two stores is two jobs."""

from medgen.launch.cluster.jobs import job_name


def test_a_job_is_of_one_run_in_one_store() -> None:
    here, there = job_name("night-1a2b", "s3://one/store"), job_name("night-1a2b", "s3://two/store")
    assert here != there
    assert here.startswith("night-1a2b-")
    assert job_name("night-1a2b", "s3://one/store/") == here
    assert job_name("night-3c4d", "s3://one/store") != here
