"""Rendered manifests are what Kubernetes, KubeRay, Ray, Slurm and Docker take."""

import copy
import json
import os
import re
import shlex
import stat
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from cluster.shapes import LONGEST, needs, problems, refused

from medgen.engine.errors import ConfigError
from medgen.launch.cluster.render import Kind, render
from medgen.launch.cluster.sites import SiteConf, read_site

ROOT = Path(__file__).resolve().parents[2]
SITES: dict[str, dict[str, Any]] = {
    "default": {},
    "no-gpu": {"gpu": {"most": 0}, "secret": "", "name": "small"},
    "gpu-only": {"cpu": {"most": 0}, "weights_claim": "weights", "gpu": {"gpus": 8, "fewest": 1}},
    "odd-values": {
        "environment": {"MEDGEN_NOTE": "a: b # c \" 'd' {{ e }} $(g) <é>"},
        "head": {"selector": {"disk": "ssd"}},
        "run": ["run", "--config", "a b.yaml", "note=$(touch x); `y` ' \""],
        "machines": ["head.example", "worker-1.example", "2001:db8::7"],
    },
}


def made(folder: Path, name: str) -> SiteConf:
    file = folder / "site.yaml"
    file.write_text(yaml.safe_dump(SITES[name]))
    return read_site(str(file))


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> SiteConf:
    return made(tmp_path, request.param)


def objects(site: SiteConf) -> dict[str, dict[str, Any]]:
    return {name: yaml.safe_load(text) for name, text in render("kuberay", site).items()}


def ray_specs(site: SiteConf) -> list[dict[str, Any]]:
    every = objects(site)
    return [
        every["raycluster.yaml"]["spec"],
        every["rayjob.yaml"]["spec"]["rayClusterSpec"],
        every["raycronjob.yaml"]["spec"]["jobTemplate"]["rayClusterSpec"],
    ]


def test_kubernetes_knows_every_field(site: SiteConf) -> None:
    every = objects(site)
    kinds = {manifest["kind"] for manifest in every.values()}
    assert kinds == {"RayCluster", "RayJob", "RayCronJob", "CronJob", "NetworkPolicy"}
    assert [p for manifest in every.values() for p in problems(manifest)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["spec", "autOptions"], {"mode": "token"}),
        (["spec", "authOptions", "mode"], "sometimes"),
        (["spec", "workerGroupSpecs", 0, "minReplicas"], "0"),
        (["spec", "workerGroupSpecs", 0, "rayStartParams", "num-cpus"], 8),
        (["spec", "headGroupSpec", "template", "spec", "containers"], None),
        (["spec", "headGroupSpec", "template", "spec", "container"], []),
        (["spec", "headGroupSpec", "template", "spec", "containers", 0, "name"], None),
        (["spec", "workerGroupSpecs", 0, "group_name"], "cpu"),
        (["spec", "headGroupSpec", "template", "spec", "host_ipc"], True),
        (["apiVersion"], "ray.io/v1alpha1"),
    ],
)
def test_a_mistake_would_be_seen(path: list[Any], value: Any) -> None:
    manifest = copy.deepcopy(objects(read_site())["raycluster.yaml"])
    place: Any = manifest
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert problems(objects(read_site())["raycluster.yaml"]) == []
    assert problems(manifest) != []


def test_the_operator_would_take_them(site: SiteConf) -> None:
    assert [r for manifest in objects(site).values() for r in refused(manifest)] == []


@pytest.mark.parametrize(
    ("file", "path", "value"),
    [
        ("raycluster.yaml", ["metadata", "name"], "m" * 54),
        ("raycluster.yaml", ["spec", "rayVersion"], "2.51.0"),
        ("raycluster.yaml", ["spec", "workerGroupSpecs", 0, "minReplicas"], 99),
        ("raycluster.yaml", ["spec", "headGroupSpec", "rayStartParams", "labels"], "a=b"),
        (
            "raycluster.yaml",
            ["spec", "headGroupSpec", "template", "spec", "restartPolicy"],
            "Always",
        ),
        ("rayjob.yaml", ["metadata", "generateName"], "m" * 43),
        ("rayjob.yaml", ["spec", "shutdownAfterJobFinishes"], False),
        ("rayjob.yaml", ["spec", "activeDeadlineSeconds"], 0),
        ("raycronjob.yaml", ["metadata", "name"], "m" * 37),
        ("raycronjob.yaml", ["spec", "schedule"], "CRON_TZ=Etc/UTC 0 1 * * *"),
    ],
)
def test_a_refusal_would_be_seen(file: str, path: list[Any], value: Any) -> None:
    manifest = objects(read_site())[file]
    place: Any = manifest
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert refused(manifest) != []


def test_the_longest_name_of_a_site_fits() -> None:
    longest = "m" * (LONGEST["RayCronJob"] - len("-nightly"))
    every = objects(read_site(None, [f"name={longest}"])).values()
    assert [r for manifest in every for r in refused(manifest)] == []
    with pytest.raises(ConfigError, match="name"):
        read_site(None, [f"name={longest}m"])


def test_every_file_says_which_kuberay_it_needs(site: SiteConf) -> None:
    said = {}
    for name, text in render("kuberay", site).items():
        if version := re.search(r"\(KubeRay (\d+)\.(\d+)(?:\.(\d+))? or newer", text):
            said[name] = tuple(int(part or 0) for part in version.groups())
    ours = {n: m for n, m in objects(site).items() if m["apiVersion"] == "ray.io/v1"}
    assert said == {name: needs(manifest) for name, manifest in ours.items()}
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    for name, version in said.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}`")]
        assert f"KubeRay {'.'.join(map(str, version)).removesuffix('.0')} |" in row


def test_a_wrong_amount_would_be_seen() -> None:
    manifest = objects(read_site())["cronjob.yaml"]
    pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    pod["containers"][0]["resources"]["limits"]["memory"] = "1 GB"
    assert problems(manifest) != []


def test_a_word_that_kubernetes_does_not_know_would_be_seen() -> None:
    manifest = objects(read_site())["cronjob.yaml"]
    manifest["spec"]["concurrencyPolicy"] = "Forbidden"
    assert problems(manifest) == ["CronJob.spec.concurrencyPolicy is 'Forbidden'"]


def test_every_ray_asks_for_a_token(site: SiteConf) -> None:
    for spec in ray_specs(site):
        assert spec["authOptions"]["mode"] == "token"
    night = objects(site)["cronjob.yaml"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = night["containers"]
    secrets = {e["name"]: e["valueFrom"] for e in container["env"] if "valueFrom" in e}
    assert secrets["RAY_AUTH_TOKEN"]["secretKeyRef"]["name"] == site.name


def test_no_pod_has_more_rights_than_it_needs(site: SiteConf) -> None:
    for spec in ray_specs(site):
        groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
        for pod in [group["template"]["spec"] for group in groups]:
            assert pod["securityContext"]["runAsNonRoot"]
            for container in pod["containers"]:
                assert not container["securityContext"]["allowPrivilegeEscalation"]
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
                assert container["resources"]["limits"] == container["resources"]["requests"]
        for group in spec["workerGroupSpecs"]:
            assert group["template"]["spec"]["automountServiceAccountToken"] is False


def test_who_submits_is_confined_as_well(site: SiteConf) -> None:
    every = objects(site)
    night = every["cronjob.yaml"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for pod in (night, every["rayjob.yaml"]["spec"]["submitterPodTemplate"]["spec"]):
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert not container["securityContext"]["allowPrivilegeEscalation"]


def test_metrics_are_scraped_from_where_the_site_says() -> None:
    def ports(*overrides: str) -> dict[str, list[int]]:
        rules = objects(read_site(None, overrides))["networkpolicy.yaml"]["spec"]["ingress"]
        return {
            next(iter(r["from"][0]["namespaceSelector"]["matchLabels"].values())): [
                p["port"] for p in r["ports"]
            ]
            for r in rules
            if "namespaceSelector" in r["from"][0]
        }

    assert ports() == {"kuberay-operator": [8265, 52365]}
    watched = ports("monitoring_namespace=watch")
    assert watched == {"kuberay-operator": [8265, 52365], "watch": [8080]}


def test_ray_is_told_what_the_pods_have(site: SiteConf) -> None:
    (first, *_) = ray_specs(site)
    wanted = {name: node for name, node in (("cpu", site.cpu), ("gpu", site.gpu)) if node.most}
    assert [group["groupName"] for group in first["workerGroupSpecs"]] == list(wanted)
    for group in first["workerGroupSpecs"]:
        node = wanted[group["groupName"]]
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert group["rayStartParams"]["num-cpus"] == limits["cpu"] == str(node.cpus)
        assert group["rayStartParams"].get("num-gpus") == limits.get("nvidia.com/gpu")
        assert (group["minReplicas"], group["maxReplicas"]) == (node.fewest, node.most)
    assert first["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_the_three_cluster_descriptions_are_one(site: SiteConf) -> None:
    first, second, third = ray_specs(site)
    assert first == second == third


def test_commands_arrive_as_they_were_said(tmp_path: Path) -> None:
    site = made(tmp_path, "odd-values")
    every = objects(site)
    wanted = [*site.program, *site.run, f"store={site.store}", "cluster=ray"]
    assert shlex.split(every["rayjob.yaml"]["spec"]["entrypoint"]) == wanted
    (container,) = every["raycluster.yaml"]["spec"]["headGroupSpec"]["template"]["spec"][
        "containers"
    ]
    given = {e["name"]: e["value"] for e in container["env"]}
    assert given["MEDGEN_NOTE"] == site.environment["MEDGEN_NOTE"]
    assert "{{ e }}" in given["MEDGEN_NOTE"]


def test_a_night_has_the_date_of_its_schedules_zone() -> None:
    def command(*overrides: str) -> list[str]:
        every = objects(read_site(None, ["time_zone=Asia/Tokyo", *overrides]))
        pod = every["cronjob.yaml"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        assert every["raycronjob.yaml"]["spec"]["timeZone"] == "Asia/Tokyo"
        (container,) = pod["containers"]
        words: list[str] = container["command"]
        entry = every["raycronjob.yaml"]["spec"]["jobTemplate"]["entrypoint"]
        assert shlex.split(entry) == words[words.index("--") + 1 :]
        return words

    assert "nightly.time_zone=Asia/Tokyo" in command()
    own = command("nightly=[nightly,nightly.time_zone=Etc/UTC]")
    assert [w for w in own if "time_zone" in w] == ["nightly.time_zone=Etc/UTC"]


def test_the_network_policy_covers_every_pod(site: SiteConf) -> None:
    every = objects(site)
    label = every["networkpolicy.yaml"]["spec"]["podSelector"]["matchLabels"]
    templates = [
        every["rayjob.yaml"]["spec"]["submitterPodTemplate"],
        every["cronjob.yaml"]["spec"]["jobTemplate"]["spec"]["template"],
        *(spec["headGroupSpec"]["template"] for spec in ray_specs(site)),
        *(g["template"] for spec in ray_specs(site) for g in spec["workerGroupSpecs"]),
    ]
    for template in templates:
        assert label.items() <= template["metadata"]["labels"].items()


def test_ray_accepts_its_own_kind(site: SiteConf) -> None:
    """Ray's launcher fills in and checks the file as `ray up` does."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    (text,) = render("ray", site).values()
    schema = json.loads(files("ray.autoscaler").joinpath("ray-schema.json").read_text())
    jsonschema.validate(yaml.safe_load(text), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text) | {"max_wokers": 2}, schema)
    prepared = prepare_config(yaml.safe_load(text))
    validate_config(prepared)
    node = prepared["available_node_types"]["local.cluster.node"]
    assert node["min_workers"] == node["max_workers"] == len(site.machines) - 1
    assert all("RAY_AUTH_MODE=token" in c for c in prepared["head_start_ray_commands"][1:])


@pytest.mark.parametrize("kind", ["docker-cpu", "docker-gpu"])
def test_images_copy_what_is_there_and_run_as_nobody_special(kind: Kind, site: SiteConf) -> None:
    rendered = render(kind, site)
    name = f"Dockerfile.{kind.removeprefix('docker-')}"
    lines = rendered[name].replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    known = {"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "USER", "CMD"}
    assert {step for step, _ in steps} <= known
    copied = [word for step, rest in steps if step == "COPY" for word in rest.split()[:-1]]
    kept = {line[1:] for line in rendered[f"{name}.dockerignore"].splitlines() if line[0] == "!"}
    assert set(copied) == kept
    assert {"engine", "launch", "pyproject.toml"} <= kept
    assert all((ROOT / word).exists() for word in copied)
    assert steps[-2][0] == "USER"
    for step, rest in steps:
        if step == "RUN":
            subprocess.run(["bash", "-n", "-c", rest], check=True)
    assert f",{kind.removeprefix('docker-')}]" in rendered[name]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_nothing_secret_is_rendered(kind: Kind, site: SiteConf, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "streng-geheim")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "streng-geheim")
    assert "streng-geheim" not in "".join(render(kind, site).values())


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("name=Me_dgen", "name"),
        ("name='a\nkind: Secret'", "name"),
        ("image='x\nRUN curl'", "image"),
        ("slurm.partition='a\n#SBATCH --x'", "partition"),
        ("store=memory://here", "not seen"),
        ("store=relative/folder", "not seen"),
        ("store='s3://me:pass@bucket/x'", "credentials"),
        ("schedule=nightly", "schedule"),
        ("time_zone=Mars/Base", "time_zone"),
        ("cpu.fewest=9", "no range"),
        ("gpu.memory_gib=0", "0 GiB"),
        ("cpu.gpus=1", "GPUs"),
        ("hours=0", "positive"),
        ("machines=[]", "machines"),
        ("machines=['a; rm -rf x']", "neither"),
        ("environment.OPENAI_API_KEY=x", "secret"),
        ("imagee=x", "imagee"),
        ("hours=soon", "hours"),
    ],
)
def test_what_no_cluster_would_take_is_refused(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_site(None, [override])


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_site(None, ["name=A", "schedule=x", "store=memory://"])
    assert all(word in str(caught.value) for word in ("name", "schedule", "store"))


def test_the_example_of_the_documents_can_be_rendered(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(# site\.yaml.*?)^```", text, re.MULTILINE | re.DOTALL)
    file = tmp_path / "site.yaml"
    file.write_text(example)
    site = read_site(str(file), ["hours=3"])
    assert site.hours == 3
    for kind in get_args(Kind):
        assert render(kind, site)


DIGEST = f"sha256:{'0a' * 32}"


def test_images_are_named_by_their_digests() -> None:
    site = read_site(None, [f"digests.cpu={DIGEST}", f"digests.gpu={DIGEST}", "pinned=true"])
    named = [image for kind in ("kuberay", "ray") for image in IMAGE.findall(whole(kind, site))]
    assert len(named) > 5
    assert [image for image in named if not image.endswith(f"@{DIGEST}")] == []


IMAGE = re.compile(r'image: "([^"]+)"')


def whole(kind: Kind, site: SiteConf) -> str:
    return "\n".join(render(kind, site).values())


@pytest.mark.parametrize("kind", [kind for kind in get_args(Kind) if kind != "slurm"])
def test_a_tag_is_refused_where_images_are_pinned(kind: Kind) -> None:
    with pytest.raises(ConfigError, match="tag, which may mean another image"):
        render(kind, read_site(None, [f"digests.cpu={DIGEST}", "pinned=true"]))


@pytest.mark.parametrize("said", ["digests.cpu=latest", f"digests.tpu={DIGEST}", "base=a@b"])
def test_a_digest_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(ConfigError, match=r"sha256|not a valid"):
        read_site(None, [said])


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="nomad"):
        render("nomad", SiteConf())  # type: ignore[arg-type]


# ---- Slurm ---------------------------------------------------------------------------------

SRUN = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
exec "$@"
"""


def batch(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    """Run the rendered script with a Slurm of one machine, this one."""
    path = [str(folder), str(Path(sys.executable).parent), os.environ["PATH"]]
    tools = {"srun": SRUN, "scontrol": "#!/bin/sh\necho this\n"}
    tools["hostname"] = "#!/bin/sh\necho 127.0.0.1 10.9.8.7\n"
    for name, text in tools.items():
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    site = read_site(None, ["slurm.cpus=2", *overrides])
    script = folder / "job.sbatch"
    script.write_text(next(iter(render("slurm", site).values())))
    job = {
        "SLURM_SUBMIT_DIR": str(folder),
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": "this",
        "SLURM_JOB_NUM_NODES": "1",
        "PATH": os.pathsep.join(path),
    }
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "PYTHON"))}
    return subprocess.Popen(
        ["bash", str(script)],
        env={**clean, **job},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.cluster
@pytest.mark.slow
def test_a_slurm_job_runs_on_its_own_ray_and_cleans_up(tmp_path: Path) -> None:
    look = (
        "import os, ray, sys; ray.init(); "
        "print('cpus', ray.cluster_resources()['CPU'], os.environ['RAY_AUTH_MODE']); sys.exit(3)"
    )
    program = yaml.safe_dump([sys.executable, "-c", look], default_flow_style=True, width=1000)
    job = batch(tmp_path, f"program={program.strip()}")
    said, _ = job.communicate(timeout=150)
    assert "cpus 2.0 token" in said, said
    assert job.returncode == 3
    assert not Path(f"/tmp/ray-{os.getpid()}").exists()


def test_the_slurm_script_is_shell(site: SiteConf) -> None:
    ((name, text),) = render("slurm", site).items()
    assert name == f"{site.name}.sbatch"
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    directives = [line for line in text.splitlines() if line.startswith("#SBATCH ")]
    assert f"#SBATCH --nodes={site.slurm.nodes}" in directives
    # Slurm stops reading directives at the first command.
    first = next(i for i, line in enumerate(text.splitlines()) if line and line[0] != "#")
    assert all(text.splitlines().index(line) < first for line in directives)


WHOLE = [
    "environment.AWS_ENDPOINT_URL=http://s3.example:9000",
    "environment.MEDGEN_NOTE=it's",
    "weights_claim=weights",
    "secret=keys",
    "gpu.gpus=2",
]


def test_what_a_site_says_is_in_every_kind_of_cluster() -> None:
    """The environment, the credentials by name, the weights and the GPUs."""
    site = read_site(None, WHOLE)
    kinds: tuple[Kind, ...] = ("kuberay", "ray", "slurm")
    for kind in kinds:
        whole = "".join(render(kind, site).values())
        assert "http://s3.example:9000" in whole, kind
        assert "keys" in whole, kind
        assert "/weights" in whole, kind
        assert re.search("gpu", whole), kind
    (text,) = render("slurm", site).values()
    assert "#SBATCH --gpus-per-node=2" in text
    assert """export MEDGEN_NOTE='it'"'"'s'""" in text
    (text,) = render("slurm", read_site(None, [*WHOLE, "slurm.gpus=0"])).values()
    assert "gpus" not in text
    (text,) = render("ray", site).values()
    options = yaml.safe_load(text)["docker"]["run_options"]
    assert """--env='MEDGEN_NOTE=it'"'"'s'""" in options
    assert "--volume=/weights:/weights" in options
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert ". /etc/medgen/keys.env" in yaml.safe_load(text)[commands][1]


def test_machines_are_those_of_the_page_where_nothing_is_said_of_them() -> None:
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    shown = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    for kind in ("cpu", "gpu"):
        node = getattr(SiteConf(), kind)
        said = {name: size for name, size in shown[kind].items() if name != "selector"}
        assert said == {name: getattr(node, name) for name in said}
