"""The rows of a table from which a mapping is guessed, and which column is what by its name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from medgen.adapters.tables.values import is_empty
from medgen.engine.beside import read_beside

NAMES = read_beside(__package__, "seen.yaml", dict[str, tuple[str, ...]])


@dataclass(frozen=True, slots=True)
class Named:
    """Columns that the user named; empty ones are guessed."""

    image: str = ""
    question: str = ""
    answer: str = ""
    choices: tuple[str, ...] = ()
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """Some rows, the names of their columns, and what a person should look at."""

    rows: Sequence[Mapping[str, object]]
    columns: Sequence[str]
    named: Named
    doubts: list[str] = field(default_factory=list)

    def column(self, what: str) -> str:
        """The first column of a name for that; empty where there is none."""
        # The first of columns that are called alike.
        folded = {fold(name): name for name in reversed(self.columns)}
        return next((folded[name] for name in NAMES[what] if name in folded), "")

    def cells(self, column: str) -> Iterator[object]:
        """What stands in a column, without what is empty."""
        return (row[column] for row in self.rows if not is_empty(row.get(column)))

    def texts(self, column: str) -> list[str]:
        """The same as texts without outer blanks."""
        return [str(cell).strip() for cell in self.cells(column)]

    @property
    def question(self) -> str:
        """The column that asks."""
        return self.named.question or self.column("question")

    @property
    def answer(self) -> str:
        """The column that answers."""
        return self.named.answer or self.column("answer")

    @property
    def reference(self) -> str:
        """The column of pictures to compare with."""
        return self.named.reference or self.column("reference")


def fold(name: str) -> str:
    """A column's name in small letters and with `_`."""
    return name.strip().casefold().replace(" ", "_")
