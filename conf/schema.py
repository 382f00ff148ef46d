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
    workers: int | None = None  # so many; left out: as many as are worth it
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
    gives: list[str] = field(  # of all that can be asked; other samples are not put to it
        default_factory=lambda: [
            *("text", "choice", "choices", "number", "boxes"),
            *("image", "image+text", "preference", "mask"),
        ]
    )
    control: bool = False
    # A folder, or a pattern of folders: a system for each, `{checkpoint}` in arguments being it.
    checkpoints: str = ""
    repeats: int = 1  # how often it is asked, each time with other seeds
    ends: str = ""  # the day from which its vendor answers no more: "2026-12-01"
    successor: str = ""  # what its vendor offers instead
    only: str = ""  # what it does whatever it is asked, where that is less than `gives` says
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
    source: str = ""  # URL of one of the layouts; `mini` builds the embedded one
    layout: str | None = None  # its name; None finds out
    shard_size: int = 64
    seed: int = 0
    subset: SubsetConf | None = None
    expected_count: int | None = None
    limit: int | None = None  # samples at least: rounded up to whole shards
    number_repeats: bool = False  # a repeated id gets a number instead of being refused
    reader: str = ""  # `records`: a table, read by `mapping`; empty: one of the layouts
    mapping: dict[str, Any] = field(default_factory=dict)  # see docs/benchmarks.md
    protocol: str = ""  # what belongs to it; a run may say another
    family: str = ""
    licence: str = ""
    access: str = ""  # empty: open
    cite: str = ""
    confidence: str = ""  # of a preset: confirmed | partial
    unverified: list[str] = field(default_factory=list)  # what no source says


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
    """A judge (group `judge`). `systems` are patterns of the systems that it judges."""

    name: str = MISSING
    systems: list[str] = field(default_factory=lambda: ["*"])
    target: str = MISSING
    kwargs: dict[str, Any] = field(default_factory=dict)
    resources: ResourcesConf = field(default_factory=ResourcesConf)
    seconds_per_sample: float = 0.0
    tokens_per_sample: float = 0.0
    ends: str = ""
    successor: str = ""
    needs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class StepConf:
    """A further stage over every chosen system's rows: an audit of verdicts, a review.

    `after` names metrics, judges or steps above it whose rows it reads beside the predictions.
    """

    stage: str = MISSING
    after: list[str] = field(default_factory=list)
    systems: list[str] = field(default_factory=lambda: ["*"])
    target: str = MISSING
    kwargs: dict[str, Any] = field(default_factory=dict)
    resources: ResourcesConf = field(default_factory=ResourcesConf)
    seconds_per_sample: float = 0.0
    tokens_per_sample: float = 0.0


@dataclass
class ClusterConf:
    """Where work runs (group `cluster`). Changes no result and repeats nothing."""

    name: str = MISSING
    pool: str = "ray"  # ray | local
    address: str | None = None  # None starts Ray here; else an address, or `auto`
    num_cpus: int | None = None  # of a Ray started here; None: all cores, at least 4
    num_gpus: int | None = None
    object_store_mib: int = 200
    dashboard: bool = False  # only ever on loopback
    grace_s: float = 30.0
    # Seconds of work that a worker commits as one at most, a shard or a part of it.
    commit_every_s: float = 300.0
    # Seconds that a worker may take to start, with all that it fetches; then it is made elsewhere.
    start_s: float = 3600.0
    # Seconds that a run waits for a machine when nothing is at work: for a queue or an autoscaler.
    place_s: float = 900.0
    # Seconds that a shard waits to be judged for all systems at once; then for those there are.
    judge_wait_s: float = 120.0
    # Seconds that scoring with nothing to do waits for slower systems; then it goes ahead.
    score_wait_s: float = 1800.0
    # Seconds without a sign of life after which other drivers go on with what this one had claimed.
    lease_s: float = 60.0


@dataclass
class ScoringConf:
    """The fused scoring workers."""

    resources: ResourcesConf = field(default_factory=ResourcesConf)
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class GateConf:
    """What a gate tolerates; see `medgen.engine.results.gate.GateRules`."""

    alpha: float = 0.05
    margins: dict[str, float] = field(default_factory=dict)
    margin_sd: float = 0.1
    margin_answered: float = 0.02
    directions: dict[str, str] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)
    ignore: list[str] = field(default_factory=list)
    by_task: bool = True
    least_pairs: int = 30
    least_clusters: int = 10
    least_coverage: float = 0.95


@dataclass
class SubmitConf:
    """How a run is given to a cluster as a job. Variables are named, never given."""

    address: str = ""  # of the job API; empty: RAY_API_SERVER_ADDRESS, or a port-forward to here
    env: list[str] = field(default_factory=list)  # variables of this machine that the job gets
    allow_secret_env: list[str] = field(default_factory=list)  # of these, those named like keys
    include: list[str] = field(default_factory=list)  # files beside the code, relative to here
    most_mib: float = 16.0  # of the working directory, before compression
    install: str = "never"  # never | auto | cpu | gpu: packages that the job installs
    driver_cpus: float = 0.0


@dataclass
class RetentionConf:
    """Which nights stay: the last `keep`, the last good one and the baseline, with their stages."""

    keep: int = 14
    apply: bool = False  # false only says what would go


@dataclass
class NightlyConf:
    """What a night does beyond its run."""

    systems: list[str] = field(default_factory=list)  # gated ones; empty: all but the controls
    baseline: str = ""  # id of a run; empty: the last good night
    fresh: bool = False  # run every model again, although nothing about it has changed
    time_zone: str = "Etc/UTC"  # in which a night has its date
    every_days: int = 1  # between nights; more days without one are missed nights
    lease_s: float = 900.0  # how long a night that dies keeps others out
    webhook_env: str = ""  # variable with the URL that is told of every night
    gate: GateConf = field(default_factory=GateConf)
    retention: RetentionConf = field(default_factory=RetentionConf)


@dataclass
class TrackingConf:
    """Experiment trackers that are told of a run; their own variables say where they are."""

    mlflow: bool = False
    wandb: bool = False
    experiment: str = "medgen"


@dataclass
class RunConf:
    """One run, or a sweep of many systems."""

    name: str = "run"
    store: str = MISSING
    benchmark: BenchmarkConf = field(default_factory=BenchmarkConf)
    system: dict[str, SystemConf] = field(default_factory=dict)
    protocol: ProtocolConf = field(default_factory=ProtocolConf)
    judge: dict[str, JudgeConf] = field(default_factory=dict)
    step: dict[str, StepConf] = field(default_factory=dict)
    conditions: list[str] = field(default_factory=list)  # e.g. [no-image, shuffled-options]
    audit: float = 0.0  # share of finished samples that models and judges are asked about again
    cluster: ClusterConf = field(default_factory=ClusterConf)
    scoring: ScoringConf = field(default_factory=ScoringConf)
    allowed_failures: float = 0.0  # share of rows that may be not ok before exit code 3
    most_raising: float = 0.05  # share of a stage's samples that may raise before its system ends
    spending_cap_usd: float | None = None  # of one start, over all systems and judges
    # Stop a system that is worse than another in every value, by the rules of `nightly.gate`.
    early_stop: bool = False
    identity: str = "usual"  # usual | strict: GPU type and parallel sizes count as well
    report: bool = True
    allow_hosted: bool = False  # hosted models may see data that is under an agreement
    allow_unpinned: bool = False  # models of a hub may be named without a commit
    nonce: str = ""  # part of every model's and judge's key: another one runs them again
    submit: SubmitConf = field(default_factory=SubmitConf)
    nightly: NightlyConf = field(default_factory=NightlyConf)
    tracking: TrackingConf = field(default_factory=TrackingConf)
