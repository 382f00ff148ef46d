"""A run, decided before anything runs: frozen data to print, hash, compare and ship.

A stage's key covers how its rows are made and nothing else: `fingerprint(recipe, upstream keys,
semantics version)`. What they are about is the name of a shard of rows: the digest of its samples.
How the work is done (workers, resources, cluster) is kept beside it and never enters a key.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import accumulate
from typing import Any

from medgen.engine.benchmark.digest import part_digest
from medgen.engine.benchmark.manifest import Manifest, ShardEntry
from medgen.engine.codec import fingerprint, plain
from medgen.engine.conditions.kinds import SIGN, VERSION, find_condition
from medgen.engine.data import ASKS, Asks, form_of
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import Resources, Spec, identity, reads_benchmark
from medgen.engine.registry import inner_recipes
from medgen.engine.stages import JUDGE, SCORE, stage_kind
from medgen.engine.store.layout import path_name, piece_name


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
    """What is evaluated: an answer model, a render model, or both.

    One under a condition, or asked again with other seeds, is a system of its own, `of` another.
    """

    name: str
    answer: Model | None = None
    render: Model | None = None
    gives: tuple[Asks, ...] = ASKS  # what it is asked for; it owes no row to other samples
    control: bool = False
    notes: tuple[str, ...] = ()
    condition: str = ""
    of: str = ""
    series: str = ""  # the training that it is a checkpoint of, at a step
    step: int = 0
    repeat: int = 0  # how often the one that it is `of` was asked before

    @property
    def is_pairing(self) -> bool:
        """Whether only what judges are shown is another: it gives no answers of its own."""
        return bool(self.condition) and find_condition(self.condition).of == "judge"


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
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One stage of the graph: an addressed dataset, and the nodes whose rows it reads."""

    stage: str
    key: str
    label: str  # a person's name for it: the model's target, the metric, the judge
    gives: tuple[Asks, ...]
    upstream: tuple[str, ...]
    systems: tuple[str, ...]  # who shares it
    group: str  # the workers that do it
    split: int = 1
    recipe: Mapping[str, Any] = field(default_factory=dict)
    condition: str = ""  # of what a model is given or a judge is shown, or of what metrics read
    repeat: int = 0  # how often its model was asked the same before, on purpose


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
    samples: Mapping[Asks, int]  # by what they ask
    content: tuple[ShardEntry, ...]  # the benchmark's shards that the run takes, in order
    protocol: str
    thresholds: Mapping[str, Any]
    systems: tuple[System, ...]
    nodes: Mapping[str, Node]
    groups: Mapping[str, GroupPlan]
    left_out: int = 0  # samples of the benchmark that a limit leaves out

    @property
    def shards(self) -> int:
        """How many shards of the benchmark the run takes."""
        return len(self.content)

    @property
    def digests(self) -> tuple[str, ...]:
        """The names of these shards."""
        return tuple(entry.digest for entry in self.content)

    def formats(self, gives: Collection[Asks] = ASKS) -> dict[str, int]:
        """How many of the samples that ask for one of these have which format."""
        found: Counter[str] = Counter()
        for entry in self.content:
            for asks, counts in entry.formats.items():
                if asks in gives:
                    found.update(counts)
        return dict(found)

    def shard_name(self, node: Node, index: int) -> str:
        """The name of a node's shard of rows: which samples it is about."""
        entry = self.content[index // node.split]
        due = [asks for asks in ASKS if asks in node.gives and asks in entry.formats]
        whole = len(due) == len(entry.formats)
        digest = entry.digest if whole else part_digest(entry.digest, due)
        return piece_name(digest, index % node.split, node.split)

    def shard_names(self, node: Node) -> tuple[str, ...]:
        """Those of all its shards, in order."""
        return tuple(self.shard_name(node, index) for index in range(self.shards * node.split))

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

    @property
    def answering(self) -> tuple[System, ...]:
        """The systems that give answers of their own: not those that judges are shown otherwise."""
        return tuple(system for system in self.systems if not system.is_pairing)

    def rows_due(self, system: str) -> int:
        """How many samples a system must have a row for: the locked denominator."""
        return sum(self.samples.get(asks, 0) for asks in self.system(system).gives)

    def system(self, name: str) -> System:
        """The system of that name."""
        return next(s for s in self.systems if s.name == name)


def make_plan(recipe: Recipe, manifest: Manifest, limit: int | None = None) -> Plan:
    """Decide the whole run, over so many first shards as hold at least `limit` samples.

    Raises:
        ConfigError: two systems share a name, or a system has no model, or nothing is asked for.
    """
    _check(recipe)
    content = first_shards(manifest, limit)
    samples: Counter[Asks] = Counter()
    for entry in content:
        samples.update(entry.asks)
    nodes: dict[str, Node] = {}
    groups: dict[str, GroupPlan] = {}
    systems = _with_conditions(recipe, samples)
    for system in systems:
        upstream: tuple[str, ...] = ()
        for node, group in _model_nodes(system, manifest, recipe.nonce, nodes):
            upstream = (*upstream, node.key)
            groups.setdefault(group.name, group)
            _share(nodes, node)
        for node in _dependent_nodes(recipe, system, manifest, upstream):
            _share(nodes, node)
    groups |= _dependent_groups(recipe)
    asked = [plain(recipe.systems), plain(recipe.metrics), sorted(recipe.judges), recipe.protocol]
    asked.append([step.name for step in recipe.steps])
    digests = [entry.digest for entry in content]
    told = [manifest.ref, digests, recipe.thresholds, sorted(nodes), _run_identity(asked)]
    return Plan(
        run_id=f"{recipe.name}-{fingerprint(*told)[:10]}",
        benchmark=manifest.ref,
        samples={asks: samples[asks] for asks in ASKS if asks in samples},
        content=content,
        protocol=recipe.protocol,
        thresholds=recipe.thresholds,
        systems=systems,
        nodes=nodes,
        groups={n: g for n, g in groups.items() if any(x.group == n for x in nodes.values())},
        left_out=manifest.samples - samples.total(),
    )


def first_shards(manifest: Manifest, limit: int | None) -> tuple[ShardEntry, ...]:
    """The fewest first shards that hold `limit` samples; all of them without one.

    Raises:
        ConfigError: the limit is less than 1.
    """
    if limit is None:
        return manifest.shards
    if limit < 1:
        raise ConfigError(f"a limit of {limit} leaves no sample; give 1 or more")
    counts = accumulate(entry.samples for entry in manifest.shards)
    enough = next((n for n, count in enumerate(counts, 1) if count >= limit), None)
    return manifest.shards[:enough]


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


def _with_conditions(recipe: Recipe, samples: Mapping[Asks, int]) -> tuple[System, ...]:
    """The systems, then each under the conditions of models, then each as judges are shown it.

    Raises:
        ConfigError: a condition that nobody has, or that changes nothing of this run.
    """
    conditions = [find_condition(name) for name in dict.fromkeys(recipe.conditions)]
    conditions.sort(key=lambda condition: condition.of != "model")
    found: list[System] = []
    for condition in conditions:
        pairing = condition.of == "judge"
        if pairing and not recipe.judges:
            raise ConfigError(
                f"condition {condition.name!r} is about what judges are shown, and the run has "
                "none; name some with `judges=[…]`"
            )
        before = len(found)
        for system in recipe.systems:
            gives = tuple(asks for asks in system.gives if asks in condition.asks)
            if system.repeat or not any(samples.get(asks) for asks in gives):
                continue
            other = replace(
                system,
                name=f"{system.name}{SIGN}{condition.name}",
                condition=condition.name,
                of=system.name,
                control=True,  # it shows something about a system, and is ranked with none
                # Conditions of models are for answers in words, which need no image model.
                render=system.render if pairing or system.answer is None else None,
                gives=system.gives if pairing else gives,
            )
            found.append(other)
        if len(found) == before:
            asked = ", ".join(condition.asks)
            raise ConfigError(
                f"condition {condition.name!r} is for samples that ask {asked}, and no system of "
                "the run is asked for one"
            )
    return (*recipe.systems, *found)


def _share(nodes: dict[str, Node], node: Node) -> None:
    if node.key in nodes:
        have = nodes[node.key]
        systems = (*have.systems, *(s for s in node.systems if s not in have.systems))
        node = Node(**{**_fields(have), "systems": systems})
    nodes[node.key] = node


def _fields(node: Node) -> dict[str, Any]:
    return {name: getattr(node, name) for name in Node.__slots__}


def _model_nodes(
    system: System, manifest: Manifest, nonce: str, made: Mapping[str, Node]
) -> Iterator[tuple[Node, GroupPlan]]:
    upstream: tuple[str, ...] = ()
    before: tuple[str, ...] = ()  # upstream of what is asked for the first time
    for stage, model in (("answer", system.answer), ("render", system.render)):
        if model is None:
            continue
        gives = _drawn(system) if stage == "render" else system.gives
        reads = {"benchmark": manifest.fingerprint} if reads_benchmark(model.spec) else {}
        recipe = {
            "model": identity(model.spec),
            **reads,
            "upstream": list(before),
            "semantics": stage_kind(stage).semantics,
            **({"nonce": nonce} if nonce else {}),
        }
        # A model has its workers once, under however many conditions and however often it is asked.
        first = fingerprint(stage, recipe)
        group = f"{stage}/{first}"
        if system.repeat:
            recipe |= {"upstream": list(upstream), "repeat": system.repeat}
        condition = "" if system.is_pairing else system.condition
        recipe |= _said_of_condition(condition, manifest)
        key = fingerprint(stage, recipe)
        if key in made and made[key].gives != gives:
            # One model under two systems that are asked for different samples is two nodes.
            recipe["gives"] = list(gives)
            key = fingerprint(stage, recipe)
            group = f"{stage}/{key}"
        yield (
            Node(
                stage=stage,
                key=key,
                label=_label(model.spec),
                gives=gives,
                upstream=upstream,
                systems=(system.name,),
                group=group,
                split=model.split,
                recipe=recipe,
                condition=condition,
                repeat=system.repeat,
            ),
            _group(group, stage, model),
        )
        upstream, before = (key,), (first if system.repeat else key,)


def _group(name: str, stage: str, model: Model) -> GroupPlan:
    work = model.seconds_per_sample, model.tokens_per_sample
    return GroupPlan(name, stage, model.spec, model.resources, *work)


def _said_of_condition(name: str, manifest: Manifest) -> dict[str, Any]:
    """What of a condition enters a key."""
    if not name:
        return {}
    said: dict[str, Any] = {"name": name, "version": VERSION}
    if find_condition(name).borrows:
        said["benchmark"] = manifest.fingerprint
    return {"condition": said}


def _drawn(system: System) -> tuple[Asks, ...]:
    # A question that is answered in words needs no picture, when a model answers in words.
    if system.answer is None:
        return system.gives
    return tuple(asks for asks in system.gives if form_of(asks) != "text")


def _label(spec: Spec) -> str:
    """The component with the model that it, or the chat inside it, serves."""
    inner = [given for _, _, given in inner_recipes(spec.kwargs)]
    model = next((g["model"] for g in (spec.kwargs, *inner) if g.get("model")), None)
    name = spec.target.rpartition(":")[2]
    return f"{name}({model})" if model else name


def _dependent_nodes(
    recipe: Recipe, system: System, manifest: Manifest, upstream: tuple[str, ...]
) -> Iterator[Node]:
    made: dict[str, Node] = {}
    condition = system.condition
    if condition and not (system.is_pairing or find_condition(condition).moves):
        condition = ""  # what is compared is what it was
    for step, group in _steps(recipe):
        if not any(fnmatchcase(system.of or system.name, pattern) for pattern in step.systems):
            continue
        if not _looks_at(step, system):
            continue
        read = (*upstream, *(_upstream(step, made, name).key for name in step.after))
        kind = stage_kind(step.stage)
        body: dict[str, Any] = {
            "spec": identity(step.model.spec),
            "upstream": list(read),
            "semantics": kind.semantics,
        }
        body |= _said_of_condition(condition, manifest)
        if recipe.nonce and not kind.shard_major:
            body["nonce"] = recipe.nonce
        if fingerprint(step.stage, body) in {node.key for node in made.values()}:
            body["name"] = step.name  # the same recipe under a second name is done twice
        made[step.name] = Node(
            stage=step.stage,
            key=fingerprint(step.stage, body),
            label=step.name,
            gives=system.gives,
            upstream=read,
            systems=(system.name,),
            group=group,
            recipe=body,
            condition=condition,
        )
    yield from made.values()


def _looks_at(step: Step, system: System) -> bool:
    """Metrics and judges look at all answers, and judges alone at what they are shown otherwise."""
    if system.is_pairing:
        return step.stage == JUDGE.name
    return not system.of or step.stage in (SCORE.name, JUDGE.name)


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
            groups[group] = _group(group, step.stage, step.model)
    return groups
