"""What is the same for all shards of a stage but a few: a mapping that is as large as the few."""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSet
from typing import Generic, TypeVar

S = TypeVar("S")
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

    def copy(self) -> "Span[T]":
        """The same, to be changed by itself."""
        other = Span(self._count, self._value)
        other._other, other._gone = dict(self._other), set(self._gone)
        return other

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


class Said(Mapping[int, T], Generic[T]):
    """What each of many things says, by number: as large as nothing beside them."""

    def __init__(self, of: Mapping[int, S], pick: Callable[[S], T]) -> None:
        """`pick` is what one of them says."""
        self._of, self._pick = of, pick

    def __getitem__(self, number: int) -> T:
        """See `Mapping`."""
        return self._pick(self._of[number])

    def __iter__(self) -> Iterator[int]:
        """See `Mapping`."""
        return iter(self._of)

    def __len__(self) -> int:
        """See `Mapping`."""
        return len(self._of)


def whole(given: Mapping[int, int], count: int) -> Mapping[int, int]:
    """The same numbers, as a span where all below a count are there with 0."""
    return Span(count, 0) if len(given) == count and not any(given.values()) else given


def own(given: Mapping[int, int]) -> MutableMapping[int, int]:
    """The same numbers, to be changed by themselves."""
    return given.copy() if isinstance(given, Span) else dict(given)


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
