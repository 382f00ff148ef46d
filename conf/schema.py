"""What a user may say, as typed dataclasses. Unknown keys and wrong types are refused."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class ResourcesConf:
    """What one worker asks of the cluster, and how many workers there may be."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_gib: float = 0.0
    workers: int = 1
    in_flight: int = 1
    custom: dict[str, float] = field(default_factory=dict)
    runtime_env: dict[str, Any] = field(default_factory=dict)


@dataclass
class ModelConf:
    """One model: the adapter's `module:Class`, its arguments, and how it is run."""

    target: str = MISSING
    kwargs: dict[str, Any] = field(default_factory=dict)
    resources: ResourcesConf = field(default_factory=ResourcesConf)
    split: int = 1
    seconds_per_sample: float = 0.0
    tokens_per_sample: float = 0.0


@dataclass
class SystemConf:
    """A system under evaluation (group `system`)."""

    name: str = MISSING
    answer: ModelConf | None = None
    render: ModelConf | None = None
    formats: list[str] = field(
        default_factory=lambda: ["VQA", "ImageEditing", "MultimodalGeneration"]
    )
    control: bool = False
    needs: list[str] = field(default_factory=list)  # for people: hardware, keys, licences
    notes: list[str] = field(default_factory=list)


@dataclass
class SubsetConf:
    """A named part of a benchmark: a filter, and the count that it must give."""

    name: str = MISSING
    expected_count: int = MISSING
    tasks: list[str] = field(default_factory=list)
    without_tasks: list[str] = field(default_factory=list)
    modalities: list[str] = field(default_factory=list)


@dataclass
class BenchmarkConf:
    """A benchmark (group `benchmark`): its name in the store, and where it is imported from."""

    name: str = MISSING
    source: str = ""  # URL of one of the three layouts; `mini` builds the embedded one
    layout: str | None = None  # hub | directory | view; None finds out
    shard_size: int = 64
    seed: int = 0
    subset: SubsetConf | None = None
    expected_count: int | None = None


@dataclass
class MetricConf:
    """A metric. `target` is a name of the catalogue or `module:Class`; empty means the key."""

    target: str = ""
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class ThresholdConf:
    """When a value passes, which direction is better, and its smallest and largest value."""

    pass_when: str | None = None
    value: float | None = None
    direction: str | None = None
    range: list[float] | None = None


@dataclass
class ProtocolConf:
    """A versioned choice of metrics, profile and thresholds (group `protocol`)."""

    name: str = MISSING
    profile: str = "compat"
    metrics: dict[str, MetricConf] = field(default_factory=dict)
    thresholds: dict[str, ThresholdConf] = field(default_factory=dict)
    judging: str = ""  # what judges follow, e.g. `table-iv/1`


@dataclass
class JudgeConf:
    """A judge (group `judge`)."""

    name: str = MISSING
    target: str = MISSING
    kwargs: dict[str, Any] = field(default_factory=dict)
    resources: ResourcesConf = field(default_factory=ResourcesConf)
    seconds_per_sample: float = 0.0
    tokens_per_sample: float = 0.0
    needs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class ClusterConf:
    """Where work runs (group `cluster`). Changes no result and repeats nothing."""

    name: str = MISSING
    pool: str = "ray"  # ray | local
    address: str | None = None  # None starts Ray here; else an address, or `auto`
    num_cpus: int | None = None  # logical CPUs of a Ray started here
    num_gpus: int | None = None
    object_store_mib: int = 200
    dashboard: bool = False  # only ever on loopback
    grace_s: float = 30.0


@dataclass
class ScoringConf:
    """The fused scoring workers."""

    resources: ResourcesConf = field(default_factory=ResourcesConf)
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class GateConf:
    """What a gate tolerates; see `engine.gate.GateRules`."""

    alpha: float = 0.05
    margins: dict[str, float] = field(default_factory=dict)
    margin_sd: float = 0.1
    directions: dict[str, str] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)
    ignore: list[str] = field(default_factory=list)
    by_task: bool = True
    least_pairs: int = 30
    least_clusters: int = 10
    least_coverage: float = 0.95


@dataclass
class RunConf:
    """One run, or a sweep of many systems."""

    name: str = "run"
    store: str = MISSING
    benchmark: BenchmarkConf = field(default_factory=BenchmarkConf)
    system: dict[str, SystemConf] = field(default_factory=dict)
    protocol: ProtocolConf = field(default_factory=ProtocolConf)
    judge: dict[str, JudgeConf] = field(default_factory=dict)
    cluster: ClusterConf = field(default_factory=ClusterConf)
    scoring: ScoringConf = field(default_factory=ScoringConf)
    allowed_failures: float = 0.0  # share of rows that may be not ok before exit code 3
    report: bool = True
