"""What models are given and judges are shown, under any condition or none."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.conditions.donors import Donors
from medgen.engine.conditions.judges import Pair, Shard, pair_of
from medgen.engine.conditions.kinds import find_condition
from medgen.engine.conditions.models import change_of
from medgen.engine.data import Prediction, Sample
from medgen.engine.errors import ImageError


class Shown:
    """Applies conditions to the samples of one benchmark, of which it reads what it must."""

    def __init__(self, benchmark: Benchmark) -> None:
        """Read nothing yet."""
        self._benchmark = benchmark

    @cached_property
    def _donors(self) -> Donors:
        return Donors.read(self._benchmark)

    def sample(self, condition: str, sample: Sample) -> Sample | str:
        """The sample as a system is given it, or why it is not asked under the condition.

        That is one which the condition leaves as it is, or cannot change. No condition changes
        nothing, and neither do those of judges.
        """
        kind = find_condition(condition) if condition else None
        if kind is None or kind.of != "model":
            return sample
        try:
            donors = self._donors if kind.borrows else Donors()
            given = change_of(kind, donors)(sample)
        except ImageError as err:
            return f"{condition}: {err}"
        return f"{condition} leaves it as it is" if given == sample else given

    def pair(
        self, condition: str, shard: Sequence[Sample], given: Mapping[str, Prediction], at: Sample
    ) -> Pair | str:
        """The sample and the answer that a judge is shown, or why there are none.

        Args:
            condition: of judges, or one of models under which the right answer moves.
            shard: all samples that the system owes of the sample's shard.
            given: what it answered to them.
            at: the sample.
        """
        kind = find_condition(condition)
        if kind.of == "model":
            shown = self.sample(condition, at)
            return shown if isinstance(shown, str) else (shown, given[at.id])
        donors = self._donors if kind.borrows else Donors()
        return pair_of(kind, Shard(shard, given, donors), at)

    @staticmethod
    def note(condition: str, given: Sample | str, prediction: Prediction) -> Prediction:
        """The prediction with what it was given in its details."""
        details = {**prediction.details, "condition": condition}
        if find_condition(condition).moves and isinstance(given, Sample):
            details["choices"] = list(given.choices)
        return replace(prediction, details=details)
