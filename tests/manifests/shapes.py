"""Checks manifests against Kubernetes' own types, and against the fields of KubeRay's.

Kubernetes' Python client carries strict types of its whole API. KubeRay's resources are not in
it: their fields (ray.io/v1 as of KubeRay 1.6) are listed here, and end in Kubernetes' types. A
field that neither knows is one that a cluster would ignore or refuse.
"""

from typing import Annotated, Any, Literal

from kubernetes import client
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

Count = Annotated[int, Field(strict=True, ge=0)]
Words = dict[str, Annotated[str, Field(strict=True)]]
# How the API server reads an amount of CPU, memory or devices.
Amount = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class AuthOptions(Strict):
    mode: Literal["disabled", "token"] = "token"
    secret_name: str = ""
    enable_k8s_token_auth: bool = Field(False, alias="enableK8sTokenAuth")


class AutoscalerOptions(Strict):
    args: list[str] = []
    command: list[str] = []
    env: list[client.V1EnvVar] = []
    env_from: list[client.V1EnvFromSource] = []
    idle_timeout_seconds: Count = 60
    image: str = ""
    image_pull_policy: str = ""
    resources: client.V1ResourceRequirements | None = None
    security_context: client.V1SecurityContext | None = None
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"] = "Default"
    version: Literal["v1", "v2"] = "v2"
    volume_mounts: list[client.V1VolumeMount] = []


class Group(Strict):
    labels: Words = {}
    ray_start_params: Words = {}
    resources: Words = {}
    template: client.V1PodTemplateSpec


class HeadGroupSpec(Group):
    enable_ingress: bool = False
    head_service: client.V1Service | None = None
    service_type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"


class WorkerGroupSpec(Group):
    group_name: str
    idle_timeout_seconds: Count = 60
    max_replicas: Count
    min_replicas: Count
    num_of_hosts: Count = 1
    replicas: Count = 0
    scale_strategy: dict[str, Any] = {}
    suspend: bool = False


class RayClusterSpec(Strict):
    auth_options: AuthOptions | None = None
    autoscaler_options: AutoscalerOptions | None = None
    enable_in_tree_autoscaling: bool = False
    gcs_fault_tolerance_options: dict[str, Any] = {}
    head_group_spec: HeadGroupSpec
    head_service_annotations: Words = {}
    managed_by: str = ""
    ray_version: str = ""
    suspend: bool = False
    worker_group_specs: list[WorkerGroupSpec] = []


class RayJobSpec(Strict):
    active_deadline_seconds: Count = 0
    backoff_limit: Count = 0
    cluster_selector: Words = {}
    deletion_strategy: dict[str, Any] = {}
    entrypoint: str
    entrypoint_num_cpus: float = 0
    entrypoint_num_gpus: float = 0
    entrypoint_resources: str = ""
    job_id: str = ""
    managed_by: str = ""
    metadata: Words = {}
    pre_running_deadline_seconds: Count = 0
    ray_cluster_spec: RayClusterSpec | None = None
    runtime_env_yaml: str = Field("", alias="runtimeEnvYAML")
    shutdown_after_job_finishes: bool = False
    submission_mode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]
    submitter_config: dict[str, Any] = {}
    submitter_pod_template: client.V1PodTemplateSpec | None = None
    suspend: bool = False
    ttl_seconds_after_finished: Count = 0


class RayCronJobSpec(Strict):
    job_template: RayJobSpec
    schedule: str
    suspend: bool = False
    time_zone: str = Field(min_length=1)


class RayKind(Strict):
    api_version: Literal["ray.io/v1"]
    metadata: client.V1ObjectMeta


class RayCluster(RayKind):
    kind: Literal["RayCluster"]
    spec: RayClusterSpec


class RayJob(RayKind):
    kind: Literal["RayJob"]
    spec: RayJobSpec


class RayCronJob(RayKind):
    kind: Literal["RayCronJob"]
    spec: RayCronJobSpec


KINDS: dict[str, tuple[str, Any]] = {
    "CronJob": ("batch/v1", client.V1CronJob),
    "NetworkPolicy": ("networking.k8s.io/v1", client.V1NetworkPolicy),
    "RayCluster": ("ray.io/v1", RayCluster),
    "RayJob": ("ray.io/v1", RayJob),
    "RayCronJob": ("ray.io/v1", RayCronJob),
}


def problems(manifest: dict[str, Any]) -> list[str]:
    """Everything in a manifest that its kind does not know, or that has another type."""
    version, model = KINDS[manifest["kind"]]
    found = [] if manifest["apiVersion"] == version else [f"apiVersion is not {version}"]
    try:
        TypeAdapter(model).validate_python(manifest)
    except ValidationError as err:
        found += [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in err.errors()]
    return found + amounts(manifest)


def amounts(value: Any) -> list[str]:
    """Requests and limits, anywhere, that are no amounts."""
    found = []
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in entries if isinstance(value, dict | list) else ():
        if name in ("requests", "limits"):
            try:
                TypeAdapter(dict[str, Amount]).validate_python(inner)
            except ValidationError as err:
                found += [f"{name}: {e['msg']}" for e in err.errors()]
        elif isinstance(inner, dict | list):
            found += amounts(inner)
    return found
