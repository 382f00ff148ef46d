"""A run, decided before anything runs: frozen data to print, hash, compare and ship.

A stage's key covers everything its rows depend on and nothing else:
`fingerprint(benchmark, recipe, upstream keys, semantics version)`. How the work is done
(workers, resources, cluster) is kept beside it and never enters a key.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from medgen.engine.benchmark.manifest import Manifest
from medgen.engine.codec import fingerprint, plain
from medgen.engine.data import FORMATS, Format
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import Resources, Spec, identity
from medgen.engine.registry import inner_recipes
from medgen.engine.stages import stage_kind
from medgen.engine.store.layout import path_name


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a system. `split` cuts every benchmark shard into that many stage shards."""

    spec: Spec
    resources: Resources = field(default_factory=Resources)
    split: int = 1
    seconds_per_sample: float = 0.0  # from earlier runs or the preset; only orders the work
    tokens_per_sample: float = 0.0


@dataclass(frozen=True, slots=True)
class System:
    """What is evaluated: an answer model, a render model, or both."""

    name: str
    answer: Model | None = None
    render: Model | None = None
    formats: tuple[Format, ...] = FORMATS
    control: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A further stage over a system's rows: an audit of verdicts, a second look, a review.

    `after` names metrics, judges or earlier steps whose rows it reads beside the predictions.
    """

    name: str
    stage: str  # of the registry
    model: Model
    after: tuple[str, ...] = ()
    systems: tuple[str, ...] = ("*",)  # patterns


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a user asks for, after configuration and before planning."""

    name: str
    systems: tuple[System, ...]
    metrics: Mapping[str, Spec]
    judges: Mapping[str, Model] = field(default_factory=dict)
    judged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # judge -> name patterns
    steps: tuple[Step, ...] = ()
    protocol: str = ""
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    scoring: Resources = field(default_factory=Resources)
    scorer: Spec = field(default_factory=lambda: Spec("fused-scorer"))
    # Metrics that are scored by workers of their own: what cannot be made costs no other metric.
    apart: frozenset[str] = frozenset()
    nonce: str = ""  # enters the keys of models and judges: another one runs them again


@dataclass(frozen=True, slots=True)
class Node:
    """One stage of the graph: an addressed dataset, and the nodes whose rows it reads."""

    stage: str
    key: str
    label: str  # a person's name for it: the model's target, the metric, the judge
    formats: tuple[Format, ...]
    upstream: tuple[str, ...]
    systems: tuple[str, ...]  # who shares it
    group: str  # the workers that do it
    split: int = 1
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """Workers of one kind. `spec` builds what they hold: a generator, the scorer, a judge."""

    name: str
    stage: str
    spec: Spec
    resources: Resources
    seconds_per_sample: float = 0.0
    tokens_per_sample: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run will do. The run id is a hash of it: the same plan is the same run."""

    run_id: str
    benchmark: str
    samples: Mapping[Format, int]
    shards: int
    protocol: str
    thresholds: Mapping[str, Any]
    systems: tuple[System, ...]
    nodes: Mapping[str, Node]
    groups: Mapping[str, GroupPlan]

    def predictions(self, system: str) -> tuple[Node, ...]:
        """The nodes that make a system's predictions: answer, then render."""
        return tuple(
            n for n in self.nodes.values() if stage_kind(n.stage).predicts and system in n.systems
        )

    def giving(self, system: str, rows: str) -> tuple[Node, ...]:
        """A system's nodes whose rows are of a kind (`stages.SCORES` …), in the recipe's order."""
        return tuple(
            n
            for n in self.nodes.values()
            if stage_kind(n.stage).rows == rows and system in n.systems
        )

    def rows_due(self, system: str) -> int:
        """How many samples a system must have a row for: the locked denominator."""
        return sum(self.samples.get(f, 0) for f in self.system(system).formats)

    def system(self, name: str) -> System:
        """The system of that name."""
        return next(s for s in self.systems if s.name == name)


def make_plan(recipe: Recipe, manifest: Manifest) -> Plan:
    """Decide the whole run.

    Raises:
        ConfigError: two systems share a name, or a system has no model, or nothing is asked for.
    """
    _check(recipe)
    nodes: dict[str, Node] = {}
    groups: dict[str, GroupPlan] = {}
    for system in recipe.systems:
        upstream: tuple[str, ...] = ()
        for node, group in _model_nodes(system, manifest.ref, recipe.nonce):
            upstream = (*upstream, node.key)
            groups.setdefault(group.name, group)
            _share(nodes, node)
        for node in _dependent_nodes(recipe, system, manifest.ref, upstream):
            _share(nodes, node)
    groups |= _dependent_groups(recipe)
    asked = [plain(recipe.systems), plain(recipe.metrics), sorted(recipe.judges), recipe.protocol]
    asked.append([step.name for step in recipe.steps])
    address = fingerprint(manifest.ref, recipe.thresholds, sorted(nodes), _run_identity(asked))
    return Plan(
        run_id=f"{recipe.name}-{address[:10]}",
        benchmark=manifest.ref,
        samples=dict(manifest.formats),  # type: ignore[arg-type]
        shards=len(manifest.shards),
        protocol=recipe.protocol,
        thresholds=recipe.thresholds,
        systems=recipe.systems,
        nodes=nodes,
        groups={n: g for n, g in groups.items() if any(x.group == n for x in nodes.values())},
    )


def _run_identity(asked: list[Any]) -> list[Any]:
    # Which systems and metrics by name; the nodes' keys hold the rest, resources stay out.
    systems, metrics, *others = asked
    return [[s["name"] for s in systems], sorted(metrics), *others]


def _check(recipe: Recipe) -> None:
    path_name(recipe.name, "name")
    names = [s.name for s in recipe.systems]
    if not names:
        raise ConfigError("no system to evaluate; name some with `systems=[oracle,blank]`")
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise ConfigError(f"systems named twice: {', '.join(twice)}")
    for system in recipe.systems:
        if system.answer is None and system.render is None:
            raise ConfigError(f"system {system.name!r} has neither an answer nor a render model")
    taken = [step.name for step, _ in _steps(recipe)]
    if twice := sorted({n for n in taken if taken.count(n) > 1}):
        raise ConfigError(f"metrics, judges and steps share a name: {', '.join(twice)}")


def _share(nodes: dict[str, Node], node: Node) -> None:
    if node.key in nodes:
        have = nodes[node.key]
        systems = (*have.systems, *(s for s in node.systems if s not in have.systems))
        node = Node(**{**_fields(have), "systems": systems})
    nodes[node.key] = node


def _fields(node: Node) -> dict[str, Any]:
    return {name: getattr(node, name) for name in Node.__slots__}


def _model_nodes(
    system: System, benchmark: str, nonce: str = ""
) -> Iterator[tuple[Node, GroupPlan]]:
    upstream: tuple[str, ...] = ()
    for stage, model in (("answer", system.answer), ("render", system.render)):
        if model is None:
            continue
        formats = _formats_to_render(system) if stage == "render" else system.formats
        recipe = {
            "benchmark": benchmark,
            "model": identity(model.spec),
            "formats": sorted(formats),
            "split": model.split,
            "upstream": list(upstream),
            "semantics": stage_kind(stage).semantics,
            **({"nonce": nonce} if nonce else {}),
        }
        key = fingerprint(stage, recipe)
        group = f"{stage}/{key}"
        yield (
            Node(
                stage=stage,
                key=key,
                label=_label(model.spec),
                formats=formats,
                upstream=upstream,
                systems=(system.name,),
                group=group,
                split=model.split,
                recipe=recipe,
            ),
            GroupPlan(
                group,
                stage,
                model.spec,
                model.resources,
                model.seconds_per_sample,
                model.tokens_per_sample,
            ),
        )
        upstream = (key,)


def _formats_to_render(system: System) -> tuple[Format, ...]:
    # A question that is answered in words needs no picture, when a model answers in words.
    if system.answer is None:
        return system.formats
    return tuple(f for f in system.formats if f != "VQA")


def _label(spec: Spec) -> str:
    """The component with the model that it, or the chat inside it, serves."""
    inner = [given for _, _, given in inner_recipes(spec.kwargs)]
    model = next((g["model"] for g in (spec.kwargs, *inner) if g.get("model")), None)
    name = spec.target.rpartition(":")[2]
    return f"{name}({model})" if model else name


def _dependent_nodes(
    recipe: Recipe, system: System, benchmark: str, upstream: tuple[str, ...]
) -> Iterator[Node]:
    made: dict[str, Node] = {}
    for step, group in _steps(recipe):
        if not any(fnmatchcase(system.name, pattern) for pattern in step.systems):
            continue
        read = (*upstream, *(_upstream(step, made, name).key for name in step.after))
        kind = stage_kind(step.stage)
        body = {
            "benchmark": benchmark,
            "name": step.name,
            "spec": identity(step.model.spec),
            "formats": sorted(system.formats),
            "upstream": list(read),
            "semantics": kind.semantics,
        }
        if recipe.nonce and not kind.shard_major:
            body["nonce"] = recipe.nonce
        made[step.name] = Node(
            stage=step.stage,
            key=fingerprint(step.stage, body),
            label=step.name,
            formats=system.formats,
            upstream=read,
            systems=(system.name,),
            group=group,
            recipe=body,
        )
    yield from made.values()


def _steps(recipe: Recipe) -> Iterator[tuple[Step, str]]:
    """Metrics, judges and further steps alike, each with its group of workers."""
    for name, spec in recipe.metrics.items():
        yield Step(name, "score", Model(spec)), _scoring_group(recipe, name)
    for name, model in recipe.judges.items():
        yield (
            Step(name, "judge", model, systems=recipe.judged.get(name, ("*",))),
            f"judge/{name}",
        )
    for step in recipe.steps:
        yield step, f"{step.stage}/{step.name}"


def _scoring_group(recipe: Recipe, metric: str) -> str:
    return f"score/{metric}" if metric in recipe.apart else "score"


def _upstream(step: Step, made: Mapping[str, Node], name: str) -> Node:
    """The node of that name, when the step's stage may read its rows."""
    if name not in made:
        raise ConfigError(f"step {step.name!r} comes after {name!r}, which this run does not make")
    reads, rows = stage_kind(step.stage).upstream, stage_kind(made[name].stage).rows
    if rows not in reads:
        raise ConfigError(
            f"step {step.name!r}: stage {step.stage!r} reads {', '.join(reads)}; "
            f"{name!r} gives {rows}"
        )
    return made[name]


def _dependent_groups(recipe: Recipe) -> dict[str, GroupPlan]:
    metrics: dict[str, dict[str, Any]] = {}
    for name, spec in recipe.metrics.items():
        metrics.setdefault(_scoring_group(recipe, name), {})[name] = plain(spec)
    groups: dict[str, GroupPlan] = {}
    for group, fused in metrics.items():
        scorer = Spec(recipe.scorer.target, {**recipe.scorer.kwargs, "metrics": fused})
        groups[group] = GroupPlan(group, "score", scorer, recipe.scoring)
    for step, group in _steps(recipe):
        if group not in groups:
            model = step.model
            groups[group] = GroupPlan(
                group,
                step.stage,
                model.spec,
                model.resources,
                model.seconds_per_sample,
                model.tokens_per_sample,
            )
    return groups
