"""Where each stage of a run stands, and how long it would still take at its speed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from medgen.engine.data import FINE
from medgen.engine.run.pool import Receipt
from medgen.launch.view import numbers


@dataclass
class StageLine:
    """Where one stage stands."""

    total: int = 0
    done: int = 0
    fresh: int = 0  # shards that this run has made
    began: float = 0.0  # when the first of them was there
    rows: Counter[str] = field(default_factory=Counter)
    cost: float = 0.0
    prompt: int = 0
    cached: int = 0

    @property
    def failures(self) -> int:
        """Rows without a value that somebody is to look at."""
        return sum(n for status, n in self.rows.items() if status not in FINE)

    def take(self, receipt: Receipt, now: float) -> None:
        """Count a shard that is in the store; `now` in seconds."""
        self.done += 1
        self.fresh += 1
        self.began = self.began or now
        self.rows.update(receipt.rows)
        self.cost += receipt.cost_usd
        self.prompt += receipt.prompt_tokens
        self.cached += receipt.cached_tokens

    def left_s(self, now: float) -> float | None:
        """Seconds that it would still take at its speed; None as long as that is not known."""
        if self.done >= self.total or self.fresh < 2 or now <= self.began:
            return None
        return (self.total - self.done) * (now - self.began) / (self.fresh - 1)


def outlook(stages: Mapping[str, StageLine], now: float) -> tuple[str, str]:
    """How long it may last, and why that is not sure; both empty where nothing is known.

    `now` is in seconds, on the clock of `StageLine.take`.
    """
    open_ = {name: line.left_s(now) for name, line in stages.items() if line.done < line.total}
    known = {name: left for name, left in open_.items() if left is not None}
    if not known:
        return "", ""
    last = max(known, key=lambda name: known[name])
    waiting = [name for name in open_ if name not in known]
    if waiting:
        names = numbers.join_names(waiting)
        verb = "has" if len(waiting) == 1 else "have"
        return f"more than {numbers.duration(known[last])}", f"{names} {verb} no speed yet"
    return f"about {numbers.duration(known[last])}", f"as long as {last} is the slowest"
