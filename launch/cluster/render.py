"""Manifests for Kubernetes, Ray's own launcher, Slurm and Docker, from one description.

The templates are in `launch/cluster/`. Values enter YAML as JSON strings and shell as quoted
words, so that no value can become syntax.
"""

import importlib.metadata
import shlex
from importlib.resources import files
from typing import Any, Literal, get_args

from jinja2 import Environment, FunctionLoader, StrictUndefined

from medgen.engine.errors import ConfigError
from medgen.launch.cluster.sites import NodeConf, SiteConf, check

Kind = Literal["kuberay", "ray", "slurm", "docker-cpu", "docker-gpu"]
PACKAGES = ("medgen", "engine", "actors", "adapters", "metrics", "conf", "launch")

# Template -> name of the file; `{name}` is the site's.
_FILES: dict[str, dict[str, str]] = {
    "kuberay": {
        "kuberay/raycluster.yaml.j2": "raycluster.yaml",
        "kuberay/rayjob.yaml.j2": "rayjob.yaml",
        "kuberay/raycronjob.yaml.j2": "raycronjob.yaml",
        "kuberay/cronjob.yaml.j2": "cronjob.yaml",
        "kuberay/networkpolicy.yaml.j2": "networkpolicy.yaml",
    },
    "ray": {"ray/cluster.yaml.j2": "cluster.yaml"},
    "slurm": {"slurm/medgen.sbatch.j2": "{name}.sbatch"},
    "docker-cpu": {
        "docker/Dockerfile.j2": "Dockerfile.cpu",
        "docker/Dockerfile.dockerignore.j2": "Dockerfile.cpu.dockerignore",
    },
    "docker-gpu": {
        "docker/Dockerfile.j2": "Dockerfile.gpu",
        "docker/Dockerfile.dockerignore.j2": "Dockerfile.gpu.dockerignore",
    },
}


def render(kind: Kind, site: SiteConf) -> dict[str, str]:
    """The text of every file of a kind, by file name.

    Raises:
        ConfigError: the kind is unknown, the site holds what no cluster would take, or a pinned
            site names an image by its tag alone.
    """
    if kind not in get_args(Kind):
        raise ConfigError(f"cannot render {kind!r}; known: {', '.join(get_args(Kind))}")
    check(site)
    environment = _environment()
    given = _settings(kind, site)
    if loose := _tags_alone(kind, site, given["images"]):
        raise ConfigError(
            f"pinned: {', '.join(loose)} is named by a tag, which may mean another image tomorrow; "
            "say `--image-digest cpu=sha256:…` (of the base of a Dockerfile, `base=NAME@sha256:…`)"
        )
    rendered = {}
    for template, file in _FILES[kind].items():
        name = file.format(name=site.name)
        rendered[name] = environment.get_template(template).render(given, file=name).rstrip() + "\n"
    return rendered


def _settings(kind: Kind, site: SiteConf) -> dict[str, Any]:
    """What the templates may name."""
    build = kind.removeprefix("docker-") if kind.startswith("docker-") else "cpu"
    images = {flavour: _image(site, flavour) for flavour in ("cpu", "gpu")}
    store = [f"store={site.store}", "cluster=ray"]
    return {
        "site": site,
        "kind": build,
        "images": images,
        "image": images[build],
        "base": site.base,
        "workers": _workers(site),
        "slurm_gpus": _slurm_gpus(site),
        "commands": {
            "run": [*site.program, *site.run, *store],
            "nightly": [*site.program, *_nightly(site), *store],
        },
        "ray_version": importlib.metadata.version("ray"),
        "packages": PACKAGES,
    }


def _image(site: SiteConf, flavour: str) -> str:
    """An image by its tag, and by its digest where that is known."""
    named = f"{site.image}:{site.tag}-{flavour}"
    return f"{named}@{site.digests[flavour]}" if flavour in site.digests else named


def _tags_alone(kind: Kind, site: SiteConf, images: dict[str, str]) -> list[str]:
    """The images of a kind of cluster that no digest holds, where that is not allowed."""
    used = {
        "slurm": [],  # machines of one's own
        "docker-cpu": [site.base],
        "docker-gpu": [site.base],
    }.get(kind, [images["cpu"], *([images["gpu"]] if site.gpu.most else [])])
    return [image for image in used if site.pinned and "@" not in image]


def _nightly(site: SiteConf) -> list[str]:
    """The night's command; its date is that of the schedule's zone unless the site says another."""
    zone = "nightly.time_zone="
    said = any(word.startswith(zone) for word in site.nightly)
    return site.nightly if said else [*site.nightly, f"{zone}{site.time_zone}"]


def _workers(site: SiteConf) -> dict[str, NodeConf]:
    groups = {"cpu": site.cpu, "gpu": site.gpu}
    return {name: node for name, node in groups.items() if node.most}


def _slurm_gpus(site: SiteConf) -> int:
    """Those of a machine: as said for Slurm, else those of a `gpu` node."""
    if site.slurm.gpus is not None:
        return site.slurm.gpus
    return site.gpu.gpus if site.gpu.most else 0


def _environment() -> Environment:
    root = files("medgen.launch").joinpath("cluster")
    environment = Environment(
        loader=FunctionLoader(lambda name: root.joinpath(name).read_text(encoding="utf-8")),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["quote"] = shlex.quote
    environment.filters["shell_join"] = shlex.join
    return environment
