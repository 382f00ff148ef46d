"""Several verdicts on one prediction (repeats, judges) as one, by a named rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median, pstdev

from medgen.engine.data import Verdict, View
from medgen.engine.errors import ConfigError

RULES = ("mean", "median", "min", "majority")


@dataclass(frozen=True, slots=True)
class Combined:
    """What a panel says of one prediction in one view.

    `scores` and `spread` (population standard deviation) are over the ok verdicts; both are empty
    when fewer than the quorum are ok. `ok` of `asked` verdicts count.
    """

    sample_id: str
    view: View
    ok: int
    asked: int
    scores: Mapping[str, float] = field(default_factory=dict)
    spread: Mapping[str, float] = field(default_factory=dict)


def combine(verdicts: Sequence[Verdict], rule: str = "mean", quorum: int = 1) -> list[Combined]:
    """Combine verdicts by sample and view, in the order of their first appearance.

    Args:
        verdicts: any number of repeats and judges.
        rule: mean, median, min (the strictest), or majority (the score that most gave; a tie
            gives the lower one). Applied to each dimension on its own.
        quorum: fewest ok verdicts that give scores. A failed verdict is never a number.

    Raises:
        ConfigError: no such rule, or a quorum below one.
    """
    if rule not in RULES or quorum < 1:
        raise ConfigError(f"combine by one of {', '.join(RULES)} with a quorum of 1 or more")
    groups: dict[tuple[str, View], list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.sample_id, verdict.view), []).append(verdict)
    return [_combined(group, rule, quorum) for group in groups.values()]


def _combined(group: Sequence[Verdict], rule: str, quorum: int) -> Combined:
    good = [v for v in group if v.status == "ok"]
    scores: dict[str, float] = {}
    spread: dict[str, float] = {}
    if len(good) >= quorum:
        # A dimension that one judge lacks (another protocol) is none that the panel can give.
        shared = [n for n in good[0].scores if all(n in v.scores for v in good)]
        for name in shared:
            values = [v.scores[name] for v in good]
            scores[name] = _rule(values, rule)
            spread[name] = pstdev(values)
    first = group[0]
    return Combined(first.sample_id, first.view, len(good), len(group), scores, spread)


def _rule(values: Sequence[float], rule: str) -> float:
    if rule == "median":
        return float(median(values))
    if rule == "min":
        return min(values)
    if rule == "majority":
        return min(values, key=lambda v: (-values.count(v), v))
    return fmean(values)
