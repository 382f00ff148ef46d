"""Faults that change rows become part of the recipe of the models and judges they strike."""

from dataclasses import replace

from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Recipe
from medgen.engine.store.chaos import Chaos


def inject_faults(recipe: Recipe, chaos: Chaos) -> Recipe:
    """The recipe with the faults that change rows put into its models and judges."""
    systems = tuple(
        replace(
            s,
            answer=s.answer and _faulty(s.answer, "chaotic", chaos),
            render=s.render and _faulty(s.render, "chaotic", chaos),
        )
        for s in recipe.systems
    )
    judges = {name: _faulty(m, "chaotic-judge", chaos) for name, m in recipe.judges.items()}
    return replace(recipe, systems=systems, judges=judges)


def _faulty(model: Model, kind: str, chaos: Chaos) -> Model:
    struck_by = ("corrupt_image",) if kind == "chaotic" else ("judge_rubbish",)
    faults = {name: getattr(chaos, name) for name in (*struck_by, "api_errors")}
    if not any(faults.values()):
        return model
    inner = {"target": model.spec.target, "kwargs": dict(model.spec.kwargs)}
    kwargs = {"inner": inner, "chaos": {"seed": chaos.seed, **faults}}
    return replace(model, spec=Spec(kind, kwargs))
