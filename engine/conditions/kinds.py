"""Which conditions there are, and what each changes.

A condition of models changes what a system is given; its answers are scored and judged as those of
the system without it. A condition of judges changes which answer stands beside which sample: it
shows how far a judge looks at the pairing at all. The first five of judges stand in the order of
the table that MedGEN-Bench's authors publish of them.
"""

from dataclasses import dataclass
from typing import Literal

from medgen.engine.data import ASKS, CHOOSING, Asks, form_of
from medgen.engine.names import check_names

SIGN = "@"  # `name@condition` is a system under a condition
VERSION = 1  # raised when a condition of the same name changes anything else than before
_IN_WORDS = tuple(asks for asks in ASKS if form_of(asks) == "text")
_AMONG_OPTIONS = tuple(asks for asks in ASKS if asks in CHOOSING and asks != "preference")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes:
        name: as a run names it.
        of: whether a model is given something else, or a judge is shown something else.
        words: what it changes, for people.
        asks: the samples that it is for, by what they ask.
        borrows: it takes images of other samples, so its rows are about the whole benchmark.
        moves: the right answer moves with it, so metrics compare with the sample as it was given.
    """

    name: str
    of: Literal["model", "judge"]
    words: str
    asks: tuple[Asks, ...] = ASKS
    borrows: bool = False
    moves: bool = False


_ALL = (
    Condition("no-image", "model", "the images are removed", _IN_WORDS),
    Condition("blank-image", "model", "the images are grey, of the same size", _IN_WORDS),
    Condition(
        "other-image",
        "model",
        "the images are another source's, of the same modality",
        _IN_WORDS,
        borrows=True,
    ),
    Condition("no-question", "model", "the options and images alone", _AMONG_OPTIONS),
    Condition("no-context", "model", "the record and the context images are removed", _IN_WORDS),
    Condition("no-demonstrations", "model", "the demonstrations are removed", _IN_WORDS),
    Condition(
        "shuffled-options",
        "model",
        "the options in another order; the right one moves with them",
        _AMONG_OPTIONS,
        moves=True,
    ),
    Condition("blank", "judge", "a grey image of the same size"),
    Condition("unrelated", "judge", "an image of another modality and source", borrows=True),
    Condition(
        "same-modality", "judge", "another source's image of the same modality", borrows=True
    ),
    Condition("image-shuffle", "judge", "images change places among samples", borrows=True),
    Condition(
        "instruction-shuffle", "judge", "instructions change places among samples", borrows=True
    ),
)
CONDITIONS = {condition.name: condition for condition in _ALL}


def find_condition(name: str) -> Condition:
    """The condition of that name.

    Raises:
        ConfigError: there is none.
    """
    check_names("no condition", [name], CONDITIONS)
    return CONDITIONS[name]
