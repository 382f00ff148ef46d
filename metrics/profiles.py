"""The profiles of a metric: whose definition its numbers follow.

`compat` gives what the benchmark authors' evaluator gives (its state 3450b8e unless a metric
says otherwise), `compat-newer` what its later state 6f43dc8 gives where that differs, `strict`
what the method's own authors intend. A metric refuses a profile it does not have.
"""

from typing import TYPE_CHECKING, Literal

from medgen.engine.errors import ConfigError

if TYPE_CHECKING:  # which loads PyTorch
    from medgen.metrics.pictures import Policy

Profile = Literal["compat", "compat-newer", "strict"]
FOLLOWS = {
    "compat": "the benchmark authors' evaluator at 3450b8e",
    "compat-newer": "the benchmark authors' evaluator at 6f43dc8",
    "strict": "the method's authors",
}


def choose_profile(metric: str, profile: str, *known: Profile) -> Profile:
    """The profile, when the metric has it.

    Raises:
        ConfigError: it has not; names those it has.
    """
    for name in known:
        if name == profile:
            return name
    raise ConfigError(f"{metric} has no profile {profile!r}; it has {', '.join(known)}")


def policy_of(profile: Profile) -> "Policy":
    """How pictures are decoded under a profile."""
    return "strict" if profile == "strict" else "compat"


def texts_of(profile: Profile) -> str:
    """Which texts a text metric compares under a profile."""
    return "canonical" if profile in ("compat", "compat-newer") else "as given"
