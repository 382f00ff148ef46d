"""When scoring and judging wait no longer for systems that are slower than others.

What is there of a shard waits, so that it is scored or judged once for all systems. A judge waits
for a time that the run says (`Options.judge_wait_s`), then the shard is judged for those that are
there, and for the others in a further wave; scoring goes ahead when nothing has moved for a while.
Where no model is at work, nobody is waited for.
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
    score_at_once: bool = False
    _since: dict[tuple[str, int], float] = field(default_factory=dict)  # group and shard

    def look(self, moved: float) -> bool:
        """Let go what is due; whether that was anything.

        Args:
            moved: when something last happened in the run.
        """
        now = self.clock()
        still = now - moved > PATIENCE_S
        gone = (still or self.score_at_once) and self._score_ahead()
        held = self.board.held
        self._since = {place: self._since.get(place, now) for place in held}
        alone = bool(held) and still and not self._models_work()
        due = [p for p, since in self._since.items() if alone or now - since >= self.judge_wait_s]
        for place in due:
            self.board.let_go(*place)
        return gone or bool(due)

    def _score_ahead(self) -> bool:
        groups = self.board.plan.groups.values()
        scoring = {group.name for group in groups if stage_kind(group.stage).shard_major}
        if any(self.board.has_queue(name) or self.desk.running.get(name) for name in scoring):
            return False
        self.board.flush(scoring)
        return True

    def _models_work(self) -> bool:
        """Whether a model has something out, or is there for what comes."""
        return any(
            self.desk.running.get(group.name) or self.crew.groups[group.name]
            for group in self.board.plan.groups.values()
            if stage_kind(group.stage).predicts
        )
