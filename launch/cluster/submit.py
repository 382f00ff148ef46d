"""A run as a job of a Ray cluster: the same plan is the same run, however often it is submitted."""

import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from medgen.conf import RunConf
from medgen.conf.schema import SubmitConf
from medgen.engine import registry
from medgen.engine.errors import ConfigError
from medgen.engine.plan.plan import Plan
from medgen.engine.redaction import SECRET_NAME
from medgen.engine.run.folder import RunFolder
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.launch.cluster.jobs import TERMINAL, Cluster, address, attempt, job_name
from medgen.launch.cluster.parcel import DISTRIBUTION, RUN_FILE, Parcel, pack
from medgen.launch.compose import config_text, plan_of, recipe
from medgen.launch.own_code import own_modules

_RUN = ("python", "-m", "medgen", "run", "--config", RUN_FILE, "--json")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Submission:
    """What came of submitting: the run, and the job that drives it."""

    plan: Plan
    objects: Objects
    cluster: Cluster
    job: str  # empty when the run is over already
    started: bool  # False: it was there before, and is attached to


def submit(conf: RunConf, retry_errors: bool = False) -> Submission:
    """Start a run's job, or find the one that there is.

    Raises:
        ConfigError: what the job would be given is wrong, too large or secret.
        NoDashboard: the job API cannot be used.
        StoreError: the store cannot be used from here.
    """
    variables = environment(conf.submit)
    conf = for_cluster(conf)
    own = own_modules(recipe(conf))
    parcel = pack(config_text(conf), conf.submit.include, conf.submit.most_mib, own=own)
    cluster = Cluster(address(conf.submit.address))
    objects = connect(conf.store)
    plan = plan_of(conf, objects)
    name = job_name(plan.run_id, objects.url)
    known = cluster.jobs(name)
    if active := [job for job, state in known.items() if state not in TERMINAL]:
        return Submission(plan, objects, cluster, active[-1], started=False)
    folder = RunFolder(objects, plan.run_id)
    status = folder.status()
    over = status is not None and status.status == "success" and status.exit_code is not None
    if over and not retry_errors:
        return Submission(plan, objects, cluster, "", started=False)
    folder.save_plan(plan, config_text(conf))
    folder.withdraw_stop()
    job = next_attempt(name, list(known))
    words = (*_RUN, "--retry-errors") if retry_errors else _RUN
    env = {"env_vars": variables, **installs(conf, plan)}
    with as_file(parcel) as archive:
        env["working_dir"] = str(archive)
        # False: somebody submitted the same plan a moment ago, and theirs is attached to.
        started = cluster.submit(job, shlex.join(words), env, conf.submit.driver_cpus)
    return Submission(plan, objects, cluster, job, started)


def next_attempt(name: str, known: Sequence[str]) -> str:
    """The id of the run's next job: its name for the first, numbered afterwards."""
    last = max((attempt(job) for job in known), default=0)
    return f"{name}--{last + 1}" if last else name


@contextmanager
def as_file(parcel: Parcel) -> Iterator[Path]:
    """The parcel's archive as a file, for as long as it takes to upload it."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, f"medgen-{parcel.digest}.zip")
        archive.write_bytes(parcel.archive())
        yield archive


def for_cluster(conf: RunConf) -> RunConf:
    """The configuration as the job will use it: on the cluster it runs in, in a place it can see.

    Raises:
        ConfigError: the store is this process's memory, or its URL carries credentials.
    """
    parts = urlsplit(conf.store)
    if parts.scheme == "memory":
        raise ConfigError(f"store {conf.store!r} is seen by one process only")
    if "@" in parts.netloc:
        raise ConfigError("store: the URL carries credentials; set them on the cluster")
    place = conf.store
    if parts.scheme in ("", "file"):  # of a disk that the cluster shares
        place = str(Path(conf.store.removeprefix("file://")).expanduser().absolute())
    there = replace(
        conf.cluster,
        pool="ray",
        address=conf.cluster.address or "auto",
        num_cpus=None,
        num_gpus=None,
        dashboard=False,
    )
    return replace(conf, store=place, cluster=there)


def environment(conf: SubmitConf) -> dict[str, str]:
    """The declared variables with their values here. Ray shows them to whoever may list jobs.

    Raises:
        ConfigError: a variable is not set, no variable's name, or named like a key.
    """
    for name in conf.env:
        if not _VARIABLE.fullmatch(name):
            raise ConfigError(f"submit.env: {name!r} is no name of a variable")
        if SECRET_NAME.search(name) and name not in conf.allow_secret_env:
            raise ConfigError(
                f"submit.env: {name} is named like a secret, and a job's variables can be read by "
                "everyone who may list jobs. Set it on the cluster (a Kubernetes Secret, the "
                "machines' environment), or name it in submit.allow_secret_env as well"
            )
        if name not in os.environ:
            raise ConfigError(f"submit.env: {name} is not set here")
    return {name: os.environ[name] for name in conf.env}


def installs(conf: RunConf, plan: Plan) -> dict[str, Any]:
    """The packages that the job installs before it starts; none when the image has them.

    Raises:
        ConfigError: `submit.install` is none of its words.
    """
    how = conf.submit.install
    if how == "never":
        return {}
    if how not in ("auto", "cpu", "gpu"):
        raise ConfigError(f"submit.install is {how!r}; it is never, auto, cpu or gpu")
    chosen = extras(plan, conf.store, how)
    return {"pip": {"packages": requirements(chosen), "pip_check": False}}


def extras(plan: Plan, store: str, device: str = "auto") -> tuple[str, ...]:
    """The sets of packages that a plan's workers need; `auto` takes GPU builds if GPUs are asked.

    Args:
        plan: of the run.
        store: URL of the store.
        device: cpu, gpu or auto.
    """
    if device == "auto":
        device = "gpu" if any(g.resources.gpus for g in plan.groups.values()) else "cpu"
    wanted = {"metrics", *(["s3"] if store.startswith("s3:") else [])}
    for group in plan.groups.values():
        needed = registry.extras(group.spec.target, group.spec.kwargs)
        wanted |= {device if extra == "device" else extra for extra in needed}
    return tuple(sorted(wanted))


def requirements(chosen: Sequence[str]) -> list[str]:
    """The packages of the distribution with these extras, without Ray, which must stay as it is."""
    from importlib.metadata import requires

    return list(dict.fromkeys(_choose(requires(DISTRIBUTION) or [], chosen)))


def _choose(lines: Sequence[str], chosen: Sequence[str]) -> Iterator[str]:
    from packaging.requirements import Requirement

    for line in lines:
        wanted = Requirement(line)
        fits = wanted.marker is None or any(
            wanted.marker.evaluate({"extra": extra, "sys_platform": "linux"})
            for extra in ("", *chosen)
        )
        if fits and wanted.name != "ray":
            wanted.marker = None
            yield str(wanted)
