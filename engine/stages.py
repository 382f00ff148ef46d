"""What a stage is: who may be upstream, what its rows are, which of them are done again when.

What a plain start takes up again is decided by cause, in `outside` below and nowhere else: what
the outside kept from us is owed still; what a model, a metric or a judge said is not.

A stage is a description. Planning, the board, workers and the store read it and know no stage by
name, so another one (an audit of verdicts, a review) is a description and a worker class: an entry
here, or an entry point `medgen.stages` of another package that leads to a `StageKind`.
"""

from dataclasses import dataclass

from medgen.engine import registry
from medgen.engine.data import FINE
from medgen.engine.errors import ConfigError
from medgen.engine.registry import Component

PREDICTIONS, SCORES, VERDICTS = "prediction/1", "score/2", "verdict/2"


@dataclass(frozen=True, slots=True)
class StageKind:
    """One kind of stage."""

    name: str
    worker: str  # `module:Class` of its `StageWorker`; empty: no worker of a run does it
    rows: str  # the schema of its rows, with its version
    settled: tuple[str, ...]  # statuses that are what they are; `--retry-errors` repeats the others
    outside: tuple[str, ...] = ()  # statuses that a plain start repeats: the outside caused them
    upstream: tuple[str, ...] = ()  # the kinds of rows that it may read
    shard_major: bool = False  # a benchmark shard is done for every system at once
    # The systems that are there are done in one unit, sample by sample; each key is claimed alone.
    by_sample: bool = False
    semantics: int = 1  # raised by one when the rows that a recipe gives change their meaning
    # Statuses that nobody foresaw: a plain start repeats them when the code is another.
    unforeseen: tuple[str, ...] = ("internal_error",)

    @property
    def gathers(self) -> bool:
        """Whether what one system gave waits a while for the others, to be done with them."""
        return self.shard_major or self.by_sample

    @property
    def predicts(self) -> bool:
        """Whether its rows are part of what a system answers."""
        return self.rows == PREDICTIONS


# No connection, a server that fails or is too late, no memory left, a cap on spending.
_UNANSWERED = ("unreachable", "timeout", "out_of_memory", "missing")
ANSWER = StageKind(
    "answer", "medgen.engine.run.stages:PredictWorker", PREDICTIONS, FINE, _UNANSWERED
)
RENDER = StageKind(
    "render",
    "medgen.engine.run.stages:PredictWorker",
    PREDICTIONS,
    FINE,
    _UNANSWERED,
    (PREDICTIONS,),
)
SCORE = StageKind(
    "score",
    "medgen.engine.run.stages:ScoreWorker",
    SCORES,
    ("ok", "not_applicable", "unparseable"),
    ("missing_weights", "out_of_memory"),
    (PREDICTIONS,),
    shard_major=True,
)
JUDGE = StageKind(
    "judge",
    "medgen.engine.run.stages:JudgeWorker",
    VERDICTS,
    ("ok", "skipped"),
    ("transport_error",),
    (PREDICTIONS,),
    by_sample=True,
)
# A share of what is there is asked or judged again, and compared.
PREDICT_AGAIN = StageKind(
    "predictagain",
    "medgen.engine.run.again:AnswerAgainWorker",
    "again/1",
    ("ok", "skipped"),
    upstream=(PREDICTIONS,),
)
JUDGE_AGAIN = StageKind(
    "judgeagain",
    "medgen.engine.run.again:JudgeAgainWorker",
    "again/1",
    ("ok", "skipped"),
    upstream=(PREDICTIONS, VERDICTS),
)
# Pictures as vectors, for distances between sets: made by `medgen sets` when a run is over.
SETS = StageKind("sets", "", "set-features/1", ("ok",), upstream=(PREDICTIONS,))
COMPONENTS = {
    kind.name: Component(kind.name, "stages", f"{__name__}:{place}")
    for place, kind in (
        ("ANSWER", ANSWER),
        ("RENDER", RENDER),
        ("SCORE", SCORE),
        ("JUDGE", JUDGE),
        ("PREDICT_AGAIN", PREDICT_AGAIN),
        ("JUDGE_AGAIN", JUDGE_AGAIN),
        ("SETS", SETS),
    )
}


def stage_kind(name: str) -> StageKind:
    """The description of a stage.

    Raises:
        ConfigError: nobody has a stage of that name.
    """
    found = registry.find(name, "stages").load()
    if not isinstance(found, StageKind) or found.name != name:
        raise ConfigError(f"what is registered as stage {name!r} is not its StageKind")
    return found
