"""Every built-in metric by name, and the metrics of other packages that are installed.

Names are what protocols, YAML files and keys refer to. Reading the table loads no library: a target
is imported only where a scorer is built.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medgen.engine import registry
from medgen.engine.beside import read_beside
from medgen.engine.data import Asks
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import Spec
from medgen.engine.registry import Component
from medgen.metrics.tiers import COMPARES, Tier


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A metric that can be asked for by name."""

    target: str
    tier: Tier
    profiles: tuple[str, ...]  # the first is the default
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[str, ...] = ()  # names in `medgen.metrics.weights`
    extra: str = "metrics"  # the optional dependency group that it needs
    settings: str = "MetricSettings"  # type of its arguments, in `medgen.metrics.settings`
    semantics: int = 1  # see `medgen.engine.registry.Component`
    compares: tuple[Asks, ...] = ()  # what its samples may ask; empty: all that its tier does


_ALL = ("compat", "compat-newer", "strict")
CATALOGUE = read_beside(__package__, "catalogue.yaml", dict[str, CatalogueEntry])
SCORER = "fused-scorer"
_SETTINGS = "medgen.metrics.settings"
COMPONENTS = {
    SCORER: Component(
        SCORER,
        "metrics",
        "medgen.metrics.scorer:FusedScorer",
        "metrics",
        f"{_SETTINGS}:ScorerSettings",
        ("score",),
    )
} | {
    name: Component(
        name,
        "metrics",
        entry.target,
        entry.extra,
        f"{_SETTINGS}:{entry.settings}",
        semantics=entry.semantics,
        compares=entry.compares or COMPARES[entry.tier],
    )
    for name, entry in CATALOGUE.items()
}


def names() -> tuple[str, ...]:
    """Built-in names, then those of installed packages, each A-Z."""
    others = registry.components("metrics").keys() - COMPONENTS.keys()
    return (*sorted(CATALOGUE), *sorted(others))


def metric_spec(name: str, kwargs: Mapping[str, Any] | None = None) -> Spec:
    """The recipe of a metric.

    Args:
        name: a catalogue name, the name of an entry point of an installed package, or a
            `module:Class` target.
        kwargs: plain arguments, which go over the defaults of the name. `profile` is asked
            for where a metric has it; a metric with one definition keeps that.

    Raises:
        ConfigError: nobody has the name, or the profile is none at all.
    """
    asked = dict(kwargs or {})
    if entry := CATALOGUE.get(name):
        profile = asked.get("profile", entry.profiles[0])
        if profile not in _ALL:
            raise ConfigError(f"metric {name}: profile {profile!r} is none of {', '.join(_ALL)}")
        asked["profile"] = _nearest(entry, profile)
        return Spec(name, {**entry.kwargs, **asked})
    return Spec(registry.find(name, "metrics").name, asked)


def _nearest(entry: CatalogueEntry, profile: str) -> str:
    """The profile, or what stands for it: the newer state is the first where they agree."""
    if profile not in entry.profiles and profile == "compat-newer":
        profile = "compat"
    return profile if profile in entry.profiles else entry.profiles[0]
