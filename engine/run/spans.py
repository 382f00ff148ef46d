"""What is the same for all shards of a stage but a few: a mapping that is as large as the few."""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSet
from typing import Generic, TypeVar

T = TypeVar("T")


class Span(MutableMapping[int, T], Generic[T]):
    """The numbers below a count, each with the same value until another is set."""

    def __init__(self, count: int, value: T) -> None:
        """All of them are there."""
        self._count, self._value = count, value
        self._other: dict[int, T] = {}  # also beyond the count
        self._gone: set[int] = set()

    def __getitem__(self, number: int) -> T:
        """The number's value."""
        if number in self._other:
            return self._other[number]
        if number in self._gone or not 0 <= number < self._count:
            raise KeyError(number)
        return self._value

    def __contains__(self, number: object) -> bool:
        """Whether the number is there; not by an exception, for it is asked for each shard."""
        if number in self._other:
            return True
        return isinstance(number, int) and 0 <= number < self._count and number not in self._gone

    def __setitem__(self, number: int, value: T) -> None:
        """Give the number another value."""
        self._other[number] = value
        self._gone.discard(number)

    def __delitem__(self, number: int) -> None:
        """Take the number out."""
        if number not in self:
            raise KeyError(number)
        self._other.pop(number, None)
        if 0 <= number < self._count:
            self._gone.add(number)

    def numbers(self) -> "Rest":
        """The numbers that are there now, as a set of its own."""
        beyond = [n for n in self._other if not 0 <= n < self._count]
        return Rest(self._count, self._gone, beyond)

    def __iter__(self) -> Iterator[int]:
        """In order."""
        yield from (n for n in range(self._count) if n not in self._gone)
        yield from sorted(n for n in self._other if not 0 <= n < self._count)

    def __len__(self) -> int:
        """How many are there."""
        beyond = sum(not 0 <= n < self._count for n in self._other)
        return self._count - len(self._gone) + beyond


class Rest(MutableSet[int]):
    """The numbers below a count but those that are gone: as large as these."""

    def __init__(self, count: int, gone: Iterable[int] = (), beyond: Iterable[int] = ()) -> None:
        """`beyond` are further numbers that are there."""
        self._count = count
        self._gone, self._beyond = set(gone), set(beyond)

    @property
    def is_whole(self) -> bool:
        """Whether all numbers below the count are there, and no others."""
        return not (self._gone or self._beyond)

    @property
    def gone(self) -> Iterable[int]:
        """The numbers below the count that are not there."""
        return self._gone

    def __contains__(self, number: object) -> bool:
        """Whether the number is there."""
        if isinstance(number, int) and 0 <= number < self._count:
            return number not in self._gone
        return number in self._beyond

    def __iter__(self) -> Iterator[int]:
        """In order."""
        yield from (n for n in range(self._count) if n not in self._gone)
        yield from sorted(self._beyond)

    def __len__(self) -> int:
        """How many are there."""
        return self._count - len(self._gone) + len(self._beyond)

    def add(self, value: int) -> None:
        """Put a number in."""
        if 0 <= value < self._count:
            self._gone.discard(value)
        else:
            self._beyond.add(value)

    def discard(self, value: int) -> None:
        """Take a number out, if it is there."""
        if 0 <= value < self._count:
            self._gone.add(value)
        else:
            self._beyond.discard(value)


def numbers_of(given: Mapping[int, object]) -> MutableSet[int]:
    """The numbers of a mapping, as a set of its own."""
    return given.numbers() if isinstance(given, Span) else set(given)
