"""Where a cluster's pods, machines or jobs come from: one description for every manifest."""

import ipaddress
import re
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import cast
from urllib.parse import urlsplit

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from medgen.conf.loading import overriding
from medgen.conf.reading import ConfError, read_yaml
from medgen.engine.errors import ConfigError


@dataclass
class NodeConf:
    """One kind of machine, and how many there may be."""

    cpus: int = 4
    memory_gib: int = 16
    gpus: int = 0
    fewest: int = 0
    most: int = 1
    selector: dict[str, str] = field(default_factory=dict)  # labels that its machine must have


@dataclass
class SlurmConf:
    """What one Slurm job asks for; `nodes` machines of the same kind."""

    nodes: int = 1
    cpus: int = 16
    memory_gib: int = 64
    gpus: int | None = None  # None: those of a `gpu` node
    partition: str = ""
    account: str = ""


@dataclass
class SiteConf:
    """Everything that a manifest needs to know. Secrets are named, never given."""

    name: str = "medgen"
    namespace: str = "medgen"
    store: str = "s3://medgen/store"
    program: list[str] = field(default_factory=lambda: ["python", "-m", "medgen"])
    run: list[str] = field(default_factory=lambda: ["run", "--config", "demo"])
    nightly: list[str] = field(default_factory=lambda: ["nightly", "--config", "nightly"])
    image: str = "medgen-engine"  # repository; tags are `<tag>-cpu` and `<tag>-gpu`
    tag: str = "0.1.0"
    digests: dict[str, str] = field(
        default_factory=dict
    )  # of the images: {cpu: "sha256:…", gpu: …}
    pinned: bool = False  # refuse an image that is named by its tag alone
    base: str = "python:3.11-slim-bookworm"  # wheels bring CUDA along; the driver is the host's
    head: NodeConf = field(default_factory=NodeConf)
    cpu: NodeConf = field(default_factory=lambda: NodeConf(cpus=8, memory_gib=32, most=8))
    gpu: NodeConf = field(default_factory=lambda: NodeConf(cpus=12, memory_gib=96, gpus=1, most=4))
    shared_memory_gib: int = 4
    # A Kubernetes Secret with AWS_ACCESS_KEY_ID and its kin; elsewhere a file of that name.
    secret: str = "medgen-credentials"
    environment: dict[str, str] = field(default_factory=dict)  # plain settings, no secrets
    # A PersistentVolumeClaim mounted on /weights, where HF_HOME points; elsewhere that folder.
    weights_claim: str = ""
    operator_namespace: str = "kuberay-operator"
    monitoring_namespace: str = ""  # where Prometheus runs, which may then read the metrics
    schedule: str = "0 1 * * *"
    time_zone: str = "Etc/UTC"
    hours: int = 12
    retries: int = 2
    idle_s: int = 120
    grace_s: int = 120
    machines: list[str] = field(default_factory=lambda: ["192.0.2.1", "192.0.2.2"])
    ssh_user: str = "medgen"
    slurm: SlurmConf = field(default_factory=SlurmConf)


def read_site(path: str | None = None, overrides: Sequence[str] = ()) -> SiteConf:
    """The description from a YAML file and dotted overrides, checked.

    Raises:
        ConfigError: unknown key, wrong type, or a value that no cluster would take; says all.
    """
    try:
        conf = OmegaConf.merge(
            OmegaConf.structured(SiteConf), OmegaConf.create(read_yaml(path) if path else {})
        )
        conf = OmegaConf.merge(conf, overriding(overrides))
        site = cast(SiteConf, OmegaConf.to_object(conf))
    except (OmegaConfBaseException, ConfError) as err:
        where = getattr(err, "full_key", None)  # OmegaConf's own errors know their place
        line = str(err).splitlines()[0]
        raise ConfigError(f"{where}: {line}" if where else line) from err
    check(site)
    return site


def check(site: SiteConf) -> None:
    """Refuse what would fail on the cluster, or would carry a secret there.

    Raises:
        ConfigError: lists every problem.
    """
    problems = [*_names(site), *_sizes(site), *_places(site), *_words(site)]
    if problems:
        raise ConfigError("the site cannot be rendered: " + "; ".join(problems))


# Labels of RFC 1035. `<name>-nightly` is the longest that is made of a name, and KubeRay takes no
# more than 36 characters of a RayCronJob, so that what it appends still fits.
_NAME = r"[a-z]([a-z0-9-]{0,26}[a-z0-9])?"
_LABEL = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
_IMAGE = r"[a-z0-9]([a-z0-9._/:-]*[a-z0-9])?"
_DIGEST = r"sha256:[0-9a-f]{64}"
_SLURM = r"[A-Za-z0-9_.,-]*"
_NAMES = {
    "name": _NAME,
    "namespace": _LABEL,
    "operator_namespace": _LABEL,
    "monitoring_namespace": f"({_LABEL})?",
    "secret": f"({_LABEL})?",
    "weights_claim": f"({_LABEL})?",
    "image": _IMAGE,
    "base": f"{_IMAGE}(@{_DIGEST})?",
    "tag": r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}",
    "ssh_user": r"[a-z_][a-z0-9_-]*",
    "schedule": r"([0-9*,/-]+ ){4}[0-9A-Za-z*,/-]+",
    "slurm.partition": _SLURM,
    "slurm.account": _SLURM,
}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")


def _names(site: SiteConf) -> Iterator[str]:
    for what, pattern in _NAMES.items():
        value = attrgetter(what)(site)
        if not re.fullmatch(pattern, value):
            yield f"{what} {value!r} is not a valid one"
    for flavour, digest in site.digests.items():
        if flavour not in ("cpu", "gpu") or not re.fullmatch(_DIGEST, digest):
            yield f"digests.{flavour} {digest!r} is none of cpu or gpu with sha256:<64 digits>"


def _sizes(site: SiteConf) -> Iterator[str]:
    for what, node in (("head", site.head), ("cpu", site.cpu), ("gpu", site.gpu)):
        if node.cpus < 1 or node.memory_gib < 1 or node.gpus < 0:
            yield f"{what} asks for {node.cpus} CPUs, {node.memory_gib} GiB, {node.gpus} GPUs"
        if not 0 <= node.fewest <= node.most:
            yield f"{what}: {node.fewest} to {node.most} nodes is no range"
        if node.memory_gib <= site.shared_memory_gib:
            yield f"{what}: shared memory of {site.shared_memory_gib} GiB fills the node"
    if site.head.gpus or site.cpu.gpus:
        yield "only nodes of kind gpu have GPUs"
    if not site.cpu.most and not site.gpu.most:
        yield "there are no workers"
    positive = (site.slurm.nodes, site.slurm.cpus, site.slurm.memory_gib, site.hours)
    if min(positive) < 1 or min(site.slurm.gpus or 0, site.retries, site.idle_s, site.grace_s) < 0:
        yield "sizes and times must be positive"


def _places(site: SiteConf) -> Iterator[str]:
    parts = urlsplit(site.store)
    here_only = parts.scheme in ("", "file") and not parts.path.startswith("/")
    if here_only or parts.scheme == "memory":
        yield f"store {site.store!r} is not seen by other machines"
    if "@" in parts.netloc:
        yield "store carries credentials; put them into the secret"
    if len(site.machines) < 1:
        yield "machines is empty"
    for machine in site.machines:
        if not _HOST.fullmatch(machine) and not _is_address(machine):
            yield f"machine {machine!r} is neither an address nor a host name"
    if site.time_zone not in zoneinfo.available_timezones():
        yield f"time_zone {site.time_zone!r} is unknown"


def _words(site: SiteConf) -> Iterator[str]:
    for what, words in (("program", site.program), ("run", site.run), ("nightly", site.nightly)):
        if any("\n" in word or "\0" in word for word in words):
            yield f"{what} holds a line break"
    for name, value in site.environment.items():
        if not _VARIABLE.fullmatch(name) or "\n" in value:
            yield f"environment {name!r} is not a variable's name, or its value has line breaks"
        elif _SECRET.search(name):
            yield f"environment {name!r} looks like a secret; put it into {site.secret!r}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
