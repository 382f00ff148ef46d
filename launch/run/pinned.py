"""Models of a hub without a commit: what they answer changes when somebody uploads."""

from collections.abc import Collection

from medgen.adapters.provenance import is_unpinned
from medgen.conf.schema import RunConf
from medgen.engine.errors import PlanError
from medgen.engine.plan.plan import Plan
from medgen.engine.run.survey import Todo
from medgen.launch.setup.pinning import loaded_models


def loose_models(plan: Plan, todo: Todo, stages: Collection[str] = ()) -> list[str]:
    """The models, with their revisions, that have something to do and are at no commit.

    Args:
        plan: whose models are looked at.
        todo: what there is to do.
        stages: that are carried out; none means all.
    """
    open_ = [node for key, node in plan.nodes.items() if todo.targets.get(key)]
    needed = {node.group for node in open_ if not stages or node.stage in stages}
    found: dict[str, None] = {}
    for name in sorted(needed):
        spec = plan.groups[name].spec
        for model, revision in loaded_models(spec.target, spec.kwargs):
            if is_unpinned(model, revision):
                found[f"{model} at {revision or 'no revision'}"] = None
    return list(found)


def check_pinned(conf: RunConf, plan: Plan, todo: Todo, stages: Collection[str]) -> list[str]:
    """The same as warnings, where a run may go on with them.

    Raises:
        PlanError: nobody has allowed it.
    """
    found = loose_models(plan, todo, stages)
    if found and not conf.allow_unpinned:
        raise PlanError(
            f"no commit says which weights are meant: {'; '.join(found)}. `medgen models pin` "
            "finds the commits where there is a network; `--allow-unpinned` runs them as they are, "
            "and their passports say so"
        )
    return [f"{model} is at no commit: another start may load other weights" for model in found]
