"""The shared fixtures are what they say: real places, and a Ray that sees this tree."""

import os
import subprocess
import sys

import pytest
import ray

from medgen.engine.store.connect import connect


def test_every_place_keeps_the_first_of_two_writes(store_url: str) -> None:
    objects = connect(store_url)
    assert objects.names("") == []
    assert objects.create("folder/name", b"first")
    assert not objects.create("folder/name", b"second")
    assert connect(store_url).read("folder/name") == b"first"


def test_other_processes_see_the_shared_places(shared_url: str) -> None:
    script = (
        "import sys; from medgen.engine.store.connect import connect\n"
        "connect(sys.argv[1]).create('a', b'b')"
    )
    subprocess.run([sys.executable, "-c", script, shared_url], check=True, timeout=60)
    assert connect(shared_url).read("a") == b"b"


def _look(url: str) -> tuple[bytes, int]:
    return connect(url).read("name"), os.getpid()


@pytest.mark.cluster
def test_ray_workers_import_this_tree_and_reach_the_places(local_ray: str, shared_url: str) -> None:
    connect(shared_url).create("name", b"value")
    seen, pid = ray.get(ray.remote(_look).remote(shared_url), timeout=60)
    assert seen == b"value"
    assert pid != os.getpid()


@pytest.mark.cluster
def test_ray_comes_back_after_a_test_without_it(no_ray: None) -> None:
    assert not ray.is_initialized()
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    assert ray.cluster_resources()["CPU"] == 1


@pytest.mark.cluster
def test_ray_is_itself_again(local_ray: str) -> None:
    assert ray.cluster_resources()["CPU"] == 8
    assert local_ray
