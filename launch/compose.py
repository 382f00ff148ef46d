"""From what a user said to what the engine does: configuration to recipe, benchmark and pool."""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import fsspec
import yaml

from medgen.conf import RunConf
from medgen.conf.loading import group_names, member
from medgen.conf.schema import (
    BenchmarkConf,
    ClusterConf,
    ModelConf,
    ResourcesConf,
    ScoringConf,
    StepConf,
    SystemConf,
)
from medgen.engine import registry
from medgen.engine.batching import batch_of
from medgen.engine.benchmark.checking import METRICS
from medgen.engine.benchmark.importing import ImportOptions, Subset, import_benchmark
from medgen.engine.benchmark.manifest import Manifest, benchmark_refs, find_benchmark
from medgen.engine.benchmark.source import Source
from medgen.engine.codec import plain
from medgen.engine.data import ASKS
from medgen.engine.errors import BenchmarkError, ConfigError, PlanError
from medgen.engine.plan.faulty import inject_faults
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, Recipe, Step, System, make_plan
from medgen.engine.redaction import written_key
from medgen.engine.results.thresholds import check_thresholds
from medgen.engine.run.events import Event
from medgen.engine.run.pool import Pool
from medgen.engine.run.survey import Todo
from medgen.engine.settings import check_arguments
from medgen.engine.store.chaos import Chaos
from medgen.engine.store.layout import benchmark_name
from medgen.engine.store.objects import Objects
from medgen.launch.audit import with_audit
from medgen.launch.checkpoints import at_checkpoints
from medgen.launch.own_code import unknown_classes
from medgen.launch.presets import about, records_source, refuse_hosted
from medgen.launch.rules import rules_of
from medgen.launch.setup.doctor import absent
from medgen.metrics.catalogue import CATALOGUE, SCORER, metric_spec
from medgen.metrics.scorer import build_metric

log = logging.getLogger(__name__)
REPLAY = "replay"


def recipe(conf: RunConf) -> Recipe:
    """Everything a plan needs besides the benchmark.

    Raises:
        ConfigError: an unknown metric, format or argument, or a judge without a protocol to follow.
    """
    metrics = _metrics(conf)
    composed = Recipe(
        name=conf.name,
        systems=tuple(one for s in conf.system.values() for one in _systems(s)),
        metrics=metrics,
        judges={name: _judge(conf, name) for name in conf.judge},
        judged={name: tuple(judge.systems) for name, judge in conf.judge.items()},
        steps=tuple(_step(name, step) for name, step in conf.step.items()),
        protocol=conf.protocol.name,
        thresholds={name: _set(asdict(t)) for name, t in conf.protocol.thresholds.items()},
        scoring=_resources(conf.scoring.resources),
        scorer=Spec(SCORER, _scorer_kwargs(conf.scoring)),
        apart=frozenset(name for name, spec in metrics.items() if not _is_ours(spec)),
        nonce=conf.nonce,
        conditions=tuple(conf.conditions),
    )
    check_thresholds(composed.thresholds)
    rules_of(conf.nightly.gate)  # a night would refuse them when all has been computed
    if conf.audit:
        composed = with_audit(composed, conf.audit)
    for who, spec in _specs(composed):
        if place := written_key(spec.kwargs):
            raise ConfigError(
                f"{who}: {place[1:]} is a key, which the plan would hold: put it into "
                "the environment (endpoint.api_key_env names its variable, key_header the header)"
            )
        check_arguments(who, spec.target, spec.kwargs)
    _try_values(conf, metrics)
    return composed


def _try_values(conf: RunConf, metrics: Mapping[str, Spec]) -> None:
    """Make the metrics of ours that somebody gave values to: a wrong one ends all scoring.

    Raises:
        ConfigError: it is none of those that there are.
    """
    for name, spec in metrics.items():
        if conf.protocol.metrics[name].kwargs and _is_ours(spec):
            build_metric(name, {"target": spec.target, "kwargs": spec.kwargs})


def _specs(composed: Recipe) -> Iterator[tuple[str, Spec]]:
    for system in composed.systems:
        for stage, model in (("answer", system.answer), ("render", system.render)):
            if model:
                yield f"system {system.name!r}, {stage}", model.spec
    for name, metric in composed.metrics.items():
        yield f"metric {name!r}", metric
    for name, judge in composed.judges.items():
        yield f"judge {name!r}", judge.spec
    for step in composed.steps:
        yield f"step {step.name!r}", step.model.spec
    # The plan adds the metrics.
    yield "scoring", Spec(composed.scorer.target, {**composed.scorer.kwargs, "metrics": {}})


def _scorer_kwargs(conf: ScoringConf) -> dict[str, Any]:
    """The scorer's arguments: threads as CPUs were asked for, and no GPU that was not.

    Raises:
        ConfigError: a GPU is named, and none is asked for.
    """
    asked, kwargs = conf.resources, dict(conf.kwargs)
    kwargs.setdefault("threads", max(1, int(asked.cpus)))
    device = str(kwargs.get("device", "auto"))
    if not asked.gpus and device not in ("auto", "cpu"):
        raise ConfigError(
            f"scoring.kwargs.device is {device!r}, but scoring asks for no GPU; say how much of "
            "one a worker takes, e.g. `scoring.resources.gpus=0.25`"
        )
    return kwargs if asked.gpus else {**kwargs, "device": "cpu"}


def _set(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if value is not None}


def _systems(conf: SystemConf) -> Iterator[System]:
    """A system, or one for each of its checkpoints; each as often as it is to be asked."""
    if not conf.checkpoints:
        yield from each_time(_system(conf), conf.repeats)
        return
    for one, step in at_checkpoints(conf):
        yield from each_time(replace(_system(one), series=conf.name, step=step), conf.repeats)


def _system(conf: SystemConf) -> System:
    if unknown := [name for name in conf.gives if name not in ASKS]:
        raise ConfigError(
            f"system {conf.name!r} gives {', '.join(unknown)}, which nobody asks for; "
            f"there are {', '.join(ASKS)}"
        )
    return System(
        name=conf.name,
        answer=_model(conf.name, conf.answer) if conf.answer else None,
        render=_model(conf.name, conf.render) if conf.render else None,
        gives=tuple(asks for asks in ASKS if asks in conf.gives),
        control=conf.control,
        notes=(*conf.needs, *conf.notes),
    )


def _model(system: str, conf: ModelConf) -> Model:
    kwargs = dict(conf.kwargs)
    _check_spread(f"system {system!r}", kwargs, conf.resources)
    kwargs = _with_template_text(kwargs)
    if conf.target == REPLAY and "sha256" not in kwargs:
        kwargs["sha256"] = _digest(kwargs.get("url", ""))
    return Model(
        Spec(conf.target, kwargs),
        _resources(conf.resources, kwargs),
        conf.split,
        conf.seconds_per_sample,
        conf.tokens_per_sample,
    )


def _check_spread(who: str, kwargs: Mapping[str, Any], asked: ResourcesConf) -> None:
    """A model spread over GPUs must have been given as many; it would fail only once it starts.

    Raises:
        ConfigError: it has not. Without GPUs the parts are processes on the CPU.
    """
    served = (kwargs.get("chat") or {}).get("kwargs") or kwargs  # of a judge, its chat's
    given = {
        **(served.get("engine") or {}),
        **((served.get("execution") or {}).get("engine") or {}),
    }
    sizes = (given.get(f"{kind}_parallel_size", 1) for kind in ("tensor", "pipeline"))
    tensor, pipeline = (size if isinstance(size, int) else 1 for size in sizes)
    if tensor * pipeline > 1 and asked.gpus > 0 and asked.gpus != tensor * pipeline:
        raise ConfigError(
            f"{who}: tensor_parallel_size {tensor} x pipeline_parallel_size {pipeline} is "
            f"{tensor * pipeline} GPUs a worker, and `resources.gpus` is {asked.gpus:g}"
        )


def _with_template_text(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """A chat template's file read here: its words are the recipe's, wherever the model runs.

    Raises:
        ConfigError: the file cannot be read, or is no text.
    """
    read = {k: _with_template_text(v) if isinstance(v, Mapping) else v for k, v in kwargs.items()}
    name = read.get("chat_template")
    if isinstance(name, str) and "{" not in name and Path(name).is_file():
        try:
            read["chat_template"] = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as err:
            raise ConfigError(f"the chat template {name!r} cannot be read: {err}") from err
    return read


def _digest(urls: str | Sequence[str]) -> str:
    """The sha256 of predictions files in a row: an edited file is another system, with other keys.

    Raises:
        ConfigError: there is no such file.
    """
    digest = hashlib.sha256()
    for url in [urls] if isinstance(urls, str) else urls:
        try:
            with fsspec.open(url, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except (OSError, ValueError) as err:
            raise ConfigError(f"replay: cannot read the predictions file {url!r}: {err}") from err
    return digest.hexdigest()


def _resources(conf: ResourcesConf, kwargs: Mapping[str, Any] | None = None) -> Resources:
    """What a worker asks; one that asks by batches holds the shards of a whole file."""
    asked, batch = Resources(**asdict(conf)), batch_of(kwargs or {})
    return replace(asked, in_flight=max(asked.in_flight, batch.shards)) if batch else asked


def _judge(conf: RunConf, name: str) -> Model:
    judge = conf.judge[name]
    kwargs = {**judge.kwargs, "name": name}
    _check_spread(f"judge {name!r}", kwargs, judge.resources)
    kwargs = _with_template_text(kwargs)
    if conf.protocol.judging:
        kwargs.setdefault("protocol", conf.protocol.judging)
    if conf.protocol.profile != "strict" and registry.find(judge.target).name == "chat-judge":
        # The benchmark authors' judge sees the texts that their metrics compare.
        kwargs.setdefault("texts", "canonical")
    return Model(
        Spec(judge.target, kwargs),
        _resources(judge.resources, kwargs),
        1,
        judge.seconds_per_sample,
        judge.tokens_per_sample,
    )


def _step(name: str, conf: StepConf) -> Step:
    model = Model(
        Spec(conf.target, conf.kwargs),
        _resources(conf.resources),
        1,
        conf.seconds_per_sample,
        conf.tokens_per_sample,
    )
    return Step(name, conf.stage, model, tuple(conf.after), tuple(conf.systems))


def _metrics(conf: RunConf) -> dict[str, Spec]:
    specs = {}
    for name, metric in conf.protocol.metrics.items():
        target = metric.target or name
        profile = {"profile": conf.protocol.profile} if target in CATALOGUE else {}
        specs[name] = metric_spec(target, {**profile, **metric.kwargs})
    return specs


def _is_ours(metric: Spec) -> bool:
    """Whether a metric is of the catalogue, with all it needs; another's may fail, and alone."""
    component = registry.find(metric.target)
    return component.name in CATALOGUE and not absent(component.extra)


def ensure_benchmark(objects: Objects, conf: BenchmarkConf) -> Manifest:
    """The benchmark in the store, imported first when the configuration says from where.

    Raises:
        BenchmarkError: it is not there and cannot be made.
    """
    with contextlib.suppress(BenchmarkError):
        found = find_benchmark(objects, conf.name).manifest
        _warn_of_mapping(found, conf)
        return found
    named = [r for r in benchmark_refs(objects) if benchmark_name(r) == conf.name]
    if named or not conf.source:
        return find_benchmark(objects, conf.name).manifest  # raises, and says what to do
    return import_benchmark(source_of(conf), objects, import_options(conf))


def _warn_of_mapping(manifest: Manifest, conf: BenchmarkConf) -> None:
    """Say that a preset was changed since its benchmark was imported: the old one is taken."""
    was = manifest.source.get("mapping_sha256")
    if conf.reader and was and was != about(conf)["mapping_sha256"]:
        log.warning(
            "%s was imported by another mapping than benchmark %r has now; `medgen import` reads "
            "it anew", manifest.ref, conf.name,
        )  # fmt: skip


def source_of(conf: BenchmarkConf) -> Source:
    """The outside data that a benchmark is imported from."""
    if conf.source == "mini":
        from medgen.adapters.mini.build import build_mini

        return build_mini()
    if conf.reader:
        return records_source(conf)
    from medgen.adapters.sources.layouts import open_source

    return open_source(conf.source, conf.layout)


def import_options(conf: BenchmarkConf) -> ImportOptions:
    """How it is imported."""
    subset = None
    if conf.subset is not None:
        subset = Subset(
            conf.subset.name,
            conf.subset.expected_count,
            tuple(conf.subset.tasks),
            tuple(conf.subset.without_tasks),
            tuple(conf.subset.modalities),
        )
    return ImportOptions(
        name=conf.name,
        shard_size=conf.shard_size,
        seed=conf.seed,
        subset=subset,
        expected_count=conf.expected_count,
        number_repeats=conf.number_repeats,
    )


def telemetry(conf: ClusterConf, plan: Plan, todo: Todo) -> list[Callable[[Event], None]]:
    """What exports a run's numbers; a pool without Ray has no exporter."""
    if conf.pool != "ray":
        return []
    from medgen.actors.telemetry import Telemetry

    return [Telemetry(plan, todo)]


def uncompared_samples(asked: Recipe, plan: Plan) -> Iterator[str]:
    """What a run's systems are asked and nothing of the run compares, in words.

    Raises:
        ConfigError: there is no metric at all that compares it, and no judge in the run.
    """
    if asked.judges or asked.steps or not asked.metrics:
        return
    own = [registry.find(spec.target) for spec in asked.metrics.values()]
    every = registry.components("metrics").values()
    for asks, count in plan.samples.items():
        owed = any(asks in system.gives for system in plan.systems)
        if not owed or any(asks in m.compares or not m.compares for m in own):
            continue
        said = f"{count:,} samples of {plan.benchmark} ask {asks}"
        able = sorted(m.name for m in every if asks in m.compares)
        if not able:
            raise ConfigError(
                f"{said}, and no metric compares it: that is metric {METRICS[asks]!r}, which is "
                "not installed. Add it or a judge, or leave these samples out of what systems give"
            )
        yield f"{said}, and no metric of the run compares it; {', '.join(able)} would"


def idle_metrics(asked: Recipe, plan: Plan) -> Iterator[str]:
    """Which metrics compare nothing that a run's systems are asked, in words.

    Those that came with one of our protocols are none: nobody named them, and the protocol has
    them for what else a benchmark of its kind may ask.
    """
    along = _metrics_along(asked.protocol)
    owed = {asks for asks in plan.samples if any(asks in s.gives for s in plan.systems)}
    every = ((name, registry.find(spec.target)) for name, spec in asked.metrics.items())
    idle = [name for name, one in every if one.compares and not owed & set(one.compares)]
    if idle := [name for name in idle if name not in along]:
        said = f"{', '.join(idle)}: no value, for the systems of this run are asked"
        yield f"{said} {', '.join(sorted(owed))} only, which that does not compare"


def _metrics_along(protocol: str) -> Collection[str]:
    ours = member("protocol", protocol) if protocol in group_names("protocol") else {}
    return [*ours.get("metrics", ())]


def idle_systems(plan: Plan) -> Iterator[str]:
    """Which systems are asked nothing, since no sample asks what they give, in words.

    Raises:
        ConfigError: none is asked anything, but for controls.
    """
    tried = [s for s in plan.systems if not (s.control or s.condition)]
    idle = [s for s in tried if not any(asks in s.gives for asks in plan.samples)]
    wanted = ", ".join(sorted(plan.samples))
    said = [
        f"{s.name} gives {', '.join(s.gives)}, and {plan.benchmark} asks {wanted}: it is asked "
        "nothing (`gives` in a system's file says what it can be asked)"
        for s in idle
    ]
    if idle and len(idle) == len(tried):
        raise ConfigError("\n".join(said))
    yield from said


@contextlib.contextmanager
def open_pool(conf: ClusterConf, store: str) -> Iterator[Pool]:
    """The pool that a cluster configuration names; everything it started ends with it.

    Raises:
        PlanError: the store cannot be seen from other processes.
        ConfigError: no such kind of pool.
    """
    if conf.pool == "local":
        from medgen.actors.local_pool import LocalPool

        pool: Pool = LocalPool()
        try:
            yield pool
        finally:
            pool.shutdown()
    elif conf.pool == "ray":
        if store.startswith("memory:"):
            raise PlanError("a memory:// store is of one process; use `cluster=in-process` with it")
        from medgen.actors.session import RaySession
        from medgen.engine.allocation import keep_little, spare_pandas

        keep_little()  # this process holds no model: those are with workers of their own
        spare_pandas()
        session = RaySession(
            conf.address, conf.num_cpus, conf.num_gpus, conf.object_store_mib, conf.dashboard
        )
        with session as pool:
            yield pool
    else:
        raise ConfigError(f"cluster.pool is {conf.pool!r}; it is `ray` or `local`")


def plan_of(conf: RunConf, objects: Objects, chaos: Chaos | None = None) -> Plan:
    """The plan of a configuration; imports the benchmark when that is asked."""
    refuse_hosted(conf, conf.benchmark.access)
    asked = recipe(conf)  # first: a mistake is said before minutes go into an import
    for sentence in unknown_classes(asked):
        log.warning(sentence)
    manifest = ensure_benchmark(objects, conf.benchmark)
    refuse_hosted(conf, str(manifest.source.get("access", "")))
    made = inject_faults(asked, chaos) if chaos else asked
    plan = make_plan(made, manifest, conf.benchmark.limit)
    remarks = (*idle_systems(plan), *uncompared_samples(made, plan), *idle_metrics(made, plan))
    for sentence in remarks:
        log.warning(sentence)
    return plan


def config_text(conf: RunConf) -> str:
    """The configuration as YAML. It names environment variables for keys and holds none."""
    return yaml.safe_dump(plain(conf), sort_keys=False)


SIGN = "~"  # `name~2` is what a system says the second time


def each_time(system: System, times: int) -> Iterator[System]:
    """The system itself, and one for each further time, which is ranked with none.

    Raises:
        ConfigError: it is to be asked less than once.
    """
    if times < 1:
        raise ConfigError(f"system {system.name!r}: `repeats` is 1 or more, not {times}")
    yield system
    for before in range(1, times):
        name = f"{system.name}{SIGN}{before + 1}"
        yield replace(system, name=name, of=system.name, repeat=before, control=True)
