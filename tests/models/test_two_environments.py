"""One sweep over models that no single environment can hold: two releases of transformers."""

import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from fakes import answers, echo, plan, recipe
from models.conftest import picture
from models.test_image_runs import Pictures, carried_out, predictions

from medgen.actors.ray_pool import RayPool
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.data import Image, Sample
from medgen.engine.environment import environment_lock
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, System, make_plan
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect

SERVER = str(Path(__file__).with_name("older_server.py"))
# Another major release of transformers, with what it insists on; all else is this environment's.
SECOND = ("transformers==4.57.6", "huggingface-hub==0.36.2", "tokenizers==0.22.2")
OLDER = SECOND[0]
NEWER = f"transformers=={version('transformers')}"


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment with an older transformers; about 100 MB."""
    return make_second(tmp_path_factory.mktemp("second"))


def make_second(folder: Path) -> str:
    """It finds what it does not hold in this environment, whose packages come behind its own."""
    venv = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(venv, check=True, timeout=120)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-compile"]
    done = subprocess.run(
        [*pip, "--no-deps", *SECOND], capture_output=True, text=True, timeout=240, check=False
    )
    if done.returncode:
        pytest.fail(
            f"No package index gave {', '.join(SECOND)}, so two environments in one sweep cannot "
            f"be tested; connect this machine to one, or set PIP_INDEX_URL.\n{done.stderr[-1000:]}",
            pytrace=False,
        )
    shared = sysconfig.get_path("purelib")
    own = sysconfig.get_path("purelib", vars={"base": str(folder)})
    line = f"import site; site.addsitedir({shared!r})\n"
    (Path(own) / "first_environment.pth").write_text(line, encoding="utf-8")
    return str(python)


def test_without_an_index_the_second_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    with pytest.raises(pytest.fail.Exception, match=f"No package index gave {OLDER}"):
        make_second(tmp_path / "second")


def in_process(family: str, name: str, python: str = "") -> System:
    """A system whose worker loads one of `two_families`, with the interpreter named."""
    spec = Spec(
        "unified-in-process",
        {"target": f"models.two_families:{family}", "model": name},
    )
    environment = {"py_executable": python} if python else {}
    return System(name, Model(spec, Resources(cpus=0.5, runtime_env=environment)), None, ("text",))


def served(python: str) -> System:
    """The older family behind a server in its own environment."""
    inner = answers("openai", {"mode": "vqa", "prompt": "answer/1"}, model="older")
    spec = Spec(
        "managed-server",
        {
            "command": ["{python}", SERVER, "--port", "{port}"],
            "inner": inner,
            "execution": {"python": python, "start_timeout_s": 120.0, "grace_s": 2.0},
        },
    )
    return System("older-served", Model(spec, Resources(cpus=0.5)), None, ("text",))


def releases(environment: dict[str, Any]) -> set[str]:
    return {p for p in environment["packages"] if p.startswith("transformers==")}


def test_the_lock_of_the_workers_environment_is_with_the_rows(tmp_path: Path) -> None:
    objects = connect(str(tmp_path / "store"))
    work = plan(objects, System("echo", echo()), count=4)
    reader = carried_out(objects, work)
    (node,) = (n for n in work.nodes.values() if n.stage == "answer")
    (identity,) = reader.identities(node)
    found = identity.environment
    assert found == environment_lock()
    assert {NEWER, f"pytest=={version('pytest')}"} <= set(found["packages"])
    assert len(found["sha256"]) == 64


@pytest.mark.slow
@pytest.mark.cluster
def test_two_releases_of_transformers_run_in_one_sweep(
    second: str, local_ray: str, tmp_path: Path
) -> None:
    systems = [
        in_process("Newer", "newer"),
        in_process("Older", "older", second),
        served(second),
        in_process("Older", "older-in-the-wrong-place"),
        in_process("Newer", "newer-in-the-wrong-place", second),
    ]
    samples = [
        Sample(
            f"s{i}", "text", "question-answering", "CT", "what is it?",
            input_images=(Image(picture(i), f"in-{i}.png"),),
        )
        for i in range(4)
    ]  # fmt: skip
    objects = connect(str(tmp_path / "store"))
    stored = import_benchmark(Pictures(samples), objects, ImportOptions("p", 2))
    sweep = make_plan(recipe(*systems), stored)
    reader, pool = RunReader(objects, sweep), RayPool()
    ending = carry_out(reader, survey(reader), pool, Options())
    pool.shutdown()
    # What each family needs is not in the other's environment; that ends these two, and no other.
    reasons = " ".join(ending.failed.values())
    assert len(ending.failed) == 2, ending.failed
    assert "AutoModelForVision2Seq" in reasons
    assert "TokenizersBackend" in reasons

    reader, told = RunReader(objects, sweep), {}
    for system in ("newer", "older", "older-served"):
        rows = predictions(reader, system)
        assert {p.status for p in rows.values()} == {"ok"}, rows
        assert all(len(p.text) == 8 for p in rows.values())
        told[system] = {i: p.text for i, p in rows.items()}
    assert told["older"] == told["older-served"]

    locks = {
        node.systems[0]: reader.identities(node)
        for node in sweep.nodes.values()
        if node.stage == "answer" and node.systems[0] in told
    }
    for system, release in (("newer", NEWER), ("older", OLDER)):
        for found in locks[system]:
            assert releases(found.environment) == {release}
            assert f"transformers=={found.passport['versions']['transformers']}" == release
    for found in locks["older-served"]:
        assert releases(found.passport["server"]["environment"]) == {OLDER}
        assert releases(found.environment) == {NEWER}
