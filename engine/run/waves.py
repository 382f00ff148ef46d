"""When scoring and judging wait no longer for systems that are slower than others.

What is there of a shard waits, so that it is scored or judged once for all systems. A judge waits
for a time that the run says (`Options.judge_wait_s`), then the shard is judged for those that are
there, and for the others in a further wave. Scoring goes ahead when it has had nothing to do for as
long as the run says (`Options.score_wait_s`), and when nothing has moved for a while. Where no
model is at work, nobody is waited for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from medgen.engine.run.board import Board
from medgen.engine.run.crew import Crew
from medgen.engine.run.desk import Desk
from medgen.engine.stages import stage_kind

PATIENCE_S = 5.0  # how long idle scoring waits for slower systems before it goes ahead


@dataclass(slots=True)
class Waves:
    """Lets go of a board what has waited long enough."""

    board: Board
    desk: Desk
    crew: Crew
    clock: Callable[[], float]
    judge_wait_s: float
    score_wait_s: float
    _since: dict[tuple[str, int], float] = field(default_factory=dict)  # group and shard
    _scored: float = field(init=False)  # when scoring last had something to do, or began to wait

    def __post_init__(self) -> None:
        """Scoring waits from now on."""
        self._scored = self.clock()

    def look(self, moved: float) -> bool:
        """Let go what is due; whether that was anything.

        Args:
            moved: when something last happened in the run.
        """
        now = self.clock()
        still = now - moved > PATIENCE_S
        gone = self._score_ahead(still)
        held = self.board.held
        self._since = {place: self._since.get(place, now) for place in held}
        alone = bool(held) and still and not self._models_work()
        due = [p for p, since in self._since.items() if alone or now - since >= self.judge_wait_s]
        for place in due:
            self.board.let_go(*place)
        return gone or bool(due)

    def _score_ahead(self, still: bool) -> bool:
        now, groups = self.clock(), self.board.plan.groups.values()
        scoring = {group.name for group in groups if stage_kind(group.stage).shard_major}
        if any(self.board.has_queue(name) or self.desk.running.get(name) for name in scoring):
            self._scored = now
            return False
        if not still and now - self._scored < self.score_wait_s:
            return False
        self._scored = now
        self.board.flush(scoring)
        return True

    def _models_work(self) -> bool:
        """Whether a model has something out, or is there for what comes."""
        return any(
            self.desk.running.get(group.name) or self.crew.groups[group.name]
            for group in self.board.plan.groups.values()
            if stage_kind(group.stage).predicts
        )
