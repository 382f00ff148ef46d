"""What a run will take, as far as measured speeds, guesses and stated prices tell."""

from collections.abc import Sequence
from dataclasses import dataclass

from medgen.engine.batching import batch_of
from medgen.engine.plan.plan import Plan
from medgen.engine.run.budget import charging, stated_by
from medgen.engine.run.pool import Machine
from medgen.engine.run.speeds import Speeds
from medgen.engine.run.survey import Todo
from medgen.engine.stages import stage_kind


@dataclass(frozen=True, slots=True)
class Forecast:
    """Sums over what is left to do. Nothing is said of groups whose speed nobody knows."""

    seconds: float  # until all of it is done; 0 where no machine is known or no speed
    gpus: float  # of the machines that are known
    gpu_hours: float  # loads included
    priced_samples: int  # samples of models with a price; each is a request or more
    usd: float  # at most, as far as prices of requests and images are stated
    measured: tuple[str, ...]  # groups whose speed was measured in this store
    guessed: tuple[str, ...]
    unknown: tuple[str, ...]
    batched: int = 0  # samples of those with a price that are asked in batches, at part of it


def samples_left(plan: Plan, todo: Todo) -> dict[str, float]:
    """How many samples each group still has, of what its nodes answer."""
    left = dict.fromkeys(plan.groups, 0.0)
    for key, node in plan.nodes.items():
        due = sum(plan.samples.get(asks, 0) for asks in node.gives)
        left[node.group] += due * len(todo.targets[key]) / max(1, plan.shards * node.split)
    return {name: count for name, count in left.items() if count}


def forecast(plan: Plan, todo: Todo, speeds: Speeds, machines: Sequence[Machine]) -> Forecast:
    """Add up what is left.

    GPUs are taken to work all the time; each group is loaded once. What asks for no GPU ends no
    earlier than its longest group, which is one worker unless it says more.
    """
    left = samples_left(plan, todo)
    gpus = sum(m.offers.get("GPU", 0.0) for m in machines)
    gpu_s, longest = 0.0, 0.0
    for name, count in left.items():
        asked = plan.groups[name].resources
        own = speeds.sample_s(name) * count
        if asked.gpus and own:
            gpu_s += asked.gpus * (own + speeds.load_s(name))
        elif own and not stage_kind(plan.groups[name].stage).shard_major:
            longest = max(longest, own / (asked.workers or 1) + speeds.load_s(name))
    known = {name: speeds.sample_s(name) > 0 for name in left}
    priced, stated = charging(plan), stated_by(plan)
    return Forecast(
        max(longest, gpu_s / gpus if gpus else 0.0),
        gpus,
        gpu_s / 3600,
        round(sum(count for name, count in left.items() if name in priced)),
        sum(stated[name] * count for name, count in left.items() if name in priced),
        tuple(name for name in left if known[name] and speeds.is_measured(name)),
        tuple(name for name in left if known[name] and not speeds.is_measured(name)),
        tuple(name for name in left if not known[name]),
        round(sum(left[name] for name in left if name in priced and _in_batches(plan, name))),
    )


def _in_batches(plan: Plan, group: str) -> bool:
    return batch_of(plan.groups[group].spec.kwargs) is not None
