"""Checks manifests against Kubernetes' own types, and against the fields of KubeRay's.

Kubernetes' Python client carries the type of every field of its API. KubeRay's resources are not
in it: their fields are listed here in the same notation, all that the API reference of KubeRay
1.7.0 has under ray.io/v1, and since when where that matters. A field that neither knows is one
that a cluster would ignore or refuse. What KubeRay's operator refuses beyond types is in `refused`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from kubernetes import client

META, TEMPLATE = "V1ObjectMeta", "V1PodTemplateSpec"
WORDS = "dict[str, str]"

_KIND = {"apiVersion": "str", "kind": "str", "metadata": META}
KUBERAY: dict[str, dict[str, str]] = {
    "RayCluster": {**_KIND, "spec": "RayClusterSpec"},
    "RayJob": {**_KIND, "spec": "RayJobSpec"},
    "RayCronJob": {**_KIND, "spec": "RayCronJobSpec"},
    "RayClusterSpec": {
        "authOptions": "AuthOptions",
        "autoscalerOptions": "AutoscalerOptions",
        "enableInTreeAutoscaling": "bool",
        "gcsFaultToleranceOptions": "object",
        "headGroupSpec": "HeadGroupSpec",
        "headServiceAnnotations": WORDS,
        "historyServerOptions": "object",
        "managedBy": "str",
        "networkPolicy": "object",
        "rayVersion": "str",
        "suspend": "bool",
        "tlsOptions": "object",
        "upgradeStrategy": "object",
        "workerGroupSpecs": "list[WorkerGroupSpec]",
    },
    "AuthOptions": {"mode": "str", "secretName": "str", "enableK8sTokenAuth": "bool"},
    "AutoscalerOptions": {
        "args": "list[str]",
        "command": "list[str]",
        "env": "list[V1EnvVar]",
        "envFrom": "list[V1EnvFromSource]",
        "idleTimeoutSeconds": "int",
        "image": "str",
        "imagePullPolicy": "str",
        "resources": "V1ResourceRequirements",
        "securityContext": "V1SecurityContext",
        "upscalingMode": "str",
        "version": "str",
        "volumeMounts": "list[V1VolumeMount]",
    },
    "HeadGroupSpec": {
        "enableIngress": "bool",
        "headService": "V1Service",
        "ingressOptions": "object",
        "labels": WORDS,
        "rayStartParams": WORDS,
        "resources": WORDS,
        "serviceType": "str",
        "template": TEMPLATE,
    },
    "WorkerGroupSpec": {
        "groupName": "str",
        "idleTimeoutSeconds": "int",
        "labels": WORDS,
        "maxReplicas": "int",
        "minReplicas": "int",
        "numOfHosts": "int",
        "priority": "int",
        "rayStartParams": WORDS,
        "replicas": "int",
        "resources": WORDS,
        "scaleStrategy": "object",
        "suspend": "bool",
        "template": TEMPLATE,
    },
    "RayJobSpec": {
        "activeDeadlineSeconds": "int",
        "backoffLimit": "int",
        "clusterSelector": WORDS,
        "deletionStrategy": "object",
        "entrypoint": "str",
        "entrypointNumCpus": "float",
        "entrypointNumGpus": "float",
        "entrypointResources": "str",
        "jobId": "str",
        "managedBy": "str",
        "metadata": WORDS,
        "preRunningDeadlineSeconds": "int",
        "rayClusterSpec": "RayClusterSpec",
        "runtimeEnvYAML": "str",
        "shutdownAfterJobFinishes": "bool",
        "submissionMode": "str",
        "submitterConfig": "object",
        "submitterPodTemplate": TEMPLATE,
        "suspend": "bool",
        "ttlSecondsAfterFinished": "int",
    },
    "RayCronJobSpec": {
        "jobTemplate": "RayJobSpec",
        "schedule": "str",
        "suspend": "bool",
        "timeZone": "str",
    },
}
# Under `required` in the definitions; but the entry point, which only interactive jobs lack.
REQUIRED = {
    "RayCluster": ("metadata", "spec"),
    "RayClusterSpec": ("headGroupSpec",),
    "HeadGroupSpec": ("template",),
    "WorkerGroupSpec": ("groupName", "template", "maxReplicas", "minReplicas"),
    "RayJobSpec": ("entrypoint",),
    "RayCronJobSpec": ("jobTemplate", "schedule"),
}
CHOICES = {
    ("AuthOptions", "mode"): ("disabled", "token"),
    ("AutoscalerOptions", "version"): ("v1", "v2"),
    ("AutoscalerOptions", "upscalingMode"): ("Default", "Aggressive", "Conservative"),
    ("HeadGroupSpec", "serviceType"): ("ClusterIP", "NodePort", "LoadBalancer"),
    ("RayJobSpec", "submissionMode"): ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
    ("V1CronJobSpec", "concurrencyPolicy"): ("Allow", "Forbid", "Replace"),
    ("V1PodSpec", "restartPolicy"): ("Always", "OnFailure", "Never"),
    ("V1Container", "imagePullPolicy"): ("Always", "IfNotPresent", "Never"),
    ("V1ContainerPort", "protocol"): ("TCP", "UDP", "SCTP"),
    ("V1NetworkPolicyPort", "protocol"): ("TCP", "UDP", "SCTP"),
    ("V1SeccompProfile", "type"): ("Localhost", "RuntimeDefault", "Unconfined"),
    ("V1Toleration", "operator"): ("Exists", "Equal"),
    ("V1Toleration", "effect"): ("NoSchedule", "PreferNoSchedule", "NoExecute"),
    ("V1EmptyDirVolumeSource", "medium"): ("", "Memory"),
}
# The first KubeRay that knows them. 1.4.0 knows every other field that is rendered.
SINCE: dict[tuple[str, str], tuple[int, int, int]] = {
    ("RayClusterSpec", "authOptions"): (1, 5, 1),
    ("RayCronJob", "spec"): (1, 6, 0),
    ("AuthOptions", "secretName"): (1, 6, 0),
    ("AuthOptions", "enableK8sTokenAuth"): (1, 6, 0),
    ("RayJobSpec", "preRunningDeadlineSeconds"): (1, 6, 0),
    ("RayCronJobSpec", "timeZone"): (1, 7, 0),
    ("AutoscalerOptions", "command"): (1, 7, 0),
    ("AutoscalerOptions", "args"): (1, 7, 0),
    ("HeadGroupSpec", "ingressOptions"): (1, 7, 0),
    ("WorkerGroupSpec", "priority"): (1, 7, 0),
    ("RayClusterSpec", "historyServerOptions"): (1, 7, 0),
    ("RayClusterSpec", "networkPolicy"): (1, 7, 0),
    ("RayClusterSpec", "tlsOptions"): (1, 7, 0),
}
# Letters in a name: a service, a cluster or a job whose name is longer gets none.
LONGEST = {"RayCluster": 53, "RayJob": 47, "RayCronJob": 36, "CronJob": 52, "NetworkPolicy": 63}
DRAWN = 5  # letters that the API server appends to `generateName`
TOKENS_SINCE = (2, 52)  # of Ray
KINDS = {
    "CronJob": ("batch/v1", "V1CronJob"),
    "NetworkPolicy": ("networking.k8s.io/v1", "V1NetworkPolicy"),
    "RayCluster": ("ray.io/v1", "RayCluster"),
    "RayJob": ("ray.io/v1", "RayJob"),
    "RayCronJob": ("ray.io/v1", "RayCronJob"),
}
# How the API server reads an amount of CPU, memory or devices.
AMOUNT = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
PLAIN: dict[str, Any] = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def problems(manifest: dict[str, Any]) -> list[str]:
    """Everything in a manifest that its kind does not know, or that has another type."""
    version, kind = KINDS[manifest["kind"]]
    found = [] if manifest["apiVersion"] == version else [f"apiVersion is not {version}"]
    return found + _check(manifest, kind, manifest["kind"])


def _check(value: Any, kind: str, where: str) -> list[str]:
    if kind == "object":  # any type, such as a port's number or name
        return []
    if kind in PLAIN:
        right = isinstance(value, PLAIN[kind]) and (kind == "bool") == isinstance(value, bool)
        return [] if right else [f"{where} is {value!r}, not {kind}"]
    listed, mapped = re.fullmatch(r"list\[(.*)\]", kind), re.fullmatch(r"dict\[str, (.*)\]", kind)
    if not isinstance(value, list if listed else dict):
        return [f"{where} is {value!r}, not {kind}"]
    if listed:
        return _each(enumerate(value), listed[1], where)
    if mapped:
        return _each(value.items(), mapped[1], where)
    return _fields(value, kind, where)


def _each(entries: Iterable[tuple[Any, Any]], kind: str, where: str) -> list[str]:
    found = []
    for key, value in entries:
        found += _check(value, kind, f"{where}[{key}]")
        if where.endswith((".requests", ".limits")) and not AMOUNT.fullmatch(str(value)):
            found.append(f"{where}[{key}] is no amount: {value!r}")
    return found


def _fields(value: dict[str, Any], kind: str, where: str) -> list[str]:
    types, required = _known(kind)
    found = [f"{where} has no {name}" for name in required if value.get(name) is None]
    for name, inner in value.items():
        if name not in types:
            found.append(f"{where}.{name} is not a field of {kind}")
        else:
            found += _check(inner, types[name], f"{where}.{name}")
        if inner not in CHOICES.get((kind, name), (inner,)):
            found.append(f"{where}.{name} is {inner!r}")
    return found


def _known(kind: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Types by field, and the fields that must be there."""
    if kind in KUBERAY:
        return KUBERAY[kind], REQUIRED.get(kind, ())
    model: Any = getattr(client, kind)
    types = {model.attribute_map[name]: said for name, said in model.openapi_types.items()}
    return types, tuple(model.attribute_map[n] for n in types_required(model))


def types_required(model: Any) -> list[str]:
    """The fields that the client's own validation refuses to be without."""
    lenient, strict = client.Configuration(), client.Configuration()
    lenient.client_side_validation, strict.client_side_validation = False, True
    bare = model(local_vars_configuration=lenient)
    bare.local_vars_configuration = strict
    refused = []
    for name in model.attribute_map:
        try:
            setattr(bare, name, None)
        except ValueError:
            refused.append(name)
    return refused


def needs(manifest: dict[str, Any]) -> tuple[int, int, int]:
    """The first KubeRay that knows every field of one of its resources."""
    return max(_since(manifest, manifest["kind"]), default=(1, 4, 0))


def _since(value: Any, kind: str) -> Iterator[tuple[int, int, int]]:
    listed = re.fullmatch(r"list\[(.*)\]", kind)
    if listed:
        for inner in value:
            yield from _since(inner, listed[1])
    elif kind in KUBERAY:
        for name, inner in value.items():
            if (kind, name) in SINCE:
                yield SINCE[kind, name]
            yield from _since(inner, KUBERAY[kind][name])


def refused(manifest: dict[str, Any]) -> list[str]:
    """What the API server or KubeRay's operator would refuse although the types are right."""
    kind, meta, spec = manifest["kind"], manifest["metadata"], manifest["spec"]
    letters = len(meta.get("name") or meta["generateName"]) + (0 if "name" in meta else DRAWN)
    found = [f"the name has {letters} letters"] if letters > LONGEST[kind] else []
    if kind == "RayCluster":
        found += _refused_cluster(spec)
    if kind == "RayJob":
        found += _refused_job(spec)
    if kind == "RayCronJob":
        found += _refused_job(spec["jobTemplate"])
        found += ["a time zone in the schedule"] if "TZ" in spec["schedule"] else []
        found += ["an empty time zone"] if spec.get("timeZone") == "" else []
    return found


def _refused_job(job: dict[str, Any]) -> Iterator[str]:
    if job.get("ttlSecondsAfterFinished") and not job.get("shutdownAfterJobFinishes"):
        yield "a time to live of a cluster that stays"
    if job.get("activeDeadlineSeconds", 1) < 1 or job.get("backoffLimit", 0) < 0:
        yield "a time or number that is not positive"
    if job.get("submissionMode") == "SidecarMode" and "submitterPodTemplate" in job:
        yield "a submitter's pod where there is none"
    yield from _refused_cluster(job["rayClusterSpec"])


def _refused_cluster(cluster: dict[str, Any]) -> Iterator[str]:
    version = tuple(int(part) for part in cluster.get("rayVersion", "0").split(".")[:2])
    if cluster.get("authOptions", {}).get("mode") == "token" and version < TOKENS_SINCE:
        yield f"a token of Ray {version}"
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        told = group.get("rayStartParams", {})
        if "labels" in told or ("resources" in group and "num-cpus" in told):
            yield "labels or resources that are said in two places"
        if group["template"]["spec"].get("restartPolicy", "Never") != "Never":
            yield "pods that come back under the autoscaler v2"
        if not 0 <= group.get("minReplicas", 0) <= group.get("maxReplicas", 0):
            yield "fewest above most"
