"""Whether answers changed under a condition: each is read first, and what was read is compared."""

from dataclasses import dataclass

from medgen.engine.answers.closed import CHOICE, read_answer
from medgen.engine.answers.forms import canonical
from medgen.engine.answers.options import options_of
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.conditions.shown import Shown
from medgen.engine.data import CHOOSING, Prediction, Sample
from medgen.engine.plan.plan import System
from medgen.engine.run.reader import RunReader


@dataclass(frozen=True, slots=True)
class Changes:
    """Of the items of one format."""

    flips: float | None  # share of those answered on both sides whose answer is another
    chance: float | None  # mean of 1 / options; None when an item has none


@dataclass
class _Tally:
    pairs: int = 0
    flipped: int = 0
    items: int = 0
    chances: float = 0.0
    open_items: int = 0

    def add(self, sample: Sample, both: tuple[str | None, str | None] | None) -> None:
        if sample.choices:
            self.chances += 1 / len(sample.choices)
        else:
            self.open_items += 1
        self.items += 1
        if both is not None:
            self.pairs += 1
            self.flipped += both[0] != both[1]


def count_changes(reader: RunReader, system: System) -> dict[str, Changes]:
    """How many answers of a system under a condition are others than without it, by format.

    Reads one shard at a time.

    Raises:
        CorruptError: stored rows are damaged.
    """
    shown = Shown(reader.benchmark)
    tallies: dict[str, _Tally] = {}
    for shard in range(reader.plan.shards):
        before = {p.sample_id: p for p in reader.predictions(system.of, shard)}
        after = {p.sample_id: p for p in reader.predictions(system.name, shard)}
        for sample in reader.benchmark.samples(shard):
            if sample.id in before and sample.id in after:
                given = shown.sample(system.condition, sample)
                one = before[sample.id], sample
                two = after[sample.id], sample if isinstance(given, str) else given
                fine = one[0].status == two[0].status == "ok"
                both = (_answer(*one), _answer(*two)) if fine else None
                tallies.setdefault(sample.format, _Tally()).add(sample, both)
    return {
        name: Changes(
            tally.flipped / tally.pairs if tally.pairs else None,
            tally.chances / tally.items if tally.items and not tally.open_items else None,
        )
        for name, tally in tallies.items()
    }


def _answer(prediction: Prediction, given: Sample) -> str | None:
    """What was answered: an option's words, or the whole answer, in canonical form."""
    words = part_thoughts(prediction.text or "").answer
    if given.asks not in CHOOSING or not given.choices:
        return canonical(words)
    read = read_answer(words, given.choices, CHOICE, given.instruction)
    options = {option.key: option for option in options_of(given.choices).each}
    option = options.get(read.answer or "")
    return canonical(option.words or option.label) if option else None
